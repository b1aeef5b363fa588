from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.errors import PubSubError
from pubsub.fabric.announcement import Announcement, block_envelope, read_announcement, request
from pubsub.fabric.blocks import parse_block
from pubsub.fabric.topics import BLOCK
from pubsub.fabric_node import large_blocks as module
from pubsub.fabric_node.envelope_stream import Budget, EnvelopeStream
from pubsub.fabric_node.large_blocks import (
    FIRST_WITHIN,
    GIVE_GRACE,
    GIVE_RATE,
    MAX_ASKED,
    MAX_GIVEN,
    MAX_REQUEST,
    MAX_WAITING,
    PATIENCE,
    SEARCH,
    LargeBlocks,
)
from pubsub.identity import PeerId
from pubsub.wire.framing import frame
from tests.unit.fabric.chains import chain
from tests.unit.fabric_node.fake_hosts import WINDOW, FakeHost, FakeHosts, FakeStream

TOPIC = "blocks"
RAW = chain(2, size=5000)[1]
HASH = parse_block(RAW).hash
ENVELOPE = block_envelope("sales", 1, RAW).raw
ANNOUNCED = Announcement("sales", 1, HASH)
OTHER = block_envelope("sales", 1, chain(2, salt=b"other")[1]).raw


class Side:
    """One peer with its large blocks."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.may = True
        self.elsewhere: bytes | None = None
        self.mesh: list[PeerId] = []
        self.judged: list[tuple[PeerId, bytes]] = []
        self.large = LargeBlocks(
            cast("Any", host),
            above=1000,
            budget=Budget(1 << 30),
            may_fetch=lambda peer, channel: self.may and channel == "sales",
            find=self.find,
            neighbours=lambda topic: self.mesh,
        )

    async def find(self, asked: Announcement) -> bytes | None:
        await trio.lowlevel.checkpoint()
        return self.elsewhere if asked == ANNOUNCED else None

    def is_good(self, peer: PeerId, raw: bytes) -> bool:
        self.judged.append((peer, raw))
        return raw == ENVELOPE

    async def fetches(self, announcer: Side | FakeHost) -> bool:
        host = announcer.host if isinstance(announcer, Side) else announcer
        return await self.large.fetch(ANNOUNCED, TOPIC, host.peer_id, self.is_good)


class Scene:
    def __init__(self, nursery: trio.Nursery) -> None:
        self.hosts = FakeHosts(nursery)
        self.us = Side(self.hosts.add(0))
        self.ann, self.bob, self.cyd, self.dan = map(self.side, range(1, 5))
        self.us.mesh = [side.host.peer_id for side in (self.ann, self.bob, self.cyd, self.dan)]

    def side(self, number: int) -> Side:
        side = Side(self.hosts.add(number))
        self.us.host.link(side.host)
        return side

    def gives(self, side: Side, *parts: bytes, then: str = "waits") -> list[float]:
        """Let a peer answer requests with these bytes; returns when it is asked."""
        asked: list[float] = []

        async def answer(stream: FakeStream) -> None:
            asked.append(trio.current_time())
            await stream.receive_some()
            for part in parts:
                await stream.send_all(part)
                await trio.sleep(0.5)
            if then == "ends":
                stream.close()
            else:
                await trio.sleep_forever()

        side.host.set_handler(BLOCK, answer)
        return asked


@pytest.fixture
def now(nursery: trio.Nursery) -> Scene:
    return Scene(nursery)


# -- What goes to topics


def test_what_is_small_goes_as_it_is_and_what_is_large_by_its_announcement():
    class Host:
        def set_handler(self, protocol: str, handler: Callable[[Any], Any]) -> None:
            self.protocol = protocol

    large = Side(cast("Any", Host())).large
    small = block_envelope("sales", 1, chain(2)[1]).raw
    assert large.small(small) == small
    announced = read_announcement(large.small(ENVELOPE))
    assert announced == ANNOUNCED


# -- A block on its way


async def test_a_block_is_fetched_from_who_announced_it(now: Scene, autojump_clock: MockClock):
    now.ann.large.small(ENVELOPE)
    assert await now.us.fetches(now.ann)
    assert now.us.judged == [(now.ann.host.peer_id, ENVELOPE)]
    assert (now.us.large.counters, now.ann.large.counters) == (
        {"blocks fetched": 1},
        {"blocks given": 1},
    )
    # Whoever has it can give it.
    now.ann.mesh = []
    assert await now.ann.fetches(now.us)


async def test_a_block_that_is_not_kept_is_looked_for_elsewhere(
    now: Scene, autojump_clock: MockClock
):
    now.ann.elsewhere = ENVELOPE
    assert await now.us.fetches(now.ann)


async def test_one_that_has_nothing_is_not_waited_for(now: Scene, autojump_clock: MockClock):
    now.bob.large.small(ENVELOPE)
    assert await now.us.fetches(now.ann)
    assert [peer for peer, _ in now.us.judged] == [now.bob.host.peer_id]
    assert trio.current_time() == 0
    assert now.ann.large.counters == {"requests for what is not here": 1}


async def test_those_who_have_nothing_are_asked_again(now: Scene, autojump_clock: MockClock):
    now.us.mesh = [now.ann.host.peer_id]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(now.us.fetches, now.ann)
        await trio.sleep(3.5 * PATIENCE)
        now.ann.large.small(ENVELOPE)
    assert trio.current_time() == 4 * PATIENCE
    assert now.us.large.counters == {"blocks fetched": 1}
    assert now.ann.large.counters == {"requests for what is not here": 4, "blocks given": 1}


async def test_what_nobody_has_is_looked_for_so_long(now: Scene, autojump_clock: MockClock):
    assert not await now.us.fetches(now.ann)
    assert trio.current_time() == SEARCH


async def test_who_gave_another_block_is_not_asked_again(now: Scene, autojump_clock: MockClock):
    now.us.mesh = []
    asked = now.gives(now.ann, frame(OTHER), then="ends")
    assert not await now.us.fetches(now.ann)
    assert len(asked) == 1


async def test_a_block_that_comes_otherwise_ends_the_search(now: Scene, autojump_clock: MockClock):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(now.us.fetches, now.ann)
        await trio.sleep(1.5 * PATIENCE)
        now.us.large.small(ENVELOPE)
    assert trio.current_time() == 2 * PATIENCE
    assert now.us.large.counters["blocks fetched"] == 1


async def test_a_block_that_is_wanted_no_more_ends_the_search(
    now: Scene, autojump_clock: MockClock
):
    peer = now.ann.host.peer_id
    fetch = now.us.large.fetch
    assert not await fetch(ANNOUNCED, TOPIC, peer, now.us.is_good, lambda: False)
    assert trio.current_time() == 0


async def test_one_that_gives_another_block_is_passed_over(now: Scene, autojump_clock: MockClock):
    now.gives(now.ann, frame(OTHER), then="ends")
    now.bob.large.small(ENVELOPE)
    assert await now.us.fetches(now.ann)
    assert now.us.judged == [
        (now.ann.host.peer_id, OTHER),
        (now.bob.host.peer_id, ENVELOPE),
    ]


@pytest.mark.parametrize("parts", [(), (frame(ENVELOPE)[:1],), (frame(ENVELOPE)[:3000],)])
async def test_one_that_stalls_is_not_waited_for(
    now: Scene, autojump_clock: MockClock, parts: tuple[bytes, ...]
):
    now.gives(now.ann, *parts)
    asked = now.gives(now.bob, frame(ENVELOPE))
    assert await now.us.fetches(now.ann)
    assert PATIENCE <= asked[0] <= 3 * PATIENCE
    assert trio.current_time() == asked[0]


async def test_one_that_is_slow_and_goes_on_is_waited_for(now: Scene, autojump_clock: MockClock):
    raw = frame(ENVELOPE)
    now.gives(now.ann, *(raw[at : at + 500] for at in range(0, len(raw), 500)))
    asked = now.gives(now.bob, frame(ENVELOPE))
    assert await now.us.fetches(now.ann)
    assert (asked, [peer for peer, _ in now.us.judged]) == ([], [now.ann.host.peer_id])


async def test_one_that_stalled_may_be_the_first_after_all(now: Scene, autojump_clock: MockClock):
    raw = frame(ENVELOPE)
    now.gives(now.ann, raw[:3000], *[b""] * 6, raw[3000:])
    now.gives(now.bob, raw[:1])
    assert await now.us.fetches(now.ann)
    assert now.us.judged == [(now.ann.host.peer_id, ENVELOPE)]
    # Nobody goes on giving what is here.
    assert now.bob.host.streams[0].was_reset


async def test_so_many_are_asked_and_those_that_give_nothing_are_given_up(
    now: Scene, autojump_clock: MockClock
):
    asked = [now.gives(side) for side in (now.ann, now.bob, now.cyd, now.dan)]
    assert not await now.us.fetches(now.ann)
    assert [len(times) for times in asked] == [1] * MAX_ASKED + [0]
    assert trio.current_time() == asked[2][0] + FIRST_WITHIN
    assert now.us.large.counters == {"fetches that failed": 1}


async def test_each_peer_is_asked_for_one_block_at_a_time(
    now: Scene, autojump_clock: MockClock, nursery: trio.Nursery
):
    asked = now.gives(now.ann)
    now.us.mesh = []
    for number in range(2, 6):
        other = Announcement("sales", number, HASH)
        peer = now.ann.host.peer_id
        nursery.start_soon(now.us.large.fetch, other, TOPIC, peer, now.us.is_good)
    now.bob.large.small(ENVELOPE)
    # Who gives nothing delays nobody but itself.
    await wait_all_tasks_blocked()
    assert await now.us.fetches(now.bob)
    assert trio.current_time() < PATIENCE
    await trio.sleep(4 * FIRST_WITHIN + 1)
    assert asked == pytest.approx([FIRST_WITHIN * turn for turn in range(4)])
    assert now.us.large.counters == {"blocks fetched": 1, "fetches that failed": 4}


async def test_beyond_so_many_that_wait_for_one_others_are_asked(
    now: Scene, autojump_clock: MockClock, nursery: trio.Nursery
):
    asked = now.gives(now.ann)
    now.us.mesh = [now.bob.host.peer_id]
    for number in range(100, 100 + MAX_WAITING + 1):
        other = Announcement("sales", number, HASH)
        peer = now.ann.host.peer_id
        nursery.start_soon(now.us.large.fetch, other, TOPIC, peer, now.us.is_good)
        await wait_all_tasks_blocked()
    now.bob.large.small(ENVELOPE)
    assert await now.us.fetches(now.ann)
    assert len(asked) == 1
    assert trio.current_time() < PATIENCE


async def test_one_that_is_gone_is_passed_over(now: Scene, autojump_clock: MockClock):
    now.us.host.part(now.ann.host)
    now.bob.large.small(ENVELOPE)
    assert await now.us.fetches(now.ann)


async def test_an_error_of_who_judges_comes_out(now: Scene, autojump_clock: MockClock):
    now.ann.large.small(ENVELOPE)
    error = OSError("mine")

    def is_good(peer: PeerId, raw: bytes) -> bool:
        raise error

    with pytest.raises(ExceptionGroup) as caught:
        await now.us.large.fetch(ANNOUNCED, TOPIC, now.ann.host.peer_id, is_good)
    assert caught.value.exceptions == (error,)


# -- Those who ask


async def asks(now: Scene, data: bytes) -> bytes | None:
    """What we get for these bytes from ANN; None if the stream is broken."""
    stream = await now.us.host.open_stream(now.ann.host.peer_id, [BLOCK])
    await stream.send_all(data)
    envelopes = EnvelopeStream(cast("Any", stream), 1 << 30, Budget(1 << 30))
    with trio.move_on_after(60):
        try:
            return await envelopes.receive() or b""
        except PubSubError:
            return None
    pytest.fail("neither an answer nor an end")


async def test_those_who_may_not_have_a_block_get_nothing(now: Scene, autojump_clock: MockClock):
    now.ann.large.small(ENVELOPE)
    now.ann.may = False
    assert await asks(now, frame(request(ANNOUNCED))) == b""
    now.ann.may = True
    other = Announcement("other", 1, HASH)
    assert await asks(now, frame(request(other))) == b""
    assert now.ann.large.counters == {"requests refused": 2}


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (frame(b"what?"), b""),
        (frame(bytes(MAX_REQUEST + 1)), None),
        (frame(b"cut off")[:-1], None),
        (b"", None),
    ],
)
async def test_what_is_no_request_ends_the_stream(
    now: Scene, autojump_clock: MockClock, data: bytes, outcome: bytes | None
):
    now.ann.large.small(ENVELOPE)
    assert await asks(now, data) == outcome
    assert trio.current_time() <= FIRST_WITHIN + 1


async def test_one_peer_is_given_so_many_blocks_at_one_time(now: Scene, autojump_clock: MockClock):
    long = block_envelope("sales", 1, chain(2, size=3 * WINDOW)[1]).raw
    now.ann.elsewhere = long
    streams = []
    for _ in range(MAX_GIVEN + 1):
        stream = await now.us.host.open_stream(now.ann.host.peer_id, [BLOCK])
        await wait_all_tasks_blocked()
        if not stream.was_reset:
            await stream.send_all(frame(request(ANNOUNCED)))
        streams.append(stream)
    assert [stream.was_reset for stream in streams] == [False] * MAX_GIVEN + [True]
    now.bob.mesh = []
    now.bob.host.link(now.ann.host)
    await now.bob.large.fetch(ANNOUNCED, TOPIC, now.ann.host.peer_id, lambda peer, raw: True)
    assert now.bob.large.counters == {"blocks fetched": 1}
    # Who hardly takes anything makes room in the end.
    await trio.sleep(GIVE_GRACE + len(long) / GIVE_RATE + 1)
    assert all(stream.was_reset for stream in streams)
    assert await asks(now, frame(request(ANNOUNCED))) == long


async def test_so_many_bytes_are_kept_and_the_newest_in_any_case(
    now: Scene, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "KEPT_BYTES", 2 * len(ENVELOPE))
    made = [Announcement("sales", number, HASH) for number in range(1, 5)]
    for announced in made[:3]:
        now.ann.large.keep(announced, ENVELOPE)
    now.ann.large.keep(made[2], ENVELOPE)
    kept = [await asks(now, frame(request(announced))) for announced in made[:3]]
    assert kept == [b"", ENVELOPE, ENVELOPE]
    now.ann.large.keep(made[3], bytes(5 * len(ENVELOPE)))
    kept = [await asks(now, frame(request(announced))) for announced in made]
    assert kept == [b"", b"", b"", bytes(5 * len(ENVELOPE))]
