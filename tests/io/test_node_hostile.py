"""One peer misbehaves; it is thrown out or passed over, and two honest nodes lose nothing.

In each test two honest nodes, both connected to the attacker, go on exchanging messages.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
import trio.testing

import pubsub
from pubsub.host import Stream
from pubsub.pb import rpc_pb2
from pubsub.wire.framing import frame
from pubsub.wire.varint import encode_varint
from tests.io.nodes import (
    LOOPBACK,
    MESHSUB,
    TOPIC,
    RawPeer,
    drops,
    know,
    link,
    mesh,
    raw_peer,
    rpc,
    take,
    until,
)

MIB = 1024 * 1024
TALK = "talk"
"The topic of the honest; the attacker is not told of it by the test."


@dataclass(slots=True)
class Siege:
    """The victim of the attack, the attacker, and the stream from the one to the other."""

    node: pubsub.Node
    attacker: RawPeer
    stream: Stream
    messages: pubsub.Subscription
    "Of the victim, to TOPIC."

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def is_repelled(self) -> None:
        await self.attacker.expelled(self.node)

    async def is_endured(self) -> None:
        """The attack is over: the attacker is still there, and even heard."""
        await self.send(rpc(self.attacker.message(TOPIC, b"still here")))
        while (await take(self.messages, 1)) != [b"still here"]:
            pass
        assert self.attacker.host.peer_id in self.node.peers()


@asynccontextmanager
async def siege(*, reads: bool = True, subscribe: bool = True) -> AsyncIterator[Siege]:
    """An attacker's stream to a node that talks with another all the while, and loses nothing."""
    async with (
        pubsub.open_node(listen=[LOOPBACK]) as victim,
        pubsub.open_node() as friend,
        raw_peer(reads=reads) as attacker,
        trio.open_nursery() as nursery,
    ):
        await link(friend, victim)
        heard = {node: node.subscribe(TALK, capacity=100_000) for node in (victim, friend)}
        for node in heard:
            await know(node, TALK)
        said = dict.fromkeys(heard, 0)
        over = trio.Event()

        async def talk(node: pubsub.Node) -> None:
            while not over.is_set():
                receipt = await node.publish(TALK, b"%d" % said[node], min_peers=1)
                assert not receipt.skipped
                said[node] += 1
                await trio.sleep(0.002)

        for node in heard:
            nursery.start_soon(talk, node)
        messages = victim.subscribe(TOPIC)
        stream = await attacker.open(victim)
        if subscribe:
            await stream.send_all(rpc(subscribe=(TOPIC,)))
            await know(victim, TOPIC)
        yield Siege(victim, attacker, stream, messages)
        over.set()
        for speaker, listener in ((victim, friend), (friend, victim)):
            # At least one more exchange after the attack.
            got = await take(heard[listener], max(1, said[speaker]))
            assert got == [b"%d" % number for number in range(len(got))]
            assert heard[listener].lost == 0


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


# What ends the connection


@pytest.mark.parametrize("seed", range(5))
async def test_rubbish(seed: int):
    async with siege() as attack:
        rubbish = random.Random(seed).randbytes(MIB)
        with trio.move_on_after(8):
            try:
                while attack.attacker.is_connected(attack.node):
                    await attack.send(rubbish)
            except pubsub.StreamError:
                pass
        await attack.is_repelled()


@pytest.mark.parametrize("promised", [5 * MIB, 2**32, 2**62])
async def test_an_oversize_length_prefix_allocates_nothing(promised: int):
    async with siege() as attack:
        before = resident()
        await attack.send(encode_varint(promised) + b"x" * 1000)
        await attack.is_repelled()
        assert resident() - before < 2 * MIB


async def test_a_length_prefix_without_end():
    async with siege() as attack:
        await attack.send(b"\xff" * 10)
        await attack.is_repelled()


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xff\xff",
        b"\x12\x05abc",  # a message longer than its RPC
        rpc_pb2.RPC(publish=[b"\xff\xff"]).SerializeToString(),
        b"\x0a\x04\x12\x02\xff",
    ],
)
async def test_a_frame_that_is_no_rpc(payload: bytes):
    async with siege() as attack:
        await attack.send(frame(payload))
        await attack.is_repelled()
        assert drops(attack.node, "malformed_rpc") == 1


def subscriptions(count: int) -> bytes:
    return rpc(subscribe=tuple(str(number) for number in range(count)))


