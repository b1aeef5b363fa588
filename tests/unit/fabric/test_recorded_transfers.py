"""Pulls and state transfer with what a Fabric peer really said."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from pubsub.errors import RemoteError
from pubsub.fabric.actions import Send
from pubsub.fabric.block_store import BlockPullStore
from pubsub.fabric.blocks import parse_block
from pubsub.fabric.envelope import decode_envelope, wrap_message
from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric.payload_buffer import PayloadBuffer, Pushed
from pubsub.fabric.pull import PullEngine
from pubsub.fabric.pull_requester import Pulled
from pubsub.fabric.pull_store import IDENTITIES, PullParams, blocks_of
from pubsub.fabric.state_responder import StateResponder
from pubsub.fabric.state_transfer import Fetched, StateParams, StateTransfer
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.fabric_fixtures import framed, index, needs_recordings, read
from tests.unit.fabric.pull_dialogue import Shelf

pytestmark = needs_recordings

PEER = b"P" * 32


def recorded(number: int) -> GossipMessage:
    return decode_envelope(framed("envelopes.bin")[number]).message


class Replay(random.Random):
    """Chance that gives the nonce of a recording."""

    def __init__(self, nonce: int) -> None:
        super().__init__(1)
        self.nonce = nonce

    def getrandbits(self, k: int, /) -> int:
        return self.nonce if k == 64 else super().getrandbits(k)


class Recorded:
    """mychannel as the recordings have it."""

    height = 1
    has_room = True
    first_missing = 0

    def has_use(self, number: int) -> bool:
        return number >= self.height

    def knows(self, number: int) -> bool:
        return number < self.first_missing

    def verify(self, number: int, raw: bytes) -> None:
        if parse_block(raw).hash.hex() != index("blocks.json")["mychannel"][number]["header_hash"]:
            raise RemoteError("another block")

    def may_pull(self, peer: bytes) -> bool:
        return True

    def heights(self) -> dict[bytes, int]:
        return {PEER: 4}


def said(actions: Sequence[Any]) -> list[GossipMessage]:
    return [action.message for action in actions]


def as_fabric(message: GossipMessage) -> GossipMessage:
    """A message of the recording client as Fabric would have sent it: nonce 0 outside."""
    plain = GossipMessage()
    plain.CopyFrom(message)
    plain.nonce = 0
    return plain


def test_blocks_are_pulled_from_a_fabric_peer() -> None:
    hello, digest, request, update = (recorded(number) for number in (178, 179, 180, 181))
    store = BlockPullStore(b"mychannel", Recorded())
    ours = PullEngine(
        store,
        blocks_of(b"mychannel"),
        PullParams(),
        peers=lambda: [PEER],
        rng=Replay(hello.hello.nonce),
        now=0.0,
    )
    assert said(ours.tick(4.0)) == [as_fabric(hello)]
    assert ours.on_message(PEER, digest, 4.1) == []
    assert said(ours.tick(5.0)) == [as_fabric(request)]
    (pulled,) = ours.on_message(PEER, update, 5.1)
    assert isinstance(pulled, Pulled)
    assert len(pulled.items) == 7
    assert store.numbers() == [1, 2, 3, 4, 5, 6, 7]
    assert not ours.counters
    # What came is what another peer gets, byte for byte.
    assert list(store.items(request.data_req.digests, PEER)) == list(update.data_update.data)


def test_a_fabric_peers_pull_of_identities_is_answered() -> None:
    hello, shown, request, update = (recorded(number) for number in (53, 54, 83, 84))
    (pki_id,) = shown.data_dig.digests
    shelf = Shelf()
    shelf.held[pki_id] = update.data_update.data[0]
    ours = PullEngine(shelf, IDENTITIES, PullParams(), peers=list, rng=random.Random(1), now=0.0)
    assert said(ours.on_message(PEER, hello, 1.0)) == [as_fabric(shown)]
    assert said(ours.on_message(PEER, request, 2.0)) == [as_fabric(update)]


def test_blocks_are_fetched_from_a_fabric_peer() -> None:
    request, response = recorded(182), recorded(183)
    channel = Recorded()
    ours = StateTransfer(b"mychannel", channel, StateParams(), rng=Replay(request.nonce), now=0.0)
    assert said(ours.tick(10.0)) == [request]
    (fetched,) = ours.on_response(PEER, response, 10.1)
    assert isinstance(fetched, Fetched)
    buffer, ledger = PayloadBuffer(0), MemoryLedger()
    for payload in fetched.payloads:
        assert buffer.push(payload) is Pushed.KEPT
    while payload := buffer.pop():
        ledger.append(payload.seq_num, payload.data)
    assert ledger.height == 4
    assert ledger.last_hash.hex() == index("blocks.json")["mychannel"][3]["header_hash"]


def test_a_fabric_peers_request_for_blocks_is_answered() -> None:
    request, response = recorded(224), recorded(225)
    ledger = MemoryLedger()
    for entry in index("blocks.json")["mychannel"]:
        ledger.append(entry["number"], read(entry["file"]))
    responder = StateResponder(b"mychannel")
    assert responder.on_request(PEER, request)
    taken = responder.take()
    assert taken
    assert responder.answer(taken, ledger) == Send(PEER, response)
    assert wrap_message(response).raw == framed("envelopes.bin")[225]


def test_the_ledgers_of_three_channels_are_kept() -> None:
    for channel in ("mychannel", "second", "bftchan"):
        ledger = MemoryLedger()
        entries = index("blocks.json")[channel]
        for entry in entries:
            ledger.append(entry["number"], read(entry["file"]))
        assert ledger.last_hash.hex() == entries[-1]["header_hash"]
