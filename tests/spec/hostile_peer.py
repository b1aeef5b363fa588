"""A peer that speaks pubsub in frames made by hand, and the siege in which it tries its worst.

Nothing of our router, outbox or encoders is in the attacker: a host gives it a
connection and streams, the bytes are its own. What it is told in return it
reads with the plain protobuf classes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import trio

import pubsub
from pubsub.errors import PubSubError
from pubsub.host import Host, Stream
from pubsub.identity import PeerId, PrivateKey, peer_id_of
from pubsub.pb import rpc_pb2
from tests.io.nodes import LOOPBACK, SECONDS, know, link, until

MESHSUB = "/meshsub/1.2.0"
TOPIC = "t"
SIGNED = b"libp2p-pubsub:"
GRAYLIST = pubsub.ScoreThresholds().graylist
QUICK = pubsub.Params(heartbeat_interval=0.05, iwant_followup_time=0.1)
"The defaults, with limits that start anew twenty times a second."
LASTING = pubsub.Scoring(params=pubsub.ScoreParams(decay_interval=3600.0))
"The defaults, but nothing is forgiven while a test runs, however slow the machine."
PAUSE = 0.01
"Between two messages of each honest peer."

# Frames, from the wire format alone


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field_of(number: int, value: bytes | str | int) -> bytes:
    """One field of a protobuf message: bytes and texts with their length, numbers as varints."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def framed(*fields: bytes) -> bytes:
    """An RPC of these fields, with its length in front."""
    payload = b"".join(fields)
    return varint(len(payload)) + payload


def subscription(topic: str, *, joined: bool = True) -> bytes:
    return field_of(1, field_of(1, int(joined)) + field_of(2, topic))


def publication(message: bytes) -> bytes:
    return field_of(2, message)


def control(*entries: bytes) -> bytes:
    return field_of(3, b"".join(entries))


def have(ids: Iterable[bytes], topic: str = TOPIC) -> bytes:
    return field_of(1, field_of(1, topic) + b"".join(field_of(2, each) for each in ids))


def want(ids: Iterable[bytes]) -> bytes:
    return field_of(2, b"".join(field_of(1, each) for each in ids))


def graft(topic: str = TOPIC) -> bytes:
    return field_of(3, field_of(1, topic))


def prune(topic: str = TOPIC, backoff: int = 1) -> bytes:
    return field_of(4, field_of(1, topic) + field_of(3, backoff))


def unwanted(ids: Iterable[bytes]) -> bytes:
    return field_of(5, b"".join(field_of(1, each) for each in ids))


def unsigned(author: bytes, number: int, data: bytes, topic: str = TOPIC) -> bytes:
    seqno = number.to_bytes(8, "big")
    return field_of(1, author) + field_of(2, data) + field_of(3, seqno) + field_of(4, topic)


def id_of(author: bytes, number: int) -> bytes:
    """The id that everybody gives a message."""
    return author + number.to_bytes(8, "big")


@dataclass(slots=True)
class Heard:
    """What a node said to the attacker."""

    rpcs: int = 0
    control_rpcs: int = 0
    messages: Counter[bytes] = field(default_factory=Counter)
    "Copies of each message, by its data."
    raw: list[bytes] = field(default_factory=list)
    "The messages as they came."
    told: list[bytes] = field(default_factory=list)
    "Ids of IHAVE."
    asked: list[bytes] = field(default_factory=list)
    "Ids of IWANT."
    refused: list[bytes] = field(default_factory=list)
    "Ids of IDONTWANT."
    grafts: list[str] = field(default_factory=list)
    prunes: list[tuple[str, int]] = field(default_factory=list)
    "Topic and backoff."

    _rest: bytes = b""

    def read(self, data: bytes) -> None:
        self._rest += data
        while (cut := self._cut()) is not None:
            self._note(rpc_pb2.RPC.FromString(cut))

    def _cut(self) -> bytes | None:
        length = shift = 0
        for index, byte in enumerate(self._rest):
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                end = index + 1 + length
                if end > len(self._rest):
                    return None
                payload, self._rest = self._rest[index + 1 : end], self._rest[end:]
                return payload
        return None

    def _note(self, rpc: rpc_pb2.RPC) -> None:
        self.rpcs += 1
        self.control_rpcs += rpc.HasField("control")
        self.raw += rpc.publish
        self.messages.update(rpc_pb2.Message.FromString(raw).data for raw in rpc.publish)
        self.told += [each for entry in rpc.control.ihave for each in entry.message_ids]
        self.asked += [each for entry in rpc.control.iwant for each in entry.message_ids]
        self.refused += [each for entry in rpc.control.idontwant for each in entry.message_ids]
        self.grafts += [entry.topic_id for entry in rpc.control.graft]
        self.prunes += [(entry.topic_id, entry.backoff) for entry in rpc.control.prune]


