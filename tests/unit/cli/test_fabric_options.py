"""`pubsub-fabric peer`: genesis blocks, and where blocks are delivered."""

from __future__ import annotations

from pathlib import Path

import pytest

from pubsub.cli.fabric_data import PeerData
from pubsub.cli.fabric_options import parse_deliveries, read_channels, read_options
from pubsub.errors import ParamError
from pubsub.fabric_node.sqlite_ledger import SqliteLedger
from tests.unit.cli.fabric_files import chain, write_peer


@pytest.fixture
def genesis_file(tmp_path: Path):
    def write(channel: str, *numbers: int, name: str = "") -> Path:
        path = tmp_path / (name or f"{channel}.block")
        path.write_bytes(chain(channel, *(numbers or (1,)))[0].raw)
        return path

    return write


def test_the_least_that_works(tmp_path: Path) -> None:
    options = read_options(write_peer(tmp_path), "v3", {}, blocks=[], deliveries=[])
    assert options.config.peer_id == "peer0.org1"
    assert options.channels == ()
    assert options.deliveries == {}
    assert options.config.params.org_leader
    assert not options.json
    assert not options.quiet


def test_everything_at_once(genesis_file, tmp_path: Path) -> None:
    config = write_peer(tmp_path)
    # Joined earlier.
    data = PeerData(tmp_path / "data")
    SqliteLedger.open(data.make_place("earlier"), "earlier").close()
    options = read_options(
        config,
        "v1.4",
        {"CORE_PEER_ID": "me"},
        blocks=[genesis_file("sales"), genesis_file("spare")],
        deliveries=[f"sales={tmp_path}", f"earlier={tmp_path / 'data'}"],
        json=True,
        quiet=True,
    )
    assert options.config.peer_id == "me"
    assert options.config.params.use_leader_election
    assert [each.channel for each in options.channels] == ["sales", "spare"]
    assert options.channels[0].genesis == chain("sales", 1)[0]
    assert options.deliveries == {"sales": tmp_path, "earlier": tmp_path / "data"}
    assert options.json
    assert options.quiet


def test_a_block_given_twice_is_one_channel(genesis_file) -> None:
    found = read_channels([genesis_file("sales"), genesis_file("sales", name="copy")])
    assert [each.channel for each in found] == ["sales"]


def test_two_channels_of_one_name(genesis_file) -> None:
    with pytest.raises(ParamError, match="are of two channels that are both called 'sales'"):
        read_channels([genesis_file("sales"), genesis_file("sales", 1, 2, name="other")])


def test_files_that_are_no_genesis_block(tmp_path: Path) -> None:
    path = tmp_path / "it"
    with pytest.raises(ParamError, match=r"^--channel-block: cannot read .*: no such file"):
        read_channels([path])
    path.write_bytes(b"nonsense")
    with pytest.raises(ParamError, match=r"^--channel-block: .*/it: "):
        read_channels([path])
    path.write_bytes(chain("sales", 1)[1].raw)
    with pytest.raises(ParamError, match=r"^--channel-block: .*/it: "):
        read_channels([path])


def test_a_directory_for_the_one_channel(tmp_path: Path) -> None:
    assert parse_deliveries([str(tmp_path)], ["sales"]) == {"sales": tmp_path}
    odd = tmp_path / "sales=x"
    odd.mkdir()
    assert parse_deliveries([f"sales={odd}"], ["sales"]) == {"sales": odd}
    assert parse_deliveries([str(odd)], ["sales"]) == {"sales": odd}


@pytest.mark.parametrize(
    ("texts", "channels", "said"),
    [
        (["{}"], [], "this peer is in none: join one with --channel-block"),
        (["{}"], ["a", "b"], "is for one channel, and there are 2: write CHANNEL=DIR"),
        (["c={}"], ["a", "b"], "'c' is no channel of this peer"),
        (["a={}/nowhere"], ["a"], "there is no directory"),
        (["a={}", "{}/.."], ["a"], "channel 'a' has two directories"),
    ],
)
def test_directories_that_are_wrong(
    texts: list[str], channels: list[str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ParamError) as excinfo:
        parse_deliveries([text.format(tmp_path) for text in texts], channels)
    assert said in str(excinfo.value)
    assert str(excinfo.value).startswith("--blocks: ")


@pytest.mark.parametrize("key", ["bootstrap", "endpoint", "externalEndpoint"])
def test_an_endpoint_that_is_none_is_named(key: str, tmp_path: Path) -> None:
    variable = f"CORE_PEER_GOSSIP_{key.upper()}"
    with pytest.raises(ParamError, match=rf"core\.yaml: peer\.gossip\.{key}: bad endpoint"):
        read_options(write_peer(tmp_path), "v3", {variable: "host"}, blocks=[], deliveries=[])


def test_an_msp_directory_that_is_not_there(tmp_path: Path) -> None:
    environ = {"CORE_PEER_MSPCONFIGPATH": "nowhere"}
    with pytest.raises(ParamError, match=r"peer\.mspConfigPath: no directory '.*/nowhere'"):
        read_options(write_peer(tmp_path), "v3", environ, blocks=[], deliveries=[])
