"""One Fabric peer of a virtual network: its core, its ledger, and what a shell does for them.

    core ── effects ──► Resident ──┬── topics: its `Carrier`, a router or another way to push
                                   ├── streams, dials: the network around it
                                   └── blocks: its ledger
Who is at the other end of a connection is proved on it as on a real one: the dialler first, so
that nobody learns more than it may.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol, assert_never

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.actions import CloseConnection, Warn
from pubsub.fabric.blocks import Block
from pubsub.fabric.config import ChannelConfig
from pubsub.fabric.identities import Signer
from pubsub.fabric.identity_errors import IdentityError
from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric.members import Change
from pubsub.fabric.membership import MemberChanged
from pubsub.fabric.msp import Msp
from pubsub.fabric.params import GossipParams
from pubsub.fabric.peer import Peer
from pubsub.fabric.proof import make_proof
from pubsub.fabric.topics import IDENTITY, Network, Scope
from pubsub.identity import PeerId
from pubsub.sim.clock import Clock
from pubsub.sim.fabric_record import CityRecord

HERE = frozenset((Change.LEARNED, Change.RETURNED))


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerPlan:
    """What a peer is started with, each time."""

    name: str
    org: str
    signer: Signer = field(repr=False)
    msp: Msp = field(repr=False)
    network: Network
    params: GossipParams = field(repr=False)
    "With its endpoints."

    config: ChannelConfig = field(repr=False)
    "Of the one channel that it is in."

    genesis: Block = field(repr=False)
    scope: Scope = Scope.ORG


class Streets(Protocol):
    """What a resident sees of the network around it."""

    seed: int
    clock: Clock
    diary: CityRecord
    commit_time: float

    @property
    def wall_ns(self) -> int:
        """Wall time in nanoseconds."""

    def send(self, number: int, peer: PeerId, protocol: str, envelope: bytes) -> None:
        """Send by a stream on the connection to `peer`, in order."""

    def call(self, number: int, endpoint: str) -> None:
        """Connect; the resident is told by `reached`, or by `failed`."""

    def hang_up(self, node: int, peer: PeerId, reason: str) -> None:
        """Close the connection to `peer`."""

    def kept(self, number: int, raw: bytes) -> bytes:
        """The same bytes, but one object for all who keep that block."""

    def genuine(self, raw: bytes, number: int, config: ChannelConfig) -> Block:
        """As `verify_block`, but computed once for all."""

    def leads(self, number: int) -> None:
        """A peer leads from now on: the orderer is to give it blocks."""


class Carrier(Protocol):
    """How envelopes of topics travel to and from one peer."""

    def join(self, topic: str) -> None: ...

    def leave(self, topic: str) -> None: ...

    def spread(self, topic: str, envelope: bytes) -> None: ...

    def judged(self, verdict: fx.Validated) -> None: ...

    def recheck(self) -> None: ...

    def timed(self) -> None:
        """`next_deadline` may be another."""


class Resident:
    """A Fabric peer, and all that its shell holds for it. Ledgers outlive `stop`."""

    def __init__(
        self, streets: Streets, number: int, peer_id: PeerId, plan: PeerPlan, carrier: Carrier
    ) -> None:
        self.number = number
        self.plan = plan
        self.ledger = MemoryLedger()
        self.ledger.append(0, plan.genesis.raw)
        self.linked: dict[bytes, PeerId] = {}
        "Those who have proved who they are, by PKI-ID."

        self.life = 0
        self.running = False
        self.next_deadline = math.inf
        self._streets = streets
        self._peer_id = peer_id
        self._carrier = carrier
        self._proof = make_proof(plan.signer, peer_id)
        self._who: dict[PeerId, bytes] = {}
        self._outbound: dict[PeerId, bool] = {}
        self._calls: dict[str, list[bytes | None]] = {}
        "Endpoints that are being dialled, and for whom: a PKI-ID, or None for the core."
        self._awaited: dict[PeerId, list[str]] = {}
        "Calls that wait for the proof of who is there."
        self._waiting: dict[bytes, list[tuple[str, bytes]]] = {}
        self.core = self._new_core()

    @property
    def channel_name(self) -> str:
        return self.plan.config.channel

    @property
    def leading(self) -> bool:
        channel = self.core.channel(self.channel_name)
        return self.running and channel is not None and channel.leading

    def who(self, peer: PeerId) -> bytes | None:
        """The PKI-ID that a connected peer has proved."""
        return self._who.get(peer)

    # -- Life

    def start(self) -> None:
        """A new process, with the ledger that there is."""
        self.life += 1
        self.running = True
        self.core = self._new_core()
        plan = self.plan
        self.tell(ev.Started())
        self.tell(ev.JoinChannel(plan.config, plan.genesis.hash, self.ledger.height))

    def stop(self) -> None:
        """The process ends; the ledger stays."""
        self.running = False
        self.next_deadline = math.inf
        for table in (self.linked, self._who, self._outbound, self._calls, self._awaited):
            table.clear()
        self._waiting.clear()

    def _new_core(self) -> Peer:
        streets, plan = self._streets, self.plan
        return Peer(
            plan.signer,
            plan.msp,
            plan.network,
            plan.params,
            rng=Random(f"{streets.seed}/{self.number}/{self.life}/fabric"),
            now=streets.clock.now,
            wall_ns=streets.wall_ns,
            scope=plan.scope,
            verify=self._verify,
        )

    def _verify(self, raw: bytes, number: int, config: ChannelConfig) -> Block:
        self._streets.diary.verified(self.number, self.life, number)
        return self._streets.genuine(raw, number, config)

    # -- The core

    def tell(self, event: ev.Event) -> None:
        """Give the core an event, and do what it asks for."""
        streets = self._streets
        done = self.core.handle(event, now=streets.clock.now, wall_ns=streets.wall_ns)
        for effect in done:
            self._do(effect)
        self.next_deadline = self.core.next_deadline
        self._carrier.timed()

    def fire(self) -> None:
        """`next_deadline` has come."""
        self.tell(ev.TimerFired())

    def _do(self, effect: fx.Effect) -> None:  # noqa: C901 - a case an effect
        match effect:
            case fx.Validated():
                self._carrier.judged(effect)
            case fx.Publish(topic, envelope):
                self._carrier.spread(topic, envelope)
            case fx.SendEnvelope(peer, protocol, envelope):
                self.send(peer, protocol, envelope)
            case fx.Commit(_, number, raw):
                self._later(self._streets.commit_time, self._commit, number, raw)
            case fx.JoinTopic(topic):
                self._carrier.join(topic)
            case fx.LeaveTopic(topic):
                self._carrier.leave(topic)
            case fx.Recheck():
                self._carrier.recheck()
            case fx.Dial(endpoint, peer):
                self._call(endpoint, peer)
            case CloseConnection(peer):
                if peer in self.linked:
                    self._streets.hang_up(self.number, self.linked[peer], "asked to")
            case fx.Answer(channel):
                self._do(self.core.answer(effect, self.ledger))
                self._later(0.0, self.tell, ev.Answered(channel))
            case fx.LeaderChanged(_, leading):
                self._streets.diary.led(self.number, leading, self._streets.clock.now)
                if leading:
                    self._streets.leads(self.number)
            case MemberChanged(peer, change):
                if change in HERE:
                    self._meet(peer)
            case Warn(key):
                self.warned(key)
            case fx.Blamed(_, why):
                self._streets.diary.blamed[why] += 1
            case fx.StateChanged() | fx.Direct() | fx.BlockReceived():
                pass
            case _:
                assert_never(effect)

    def warned(self, key: str) -> None:
        """The operator would be told."""
        self._streets.diary.warnings[key] += 1

    def _commit(self, number: int, raw: bytes) -> None:
        streets = self._streets
        self.ledger.append(number, streets.kept(number, raw))
        streets.diary.committed(self.number, number, streets.clock.now)
        self.tell(ev.Committed(self.channel_name, number))

    def _later(self, delay: float, what: Callable[..., None], *args: Any) -> None:
        """Unless the process has ended by then."""
        life = self.life

        def act() -> None:
            if self.running and life == self.life:
                what(*args)

        self._streets.clock.after(delay, act)

    # -- Connections

    def send(self, peer: bytes, protocol: str, envelope: bytes) -> None:
        """Send to one peer; connect first, if it is not connected."""
        if peer in self.linked:
            self._streets.send(self.number, self.linked[peer], protocol, envelope)
            return
        waiting = self._waiting.setdefault(peer, [])
        waiting.append((protocol, envelope))
        if len(waiting) == 1:
            self._meet(peer, any_org=True)

    def _meet(self, peer: bytes, *, any_org: bool = False) -> None:
        """Connect to a member: of our organization, since we share most topics with it."""
        membership = self.core.membership
        member = membership.lookup(peer)
        endpoint = (member.internal_endpoint or member.endpoint) if member else ""
        if not endpoint:
            self._later(0.0, self._unreachable, peer)
        elif peer not in self.linked and (
            any_org or membership.standing(peer).org == self.core.org
        ):
            self._call(endpoint, peer)

    def _call(self, endpoint: str, peer: bytes | None) -> None:
        under_way = endpoint in self._calls
        self._calls.setdefault(endpoint, []).append(peer)
        if not under_way:
            self._streets.call(self.number, endpoint)

    def connected(self, peer: PeerId, *, outbound: bool) -> None:
        """A connection stands."""
        self._outbound[peer] = outbound
        if outbound:
            self._streets.send(self.number, peer, IDENTITY, self._proof)

    def reached(self, endpoint: str, peer: PeerId) -> None:
        """A call has come through; who is there is still to be proved, or is known."""
        if peer in self._who:
            self._answered(endpoint, self._who[peer])
        else:
            self._awaited.setdefault(peer, []).append(endpoint)

    def failed(self, endpoint: str, why: str) -> None:
        """Nobody is there."""
        for peer in self._calls.pop(endpoint, []):
            if peer is None:
                self.tell(ev.DialFailed(endpoint, why))
            elif peer not in self.linked:
                self._unreachable(peer)

    def disconnected(self, peer: PeerId) -> None:
        """The connection is gone."""
        self._outbound.pop(peer, None)
        for endpoint in self._awaited.pop(peer, []):
            self.failed(endpoint, "hung up")
        pki_id = self._who.pop(peer, None)
        if pki_id is not None:
            self.linked.pop(pki_id, None)
            self.tell(ev.PeerGone(pki_id))

    def received(self, peer: PeerId, protocol: str, envelope: bytes) -> None:
        """An envelope came by a stream."""
        pki_id = self._who.get(peer)
        if protocol == IDENTITY and pki_id is None:
            self._prove(peer, envelope)
        elif pki_id is not None:
            self.tell(ev.StreamMessage(pki_id, protocol, envelope))

    def _prove(self, peer: PeerId, envelope: bytes) -> None:
        try:
            proven = self.core.check_proof(envelope, peer)
        except IdentityError as error:
            self._streets.hang_up(self.number, peer, str(error))
            return
        self._who[peer] = proven.pki_id
        self.linked[proven.pki_id] = peer
        if not self._outbound[peer]:
            self._streets.send(self.number, peer, IDENTITY, self._proof)
        self.tell(ev.PeerProven(proven.pki_id, proven.identity))
        for endpoint in self._awaited.pop(peer, []):
            self._answered(endpoint, proven.pki_id)
        for protocol, waiting in self._waiting.pop(proven.pki_id, []):
            self.send(proven.pki_id, protocol, waiting)

    def _answered(self, endpoint: str, pki_id: bytes) -> None:
        for peer in self._calls.pop(endpoint, []):
            if peer is None:
                self.tell(ev.Dialed(endpoint, pki_id))

    def _unreachable(self, peer: bytes) -> None:
        self._waiting.pop(peer, None)
        self.tell(ev.PeerUnreachable(peer))
