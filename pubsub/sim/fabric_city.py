"""A city of Fabric peers: cores and their carriers, streams, dials, an orderer, and one clock.

RPCs and streams share the links: latency, the bandwidth of their sender, and a share that is
dropped, as by a full queue. `on_frame` sees each frame that reaches a peer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from pubsub.fabric import events as ev
from pubsub.fabric.block_verification import verify_block
from pubsub.fabric.blocks import Block
from pubsub.fabric.config import ChannelConfig
from pubsub.fabric.topics import IDENTITY
from pubsub.identity import PeerId
from pubsub.sim.fabric_nodes import FabricNode
from pubsub.sim.fabric_record import CityRecord
from pubsub.sim.fabric_resident import PeerPlan, Resident
from pubsub.sim.links import Conditions, Link, Wire
from pubsub.sim.network import Network
from pubsub.sim.nodes import Place, World
from pubsub.sim.trace import Trace
from pubsub.wire.varint import encode_varint

RPC = "rpc"
"The protocol that `on_frame` is told of frames between routers."
TRIPS = 3
"One-way trips that a connection takes before the first bytes of a stream (TCP, Noise, yamux)."
DIAL_TIMEOUT = 3.0
ROOM_CHECK = 0.1
"Seconds until a leader without room asks the orderer again."

MakeFabricNode = Callable[["City", Place, PeerPlan], FabricNode]
OnFrame = Callable[[int, int, str, bytes], None]
"Sender, receiver, protocol, bytes."


class Glances(Trace):
    """A trace over the sizes and the ends of what arrives: blocks are long, and come often."""

    def arrival(self, now: float, sender: int, receiver: int, frames: Sequence[bytes]) -> None:
        ends = [
            part
            for each in frames
            for part in (len(each).to_bytes(8, "big"), each[:64], each[-64:])
        ]
        super().arrival(now, sender, receiver, ends)


class City(Network):
    """A virtual network of Fabric peers, all in one channel whose first block is `genesis`.

    `start_ns` is wall time at 0. Bandwidth in `conditions` is that of a node, for all that it
    sends. Peers move in, and the orderer gives blocks to those who lead.
    """

    def __init__(
        self,
        genesis: Block,
        *,
        seed: int,
        conditions: Conditions,
        start_ns: int,
        commit_time: float = 0.005,
        orderer_delay: float = 0.01,
    ) -> None:
        super().__init__(seed=seed, conditions=conditions)
        self.trace = Glances()
        self.diary = CityRecord()
        self.commit_time = commit_time
        self.chain = [genesis]
        "What the orderer has."
        self.on_frame: OnFrame | None = None
        self.residents: dict[int, Resident] = {}
        self._homes: dict[int, FabricNode] = {}
        self._verified: dict[int, tuple[ChannelConfig, Block]] = {}
        self._start_ns = start_ns
        self._orderer_delay = orderer_delay
        self._at: dict[str, int] = {}
        self._wires: dict[int, Wire] = {}

    @property
    def wall_ns(self) -> int:
        return self._start_ns + int(self.clock.now * 1e9)

    # Who lives here

    def settle(self, plan: PeerPlan, make: MakeFabricNode, *, after: float = 0.0) -> int:
        """A peer moves in, and starts after so many seconds; the number of its node."""

        def built(_: World, place: Place) -> FabricNode:
            node = self._homes[place.number] = make(self, place, plan)
            return node

        number = self.add_node(built)
        self.residents[number] = self._homes[number].resident
        self.diary.sent[number] = Counter()
        for endpoint in (plan.params.endpoint, plan.params.external_endpoint):
            if endpoint:
                self._at[endpoint] = number
        self.clock.after(after, self.start, number)
        return number

    def start(self, number: int) -> None:
        """Start a peer, for the first time or again. Whom it needs it dials itself."""
        node = self._homes[number]
        self._note(number, "starts")
        node.start()
        self.set_alarm(node)

    def stop(self, number: int) -> None:
        """End a peer's process; its ledger stays."""
        self._note(number, "stops")
        self._homes[number].stop()
        for other in list(self.neighbours(number)):
            self._part(number, other)
        self._dialled[number].clear()

    def restart(self, number: int, *, down: float = 0.0) -> None:
        self.diary.stopped(number, self.now, self.now + down)
        super().restart(number, down=down)

    # Links

    def _make_link(self, a: int, b: int, conditions: Conditions, latency: float) -> Link:
        wire = self._wires.setdefault(a, Wire())
        return Link(a, b, conditions, latency=latency, rng=self.rng, wire=wire)

    def _arrive(self, link: Link, frames: list[bytes]) -> None:
        if link.open and self.on_frame is not None:
            for frame in frames:
                self.on_frame(link.sender, link.receiver, RPC, frame)
        super()._arrive(link, frames)

    def send(self, number: int, peer: PeerId, protocol: str, envelope: bytes) -> None:
        link = self._links[number].get(peer)
        if link is None:
            return
        # A proof is waited for by both sides; nothing stands before it in a queue.
        if protocol != IDENTITY and self.rng.random() < link.conditions.loss:
            self.diary.lost[protocol] += 1
            return
        size = len(envelope) + len(encode_varint(len(envelope)))
        self.diary.sent[number][protocol] += size
        when = link.carry_whole(size, self.now)
        self.clock.at(when, self._stream_arrives, link, protocol, envelope)

    def _stream_arrives(self, link: Link, protocol: str, envelope: bytes) -> None:
        if not link.open:
            return
        if self.on_frame is not None:
            self.on_frame(link.sender, link.receiver, protocol, envelope)
        self.trace.arrival(self.now, link.sender, link.receiver, [envelope])
        receiver = self._homes[link.receiver]
        receiver.streamed(self.nodes[link.sender].id, protocol, envelope)

    def call(self, number: int, endpoint: str) -> None:
        other = self._at.get(endpoint)
        resident = self.residents[number]
        if other is None or not self.nodes[other].running:
            self.clock.after(DIAL_TIMEOUT, self._fails, resident, resident.life, endpoint)
            return
        trip = self.conditions.latency.sample(self.rng)
        self.clock.after(TRIPS * trip, self._called, resident, resident.life, endpoint, other)

    def _called(self, resident: Resident, life: int, endpoint: str, other: int) -> None:
        number = resident.number
        if resident.life != life or not resident.running:
            return
        if other == number or not self.nodes[other].running:
            resident.failed(endpoint, "nobody else is there")
            return
        self.connect(number, other)
        resident.reached(endpoint, self.nodes[other].id)

    def _fails(self, resident: Resident, life: int, endpoint: str) -> None:
        if resident.running and resident.life == life:
            resident.failed(endpoint, "no answer")

    # The orderer

    def order(self, block: Block) -> None:
        """A further block; whoever leads gets it soon."""
        self.chain.append(block)
        self.diary.ordered[block.number] = self.now
        for number, resident in self.residents.items():
            if resident.leading:
                self.leads(number)

    def leads(self, number: int) -> None:
        resident = self.residents[number]
        known = len(self.chain)
        self.clock.after(self._orderer_delay, self._deliver, resident, resident.life, known)

    def _deliver(self, resident: Resident, life: int, known: int) -> None:
        if resident.life != life:
            return
        name = resident.channel_name
        while resident.leading:
            channel = resident.core.channel(name)
            if channel is None or channel.first_missing >= known:
                return
            if not channel.has_room:
                self.clock.after(ROOM_CHECK, self._deliver, resident, life, known)
                return
            raw = self.chain[channel.first_missing].raw
            self.diary.delivered[resident.number] += len(raw)
            resident.tell(ev.BlockDelivered(name, raw))

    def genuine(self, raw: bytes, number: int, config: ChannelConfig) -> Block:
        verified = self._verified.get(number)
        if verified is None or verified[0] is not config or verified[1].raw != raw:
            verified = self._verified[number] = (config, verify_block(raw, number, config))
        return verified[1]

    def kept(self, number: int, raw: bytes) -> bytes:
        ours = self.chain[number].raw if number < len(self.chain) else b""
        return ours if ours == raw else raw

    # Looking

    @property
    def rpcs_lost(self) -> int:
        """RPCs between routers that were dropped."""
        return self.lost + sum(link.lost for link in self.links())

    def alike(self) -> bool:
        """Whether each ledger is the orderer's chain, block by block."""
        chain = [block.raw for block in self.chain]
        return all(
            resident.ledger.height == len(chain)
            and all(resident.ledger.block(number) == raw for number, raw in enumerate(chain))
            for resident in self.residents.values()
        )
