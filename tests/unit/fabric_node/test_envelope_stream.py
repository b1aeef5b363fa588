from __future__ import annotations

import random
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.errors import PubSubError, RemoteError, StreamError
from pubsub.fabric_node import envelope_stream as module
from pubsub.fabric_node.envelope_stream import (
    FREE,
    GRACE,
    MIN_RATE,
    SHEDDING,
    Budget,
    EnvelopeStream,
    TooSlowPeerError,
)
from pubsub.wire.framing import frame
from pubsub.wire.varint import encode_varint
from tests.fuzz import hostile_bytes
from tests.unit.fabric_node.fake_hosts import FakeStream, peer_id

US, ANN, BOB = (peer_id(number) for number in range(3))
LIMIT = 1 << 20


def streams(
    limit: int = LIMIT, budget: Budget | None = None, peer: Any = ANN
) -> tuple[FakeStream, EnvelopeStream]:
    """A peer's end, and ours."""
    theirs, ours = FakeStream.pair(peer, US)
    return theirs, EnvelopeStream(cast("Any", ours), limit, budget or Budget(4 * LIMIT))


async def sent(data: bytes, *, piece: int = 1 << 30, limit: int = LIMIT) -> list[bytes]:
    """What we receive of bytes after which the peer ends the stream."""
    theirs, ours = streams(limit)
    theirs.piece = piece
    got = []
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            await theirs.send_all(data)
            theirs.close()

        nursery.start_soon(send)
        error: PubSubError | None = None
        try:
            while (envelope := await ours.receive()) is not None:
                got.append(envelope)
        except PubSubError as raised:
            error = raised
        nursery.cancel_scope.cancel()
    if error is not None:
        raise error
    assert ours.received == len(data)
    return got


@pytest.mark.parametrize("piece", [1, 2, 7, 100_000])
async def test_envelopes_come_out_as_they_went_in(piece: int):
    envelopes = [b"", b"a", b"bc" * 100, b"", b"d" * 3000, b"e"]
    assert await sent(b"".join(map(frame, envelopes)), piece=piece) == envelopes


async def test_a_long_envelope_and_what_follows_it():
    envelopes = [random.Random(1).randbytes(LIMIT), b"after", b"it"]
    assert await sent(b"".join(map(frame, envelopes)), piece=9999) == envelopes


async def test_what_we_send_is_read_by_the_other_end():
    here, there = FakeStream.pair(ANN, US)
    one, other = (EnvelopeStream(cast("Any", end), LIMIT, Budget(1)) for end in (here, there))
    await one.send(b"x" * 200)
    assert await other.receive() == b"x" * 200


@pytest.mark.parametrize("end", [1, 2, 5])
async def test_a_stream_that_ends_within_an_envelope_is_broken(end: int):
    with pytest.raises(StreamError, match="within"):
        await sent(frame(b"a" * 200)[:end])


async def test_a_stream_that_is_reset_is_broken():
    theirs, ours = streams()
    theirs.reset()
    with pytest.raises(StreamError, match="reset"):
        await ours.receive()


@pytest.mark.parametrize("piece", [1, 100])
async def test_a_length_over_the_limit_is_refused_before_anything_follows(piece: int):
    theirs, ours = streams(limit=1000)
    theirs.piece = piece
    await theirs.send_all(encode_varint(1001))
    with pytest.raises(RemoteError, match="1001 bytes; at most 1000") as caught:
        await ours.receive()
    assert caught.value.penalty == 10
    assert await sent(frame(bytes(1000)), limit=1000) == [bytes(1000)]


async def test_a_length_without_an_end_is_refused():
    theirs, ours = streams()
    await theirs.send_all(b"\xff" * 20)
    with pytest.raises(RemoteError):
        await ours.receive()


async def test_hostile_bytes_are_refused_whole_and_in_pieces_alike():
    valid = [frame(b"envelope") + frame(b"x" * 300), frame(b"") + frame(b"y" * 20)]
    for data in hostile_bytes(random.Random(1), valid, 150):
        found: list[object] = []
        for piece in (1 << 30, 1):
            try:
                found.append(await sent(data, piece=piece, limit=1000))
            except (RemoteError, StreamError) as error:
                found.append(str(error))
        assert found[0] == found[1]


async def test_an_envelope_that_hardly_goes_on_is_given_up(autojump_clock: MockClock):
    theirs, ours = streams()
    await theirs.send_all(frame(bytes(LIMIT))[:100])
    with pytest.raises(TooSlowPeerError, match="1048576 bytes hardly goes on"):
        await ours.receive()
    assert trio.current_time() == GRACE + LIMIT / MIN_RATE


async def test_a_stream_may_be_silent_between_envelopes(
    nursery: trio.Nursery, autojump_clock: MockClock
):
    theirs, ours = streams()

    async def send() -> None:
        await trio.sleep(1000)
        await theirs.send_all(frame(b"late"))

    nursery.start_soon(send)
    assert await ours.receive() == b"late"


async def test_a_stream_that_was_asked_may_be_silent_so_long(autojump_clock: MockClock):
    _, ours = streams()
    with pytest.raises(TooSlowPeerError, match="no envelope began within 7 s"):
        await ours.receive(7)
    assert trio.current_time() == 7


