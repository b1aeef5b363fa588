"""Batches: how they are cut into turns, how they wait for room, and what they answer."""

from __future__ import annotations

import random
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.errors import ClosedError, LocalError, ParamError
from pubsub.node.link import Link
from pubsub.node.publisher import TURN, Publisher
from pubsub.params import Params, Signing
from pubsub.pb import rpc_pb2
from pubsub.router import Router
from pubsub.router.effects import Effect
from pubsub.router.events import Event, PublishBatch, Subscribe
from pubsub.wire.framing import FrameReader
from tests.unit.router.dialogue import US, A, B, C, Them

SMALL = {"queue_messages": 8}


class Desk:
    """A publisher over a router whose peers subscribe to topic `news` and read when told."""

    def __init__(self, *peers: Them, **params: Any) -> None:
        self.router = Router(US.key, Params(**params), rng=random.Random(0), now=0.0, first_seqno=1)
        self.links: dict[Any, Link] = {}
        self.turns: list[int] = []
        "How many messages each batch that was tried held."
        self.closed = False
        self.publisher = Publisher(self.router, self.links, self.feed, self.check_open)
        self.feed(Subscribe("news"))
        for peer in peers:
            for event in (*peer.connects(), peer.subscribes("news")):
                self.feed(event)
            self.links[peer.id] = Link(peer.id)

    def feed(self, event: Event) -> list[Effect]:
        if isinstance(event, PublishBatch):
            self.turns.append(len(event.messages))
        return self.router.handle(event, trio.current_time())

    def check_open(self) -> None:
        if self.closed:
            raise ClosedError("closed")

    def read(self, peer: Them) -> list[bytes]:
        """What waits for a peer is read by it."""
        reader = FrameReader(1 << 24)
        data: list[bytes] = []
        while taken := self.router.take(peer.id, 1 << 20):
            for frame in reader.feed(taken):
                rpc = rpc_pb2.RPC.FromString(frame)
                data += [rpc_pb2.Message.FromString(raw).data for raw in rpc.publish]
        self.links[peer.id].changed.unpark_all()
        return data

    async def publish(self, *data: bytes, timeout: float | None = None) -> list[Any]:
        return await self.publisher.publish_batch([("news", one) for one in data], timeout)


def numbered(count: int, size: int = 4) -> list[bytes]:
    return [b"%0*d" % (size, number) for number in range(count)]


async def test_each_peer_gets_another_message_first() -> None:
    desk = Desk(A, B, C)
    receipts = await desk.publish(b"x", b"y", b"z")
    heard = [desk.read(peer) for peer in (A, B, C)]
    assert sorted(order[0] for order in heard) == [b"x", b"y", b"z"]
    assert all(sorted(order) == [b"x", b"y", b"z"] for order in heard)
    for receipt in receipts:
        assert sorted(receipt.peers) == sorted(peer.id for peer in (A, B, C))


async def test_receipts_come_in_the_order_of_the_messages() -> None:
    desk = Desk(A)
    receipts = await desk.publish(*numbered(150))
    seqnos = [int.from_bytes(receipt.id[-8:], "big") for receipt in receipts]
    assert seqnos == list(range(1, 151))
    assert desk.read(A) == numbered(150)
    assert desk.turns == [TURN, TURN, 150 - 2 * TURN]


async def test_a_batch_of_nothing_is_nothing() -> None:
    desk = Desk(A)
    assert await desk.publish() == []
    assert desk.turns == []


async def test_topics_may_be_mixed() -> None:
    desk = Desk(A)
    receipts = await desk.publisher.publish_batch([("news", b"x"), ("else", b"y")], None)
    assert [(one.topic, len(one.peers)) for one in receipts] == [("news", 1), ("else", 0)]


async def test_turns_fit_into_half_a_queue_by_number() -> None:
    desk = Desk(A, **SMALL)
    await desk.publish(*numbered(4))
    desk.read(A)
    await desk.publish(*numbered(3))
    assert desk.turns == [4, 3]


async def test_turns_fit_into_half_a_queue_by_bytes() -> None:
    desk = Desk(queue_bytes=1000)
    await desk.publish(*numbered(7, size=200))
    assert desk.turns == [2, 2, 2, 1]


async def test_a_message_too_large_for_half_a_queue_has_a_turn_of_its_own() -> None:
    desk = Desk(queue_bytes=1000)
    await desk.publish(b"a", bytes(900), b"b", b"c")
    assert desk.turns == [1, 1, 2]


