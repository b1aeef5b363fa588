from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.fabric.topics import DIRECT
from pubsub.fabric_node import lanes as lanes_module
from pubsub.fabric_node.envelope_stream import Budget, EnvelopeStream
from pubsub.fabric_node.lanes import FULL, GRACE, IDLE, LOST, MIN_RATE, Lanes
from pubsub.identity import PeerId
from tests.unit.fabric_node.fake_hosts import WINDOW, FakeHosts, FakeStream

PROTOCOL = "/direct"
BOB = b"bob"


class Scene:
    """Our lanes, and BOB whom they lead to."""

    def __init__(self, nursery: trio.Nursery, capacity: int) -> None:
        hosts = FakeHosts(nursery)
        self.us, self.bob = hosts.add(1), hosts.add(2)
        self.us.link(self.bob)
        self.bob.set_handler(PROTOCOL, self.hear)
        self.heard: list[bytes] = []
        self.ends: list[FakeStream] = []
        "Those of BOB's streams that we have ended."
        self.reads = True
        self.unreachable: list[tuple[bytes, str]] = []
        self.reachable = trio.Event()
        self.reachable.set()
        self.lanes = Lanes(
            cast("Any", self.us),
            nursery,
            self.reach,
            capacity=capacity,
            on_unreachable=lambda peer, why: self.unreachable.append((peer, why)),
        )

    async def hear(self, stream: FakeStream) -> None:
        if not self.reads:
            await trio.sleep_forever()
        envelopes = EnvelopeStream(cast("Any", stream), 1 << 30, Budget(1 << 30))
        while (envelope := await envelopes.receive()) is not None:
            self.heard.append(envelope)
        self.ends.append(stream)
        stream.close()

    async def reach(self, peer: bytes) -> PeerId | None:
        await self.reachable.wait()
        return self.bob.peer_id if self.us.is_connected(self.bob.peer_id) else None

    def send(self, envelope: bytes, protocol: str = PROTOCOL) -> bool:
        return self.lanes.send(BOB, protocol, envelope)


@asynccontextmanager
async def scene(capacity: int = 5) -> AsyncIterator[Scene]:
    async with trio.open_nursery() as nursery:
        yield Scene(nursery, capacity)
        nursery.cancel_scope.cancel()


async def test_envelopes_come_in_their_order_over_one_stream():
    async with scene() as now:
        for number in range(5):
            assert now.send(b"%d" % number)
        assert now.lanes.waiting == 5
        await wait_all_tasks_blocked()
        now.send(b"5")
        await wait_all_tasks_blocked()
        assert now.heard == [b"0", b"1", b"2", b"3", b"4", b"5"]
        assert (now.us.opened, now.lanes.waiting, now.unreachable) == (1, 0, [])


async def test_each_protocol_has_a_lane_of_its_own():
    async with scene() as now:
        now.bob.set_handler("/other", now.hear)
        now.send(b"a")
        now.send(b"b", "/other")
        await wait_all_tasks_blocked()
        assert sorted(now.heard) == [b"a", b"b"]
        assert {stream.protocol for stream in now.bob.streams} == {PROTOCOL, "/other"}


async def test_what_does_not_fit_into_a_lane_is_dropped():
    async with scene(2) as now:
        assert [now.send(b"%d" % number) for number in range(3)] == [True, True, False]
        assert now.lanes.counters == {FULL: 1}
        await wait_all_tasks_blocked()
        assert now.heard == [b"0", b"1"]
        assert now.send(b"3")


async def test_one_envelope_may_be_too_long_for_a_lane_and_no_second(monkeypatch: Any):
    monkeypatch.setattr(lanes_module, "MAX_ANSWER_BYTES", 100)
    monkeypatch.setattr(lanes_module, "SMALL", 10)
    async with scene() as now:
        assert now.send(bytes(200))
        assert not now.send(bytes(11))
        # What is small takes little room.
        assert now.send(bytes(10))
        await wait_all_tasks_blocked()
        assert now.send(b"b")
        assert now.send(bytes(99))
        assert not now.send(bytes(11))
        await wait_all_tasks_blocked()
        assert now.heard == [bytes(200), bytes(10), b"b", bytes(99)]


async def test_more_may_wait_of_what_users_send(monkeypatch: Any):
    monkeypatch.setattr(lanes_module, "MAX_ANSWER_BYTES", 100)
    monkeypatch.setattr(lanes_module, "MAX_BYTES", 200)
    monkeypatch.setattr(lanes_module, "SMALL", 10)
    async with scene() as now:
        sent = [now.send(bytes(60), protocol=DIRECT) for _ in range(4)]
        assert sent == [True, True, True, False]
        assert [now.send(bytes(60)) for _ in range(2)] == [True, False]


async def test_a_lane_that_is_half_full_is_slow(monkeypatch: Any):
    monkeypatch.setattr(lanes_module, "MAX_ANSWER_BYTES", 100)
    async with scene() as now:
        slow = [now.lanes.is_slow(BOB, PROTOCOL)]
        for size in (49, 1):
            now.send(bytes(size))
            slow.append(now.lanes.is_slow(BOB, PROTOCOL))
        assert slow == [False, False, True]
        await wait_all_tasks_blocked()
        assert not now.lanes.is_slow(BOB, PROTOCOL)


async def test_a_peer_that_cannot_be_reached_loses_what_waits_for_it():
    async with scene() as now:
        now.us.part(now.bob)
        now.send(b"1")
        now.send(b"2")
        await wait_all_tasks_blocked()
        assert now.unreachable == [(BOB, "it cannot be reached")]
        assert (now.lanes.counters, now.lanes.waiting) == ({LOST: 2}, 0)
        now.us.link(now.bob)
        now.send(b"3")
        await wait_all_tasks_blocked()
        assert now.heard == [b"3"]


