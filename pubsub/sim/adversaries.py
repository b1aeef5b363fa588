"""Nodes that mean harm.

Silent         a router that, from some moment on, takes part in everything but passes nothing on
RawPeer        says what it likes, in the words of the schema; the others are made of it
IhaveLiar      tells of messages that do not exist, and never delivers
GraftFlooder   asks to be in every mesh, again and again, whatever the answer
Spammer        sends messages whose signatures are wrong
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

from pubsub.identity import PeerId
from pubsub.params import Params
from pubsub.pb import rpc_pb2
from pubsub.sim.nodes import Node, Place, RouterNode, World
from pubsub.wire.framing import frame

MakeNode: TypeAlias = Callable[[World, Place], Node]


class Silent(RouterNode):
    """A router that hears no message and no IWANT any more once `after` has come.

    It keeps its subscriptions, grafts, and accepts every GRAFT, but forwards
    nothing, tells of nothing, and leaves what it told of before unanswered.
    """

    honest: ClassVar[bool] = False

    def __init__(
        self,
        world: World,
        place: Place,
        params: Params | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        after: float = 0.0,
    ) -> None:
        super().__init__(world, place, params, options)
        self.after = after
        self.swallowed = 0
        "Messages that it did not pass on."

    def received(self, peer: PeerId, frames: Sequence[bytes]) -> None:
        if self.world.clock.now >= self.after:
            frames = [self._without_messages(payload) for payload in frames]
        super().received(peer, frames)

    def _without_messages(self, payload: bytes) -> bytes:
        rpc = rpc_pb2.RPC.FromString(payload)
        if not rpc.publish and not rpc.control.iwant:
            return payload
        self.swallowed += len(rpc.publish)
        rpc.ClearField("publish")
        if rpc.HasField("control"):
            rpc.control.ClearField("iwant")
        return rpc.SerializeToString()


class RawPeer(Node):
    """A peer without a router: subscribes to its topics, then does what `act` does."""

    honest: ClassVar[bool] = False

    def __init__(
        self,
        world: World,
        place: Place,
        *,
        topic: str = "news",
        interval: float = 1.0,
        start: float = 0.0,
    ) -> None:
        super().__init__(world, place)
        self.topic = topic
        self.interval = interval
        self.rng = random.Random(f"{world.seed}/{place.number}")
        self.heard: Counter[str] = Counter()
        "Messages and control entries received, by kind."
        self.said: Counter[str] = Counter()
        "The same, sent."
        self._waiting: dict[PeerId, bytearray] = {}
        begin = max(start, world.clock.now)
        self._next = begin + self.rng.uniform(0, interval) if interval < math.inf else math.inf

    @property
    def peers(self) -> list[PeerId]:
        """Whom it is connected to."""
        return list(self._waiting)

    def act(self) -> None:
        """What is to be done each `interval`."""

    def hear(self, peer: PeerId, rpc: rpc_pb2.RPC) -> None:
        """What is to be done on an RPC."""

    def say(self, peer: PeerId, rpc: rpc_pb2.RPC) -> None:
        """Send an RPC, however wrong."""
        _count(self.said, rpc)
        self._waiting[peer] += frame(rpc.SerializeToString())
        self.world.pump(self.number, peer)

    # The host

    @property
    def next_deadline(self) -> float:
        return self._next

    def fire(self) -> None:
        self._next += self.interval
        self.act()

    def connected(self, other: Place, peer: PeerId, protocol: str, *, outbound: bool) -> None:
        self._waiting[peer] = bytearray()
        hello = rpc_pb2.RPC()
        hello.subscriptions.add(subscribe=True, topic_id=self.topic)
        self.say(peer, hello)

    def disconnected(self, peer: PeerId) -> None:
        self._waiting.pop(peer, None)

    def received(self, peer: PeerId, frames: Sequence[bytes]) -> None:
        for payload in frames:
            rpc = rpc_pb2.RPC.FromString(payload)
            _count(self.heard, rpc)
            self.hear(peer, rpc)

    def take(self, peer: PeerId, max_bytes: int) -> bytes:
        waiting = self._waiting.get(peer)
        if not waiting:
            return b""
        data = bytes(waiting[:max_bytes])
        del waiting[:max_bytes]
        return data


def _count(tally: Counter[str], rpc: rpc_pb2.RPC) -> None:
    control = rpc.control
    tally["messages"] += len(rpc.publish)
    tally["subscriptions"] += len(rpc.subscriptions)
    tally["ihave"] += sum(len(entry.message_ids) for entry in control.ihave)
    tally["iwant"] += sum(len(entry.message_ids) for entry in control.iwant)
    tally["graft"] += len(control.graft)
    tally["prune"] += len(control.prune)


class IhaveLiar(RawPeer):
    """Tells everybody of `count` new messages each interval; there are none."""

    def __init__(
        self,
        world: World,
        place: Place,
        *,
        count: int = 50,
        topic: str = "news",
        interval: float = 1.0,
        start: float = 0.0,
    ) -> None:
        super().__init__(world, place, topic=topic, interval=interval, start=start)
        self.count = count

    def act(self) -> None:
        for peer in self.peers:
            ids = [self.rng.randbytes(46) for _ in range(self.count)]
            rpc = rpc_pb2.RPC()
            rpc.control.ihave.add(topic_id=self.topic, message_ids=ids)
            self.say(peer, rpc)


class GraftFlooder(RawPeer):
    """Grafts every neighbour each interval, deaf to PRUNE."""

    def act(self) -> None:
        for peer in self.peers:
            rpc = rpc_pb2.RPC()
            rpc.control.graft.add(topic_id=self.topic)
            self.say(peer, rpc)


class Spammer(RawPeer):
    """Sends every neighbour `count` messages each interval, with signatures made of chance."""

    def __init__(
        self,
        world: World,
        place: Place,
        *,
        count: int = 1,
        topic: str = "news",
        interval: float = 0.1,
        start: float = 0.0,
    ) -> None:
        super().__init__(world, place, topic=topic, interval=interval, start=start)
        self.count = count
        self._seqno = 0

    def act(self) -> None:
        messages = [self._message() for _ in range(self.count)]
        for peer in self.peers:
            self.say(peer, rpc_pb2.RPC(publish=messages))

    def _message(self) -> bytes:
        self._seqno += 1
        return rpc_pb2.Message(
            author=self.id,
            data=b"buy now",
            seqno=self._seqno.to_bytes(8, "big"),
            topic=self.topic,
            signature=self.rng.randbytes(64),
        ).SerializeToString()


RAW_PEERS: Mapping[str, type[RawPeer]] = MappingProxyType(
    {"ihave-liar": IhaveLiar, "graft-flooder": GraftFlooder, "spammer": Spammer}
)
"By the names that scenarios use."


def silent(
    params: Params | None = None, options: Mapping[str, Any] | None = None, *, after: float
) -> MakeNode:
    """For `Network.add_node`: a router that falls silent."""
    return lambda world, place: Silent(world, place, params, options, after=after)


def raw_peer(name: str, *, topic: str, start: float = 0.0) -> MakeNode:
    """For `Network.add_node`: one of RAW_PEERS, that begins at `start`."""
    kind = RAW_PEERS[name]
    return lambda world, place: kind(world, place, topic=topic, start=start)
