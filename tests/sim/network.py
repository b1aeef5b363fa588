"""A virtual network of pure routers: links with latency that lose RPCs, and virtual time.

Deterministic by seed: one heap of future happenings, ordered by time and then
by when they were planned.
"""

from __future__ import annotations

import hashlib
import heapq
import random
import struct
from collections import Counter
from collections.abc import Callable, Sequence

from pubsub.identity import PeerId, PrivateKey
from pubsub.identity.verify import SignatureCheck, Verdict, check
from pubsub.params import Params
from pubsub.router import Router
from pubsub.router.effects import (
    Deliver,
    Disconnect,
    Effect,
    PeerJoined,
    PeerLeft,
    Published,
    Validate,
    Verify,
    Writable,
)
from pubsub.router.events import (
    Event,
    PeerConnected,
    PeerDisconnected,
    Publish,
    RpcReceived,
    StreamOpened,
    Subscribe,
    TimerFired,
    Unsubscribe,
    Validation,
    ValidationFinished,
    Verified,
)
from pubsub.router.protocols import GOSSIPSUB_V11
from pubsub.wire.framing import FrameReader

_STAMP = struct.Struct("<dI")
TAKE = 256 * 1024
FLUSH = 0.01
"What a router has to say within this time leaves together, as from one turn of a busy loop."


