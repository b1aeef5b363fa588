"""A Fabric peer of a virtual network that pushes as Fabric's own gossip does, without topics.

    first receipt ──► core ── good ──► buffer ── every 10 ms, or 10 messages ──► 3 random peers

Modelled: what a message is pushed to (blocks, StateInfo and AliveMessages to three random
peers that may know it, leadership messages to all that may), once, on first receipt, never
back to where it came from; three peers chosen anew for each batch. Pull, state transfer,
election and membership are those of the same core that `MeshNode` has.

Not modelled: gRPC's and TLS's own bytes. Different from Fabric: an AliveMessage or StateInfo
of a peer that other organizations may know goes out twice, once for each topic of the core; a
peer does not pass on blocks that are too far ahead of its ledger to be kept, and what it passed
over so it fetches as soon as it can, where Fabric's peers wait for the next comparison of heights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from random import Random

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.access import Kind
from pubsub.fabric.access import Place as TopicPlace
from pubsub.fabric.intake_rules import Verdict
from pubsub.identity import PeerId
from pubsub.sim.fabric_nodes import FabricNode
from pubsub.sim.fabric_resident import PeerPlan, Resident, Streets
from pubsub.sim.nodes import Place, World

PUSH = "push"
"The protocol under which pushed envelopes travel here; the topic is told to nobody."
REMEMBERED = 20_000
"Messages that are known when they come again."


class PushNode(FabricNode):
    """One such peer."""

    def __init__(self, world: World, streets: Streets, place: Place, plan: PeerPlan) -> None:
        super().__init__(world, place)
        self.running = False
        self.resident = Resident(streets, place.number, self.id, plan, self)
        self._rng = Random(f"{world.seed}/{place.number}/push")
        self._burst = plan.params.max_propagation_burst_size
        self._pause = plan.params.max_propagation_burst_latency
        self._fan_out = plan.params.propagate_peer_num
        self.copies = 0
        "Messages that were pushed here again."
        self._seen: dict[tuple[str, bytes], None] = {}
        self._buffer: list[tuple[str, bytes, bytes | None]] = []
        "Topic, envelope, and whom it came from."

    # Life and death

    def start(self) -> None:
        self.alarm = math.inf
        self.running = True
        self.resident.start()

    def stop(self) -> None:
        self.running = False
        self.resident.stop()
        self._seen.clear()
        self._buffer.clear()

    @property
    def next_deadline(self) -> float:
        return self.resident.next_deadline

    def fire(self) -> None:
        self.resident.fire()

    def connected(self, other: Place, peer: PeerId, protocol: str, *, outbound: bool) -> None:
        self.resident.connected(peer, outbound=outbound)

    def disconnected(self, peer: PeerId) -> None:
        self.resident.disconnected(peer)

    def received(self, peer: PeerId, frames: Sequence[bytes]) -> None:
        """There are no routers here."""

    def take(self, peer: PeerId, max_bytes: int) -> bytes:
        return b""

    # What the core asks for

    def join(self, topic: str) -> None:
        """The core alone knows which topics it is in."""

    def leave(self, topic: str) -> None:
        """As `join`."""

    def recheck(self) -> None:
        """Whom to push to is asked each time."""

    def timed(self) -> None:
        self.world.set_alarm(self)

    def spread(self, topic: str, envelope: bytes) -> None:
        self._remember(topic, envelope)
        self._push(topic, envelope, None)

    def judged(self, verdict: fx.Validated) -> None:
        token = verdict.token
        if verdict.verdict is Verdict.ACCEPT and isinstance(token, tuple):
            self._push(*token)

    # Pushing

    def streamed(self, peer: PeerId, protocol: str, envelope: bytes) -> None:
        kind, _, topic = protocol.partition(" ")
        if kind != PUSH:
            super().streamed(peer, protocol, envelope)
            return
        author = self.resident.who(peer)
        if author is None:
            return
        if (topic, envelope) in self._seen:
            self.copies += 1
            return
        self._remember(topic, envelope)
        self.resident.tell(ev.TopicMessage(author, topic, envelope, (topic, envelope, author)))

    def _remember(self, topic: str, envelope: bytes) -> None:
        self._seen[topic, envelope] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def _push(self, topic: str, envelope: bytes, source: bytes | None) -> None:
        self._buffer.append((topic, envelope, source))
        if len(self._buffer) >= self._burst:
            self._flush()
        elif len(self._buffer) == 1:
            self.world.clock.after(self._pause, self._flush)

    def _flush(self) -> None:
        batch, self._buffer = self._buffer, []
        if not self.running:
            return
        chosen: dict[str, list[bytes]] = {}
        for topic, envelope, source in batch:
            if topic not in chosen:
                chosen[topic] = self._choose(topic)
            for peer in chosen[topic]:
                if peer != source:
                    self.resident.send(peer, f"{PUSH} {topic}", envelope)

    def _choose(self, topic: str) -> list[bytes]:
        place = self.resident.core.access.place(topic)
        if place is None:
            return []
        able = list(self._able(place))
        if place.kind is Kind.LEADER:
            return able
        return self._rng.sample(able, min(len(able), self._fan_out))

    def _able(self, place: TopicPlace) -> Iterable[bytes]:
        core = self.resident.core
        membership, channel = core.membership, core.channel(place.channel)
        for member in membership.members:
            if membership.standing(member.peer).org not in place.orgs:
                continue
            if place.kind in (Kind.STATE, Kind.CHANNEL_ALIVE) and not member.endpoint:
                continue
            in_channel = channel is not None and channel.is_eligible(member.peer)
            if in_channel or place.kind not in (Kind.BLOCKS, Kind.LEADER):
                yield member.peer