def empty_messages(count: int) -> bytes:
    return frame(b"\x12\x00" * count)


def grafts(count: int) -> bytes:
    return rpc(graft=[rpc_pb2.ControlGraft(topic_id=TOPIC)] * count)


def prunes(count: int) -> bytes:
    return rpc(prune=[rpc_pb2.ControlPrune(topic_id="x", backoff=2**63)] * count)


def ihaves(count: int) -> bytes:
    return rpc(ihave=[rpc_pb2.ControlIHave(topic_id=TOPIC, message_ids=[b"x"])] * count)


def iwants(count: int) -> bytes:
    return rpc(iwant=[rpc_pb2.ControlIWant(message_ids=[b"x"])] * count)


@pytest.mark.parametrize("make", [subscriptions, empty_messages, grafts, prunes, ihaves, iwants])
async def test_an_rpc_with_a_hundred_thousand_entries(make: Callable[[int], bytes]):
    async with siege() as attack:
        before = resident()
        await attack.send(make(100_000))
        await attack.is_repelled()
        assert resident() - before < 64 * MIB


async def test_a_flood_of_forged_messages():
    async with siege() as attack:
        forgeries = []
        for number in range(500):
            forged = attack.attacker.message(TOPIC, b"true")
            forged.data = b"false %d" % number
            forgeries.append(rpc(forged))
        # Copies of one forgery are one forgery; of many, the first few are enough.
        await attack.send(forgeries[0] * 100 + b"".join(forgeries))
        await attack.is_repelled()
        assert drops(attack.node, "bad_signature") >= 16
        assert attack.messages.waiting == 0


async def test_a_flood_of_grafts_during_the_backoff():
    async with siege() as attack:
        await attack.send(grafts(1))
        async with attack.node.subscribe("other"):
            pass
        attack.messages.close()  # prunes the attacker
        attack.messages = attack.node.subscribe(TOPIC)
        await attack.send(grafts(1) * 200)
        await attack.is_repelled()


# What is passed over


@pytest.mark.parametrize("rest", [b"", b"\x80", frame(bytes(100))[:50]])
async def test_a_frame_that_is_cut_short(rest: bytes):
    async with siege() as attack:
        await attack.send(rest)
        await attack.stream.aclose()
        attack.stream = await attack.attacker.open(attack.node)
        await attack.is_endured()


async def test_a_peer_that_hangs_up_in_the_middle_of_a_frame():
    async with siege() as attack:
        await attack.send(frame(bytes(100_000))[:50_000])
        await attack.attacker.host.disconnect(attack.node.peer_id)
        await until(lambda: attack.attacker.host.peer_id not in attack.node.peers())


async def test_a_frame_that_comes_a_byte_at_a_time():
    async with siege() as attack:
        for byte in rpc(attack.attacker.message(TOPIC, b"slowly")):
            await attack.send(bytes([byte]))
        assert await take(attack.messages, 1) == [b"slowly"]


@pytest.mark.parametrize("change", ["data", "seqno", "topic", "signature", "author"])
async def test_an_altered_copy_sent_first_does_not_suppress_the_true_message(change: str):
    async with siege() as attack:
        true = attack.attacker.message(TOPIC, b"true", pubsub.PrivateKey(bytes(32)))
        other = attack.attacker.message(TOPIC, b"other", pubsub.PrivateKey(bytes(31) + b"\1"))
        false = rpc_pb2.Message.FromString(true.SerializeToString())
        setattr(false, change, getattr(other, change) if change != "topic" else TALK)
        await attack.send(rpc(false, true))
        await attack.send(rpc(false))
        assert await take(attack.messages, 1) == [b"true"]
        assert attack.messages.waiting == 0
        await attack.is_endured()


async def test_a_message_that_comes_again_and_again_is_delivered_once():
    async with siege() as attack:
        message = attack.attacker.message(TOPIC, b"once")
        await attack.send(rpc(message) * 500 + rpc(*[message] * 500))
        assert await take(attack.messages, 1) == [b"once"]
        await attack.is_endured()
        assert attack.messages.waiting == 0
        assert attack.node.snapshot()["counters"]["duplicate"] == 999


async def test_our_own_messages_sent_back_to_us():
    async with siege() as attack:
        own = attack.attacker.message(TOPIC, b"own")
        own.author = bytes(attack.node.peer_id)
        await attack.send(rpc(own) * 100)
        await attack.is_endured()
        assert drops(attack.node, "own_message") == 100