def next_number(raw: Iterable[bytes], author: bytes) -> int:
    """The sequence number after the last one of `author` in these messages."""
    read = [rpc_pb2.Message.FromString(each) for each in raw]
    return max(int.from_bytes(m.seqno, "big") for m in read if m.author == author) + 1


class HostilePeer:
    """A host, one pubsub stream to its victim, and what the victim said."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.id = host.peer_id
        self.heard = Heard()
        self._stream: Stream | None = None
        self._number = 0

    async def approach(self, victim: pubsub.Node) -> None:
        """Connect, and open a stream."""
        with trio.fail_after(SECONDS):
            await self.host.connect(victim.addresses[0])
            self._stream = await self.host.open_stream(victim.peer_id, [MESHSUB])
            # Until the victim can answer: the first thing it says is its topics.
            await until(lambda: self.heard.rpcs)

    async def send(self, *frames: bytes) -> None:
        """Write frames, or what goes for them; being thrown out meanwhile is no surprise."""
        assert self._stream is not None
        try:
            with trio.fail_after(SECONDS):
                await self._stream.send_all(b"".join(frames))
        except PubSubError:
            await trio.lowlevel.checkpoint()

    async def say(self, *entries: bytes) -> None:
        """Send one RPC of control."""
        await self.send(framed(control(*entries)))

    def message(self, data: bytes, topic: str = TOPIC, key: PrivateKey | None = None) -> bytes:
        """A message as it ought to be, signed by us or by `key`."""
        key = key or self.host.key
        self._number += 1
        body = unsigned(bytes(peer_id_of(key.public_key)), self._number, data, topic)
        return body + field_of(5, key.sign(SIGNED + body))


@asynccontextmanager
async def hostile_peers(count: int = 1) -> AsyncIterator[list[HostilePeer]]:
    async with trio.open_nursery() as nursery:
        peers = []
        for _ in range(count):
            peer = HostilePeer(Host(PrivateKey.generate(os.urandom)))
            peers.append(peer)

            async def on_stream(stream: Stream, heard: Heard = peer.heard) -> None:
                stream.set_sink(heard.read, lambda: None)
                await trio.lowlevel.checkpoint()

            peer.host.set_handler(MESHSUB, on_stream)
            await nursery.start(peer.host.run)
        yield peers
        nursery.cancel_scope.cancel()


@dataclass(slots=True)
class Siege:
    """The victim, its two friends, who reach each other through it alone, and the attacker."""

    victim: pubsub.Node
    friends: list[pubsub.Node]
    attackers: list[HostilePeer]
    said: dict[PeerId, int] = field(default_factory=dict)
    "How many messages each honest peer has published."
    wrongs: set[str] = field(default_factory=set)
    "What honest peers noticed of the attack: nothing."
    foreign: set[bytes] = field(default_factory=set)
    "Data of others than them that reached their subscriptions."

    @property
    def attacker(self) -> HostilePeer:
        return self.attackers[0]

    @property
    def core(self) -> pubsub.router.core.Core:
        return self.victim._router._core

    def score(self, peer: HostilePeer | None = None) -> float:
        """The victim's score of the attacker, connected or not."""
        scores = self.core.scores
        assert scores is not None
        return scores.score((peer or self.attacker).id, now=trio.current_time())

    def expelled(self, peer: HostilePeer | None = None) -> bool:
        return not (peer or self.attacker).host.is_connected(self.victim.peer_id)

    async def is_graylisted(self) -> None:
        """Wait until the attacker's score has sunk so far that it is not heard any more."""
        await until(lambda: self.score() < GRAYLIST)

    async def beats(self, count: int) -> None:
        """Wait for so many of the victim's heartbeats."""
        last = self.core.beats + count
        await until(lambda: self.core.beats >= last)

    def drops(self, reason: str) -> int:
        return self.core.drops[reason]

    def counter(self, name: str) -> int:
        return self.core.counters[name]

    def look(self) -> None:
        """Note what should not happen to honest peers while the attack goes on."""
        mesh = self.victim.snapshot()["mesh"][TOPIC]
        if len(mesh) > self.victim.params.d_high:
            self.wrongs.add("the mesh grew over its bound")
        scores = self.core.scores
        assert scores is not None
        for friend in self.friends:
            report = scores.inspect(friend.peer_id, now=trio.current_time())
            if str(friend.peer_id) not in mesh:
                self.wrongs.add("an honest peer was put out of the mesh")
            if report.behaviour or report.total < 0:
                self.wrongs.add("an honest peer's score was lowered")
            if self.core.peers[friend.peer_id].faults:
                self.wrongs.add("an honest peer was blamed")


