"""A Fabric peer of a virtual network whose topics are GossipSub's: a router below a core.

link ──► Router ── Validate ──► core ── verdict ──► Router ──► others of the mesh
"""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache

from pubsub.errors import LocalError
from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.message_ids import message_id
from pubsub.identity import PeerId
from pubsub.params import Params, Signing
from pubsub.router.effects import Deliver, Effect, Published, Validate
from pubsub.router.events import (
    Publish,
    Recheck,
    SetValidation,
    Subscribe,
    TimerFired,
    Unsubscribe,
    Validation,
    ValidationFinished,
)
from pubsub.router.message import Message
from pubsub.router.policy import Policy
from pubsub.sim.fabric_resident import PeerPlan, Resident, Streets
from pubsub.sim.nodes import Node, Place, RouterNode, World


class FabricNode(Node):
    """A node where a Fabric peer lives. It is not running before its first `start`."""

    resident: Resident

    @abstractmethod
    def start(self) -> None:
        """A new process with the same key, identity and ledger."""

    @abstractmethod
    def stop(self) -> None:
        """The process ends."""

    def streamed(self, peer: PeerId, protocol: str, envelope: bytes) -> None:
        """An envelope came by a stream."""
        self.resident.received(peer, protocol, envelope)


class MeshNode(RouterNode, FabricNode):
    """A Fabric peer as `pubsub.fabric_node` makes them: all topics go by meshes of a router."""

    def __init__(
        self, world: World, streets: Streets, place: Place, plan: PeerPlan, params: Params
    ) -> None:
        options = {"policy": Policy(may_know=self._may_know), "message_id": _id_of}
        super().__init__(world, place, params.replaced(signing=Signing.NONE), options)
        self.running = False
        self.resident = Resident(streets, place.number, self.id, plan, self)

    def _may_know(self, peer: PeerId, topic: str) -> bool:
        resident = self.resident
        pki_id = resident.who(peer)
        return pki_id is not None and resident.core.access.may_peer_know(pki_id, topic)

    # Life and death

    def start(self) -> None:
        super().start()
        self.resident.start()

    def stop(self) -> None:
        super().stop()
        self.resident.stop()

    @property
    def next_deadline(self) -> float:
        return min(self.router.next_deadline, self.resident.next_deadline)

    def fire(self) -> None:
        now = self.world.clock.now
        if self.router.next_deadline <= now:
            self.feed(TimerFired())
        if self.resident.next_deadline <= now:
            self.resident.fire()

    def connected(self, other: Place, peer: PeerId, protocol: str, *, outbound: bool) -> None:
        super().connected(other, peer, protocol, outbound=outbound)
        self.resident.connected(peer, outbound=outbound)

    def disconnected(self, peer: PeerId) -> None:
        super().disconnected(peer)
        self.resident.disconnected(peer)

    # What the core asks for

    def join(self, topic: str) -> None:
        self.feed(Subscribe(topic))
        self.feed(SetValidation(topic, True))

    def leave(self, topic: str) -> None:
        self.feed(Unsubscribe(topic))

    def spread(self, topic: str, envelope: bytes) -> None:
        try:
            self.feed(Publish(topic, envelope))
        except LocalError:
            # Others have had it from elsewhere: a new leader begins with what it lacks itself.
            self.resident.warned("already published")

    def recheck(self) -> None:
        self.feed(Recheck())

    def judged(self, verdict: fx.Validated) -> None:
        token = verdict.token
        if isinstance(token, bytes):
            self.feed(ValidationFinished(token, Validation(verdict.verdict.value)))

    def timed(self) -> None:
        self.world.set_alarm(self)

    # What the router asks for

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Validate(message):
                self._ask(message)
            case Deliver() | Published():
                # The core has had it already, and the ledger is what counts.
                pass
            case _:
                super()._perform(effect)

    def _ask(self, message: Message) -> None:
        resident = self.resident
        peer = resident.who(message.received_from)
        if peer is None:
            self.feed(ValidationFinished(message.id, Validation.IGNORE))
        else:
            resident.tell(ev.TopicMessage(peer, message.topic, message.data, message.id))


def _id_of(message: Message) -> bytes:
    return _id(message.topic, message.data)


# Each of many nodes asks for the same, for each copy that it gets.
_id = lru_cache(maxsize=256)(message_id)
