"""A channel is bounded, says what it loses, and never makes the node wait."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from pubsub.errors import ClosedError, ParamError
from pubsub.node.channel import Channel
from pubsub.params import Overflow


def filled(count: int, capacity: int = 100) -> Channel[int]:
    channel = Channel[int](capacity, Overflow.DROP_OLDEST)
    for number in range(count):
        channel.offer(number)
    return channel


async def test_items_come_out_in_order():
    channel = filled(3)
    assert [await channel.receive() for _ in range(3)] == [0, 1, 2]
    assert len(channel) == 0


@pytest.mark.parametrize(
    ("overflow", "kept"),
    [(Overflow.DROP_OLDEST, [2, 3, 4]), (Overflow.DROP_NEWEST, [0, 1, 2])],
)
async def test_a_full_channel_loses_by_its_policy_and_counts(overflow: Overflow, kept: list[int]):
    channel = Channel[int](3, overflow)
    assert [channel.offer(number) for number in range(5)] == [True, True, True, False, False]
    assert channel.lost == 2
    assert await channel.receive_batch(10) == kept


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_channel_holds_something(capacity: int):
    with pytest.raises(ParamError, match="capacity must be a whole number of at least 1"):
        Channel[int](capacity, Overflow.DROP_OLDEST)


async def test_a_waiting_reader_wakes(nursery: trio.Nursery):
    channel = filled(0)
    got: list[int] = []

    async def read() -> None:
        got.append(await channel.receive())

    nursery.start_soon(read)
    await wait_all_tasks_blocked()
    channel.offer(7)
    await wait_all_tasks_blocked()
    assert got == [7]


async def test_a_batch_takes_what_is_there_up_to_its_limit():
    channel = filled(5)
    assert await channel.receive_batch(3) == [0, 1, 2]
    assert await channel.receive_batch(3) == [3, 4]


async def test_a_batch_waits_for_the_first_item(nursery: trio.Nursery):
    channel = filled(0)
    got: list[list[int]] = []

    async def read() -> None:
        got.append(await channel.receive_batch())

    nursery.start_soon(read)
    await wait_all_tasks_blocked()
    channel.offer(1)
    channel.offer(2)
    await wait_all_tasks_blocked()
    assert got == [[1, 2]]


def test_not_waiting_says_that_nothing_is_there():
    channel = filled(1)
    assert channel.receive_nowait() == 0
    with pytest.raises(trio.WouldBlock):
        channel.receive_nowait()
    channel.close()
    with pytest.raises(ClosedError):
        channel.receive_nowait()


async def test_what_waits_can_be_read_after_the_end():
    channel = filled(2)
    channel.close()
    assert await channel.receive() == 0
    assert await channel.receive_batch() == [1]
    with pytest.raises(ClosedError):
        await channel.receive()
    with pytest.raises(ClosedError):
        await channel.receive_batch()


async def test_the_end_wakes_every_reader(nursery: trio.Nursery):
    channel = filled(0)
    ended = 0

    async def read() -> None:
        nonlocal ended
        with pytest.raises(ClosedError):
            await channel.receive()
        ended += 1

    for _ in range(3):
        nursery.start_soon(read)
    await wait_all_tasks_blocked()
    channel.close()
    await wait_all_tasks_blocked()
    assert ended == 3


@pytest.mark.parametrize("batched", [False, True])
async def test_readers_share_the_items_without_stumbling(nursery: trio.Nursery, batched: bool):
    # Both find an item, one yields before it takes it, the other is quicker.
    count = 1000
    channel = filled(count, capacity=count)
    got: list[int] = []

    async def read() -> None:
        while True:
            if batched:
                items = await channel.receive_batch(7)
                assert items
                got.extend(items)
            else:
                got.append(await channel.receive())

    for _ in range(5):
        nursery.start_soon(read)
    await wait_all_tasks_blocked()
    nursery.cancel_scope.cancel()
    assert sorted(got) == list(range(count))


async def test_a_cancelled_reader_takes_nothing(nursery: trio.Nursery):
    channel = filled(0)
    with trio.move_on_after(0):
        await channel.receive()
    channel.offer(1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await channel.receive()
    assert await channel.receive() == 1


@pytest.mark.parametrize("overflow", ["drop_newest", None, 1])
def test_a_policy_that_is_none_is_refused(overflow: object) -> None:
    with pytest.raises(ParamError, match="Overflow"):
        Channel(1, overflow)


async def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ParamError, match="at least 1"):
        await Channel(1, Overflow.DROP_OLDEST).receive_batch(0)
