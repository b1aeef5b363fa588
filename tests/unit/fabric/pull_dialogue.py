"""A store that is a plain dictionary, peers by letters, and messages as short lines."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from pubsub.errors import RemoteError
from pubsub.fabric.actions import Send
from pubsub.fabric.pull import PullEngine
from pubsub.fabric.pull_requester import Pulled
from pubsub.fabric.pull_store import Item, Label, PullParams, blocks_of
from pubsub.pb.fabric.gossip_pb2 import (
    DataDigest,
    DataRequest,
    DataUpdate,
    GossipHello,
    GossipMessage,
)

LABEL = blocks_of(b"mychannel")
A, B, C, D = (letter * 32 for letter in (b"A", b"B", b"C", b"D"))


class Shelf:
    """Items `digest=value`; a value that begins with "bad" is not good."""

    def __init__(self, *digests: bytes, hidden_from: Sequence[bytes] = ()) -> None:
        self.held = {digest: digest + b"=good" for digest in digests}
        self.hidden_from = hidden_from
        self.unwanted: set[bytes] = set()

    def digests(self, peer: bytes) -> list[bytes]:
        return [] if peer in self.hidden_from else list(self.held)

    def wanted(self, digest: bytes) -> bool:
        return digest not in self.held and digest not in self.unwanted

    def items(self, digests: Sequence[bytes], peer: bytes) -> Iterator[bytes]:
        if peer not in self.hidden_from:
            yield from (self.held[digest] for digest in digests if digest in self.held)

    def check(self, encoded: bytes) -> Item:
        digest, _, value = encoded.partition(b"=")
        if value.startswith(b"bad"):
            raise RemoteError("a bad item")
        return Item(digest, encoded)

    def add(self, item: Item, now: float) -> bool:
        if item.digest in self.held:
            return False
        self.held[item.digest] = item.encoded
        return True


def engine(
    store: Any, *peers: bytes, seed: int = 1, label: Label = LABEL, now: float = 0.0, **params: Any
) -> PullEngine:
    return PullEngine(
        store, label, PullParams(**params), peers=lambda: peers, rng=random.Random(seed), now=now
    )


def hello(nonce: int, label: Label = LABEL) -> GossipMessage:
    return label.message(hello=GossipHello(nonce=nonce, msg_type=label.kind))


def digest(nonce: int, *digests: bytes, label: Label = LABEL) -> GossipMessage:
    found = DataDigest(nonce=nonce, digests=digests, msg_type=label.kind)
    return label.message(data_dig=found)


def request(nonce: int, *digests: bytes, label: Label = LABEL) -> GossipMessage:
    found = DataRequest(nonce=nonce, digests=digests, msg_type=label.kind)
    return label.message(data_req=found)


def update(nonce: int, *data: bytes, label: Label = LABEL) -> GossipMessage:
    found = DataUpdate(nonce=nonce, data=data, msg_type=label.kind)
    return label.message(data_update=found)


def nonces(actions: Sequence[Send | Pulled]) -> dict[bytes, int]:
    """The nonce in what is sent to each peer."""
    found = {}
    for action in actions:
        assert isinstance(action, Send)
        content = action.message.WhichOneof("content")
        assert content
        found[action.peer] = getattr(action.message, content).nonce
    return found


def good(*digests: bytes) -> tuple[Item, ...]:
    return tuple(Item(one, one + b"=good") for one in digests)


class Network:
    """Engines that hear each other at once, and a clock."""

    def __init__(self, **engines: PullEngine) -> None:
        self.engines = {letter.encode() * 32: one for letter, one in engines.items()}
        self.now = 0.0

    def run(self, until: float) -> None:
        while True:
            due = min(one.next_deadline for one in self.engines.values())
            if due > until:
                return
            self.now = max(self.now, due)
            for name, one in self.engines.items():
                self.carry(name, one.tick(self.now))

    def carry(self, sender: bytes, actions: Sequence[Send | Pulled]) -> None:
        for action in actions:
            if isinstance(action, Send) and action.peer in self.engines:
                answer = self.engines[action.peer].on_message(sender, action.message, self.now)
                self.carry(action.peer, answer)