async def test_others_have_their_turn_between_envelopes_that_came_at_once(nursery: trio.Nursery):
    theirs, ours = streams()
    await theirs.send_all(frame(b"a") * 50)
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    nursery.start_soon(take_turns)
    for _ in range(50):
        await ours.receive()
    nursery.cancel_scope.cancel()
    assert turns >= 40


# -- The budget


async def test_a_budget_is_taken_and_given_back():
    budget = Budget(100)
    await budget.take(ANN, 60)
    await budget.take(BOB, 40)
    assert budget.held == 100
    budget.give(ANN, 60)
    budget.give(BOB, 40)
    assert budget.held == 0


async def test_one_peer_has_a_quarter_and_whoever_comes_first_may_exceed_it():
    budget = Budget(100)
    await budget.take(ANN, 20)
    with trio.move_on_after(0) as scope:
        await budget.take(ANN, 6)
    assert scope.cancelled_caught
    await budget.take(ANN, 5)
    await budget.take(BOB, 75)
    budget.give(BOB, 75)
    budget.give(ANN, 25)
    await budget.take(ANN, 1000)
    assert budget.held == 1000


async def test_who_waits_for_room_has_it_when_others_have_done(nursery: trio.Nursery):
    budget, order = Budget(100), []

    async def take(peer: Any, size: int) -> None:
        await budget.take(peer, size)
        order.append((peer, size))

    await budget.take(ANN, 90)
    nursery.start_soon(take, BOB, 50)
    await wait_all_tasks_blocked()
    assert not order
    nursery.start_soon(take, US, 10)
    await wait_all_tasks_blocked()
    assert order == [(US, 10)]
    budget.give(ANN, 90)
    await wait_all_tasks_blocked()
    assert order == [(US, 10), (BOB, 50)]


async def test_long_envelopes_of_one_peer_come_one_after_the_other(nursery: trio.Nursery):
    budget = Budget(8 * FREE)
    got: list[str] = []

    async def read(name: str, stream: EnvelopeStream) -> None:
        assert await stream.receive() is not None
        got.append(name)

    size = 2 * FREE
    first, ours = streams(budget=budget)
    nursery.start_soon(read, "ann 1", ours)
    await first.send_all(frame(bytes(size))[:-1])
    await wait_all_tasks_blocked()
    for name, peer in (("ann 2", ANN), ("bob", BOB)):
        theirs, ours = streams(budget=budget, peer=peer)
        nursery.start_soon(read, name, ours)
        await theirs.send_all(frame(bytes(size)))
    await wait_all_tasks_blocked()
    assert got == ["bob"]
    await first.send_all(b"\0")
    await wait_all_tasks_blocked()
    assert got == ["bob", "ann 1", "ann 2"]
    assert budget.held == 0


async def test_while_others_wait_for_room_the_slowest_is_given_up(
    autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MIN_RATE", 500)
    monkeypatch.setattr(module, "BUSY_RATE", 5000)
    size = 2 * FREE
    budget = Budget(8 * FREE)
    outcomes: list[str] = []

    async def read(name: str, stream: EnvelopeStream) -> None:
        with pytest.raises(TooSlowPeerError) as caught:
            await stream.receive()
        outcomes.append(f"{name}: {caught.value}")

    async def dribble(stream: Any, rate: int) -> None:
        await stream.send_all(frame(bytes(size))[:10])
        while True:
            await stream.send_all(bytes(rate))
            await trio.sleep(1.0)

    for number, rate in enumerate((1000, 700, 5100, 900)):
        theirs, ours = streams(budget=budget, peer=peer_id(10 + number))
        nursery.start_soon(read, str(rate), ours)
        nursery.start_soon(dribble, theirs, rate)
    await trio.sleep(GRACE + 5)
    # They fill the budget, and nobody waits.
    assert (budget.held, outcomes) == (4 * size, [])
    with trio.fail_after(SHEDDING):
        await budget.take(BOB, size)
    assert outcomes == [f"700: an envelope of {size} bytes is too slow for others who wait"]
    with trio.fail_after(2 * SHEDDING):
        await budget.take(ANN, 2 * size)
    assert [each.split(":")[0] for each in outcomes] == ["700", "900", "1000"]
    # One that comes quickly enough is waited for.
    with trio.move_on_after(2 * SHEDDING) as scope:
        await budget.take(US, size)
    assert scope.cancelled_caught
    assert len(outcomes) == 3
    nursery.cancel_scope.cancel()


async def test_an_envelope_that_is_not_finished_gives_its_budget_back():
    budget = Budget(8 * FREE)
    theirs, ours = streams(budget=budget)
    await theirs.send_all(frame(bytes(2 * FREE))[:1000])
    theirs.close()
    with pytest.raises(PubSubError):
        await ours.receive()
    assert budget.held == 0


async def test_short_envelopes_need_no_budget():
    budget = Budget(1)
    await budget.take(BOB, 1)
    theirs, ours = streams(budget=budget)
    await theirs.send_all(frame(bytes(FREE)))
    assert await ours.receive() == bytes(FREE)
