"""A node of the virtual network: a router, and what a host would do for it.

    RPCs, timer, commands ──► RouterNode ──► Router.handle ──► effects, performed at once

Signatures are checked once for the whole network. Validators answer after the
delay they were given.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar, NamedTuple, Protocol

from pubsub.identity import PeerId, PrivateKey, peer_id_of
from pubsub.identity.verify import SignatureCheck, Verdict, check
from pubsub.params import Params
from pubsub.router import Router
from pubsub.router.effects import (
    Deliver,
    Dial,
    Disconnect,
    Effect,
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
    SetValidation,
    StreamOpened,
    Subscribe,
    TimerFired,
    Unsubscribe,
    Validation,
    ValidationFinished,
    Verified,
)
from pubsub.router.message import Message
from pubsub.router.protocols import PROTOCOLS
from pubsub.sim.clock import Clock
from pubsub.sim.record import Record

MAX_VERDICTS = 100_000


class Signatures:
    """Signature checks, each computed once: a thousand routers ask for the same one."""

    def __init__(self) -> None:
        self.computed = 0
        self._verdicts: dict[tuple[bytes, bytes, bytes], Verdict] = {}

    def check(self, items: Sequence[SignatureCheck]) -> list[Verdict]:
        verdicts = []
        for item in items:
            what = (item.key.data, item.signature, item.payload)
            verdict = self._verdicts.get(what)
            if verdict is None:
                if len(self._verdicts) >= MAX_VERDICTS:
                    self._verdicts.clear()
                verdict = self._verdicts[what] = check(item)
                self.computed += 1
            verdicts.append(verdict)
        return verdicts


class World(Protocol):
    """What a node sees of the network around it."""

    seed: int
    clock: Clock
    record: Record
    signatures: Signatures
    watch: Callable[[int, Event], None] | None

    def pump(self, node: int, peer: PeerId) -> None:
        """Take what waits at `node` for `peer`, as far as the link has room."""

    def hang_up(self, node: int, peer: PeerId, reason: str) -> None:
        """`node` closes its connection to `peer`."""

    def dial(self, node: int, peer: PeerId) -> None:
        """`node` connects to a peer that another one told it of."""

    def set_alarm(self, node: Node) -> None:
        """The node's deadline may be earlier than it was."""

    def number_of(self, peer: PeerId) -> int:
        """The node that has this id."""


