"""The side of a pull that asks: it greets, gathers digests, and asks one owner for each item."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from pubsub.errors import RemoteError
from pubsub.fabric.actions import Send, short
from pubsub.fabric.pull_store import Item, Label, Mode, PullParams, PullStore
from pubsub.pb.fabric.gossip_pb2 import DataDigest, DataRequest, DataUpdate, GossipHello

Key: TypeAlias = tuple[bytes, int]
"A peer, and the nonce under which it knows us, or we know it."


@dataclass(frozen=True, slots=True, repr=False)
class Pulled:
    """These items were missing; they are good, and in the store now."""

    peer: bytes
    items: tuple[Item, ...]

    def __repr__(self) -> str:
        return f"Pulled({short(self.peer)}, {list(self.items)})"


@dataclass(slots=True)
class Round:
    """The peers greeted together, and what they have told since."""

    until: float
    "Digests are taken before that."

    nonces: dict[int, bytes]
    "Whom each nonce went to; it leaves when it comes back."

    owners: dict[bytes, list[Key]]
    "Who has each missing item."


@dataclass(slots=True)
class Request:
    """Items that one peer was asked for."""

    digests: dict[bytes, None]
    until: float
    offered: bool
    "It follows an offer: no round of ours."


class Requester:
    """Steps one and three of a pull, and the use of what comes back."""

    def __init__(
        self,
        store: PullStore,
        label: Label,
        params: PullParams,
        rng: Random,
        counters: Counter[str],
    ) -> None:
        self._store = store
        self._label = label
        self._params = params
        self._rng = rng
        self._counters = counters
        self._round: Round | None = None
        self._requests: dict[Key, Request] = {}
        "By peer and nonce, in the order of their ends: all wait for the same time."

        self._in_flight: set[bytes] = set()
        "Digests that have been asked for, each of one peer."

    @property
    def next_deadline(self) -> float:
        deadline = self._round.until if self._round else math.inf
        for request in self._requests.values():
            return min(deadline, request.until)
        return deadline

    def tick(self, now: float) -> list[Send]:
        """Give up requests that were not answered; ask, if the time for digests is over."""
        while self._requests:
            key = next(iter(self._requests))
            if self._requests[key].until > now:
                break
            self._counters["request not answered"] += 1
            self._close(key)
        if self._round and now >= self._round.until:
            ended, self._round = self._round, None
            return self._ask(ended.owners, now)
        return []

    def greet(self, peers: Iterable[bytes], now: float) -> list[Send]:
        """Begin a round with these peers; one that is still going on ends without requests."""
        nonces: dict[int, bytes] = {}
        for peer in peers:
            nonces[self._rng.getrandbits(64)] = peer
        self._round = Round(now + self._params.digest_wait, nonces, {}) if nonces else None
        return [
            Send(peer, self._label.message(hello=self._hello(nonce)))
            for nonce, peer in nonces.items()
        ]

    def _hello(self, nonce: int) -> GossipHello:
        return GossipHello(nonce=nonce, msg_type=self._label.kind)

    def _ask(self, owners: dict[bytes, list[Key]], now: float) -> list[Send]:
        asked: dict[Key, dict[bytes, None]] = {}
        for digest, candidates in owners.items():
            # It may have come another way since its digest did.
            if digest not in self._in_flight and self._store.wanted(digest):
                asked.setdefault(self._rng.choice(candidates), {})[digest] = None
        return [self._open(key, self._some(digests), now) for key, digests in asked.items()]

    def _some(self, digests: dict[bytes, None]) -> dict[bytes, None]:
        """As many as one request may have; others each time, since some never count."""
        if len(digests) <= self._params.max_asked:
            return digests
        return dict.fromkeys(self._rng.sample(list(digests), self._params.max_asked))

    def _open(
        self, key: Key, digests: dict[bytes, None], now: float, *, offered: bool = False
    ) -> Send:
        # A peer may have made an offer under the nonce of our hello.
        if key in self._requests:
            self._close(key)
        until = now + self._params.response_wait
        self._requests[key] = Request(digests, until, offered)
        self._in_flight.update(digests)
        peer, nonce = key
        request = DataRequest(nonce=nonce, digests=list(digests), msg_type=self._label.kind)
        return Send(peer, self._label.message(data_req=request))

    def _close(self, key: Key) -> Request:
        request = self._requests.pop(key)
        self._in_flight.difference_update(request.digests)
        return request

    def on_digest(self, peer: bytes, digest: DataDigest, now: float) -> list[Send]:
        ours = self._round
        if ours and now < ours.until and ours.nonces.get(digest.nonce) == peer:
            del ours.nonces[digest.nonce]
            for missing in self._missing(digest.digests):
                ours.owners.setdefault(missing, []).append((peer, digest.nonce))
            return []
        if self._params.mode is Mode.PULL:
            self._counters["digest late or unasked"] += 1
            return []
        return self._on_offer(peer, digest, now)

    def _on_offer(self, peer: bytes, digest: DataDigest, now: float) -> list[Send]:
        key = (peer, digest.nonce)
        offers = [at for at, request in self._requests.items() if request.offered]
        has_one = any(other == peer for other, _ in offers)
        if has_one or key in self._requests or len(offers) >= self._params.max_offers:
            self._counters["too many offers"] += 1
            return []
        missing = {one: None for one in self._missing(digest.digests) if one not in self._in_flight}
        return [self._open(key, self._some(missing), now, offered=True)] if missing else []

    def _missing(self, digests: Sequence[bytes]) -> list[bytes]:
        """What is not here yet, each once."""
        if len(digests) > self._params.max_digests:
            self._counters["digest cut"] += 1
        limit = self._params.max_digest_bytes
        return [
            digest
            for digest in dict.fromkeys(digests[: self._params.max_digests])
            if len(digest) <= limit and self._store.wanted(digest)
        ]

    def on_update(self, peer: bytes, update: DataUpdate, now: float) -> list[Pulled]:
        """Raises RemoteError, and takes nothing, if one item is bad or was not asked for."""
        key = (peer, update.nonce)
        request = self._requests.get(key)
        if request is None or now >= request.until:
            self._counters["update late or unasked"] += 1
            return []
        self._close(key)
        try:
            items = self._checked(update.data, request)
        except RemoteError:
            self._counters["bad update"] += 1
            raise
        added = tuple(item for item in items if self._store.add(item, now))
        return [Pulled(peer, added)] if added else []

    def _checked(self, data: Sequence[bytes], request: Request) -> list[Item]:
        left = dict(request.digests)
        items = []
        for encoded in data:
            item = self._store.check(encoded)
            if item.digest not in left:
                raise RemoteError("an item that was not asked for, or comes twice")
            del left[item.digest]
            items.append(item)
        return items

    def forget(self, peer: bytes) -> None:
        """The peer is gone: what it owns may be asked of others at once."""
        for key in [key for key in self._requests if key[0] == peer]:
            self._close(key)
        if self._round:
            self._round.nonces = {n: p for n, p in self._round.nonces.items() if p != peer}
            for digest, candidates in list(self._round.owners.items()):
                others = [one for one in candidates if one[0] != peer]
                if others:
                    self._round.owners[digest] = others
                else:
                    del self._round.owners[digest]
