"""Channel MACs are those that Fabric peers send."""

from __future__ import annotations

from pubsub.fabric.channel_mac import channel_mac
from tests.fabric_fixtures import index, needs_recordings


@needs_recordings
def test_a_mac_is_what_the_peer_of_that_channel_sends() -> None:
    nodes = [node for node in index("nodes.json").values() if "channel_macs" in node]
    assert len(nodes) == 6
    for node in nodes:
        pki_id = bytes.fromhex(node["pki_id"])
        macs = {name: channel_mac(pki_id, name).hex() for name in node["channel_macs"]}
        assert macs == node["channel_macs"]


def test_a_mac_is_another_for_each_peer_and_channel() -> None:
    macs = [channel_mac(pki_id, name) for pki_id in (b"1" * 32, b"2" * 32) for name in ("a", "b")]
    assert len(set(macs)) == 4
    # sha256sum of 32 ASCII ones and an "a".
    assert macs[0].hex() == "cedf8746180c89fae9863c77b81bbd7b746be124e6de97d5a3cd61bd24c3bf3a"