class Validator(NamedTuple):
    """What an application says of a message, and how many seconds it thinks about it."""

    judge: Callable[[Message], Validation]
    delay: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands: what others need to know to connect to it."""

    number: int
    ip: str
    protocol: str
    "The newest version it speaks; it speaks all older ones as well."


class Node(ABC):
    """What the network needs of a node, honest or not."""

    honest: ClassVar[bool] = True
    "Its application should get every message, and the report is about it."

    def __init__(self, world: World, place: Place) -> None:
        self.world = world
        self.place = place
        self.number = place.number
        self.key = PrivateKey(sha256(f"{world.seed}/{place.number}".encode()).digest())
        self.id = peer_id_of(self.key.public_key)
        self.running = True
        self.alarm = math.inf
        "When the network will next look at `next_deadline`."
        self.bytes_in = self.bytes_out = self.rpcs_in = 0

    @property
    @abstractmethod
    def next_deadline(self) -> float:
        """When `fire` is due."""

    @abstractmethod
    def fire(self) -> None:
        """The deadline has come."""

    @abstractmethod
    def connected(self, other: Place, peer: PeerId, protocol: str, *, outbound: bool) -> None:
        """A connection stands, and our stream on it."""

    @abstractmethod
    def disconnected(self, peer: PeerId) -> None:
        """The connection is gone."""

    @abstractmethod
    def received(self, peer: PeerId, frames: Sequence[bytes]) -> None:
        """RPCs came."""

    @abstractmethod
    def take(self, peer: PeerId, max_bytes: int) -> bytes:
        """Up to `max_bytes` bytes for `peer`."""

    def tallies(self) -> tuple[Counter[str], Counter[str]]:
        """(counters, drops) since the run began."""
        return Counter(), Counter()


class RouterNode(Node):
    """A router and its application."""

    def __init__(
        self,
        world: World,
        place: Place,
        params: Params | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(world, place)
        self.params = params or Params()
        self._options = dict(options or {})
        self.topics: dict[str, None] = {}
        "What the application subscribes to; a restart brings it back."
        self._validators: dict[str, Validator] = {}
        self._life = 0
        self._past: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self.router = self._new_router()

    def _new_router(self) -> Router:
        rng = random.Random(f"{self.world.seed}/{self.number}/{self._life}")
        # Nodes do not start in the same moment: their heartbeats are spread.
        delay = rng.uniform(0.001, self.params.heartbeat_interval)
        now = self.world.clock.now
        return Router(
            self.key,
            self.params.replaced(heartbeat_initial_delay=delay),
            rng=rng,
            now=now,
            # As wall time does, it grows from one life to the next.
            first_seqno=int(now * 1e9) + 1,
            **self._options,
        )

    # The application

    def subscribe(self, topic: str) -> None:
        self.topics[topic] = None
        if self.running:
            self.feed(Subscribe(topic))
            if self.honest:
                self.world.record.joined(topic, self.number)

    def unsubscribe(self, topic: str) -> None:
        self.topics.pop(topic, None)
        self.world.record.left(topic, self.number)
        if self.running:
            self.feed(Unsubscribe(topic))

    def publish(self, topic: str, data: bytes) -> Published:
        effects = self.feed(Publish(topic, data))
        return next(effect for effect in effects if isinstance(effect, Published))

    def validate(self, topic: str, validator: Validator | None) -> None:
        """Pass messages of a topic through a validator, or no longer."""
        if validator is None:
            self._validators.pop(topic, None)
        else:
            self._validators[topic] = validator
        if self.running:
            self.feed(SetValidation(topic, validator is not None))

    # Life and death

    def stop(self) -> None:
        """The process ends; what it knew is gone."""
        self._past = self.tallies()
        self.running = False
        for topic in self.topics:
            self.world.record.left(topic, self.number)

    def start(self) -> None:
        """A new process with the same key, the same subscriptions and validators."""
        self._life += 1
        self.alarm = math.inf
        self.router = self._new_router()
        self.running = True
        self.world.record.restarted(self.number, self.world.clock.now)
        for topic in self._validators:
            self.feed(SetValidation(topic, True))
        for topic in list(self.topics):
            self.subscribe(topic)

    def tallies(self) -> tuple[Counter[str], Counter[str]]:
        counters, drops = self._past
        if not self.running:
            return counters, drops
        snapshot = self.router.snapshot()
        return counters + Counter(snapshot["counters"]), drops + Counter(snapshot["drops"])

    # The host

    @property
    def next_deadline(self) -> float:
        return self.router.next_deadline

    def fire(self) -> None:
        self.feed(TimerFired())

    def connected(self, other: Place, peer: PeerId, protocol: str, *, outbound: bool) -> None:
        self.feed(PeerConnected(peer, protocol, outbound, other.ip))
        self.feed(StreamOpened(peer, protocol))

    def disconnected(self, peer: PeerId) -> None:
        self.feed(PeerDisconnected(peer))

    def received(self, peer: PeerId, frames: Sequence[bytes]) -> None:
        self.feed(RpcReceived(peer, frames))

    def take(self, peer: PeerId, max_bytes: int) -> bytes:
        return self.router.take(peer, max_bytes)

    def feed(self, event: Event) -> list[Effect]:
        """Give the router an event, perform the effects, and return them."""
        world = self.world
        effects = self.router.handle(event, world.clock.now)
        for effect in effects:
            self._perform(effect)
        if self.router.next_deadline < self.alarm:
            world.set_alarm(self)
        if world.watch is not None:
            world.watch(self.number, event)
        return effects

    def _perform(self, effect: Effect) -> None:
        world = self.world
        match effect:
            case Writable():
                world.pump(self.number, effect.peer)
            case Deliver():
                for message in effect.messages:
                    parent = world.number_of(message.received_from)
                    world.record.delivered(message, self.number, parent, world.clock.now)
            case Verify():
                self.feed(Verified(effect.batch, world.signatures.check(effect.checks)))
            case Validate():
                self._validate(effect.message)
            case Published():
                if self.honest:
                    world.record.published(effect.message, self.number, world.clock.now)
            case Disconnect():
                world.hang_up(self.number, effect.peer, effect.reason)
            case Dial():
                world.dial(self.number, effect.peer)
            case _:
                # What else there is tells the application something.
                pass

    def _validate(self, message: Message) -> None:
        validator = self._validators.get(message.topic)
        if validator is None:
            self._judged(self._life, message.id, Validation.IGNORE)
            return
        verdict = validator.judge(message)
        if validator.delay:
            clock = self.world.clock
            clock.after(validator.delay, self._judged, self._life, message.id, verdict)
        else:
            self._judged(self._life, message.id, verdict)

    def _judged(self, life: int, message_id: bytes, verdict: Validation) -> None:
        if self.running and life == self._life:
            self.feed(ValidationFinished(message_id, verdict))


def common_protocol(a: str, b: str) -> str:
    """The newest version that two nodes speak, if each speaks `a`, `b` and all that is older."""
    return PROTOCOLS[max(PROTOCOLS.index(a), PROTOCOLS.index(b))]
