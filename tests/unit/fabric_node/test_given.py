"""What a user gives is checked at the call, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from pubsub.errors import ParamError
from pubsub.fabric.blocks import BlockHeader
from pubsub.fabric.criteria import SendCriteria
from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric.make_blocks import sign_block
from pubsub.fabric.pull_store import Mode
from pubsub.fabric.versioned_store import VersionedStore
from pubsub.fabric_node import FileDelivery, given
from pubsub.pb.fabric.gossip_pb2 import GossipMessage

MESSAGE = GossipMessage()
STORE = VersionedStore()


def one_line(function: Any, *args: Any) -> str:
    with pytest.raises(ParamError) as caught:
        function(*args)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("genesis", [None, "sales.block", 7, bytearray(b"x")])
def test_a_block_is_bytes(genesis: object):
    assert "must be a block's bytes" in one_line(given.joining, genesis, None, None)


def test_for_a_block_that_was_read_its_bytes_are_wanted():
    block = sign_block(BlockHeader(0, b"", b""), [], last_config=0, entropy=bytes)
    assert one_line(given.encoded_block, "genesis", block).endswith("not Block: give its raw")


@pytest.mark.parametrize("ledger", ["sales.ledger", False, MemoryLedger, {}])
def test_a_ledger_is_one(ledger: object):
    assert one_line(given.joining, b"", ledger, None).startswith("ledger")


@pytest.mark.parametrize("delivery", ["blocks", b"", FileDelivery])
def test_a_delivery_is_one(delivery: object):
    assert one_line(given.joining, b"", MemoryLedger(), delivery).startswith("delivery")


def test_what_fits_is_taken():
    given.joining(b"x", MemoryLedger(), FileDelivery("."))
    given.joining(b"x", None, None)
    given.sharing(STORE, 100, "", Mode.PUSH, None)
    given.sharing(STORE, 100, "sales", Mode.PULL, print)
    given.sending(MESSAGE, SendCriteria(max_peers=1, timeout=1))
    given.function("predicate", bool)
    assert given.pki_id(b"x") == b"x"


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ((None, 100, "", Mode.PULL, None), "store: None has no digests"),
        (({}, 100, "", Mode.PULL, None), "store: {} has no digests"),
        ((VersionedStore, 100, "", Mode.PULL, None), "store is an object, not the class"),
        ((STORE, "100", "", Mode.PULL, None), "kind must be a whole number"),
        ((STORE, 103.5, "", Mode.PULL, None), "kind must be a whole number"),
        ((STORE, 100, None, Mode.PULL, None), "a channel is called by its name"),
        ((STORE, 100, "", "push", None), "mode must be a Mode, not 'push'"),
        ((STORE, 100, "", Mode.PULL, 5), "on_pulled must be a function"),
    ],
)
def test_what_is_shared(what: tuple[object, ...], text: str):
    assert text in one_line(given.sharing, *what)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ((None, SendCriteria(max_peers=1, timeout=1)), "message must be a GossipMessage"),
        ((b"x", SendCriteria(max_peers=1, timeout=1)), "message must be a GossipMessage"),
        ((MESSAGE, {}), "criteria must be a SendCriteria"),
        ((MESSAGE, SendCriteria(max_peers=1, timeout=1, is_eligible=5)), "is_eligible must be"),  # type: ignore[arg-type]
        ((MESSAGE, SendCriteria(max_peers=1, timeout=1, channel=b"x")), "called by its name"),  # type: ignore[arg-type]
    ],
)
def test_what_is_sent_by_criteria(what: tuple[Any, ...], text: str):
    assert text in one_line(given.sending, *what)


@pytest.mark.parametrize("peer", [None, "ab" * 32, ["x"], 7])
def test_a_peer_is_its_pki_id_or_has_one(peer: Any):
    assert "a peer is a PeerInfo or the bytes of a PKI-ID" in one_line(given.pki_id, peer)


def test_a_function_is_needed():
    assert "predicate must be a function, not None" in one_line(given.function, "predicate", None)
