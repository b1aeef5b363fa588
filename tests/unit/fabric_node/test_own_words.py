from __future__ import annotations

from typing import Any, cast

import pytest

from pubsub.errors import ParamError
from pubsub.fabric.envelope import decode_envelope, sign_message
from pubsub.fabric.members import MAX_ENVELOPE
from pubsub.fabric.own_state import OwnState
from pubsub.fabric.peer_state import Chaincode
from pubsub.fabric.state_info import MAX_STATE
from pubsub.fabric_node.own_words import (
    MAX_CHAINCODES,
    MAX_CHAINCODES_BYTES,
    MAX_HEIGHT,
    MAX_METADATA,
    checked_chaincodes,
    checked_height,
    checked_metadata,
)
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.unit.fabric.peering import US


@pytest.mark.parametrize("height", [0, -1, 1.5, "7", True, 1 << 64])
def test_what_is_no_height_is_refused(height: Any):
    with pytest.raises(ParamError, match="height must be"):
        checked_height(height)
    assert checked_height(MAX_HEIGHT) == MAX_HEIGHT


def test_the_longest_metadata_fits_into_an_alive_message():
    metadata = checked_metadata(bytes(MAX_METADATA))
    member = {"pki_id": US.pki_id, "endpoint": "e" * 300, "metadata": metadata}
    alive = {"membership": member, "identity": US.identity, "timestamp": {"inc_num": 1}}
    message = GossipMessage(tag=GossipMessage.EMPTY, alive_msg=alive)
    assert len(sign_message(message, US, internal_endpoint="i" * 300).raw) < MAX_ENVELOPE - 4096


@pytest.mark.parametrize("metadata", [bytes(MAX_METADATA + 1), "text", None, 7])
def test_other_metadata_is_refused(metadata: Any):
    with pytest.raises(ParamError, match="metadata"):
        checked_metadata(metadata)


def test_the_most_chaincodes_fit_into_a_state_info():
    for chaincodes in (
        [Chaincode("a" * (MAX_CHAINCODES_BYTES - 16), "1.0")],
        [Chaincode("a", "1", b"x")] * MAX_CHAINCODES,
    ):
        found = checked_chaincodes(iter(chaincodes))
        assert found == tuple(chaincodes)
        own = OwnState(
            "sales", US.pki_id, sign=lambda message, _: sign_message(message, US), joined_ns=1
        )
        own.update(height=1, chaincodes=found, wall_ns=2)
        envelope = own.make()
        assert len(envelope.raw) < MAX_STATE
        assert decode_envelope(envelope.raw) == envelope


@pytest.mark.parametrize(
    ("chaincodes", "text"),
    [
        ([Chaincode("a" * MAX_CHAINCODES_BYTES, "1.0")], "chaincodes of"),
        ([Chaincode("a", "1")] * (MAX_CHAINCODES + 1), "10001 chaincodes"),
        (["asset"], "not a Chaincode: 'asset'"),
        ([Chaincode(cast("Any", 1), "1")], "two texts"),
        ([Chaincode("a", "1", cast("Any", "text"))], "two texts"),
        ([Chaincode("\ud800", "1")], "two texts"),
    ],
)
def test_other_chaincodes_are_refused(chaincodes: list[Any], text: str):
    with pytest.raises(ParamError, match=text):
        checked_chaincodes(chaincodes)