async def _talk(siege: Siege, node: pubsub.Node, over: trio.Event) -> None:
    while not over.is_set():
        receipt = await node.publish(TOPIC, b"%b %d" % (node.peer_id, siege.said[node.peer_id]))
        siege.said[node.peer_id] += 1
        if receipt.skipped:
            siege.wrongs.add("an honest peer was skipped")
        siege.look()
        await trio.sleep(PAUSE)


async def _received_all(siege: Siege, node: pubsub.Node, messages: pubsub.Subscription) -> None:
    """Each message of each other honest peer, once, in order."""
    expected = {peer: count for peer, count in siege.said.items() if peer != node.peer_id}
    got: dict[PeerId, list[bytes]] = {peer: [] for peer in expected}
    with trio.fail_after(SECONDS):
        while sum(map(len, got.values())) < sum(expected.values()) or messages.waiting:
            for message in await messages.receive_batch(1000):
                if message.author in got:
                    got[message.author].append(message.data)
                else:
                    siege.foreign.add(message.data)
    for peer, count in expected.items():
        assert got[peer] == [b"%b %d" % (peer, number) for number in range(count)]
    assert messages.lost == 0


@asynccontextmanager
async def siege(
    params: pubsub.Params = QUICK,
    *,
    attackers: int = 1,
    subscribe: bool = True,
    lets_in: Iterable[bytes] = (),
) -> AsyncIterator[Siege]:
    """Three honest nodes talk to each other all the while, and must notice nothing.

    `lets_in`: data of messages of the attackers that are good and get through.
    """
    async with AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(
                pubsub.open_node(listen=[LOOPBACK], params=params, scoring=LASTING)
            )
            for _ in range(3)
        ]
        victim, *friends = nodes
        hostile = await stack.enter_async_context(hostile_peers(attackers))
        readers = {node: node.subscribe(TOPIC, capacity=100_000) for node in nodes}
        for friend in friends:
            await link(friend, victim)
            await know(friend, TOPIC)
        await know(victim, TOPIC, 2)
        scene = Siege(victim, friends, hostile, dict.fromkeys([n.peer_id for n in nodes], 0))
        await until(lambda: len(victim.snapshot()["mesh"][TOPIC]) == 2)
        for peer in hostile:
            await peer.approach(victim)
            if subscribe:
                await peer.send(framed(subscription(TOPIC)))
        if subscribe:
            await know(victim, TOPIC, 2 + attackers)
        over = trio.Event()
        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(_talk, scene, node, over)
            yield scene
            over.set()
        for node, messages in readers.items():
            await _received_all(scene, node, messages)
        assert min(scene.said.values()) > 0
        assert scene.wrongs == set()
        assert scene.foreign == set(lets_in)