async def test_a_batch_larger_than_the_queue_waits_for_room(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    desk = Desk(A, **SMALL)
    heard: list[bytes] = []

    async def read_now_and_then() -> None:
        while True:
            await trio.sleep(1)
            heard.extend(desk.read(A))

    nursery.start_soon(read_now_and_then)
    receipts = await desk.publish(*numbered(40), timeout=60)
    await trio.sleep(2)
    assert heard == numbered(40)
    assert all(receipt.peers == (A.id,) for receipt in receipts)
    assert trio.current_time() >= 4
    nursery.cancel_scope.cancel()


async def test_who_has_no_room_in_time_is_passed_over_and_named(
    autojump_clock: MockClock,
) -> None:
    desk = Desk(A, B, **SMALL)

    def b_reads() -> None:
        desk.read(B)

    started = trio.current_time()
    await desk.publish(*numbered(4))
    b_reads()
    receipts = await desk.publish(*numbered(8), timeout=3)
    assert trio.current_time() - started == pytest.approx(3)
    queued = [receipt for receipt in receipts if A.id in receipt.peers]
    skipped = [receipt for receipt in receipts if A.id in receipt.skipped]
    assert (len(queued), len(skipped)) == (4, 4)
    assert all(B.id in receipt.peers for receipt in receipts)
    # It is waited for no more.
    b_reads()
    await desk.publish(*numbered(4), timeout=3)
    assert trio.current_time() - started == pytest.approx(3)


async def test_one_who_is_deaf_costs_those_who_read_nothing(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    desk = Desk(A, B, **SMALL)
    heard: list[bytes] = []

    async def b_reads() -> None:
        while True:
            await trio.sleep(0.5)
            heard.extend(desk.read(B))

    nursery.start_soon(b_reads)
    receipts = await desk.publish(*numbered(40), timeout=1.2)
    await trio.sleep(1)
    assert sorted(heard) == numbered(40)
    assert all(B.id in receipt.peers for receipt in receipts)
    assert [A.id in receipt.peers for receipt in receipts] == [True] * 8 + [False] * 32
    nursery.cancel_scope.cancel()


async def test_a_turn_with_a_bad_message_sends_nothing_and_those_before_stay_sent() -> None:
    desk = Desk(A, **SMALL, max_message_size=4)
    with pytest.raises(ParamError, match="the message is 5 bytes"):
        await desk.publish(*numbered(4), b"ok", b"large", b"ok")
    assert desk.read(A) == numbered(4)


@pytest.mark.parametrize("before", [False, True])
async def test_a_message_that_is_there_twice_without_signatures(before: bool) -> None:
    desk = Desk(A, signing=Signing.NONE)
    if before:
        await desk.publish(b"same")
        desk.read(A)
    with pytest.raises(LocalError, match="same message"):
        await desk.publish(b"other", b"same", *([] if before else [b"same"]))
    assert desk.read(A) == []
    await desk.publish(b"other")
    assert desk.read(A) == [b"other"]


async def test_with_signatures_equal_data_is_no_mistake() -> None:
    desk = Desk(A)
    first, second = await desk.publish(b"same", b"same")
    assert first.id != second.id
    assert desk.read(A) == [b"same", b"same"]


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([("news", "text")], "data must be bytes, not str"),
        (["news"], "a pair: topic, data"),
        ([("news",)], "a pair: topic, data"),
        ([7], "a pair: topic, data"),
        ([(["news"], b"x")], "a topic is text"),
        ([("", b"x")], "must have a name"),
    ],
)
async def test_what_is_no_message_is_said(messages: Any, said: str) -> None:
    desk = Desk(A)
    with pytest.raises(ParamError, match=said):
        await desk.publisher.publish_batch(messages, None)


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
async def test_impossible_timeouts_are_refused(timeout: float) -> None:
    with pytest.raises(ParamError, match="timeout must be"):
        await Desk().publish(b"x", timeout=timeout)


async def test_who_waits_for_room_is_told_that_the_node_is_closed(nursery: trio.Nursery) -> None:
    desk = Desk(A, **SMALL)
    error: list[ClosedError] = []

    async def publish() -> None:
        try:
            await desk.publish(*numbered(40))
        except ClosedError as closed:
            error.append(closed)

    nursery.start_soon(publish)
    await wait_all_tasks_blocked()
    assert not error
    desk.closed = True
    desk.links[A.id].close()
    await wait_all_tasks_blocked()
    assert error
