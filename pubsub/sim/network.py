"""Routers, the links between them, and one clock: a network in one process.

Deterministic by seed: the same calls give the same run, event by event, and the
same `trace`. Nodes are numbers, in the order in which they were added.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pubsub.errors import ParamError
from pubsub.identity import PeerId
from pubsub.params import Params
from pubsub.router.effects import Published
from pubsub.router.events import Event, Validation
from pubsub.router.message import Message
from pubsub.router.protocols import PROTOCOLS
from pubsub.sim.clock import Clock
from pubsub.sim.links import Conditions, Link
from pubsub.sim.nodes import (
    Node,
    Place,
    RouterNode,
    Signatures,
    Validator,
    World,
    common_protocol,
)
from pubsub.sim.record import Farewell, Record
from pubsub.sim.report import Report, make_report
from pubsub.sim.trace import Trace

NodeT = TypeVar("NodeT", bound=Node)


def ip_of(number: int) -> str:
    """A public-looking address for each node, its own."""
    return f"20.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


class Network(World):
    """A virtual network.

    `conditions` hold for connections that are not given others. What nodes have
    to say within `turn` seconds leaves in one write, as from one turn of a busy
    loop. A connection that one side gave up is dialled again after `redial`
    seconds, or never.
    """

    def __init__(
        self,
        *,
        seed: int,
        conditions: Conditions | None = None,
        turn: float = 0.0,
        redial: float | None = None,
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.clock = Clock()
        self.conditions = conditions or Conditions()
        self.turn = turn
        self.redial = redial
        self.record = Record()
        self.signatures = Signatures()
        self.trace = Trace()
        self.watch: Callable[[int, Event], None] | None = None
        "Called after each event that a router handled, with the node's number."
        self.nodes: list[Node] = []
        self.lost = 0
        "RPCs lost on links that are no more."
        self._numbers: dict[PeerId, int] = {}
        self._links: dict[int, dict[PeerId, Link]] = {}
        self._dialled: dict[int, dict[int, Conditions]] = {}

    @property
    def now(self) -> float:
        return self.clock.now

    # Building

    def add(
        self,
        params: Params | None = None,
        *,
        ip: str | None = None,
        protocol: str = PROTOCOLS[0],
        options: Mapping[str, Any] | None = None,
    ) -> int:
        """Add a router, which may come while the network runs.

        `options` are further arguments of `Router`, as `scoring` or `may_know`.
        """

        def make(world: World, place: Place) -> Node:
            return RouterNode(world, place, params, options)

        return self.add_node(make, ip, protocol)

    def add_node(
        self,
        make: Callable[[World, Place], Node],
        ip: str | None = None,
        protocol: str = PROTOCOLS[0],
    ) -> int:
        """Add a node of any kind, made by `make`."""
        number = len(self.nodes)
        if protocol not in PROTOCOLS:
            raise ParamError(f"{protocol!r} is none of {', '.join(PROTOCOLS)}")
        node = make(self, Place(number, ip or ip_of(number), protocol))
        self.nodes.append(node)
        self._numbers[node.id] = number
        self._links[number] = {}
        self._dialled[number] = {}
        self._note(number, f"added {type(node).__name__} {protocol}")
        self.set_alarm(node)
        return number

    def connect(self, a: int, b: int, conditions: Conditions | None = None) -> None:
        """`a` dials `b`. Nothing happens if they are connected, or one of them is stopped."""
        conditions = conditions or self.conditions
        dialler, dialled = self.nodes[a], self.nodes[b]
        if a == b:
            raise ParamError(f"node {a} cannot dial itself")
        if dialled.id in self._links[a] or not (dialler.running and dialled.running):
            return
        latency = conditions.latency.sample(self.rng)
        protocol = common_protocol(dialler.place.protocol, dialled.place.protocol)
        self._dialled[a][b] = conditions
        for me, other in ((dialler, dialled), (dialled, dialler)):
            link = self._make_link(me.number, other.number, conditions, latency)
            self._links[me.number][other.id] = link
        self._note(a, f"dials {b} {protocol} {latency!r}")
        for me, other in ((dialler, dialled), (dialled, dialler)):
            # The first of the two may have hung up at once.
            if other.id in self._links[me.number]:
                me.connected(other.place, other.id, protocol, outbound=me is dialler)

    def _make_link(self, a: int, b: int, conditions: Conditions, latency: float) -> Link:
        return Link(a, b, conditions, latency=latency, rng=self.rng)

    def connect_all(
        self, edges: Iterable[tuple[int, int]], conditions: Conditions | None = None
    ) -> None:
        """Make each connection of a graph."""
        for a, b in edges:
            self.connect(a, b, conditions)

    def disconnect(self, a: int, b: int) -> None:
        """Cut a connection; both sides notice at once, what is on its way is lost."""
        self._dialled[a].pop(b, None)
        self._dialled[b].pop(a, None)
        self._part(a, b)

    def _part(self, a: int, b: int) -> None:
        first, second = self.nodes[a], self.nodes[b]
        for me, other in ((first, second), (second, first)):
            link = self._links[me.number].pop(other.id, None)
            if link is not None:
                link.open = False
                self.lost += link.lost
                self._note(me.number, f"parts from {other.number}")
                if me.running:
                    me.disconnected(other.id)

    def stop(self, number: int) -> None:
        """End a router's process: its connections break, its state is gone."""
        node = self._router_node(number)
        node.stop()
        for other in list(self.neighbours(number)):
            self._part(number, other)

    def start(self, number: int) -> None:
        """Start a stopped router anew, with the same key; its connections are dialled again."""
        node = self._router_node(number)
        if node.running:
            raise ParamError(f"node {number} is running")
        node.start()
        self._note(number, "starts")
        self.set_alarm(node)
        for other, conditions in list(self._dialled[number].items()):
            self.connect(number, other, conditions)
        for other, dialled in self._dialled.items():
            if number in dialled:
                self.connect(other, number, dialled[number])

    def restart(self, number: int, *, down: float = 0.0) -> None:
        """Stop a router, and start it after `down` seconds."""
        self.stop(number)
        self.clock.after(down, self.start, number)

    # The applications

    def subscribe(self, number: int, topic: str) -> None:
        self._note(number, f"subscribes {topic}")
        self._router_node(number).subscribe(topic)

    def unsubscribe(self, number: int, topic: str) -> None:
        self._note(number, f"unsubscribes {topic}")
        self._router_node(number).unsubscribe(topic)

    def publish(self, number: int, topic: str, data: bytes) -> Published:
        """Publish; raises LocalError as the router does."""
        self._note(number, f"publishes {len(data)} bytes in {topic}")
        return self._router_node(number).publish(topic, data)

    def validate(
        self,
        number: int,
        topic: str,
        judge: Callable[[Message], Validation],
        *,
        delay: float = 0.0,
    ) -> None:
        """Have a node's messages of a topic judged, each after `delay` seconds."""
        self._router_node(number).validate(topic, Validator(judge, delay))

    # Running

    def run_until(self, when: float) -> None:
        """Let all that is planned up to `when` happen."""
        self.clock.run_until(when)

    def run_for(self, seconds: float) -> None:
        self.clock.run_until(self.clock.now + seconds)

    # What nodes ask for

    def pump(self, node: int, peer: PeerId) -> None:
        if self.turn:
            turns = int(self.clock.now / self.turn) + 1
            self.clock.at(turns * self.turn, self._transmit, node, peer)
        else:
            self._transmit(node, peer)

    def _transmit(self, number: int, peer: PeerId) -> None:
        link = self._links[number].get(peer)
        if link is None or link.waiting:
            return
        node, clock = self.nodes[number], self.clock
        while True:
            room = link.room(clock.now)
            if not room:
                link.waiting = True
                clock.at(link.roomy_at(), self._room_again, link, peer)
                return
            data = node.take(peer, room)
            if not data:
                return
            node.bytes_out += len(data)
            for when, frames in link.carry(data, clock.now):
                clock.at(when, self._arrive, link, frames)

    def _room_again(self, link: Link, peer: PeerId) -> None:
        link.waiting = False
        if link.open:
            self._transmit(link.sender, peer)

    def _arrive(self, link: Link, frames: list[bytes]) -> None:
        if not link.open:
            return
        receiver = self.nodes[link.receiver]
        receiver.rpcs_in += len(frames)
        receiver.bytes_in += sum(map(len, frames))
        self.trace.arrival(self.clock.now, link.sender, link.receiver, frames)
        receiver.received(self.nodes[link.sender].id, frames)

    def hang_up(self, node: int, peer: PeerId, reason: str) -> None:
        if peer not in self._links[node]:
            return
        other = self._numbers[peer]
        self.record.farewells.append(Farewell(self.clock.now, node, other, reason))
        self._part(node, other)
        if self.redial is not None:
            a, b = (node, other) if other in self._dialled[node] else (other, node)
            self.clock.after(self.redial, self.connect, a, b, self._dialled[a][b])

    def dial(self, node: int, peer: PeerId) -> None:
        """As `connect`, after the three trips that a connection takes; nobody has a made-up id.

        Addresses are not checked here: a peer exchanged without its record is found as well.
        """
        other = self._numbers.get(peer)
        if other is not None and other != node and peer not in self._links[node]:
            trip = self.conditions.latency.sample(self.rng)
            self.clock.after(3 * trip, self.connect, node, other)

    def number_of(self, peer: PeerId) -> int:
        return self._numbers[peer]

    def set_alarm(self, node: Node) -> None:
        due = node.next_deadline
        if due < node.alarm:
            node.alarm = due
            self.clock.at(due, self._ring, node, due)

    def _ring(self, node: Node, due: float) -> None:
        # An earlier alarm, or a new life, has made this one void.
        if due != node.alarm or not node.running:
            return
        node.alarm = math.inf
        if node.next_deadline <= self.clock.now:
            self.trace.timer(self.clock.now, node.number)
            node.fire()
        self.set_alarm(node)

    # Looking

    def node(self, number: int, kind: type[NodeT]) -> NodeT:
        """The node, which must be of this kind."""
        node = self.nodes[number]
        if not isinstance(node, kind):
            raise ParamError(f"node {number} is a {type(node).__name__}, no {kind.__name__}")
        return node

    def _router_node(self, number: int) -> RouterNode:
        return self.node(number, RouterNode)

    def neighbours(self, number: int) -> Iterator[int]:
        """Whom a node is connected to."""
        return (link.receiver for link in self._links[number].values())

    def link(self, sender: int, receiver: int) -> Link:
        """One direction of a connection; its `conditions` may be exchanged."""
        return self._links[sender][self.nodes[receiver].id]

    def links(self) -> Iterator[Link]:
        """Every link there is, two for each connection."""
        return (link for links in self._links.values() for link in links.values())

    def mesh(self, number: int, topic: str) -> list[int]:
        """The mesh of a router."""
        return [self._numbers[peer] for peer in self._router_node(number).router.mesh(topic)]

    def one_sided(self, topic: str) -> list[tuple[int, int]]:
        """Pairs (a, b) of routers where b is in a's mesh and a is not in b's."""
        meshes = {
            node.number: dict.fromkeys(self.mesh(node.number, topic))
            for node in self.nodes
            if isinstance(node, RouterNode)
        }
        return [
            (a, b)
            for a, mesh in meshes.items()
            for b in sorted(mesh)
            if b in meshes and a not in meshes[b]
        ]

    def report(self) -> Report:
        """What happened so far."""
        lost = self.lost + sum(link.lost for link in self.links())
        return make_report(
            self.record,
            self.nodes,
            seed=self.seed,
            now=self.clock.now,
            rpcs_lost=lost,
            trace=self.trace.hexdigest(),
        )

    def _note(self, number: int, text: str) -> None:
        self.trace.note(self.clock.now, number, text)