async def test_a_flood_of_gossip_is_answered_within_limits():
    async with siege() as attack:
        for turn in range(15):
            ids = [b"%d %d" % (turn, number) for number in range(5000)]
            offered = [rpc_pb2.ControlIHave(topic_id=TOPIC, message_ids=ids)]
            await attack.send(rpc(ihave=offered))
        await attack.is_endured()
        counters = attack.node.snapshot()["counters"]
        beats = 1 + counters.get("heartbeats", 0)
        assert counters["iwant_sent"] <= 5000 * beats
        assert drops(attack.node, "ihave_flood") + drops(attack.node, "iwant_budget") > 0


async def test_a_flood_of_requests_is_answered_within_limits():
    async with siege() as attack:
        receipt = await attack.node.publish(TOPIC, b"wanted" * 100)
        wanted = [rpc_pb2.ControlIWant(message_ids=[receipt.id] * 5000)]
        for _ in range(20):
            await attack.send(rpc(iwant=wanted))
        await attack.is_endured()
        # What was asked for is ahead of this in the queue.
        await attack.node.publish(TOPIC, b"the end")
        await until(lambda: b"the end" in attack.attacker.heard)
        repeats = bytes(attack.attacker.heard).count(b"wanted" * 100)
        assert 1 <= repeats <= 1 + attack.node.params.gossip_retransmission
        assert drops(attack.node, "iwant_repeated") > 0


async def test_ten_thousand_subscriptions():
    async with siege() as attack:
        for start in range(0, 10_000, 100):
            names = tuple(f"{number} {'x' * 20}" for number in range(start, start + 100))
            await attack.send(rpc(subscribe=names))
        await attack.is_endured()
        topics = attack.node.snapshot()["peers"][str(attack.attacker.host.peer_id)]["topics"]
        assert len(topics) <= attack.node.params.max_topics_per_peer
        assert drops(attack.node, "subscription_refused") >= 5000
        await attack.attacker.host.disconnect(attack.node.peer_id)
        await until(lambda: len(attack.node._router._core.topics) <= 2)


@pytest.mark.slow
async def test_a_thousand_streams():
    async with siege() as attack:
        tasks = trio.lowlevel.current_statistics().tasks_living
        for _ in range(1000):
            stream = await attack.attacker.host.open_stream(attack.node.peer_id, [MESHSUB])
            await stream.send_all(rpc(subscribe=("x",)))
        attack.stream = stream
        await attack.is_endured()
        # Each replaced the one before it; none leaves a task behind.
        await until(lambda: trio.lowlevel.current_statistics().tasks_living <= tasks + 5)


@pytest.mark.slow
async def test_streams_that_are_opened_and_left_alone():
    async with siege() as attack:
        connection = attack.attacker.host._connections[attack.node.peer_id][0]
        for _ in range(600):
            connection.muxer.open_stream()
            connection.writer.wake()
            await attack.is_endured()
        info = attack.node.host.connection_info(attack.attacker.host.peer_id)
        assert info is not None
        limit = attack.node.host.params.max_inbound_streams
        assert limit - 5 < info.streams <= limit + 5


@pytest.mark.slow
async def test_a_peer_that_never_reads():
    async with siege(reads=False) as attack:
        small = attack.node.params.queue_messages
        for _ in range(small + 2000):
            attack.node.publish_nowait(TOPIC, bytes(500))
        await until(lambda: drops(attack.node, "queue_full"))
        await until(lambda: mesh(attack.node) == [])
        queue = attack.node.snapshot()["queues"][str(attack.attacker.host.peer_id)]
        assert queue["messages"] <= small
        await attack.is_endured()


async def test_a_peer_that_asks_for_much_and_never_reads():
    async with siege(reads=False) as attack:
        before = resident()
        receipts = [attack.node.publish_nowait(TOPIC, bytes(10_000)) for _ in range(500)]
        wanted = [rpc_pb2.ControlIWant(message_ids=[one.id for one in receipts])]
        for _ in range(20):
            await attack.send(rpc(iwant=wanted))
        await attack.is_endured()
        queue = attack.node.snapshot()["queues"][str(attack.attacker.host.peer_id)]
        assert queue["bytes"] <= attack.node.params.queue_bytes + 20_000
        assert resident() - before < 64 * MIB