async def test_a_peer_that_does_not_speak_the_protocol_counts_as_unreachable():
    async with scene() as now:
        now.send(b"1", "/unknown")
        await wait_all_tasks_blocked()
        assert now.unreachable == [(BOB, "speaks none of the protocols")]


async def test_a_peer_that_hardly_takes_anything_counts_as_unreachable(autojump_clock: MockClock):
    async with scene() as now:
        now.reads = False
        long = bytes(2 * WINDOW)
        now.send(long)
        now.send(b"2")
        await trio.sleep(GRACE + len(long) / MIN_RATE - 1)
        assert not now.unreachable
        await trio.sleep(2)
        assert now.unreachable == [(BOB, "it hardly takes what it is sent")]
        assert now.lanes.counters == {LOST: 2}
        assert now.bob.streams[0].was_reset


async def test_a_stream_without_traffic_is_closed_and_another_opened(autojump_clock: MockClock):
    async with scene() as now:
        now.send(b"1")
        await trio.sleep(IDLE - 1)
        now.send(b"2")
        await trio.sleep(IDLE - 1)
        assert (now.us.opened, now.ends) == (1, [])
        await trio.sleep(2)
        assert len(now.ends) == 1
        assert not now.ends[0].was_reset
        now.send(b"3")
        await trio.sleep(1)
        assert (now.heard, now.us.opened, now.unreachable) == ([b"1", b"2", b"3"], 2, [])


async def test_what_is_sent_at_the_moment_a_lane_ends_is_not_lost(autojump_clock: MockClock):
    async with scene() as now:
        # The order in which trio wakes those who wait until the same moment is by chance.
        for number in range(30):
            now.send(b"%d" % number)
            await trio.sleep(IDLE)
        await wait_all_tasks_blocked()
        assert now.heard == [b"%d" % number for number in range(30)]
        assert (now.unreachable, now.lanes.waiting) == ([], 0)


async def test_what_waits_for_peers_that_are_there_is_waited_for(autojump_clock: MockClock):
    async with scene() as now:
        for number in range(3):
            now.send(b"%d" % number)
        now.bob.set_handler("/other", now.hear)
        now.send(b"other", "/other")
        assert await now.lanes.finish(PROTOCOL, 5, lambda peer: peer == BOB)
        assert [each for each in now.heard if each != b"other"] == [b"0", b"1", b"2"]
        assert (trio.current_time(), len(now.ends), now.unreachable) == (0, 1, [])


async def test_lanes_without_traffic_end_at_once(autojump_clock: MockClock):
    async with scene() as now:
        now.send(b"1")
        await wait_all_tasks_blocked()
        assert await now.lanes.finish(PROTOCOL, 5, lambda peer: True)
        assert (trio.current_time(), len(now.ends), now.ends[0].was_reset) == (0, 1, False)


async def test_a_peer_that_does_not_read_is_waited_for_so_long(autojump_clock: MockClock):
    async with scene() as now:
        now.reads = False
        now.send(b"1")
        assert not await now.lanes.finish(PROTOCOL, 5, lambda peer: True)
        assert trio.current_time() == 5


async def test_a_peer_that_is_not_there_is_not_waited_for(autojump_clock: MockClock):
    async with scene() as now:
        now.reachable = trio.Event()
        now.send(b"1")
        assert await now.lanes.finish(PROTOCOL, 5, lambda peer: False)
        assert (trio.current_time(), now.lanes.waiting) == (0, 1)


async def test_a_stream_that_ended_unnoticed_is_opened_again(autojump_clock: MockClock):
    async with scene() as now:
        now.send(b"1")
        await wait_all_tasks_blocked()
        now.bob.streams[0].reset()
        now.send(b"2")
        now.send(b"3")
        await wait_all_tasks_blocked()
        assert (now.heard, now.unreachable) == ([b"1", b"2", b"3"], [])


async def test_a_peer_that_comes_back_gets_what_was_sent_meanwhile(autojump_clock: MockClock):
    async with scene() as now:
        now.send(b"1")
        await wait_all_tasks_blocked()
        now.us.part(now.bob)
        now.reachable = trio.Event()
        now.send(b"2")
        await wait_all_tasks_blocked()
        now.us.link(now.bob)
        now.reachable.set()
        await wait_all_tasks_blocked()
        assert (now.heard, now.unreachable) == ([b"1", b"2"], [])


async def test_a_peer_that_takes_nothing_is_not_tried_for_ever():
    async with scene() as now:

        async def refuse(stream: FakeStream) -> None:
            await trio.lowlevel.checkpoint()
            stream.reset()

        now.bob.set_handler(PROTOCOL, refuse)
        now.send(bytes(4 * WINDOW))
        await wait_all_tasks_blocked()
        assert (now.us.opened, [peer for peer, _ in now.unreachable]) == (1, [BOB])


async def test_what_is_sent_when_a_lane_has_failed_begins_another():
    async with scene() as now:
        again = iter([True, False])

        def on_unreachable(peer: bytes, why: str) -> None:
            now.unreachable.append((peer, why))
            if next(again):
                now.us.link(now.bob)
                now.send(b"again")

        now.lanes._on_unreachable = on_unreachable
        now.us.part(now.bob)
        now.send(b"1")
        await wait_all_tasks_blocked()
        assert (now.heard, len(now.unreachable), now.lanes.counters[LOST]) == ([b"again"], 1, 1)