class Network:
    """Routers, the links between them, and one clock."""

    def __init__(self, count: int, *, seed: int, loss: float = 0.0, params: Params | None = None):
        self.rng = random.Random(seed)
        self.now = 0.0
        self.loss = loss
        self.lost = 0
        self.delivered: list[Counter[bytes]] = [Counter() for _ in range(count)]
        self.published: dict[bytes, int] = {}
        self.last_mesh_change = 0.0
        "When a GRAFT was accepted, or anything else last changed who is in whose mesh."
        self.mesh_degrees: list[tuple[float, int]] = []
        "When a router had its heartbeat, and the size that a mesh of it had after that."
        self._meshes: list[int] = [0] * count
        self._trace = hashlib.sha256()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0
        self._verdicts: dict[tuple[bytes, bytes], Verdict] = {}
        self._links: dict[tuple[int, int], float] = {}
        self._readers: dict[tuple[int, int], FrameReader] = {}
        self.routers: list[Router] = []
        self.index: dict[PeerId, int] = {}
        for number in range(count):
            key = PrivateKey(hashlib.sha256(f"{seed}/{number}".encode()).digest())
            router = Router(
                key,
                params,
                rng=random.Random(f"{seed}/{number}"),
                now=self.rng.uniform(0, 1),
                first_seqno=1,
            )
            self.index[router.id] = number
            self.routers.append(router)
            self.at(router.next_deadline, lambda n=number: self._beat(n))

    @property
    def trace(self) -> str:
        """A hash over every event of every router, in order."""
        return self._trace.hexdigest()

    # Driving

    def at(self, when: float, action: Callable[[], None]) -> None:
        self._planned += 1
        heapq.heappush(self._heap, (when, self._planned, action))

    def run(self, until: float) -> None:
        while self._heap and self._heap[0][0] <= until:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        self.now = until

    def link(self, a: int, b: int, latency: float = 0.05) -> None:
        """Connect two routers; `a` dialled."""
        for me, other, outbound in ((a, b, True), (b, a, False)):
            self._links[me, other] = latency
            self._readers[me, other] = FrameReader(4 << 20)
            peer = self.routers[other].id
            self.feed(me, PeerConnected(peer, GOSSIPSUB_V11, outbound))
            self.feed(me, StreamOpened(peer, GOSSIPSUB_V11))

    def unlink(self, a: int, b: int) -> None:
        for me, other in ((a, b), (b, a)):
            if self._links.pop((me, other), None) is not None:
                self.feed(me, PeerDisconnected(self.routers[other].id))

    def link_randomly(self, degree: int) -> None:
        """Link every router to `degree` others, dialled or dialling."""
        neighbours: list[set[int]] = [set() for _ in self.routers]
        for me in range(len(self.routers)):
            free = [n for n in range(len(self.routers)) if n != me and n not in neighbours[me]]
            free.sort(key=lambda n: (len(neighbours[n]), self.rng.random()))
            for other in free[: max(0, degree - len(neighbours[me]))]:
                neighbours[me].add(other)
                neighbours[other].add(me)
                self.link(me, other, self.rng.uniform(0.01, 0.1))

    def subscribe(self, number: int, topic: str) -> None:
        self.feed(number, Subscribe(topic))

    def unsubscribe(self, number: int, topic: str) -> None:
        self.feed(number, Unsubscribe(topic))

    def publish(self, number: int, topic: str, data: bytes) -> Published:
        effects = self.feed(number, Publish(topic, data))
        return next(effect for effect in effects if isinstance(effect, Published))

    def feed(self, number: int, event: Event) -> list[Effect]:
        """Give a router an event, perform the effects, and return them."""
        self._note(number, event)
        effects = self.routers[number].handle(event, self.now)
        self._note_mesh(number)
        for effect in effects:
            self._perform(number, effect)
        return effects

    def _note_mesh(self, number: int) -> None:
        core = self.routers[number]._core
        state = hash(tuple(peer for topic in core.topics.values() for peer in topic.mesh))
        if state != self._meshes[number]:
            self._meshes[number] = state
            self.last_mesh_change = self.now

    def _note(self, number: int, event: Event) -> None:
        update = self._trace.update
        update(_STAMP.pack(self.now, number))
        if isinstance(event, RpcReceived):
            update(event.peer)
            for frame in event.frames:
                update(frame)
        else:
            update(repr(event).encode())

    # Performing

    def _perform(self, number: int, effect: Effect) -> None:
        match effect:
            case Writable():
                flush = (int(self.now / FLUSH) + 1) * FLUSH
                self.at(flush, lambda: self._transmit(number, effect.peer))
            case Deliver():
                for message in effect.messages:
                    self.delivered[number][message.id] += 1
            case Verify():
                self.feed(number, Verified(effect.batch, self._check(effect.checks)))
            case Validate():
                self.feed(number, ValidationFinished(effect.message.id, Validation.ACCEPT))
            case Published():
                self.published[effect.message.id] = number
            case Disconnect():
                self.unlink(number, self.index[effect.peer])
            case PeerJoined() | PeerLeft():
                pass

    def _check(self, items: Sequence[SignatureCheck]) -> list[Verdict]:
        # A hundred routers check the same signature; one computation is enough.
        verdicts = []
        for item in items:
            what = (item.signature, item.payload)
            if what not in self._verdicts:
                self._verdicts[what] = check(item)
            verdicts.append(self._verdicts[what])
        return verdicts

    def _transmit(self, number: int, peer: PeerId) -> None:
        other = self.index[peer]
        latency = self._links.get((number, other))
        while data := self.routers[number].take(peer, TAKE):
            if latency is None:
                continue
            frames = self._readers[number, other].feed(data)
            kept = [frame for frame in frames if self.rng.random() >= self.loss]
            self.lost += len(frames) - len(kept)
            if kept:
                self.at(self.now + latency, lambda k=kept: self._arrive(number, other, k))

    def _arrive(self, sender: int, receiver: int, frames: list[bytes]) -> None:
        if (sender, receiver) in self._links:
            self.feed(receiver, RpcReceived(self.routers[sender].id, frames))

    def _beat(self, number: int) -> None:
        self.feed(number, TimerFired())
        for topic in self.routers[number]._core.topics.values():
            if topic.subscribed:
                self.mesh_degrees.append((self.now, len(topic.mesh)))
        self.at(self.routers[number].next_deadline, lambda: self._beat(number))

    # Looking

    def neighbours(self) -> list[list[int]]:
        """For each router, whom it is linked to."""
        found: list[list[int]] = [[] for _ in self.routers]
        for me, other in self._links:
            found[me].append(other)
        return found

    def mesh(self, number: int, topic: str) -> set[int]:
        return {self.index[peer] for peer in self.routers[number].mesh(topic)}

    def one_sided(self, topic: str) -> list[tuple[int, int]]:
        """Pairs (a, b) where b is in a's mesh and a is not in b's."""
        meshes = [self.mesh(number, topic) for number in range(len(self.routers))]
        return [(a, b) for a, mesh in enumerate(meshes) for b in sorted(mesh) if a not in meshes[b]]
