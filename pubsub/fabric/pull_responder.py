"""The side of a pull that is asked: it shows what it holds, and sends what is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from pubsub.fabric.actions import Send
from pubsub.fabric.pull_store import Label, PullParams, PullStore
from pubsub.pb.fabric.gossip_pb2 import (
    DataDigest,
    DataRequest,
    DataUpdate,
    GossipHello,
)


@dataclass(slots=True)
class Promise:
    """A digest we sent: one request that bears its nonce is answered."""

    until: float
    answered: bool = False


class Responder:
    """Answers hellos and requests; in push mode it offers its digest unasked."""

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
        self._promises: dict[tuple[bytes, int], Promise] = {}
        "By peer and nonce, in the order of their ends: all wait for the same time."

        self._to_peer: Counter[bytes] = Counter()
        "How many promises each peer has."

    def tick(self, now: float) -> None:
        """Forget promises that have ended."""
        while self._promises:
            key = next(iter(self._promises))
            if self._promises[key].until > now:
                return
            del self._promises[key]
            self._uncount(key[0])

    def on_hello(self, peer: bytes, hello: GossipHello, now: float) -> list[Send]:
        self.tick(now)
        if (peer, hello.nonce) in self._promises:
            self._counters["nonce used twice"] += 1
            return []
        return self._promise(peer, hello.nonce, now)

    def offer(self, peer: bytes, now: float) -> list[Send]:
        """Show `peer` what we hold though it did not ask."""
        return self._promise(peer, self._rng.getrandbits(64), now)

    def _promise(self, peer: bytes, nonce: int, now: float) -> list[Send]:
        if (
            len(self._promises) >= self._params.max_promises
            or self._to_peer.get(peer, 0) >= self._params.max_promises_to_peer
        ):
            self._counters["too many hellos"] += 1
            return []
        digests = list(self._store.digests(peer))
        if not digests:
            return []
        if len(digests) > self._params.max_digests:
            digests = self._rng.sample(digests, self._params.max_digests)
        # An answered promise stays to its end: it counts against what the peer may ask.
        self._promises[peer, nonce] = Promise(now + self._params.request_wait)
        self._to_peer[peer] += 1
        digest = DataDigest(nonce=nonce, digests=digests, msg_type=self._label.kind)
        return [Send(peer, self._label.message(data_dig=digest))]

    def on_request(self, peer: bytes, request: DataRequest, now: float) -> list[Send]:
        self.tick(now)
        promise = self._promises.get((peer, request.nonce))
        if promise is None or promise.answered:
            self._counters["request without a digest of ours"] += 1
            return []
        promise.answered = True
        # Each once, or a short request could ask for one large item many times.
        digests = list(dict.fromkeys(request.digests[: self._params.max_digests]))
        data = self._gather(digests, peer)
        if not data:
            return []
        update = DataUpdate(nonce=request.nonce, data=data, msg_type=self._label.kind)
        return [Send(peer, self._label.message(data_update=update))]

    def _gather(self, digests: Sequence[bytes], peer: bytes) -> list[bytes]:
        """As many items as one answer holds; the peer asks for the others in its next round."""
        data: list[bytes] = []
        room = self._params.max_response_bytes
        for item in self._store.items(digests, peer):
            if data and len(item) > room:
                self._counters["answer cut"] += 1
                break
            data.append(item)
            room -= len(item)
        return data

    def forget(self, peer: bytes) -> None:
        """The peer is gone: its nonces are worth nothing any more."""
        for key in [key for key in self._promises if key[0] == peer]:
            del self._promises[key]
        self._to_peer.pop(peer, None)

    def _uncount(self, peer: bytes) -> None:
        self._to_peer[peer] -= 1
        if not self._to_peer[peer]:
            del self._to_peer[peer]
