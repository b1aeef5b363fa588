"""Subscriptions as readers: bounded, with a stated loss, and with an end."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import pubsub
from tests.io.nodes import TOPIC, drops, know, open_pair, take, until


@pytest.mark.parametrize(
    ("overflow", "kept"),
    [
        (pubsub.Overflow.DROP_OLDEST, range(6, 10)),
        (pubsub.Overflow.DROP_NEWEST, range(4)),
    ],
)
async def test_a_slow_reader_loses_by_its_policy_and_is_told(
    overflow: pubsub.Overflow, kept: range
):
    async with open_pair() as (ann, bob):
        slow = bob.subscribe(TOPIC, capacity=4, overflow=overflow)
        quick = bob.subscribe(TOPIC)
        await know(ann, TOPIC)
        for number in range(10):
            await ann.publish(TOPIC, b"%d" % number)
        assert len(await take(quick, 10)) == 10
        assert slow.lost == 6
        assert slow.waiting == 4
        assert quick.lost == 0
        assert drops(bob, "reader_too_slow") == 6
        assert bob.snapshot()["readers"] == {
            TOPIC: [{"waiting": 4, "lost": 6}, {"waiting": 0, "lost": 0}]
        }
        assert await take(slow, 4) == [b"%d" % number for number in kept]


async def test_capacity_must_hold_something():
    async with pubsub.open_node() as node:
        with pytest.raises(pubsub.ParamError, match="capacity"):
            node.subscribe(TOPIC, capacity=0)
        assert node.snapshot()["subscriptions"] == []


async def test_messages_can_be_read_in_batches():
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        await know(ann, TOPIC)
        for number in range(100):
            await ann.publish(TOPIC, b"%d" % number)
        await until(lambda: messages.waiting == 100)
        assert len(await messages.receive_batch()) == 64
        assert [one.data for one in await messages.receive_batch(2)] == [b"64", b"65"]
        assert len(await messages.receive_batch(1000)) == 34
        with pytest.raises(trio.WouldBlock):
            messages.receive_nowait()


@pytest.mark.parametrize("closer", ["subscription", "node"])
async def test_reading_ends_when_it_is_closed(nursery: trio.Nursery, closer: str):
    ended: list[list[bytes]] = []

    async def read(messages: pubsub.Subscription) -> None:
        ended.append([message.data async for message in messages])

    async with open_pair() as (ann, bob):
        messages = bob.subscribe(TOPIC)
        nursery.start_soon(read, messages)
        await know(ann, TOPIC)
        await (await ann.publish(TOPIC, b"1")).sent()
        await until(lambda: bob.snapshot()["recent"])
        if closer == "subscription":
            messages.close()
            await wait_all_tasks_blocked()
            assert ended == [[b"1"]]
    await wait_all_tasks_blocked()
    assert ended == [[b"1"]]


async def test_what_came_before_the_close_can_still_be_read():
    async with open_pair() as (ann, bob):
        messages = bob.subscribe(TOPIC)
        await know(ann, TOPIC)
        await ann.publish(TOPIC, b"1")
        await until(lambda: messages.waiting == 1)
        messages.close()
        messages.close()
        assert (await messages.receive()).data == b"1"
        with pytest.raises(pubsub.ClosedError):
            await messages.receive()


async def test_a_closed_subscription_gets_nothing_more():
    async with open_pair() as (ann, bob):
        closed, other = bob.subscribe(TOPIC), bob.subscribe(TOPIC)
        closed.close()
        await know(ann, TOPIC)
        await ann.publish(TOPIC, b"1")
        await take(other, 1)
        assert closed.waiting == closed.lost == 0


async def test_leaving_the_block_of_a_subscription_unsubscribes_also_on_error():
    async with open_pair() as (ann, bob):

        async def leave() -> None:
            async with bob.subscribe(TOPIC):
                await know(ann, TOPIC)
                raise KeyError

        with pytest.raises(KeyError):
            await leave()
        await until(lambda: not ann.peers(TOPIC))


async def test_two_tasks_may_read_one_subscription():
    got: list[bytes] = []

    async def read(messages: pubsub.Subscription) -> None:
        async for message in messages:
            got.append(message.data)  # noqa: PERF401 - the list is shared

    async with open_pair() as (ann, bob), trio.open_nursery() as nursery:
        messages = bob.subscribe(TOPIC)
        await know(ann, TOPIC)
        nursery.start_soon(read, messages)
        nursery.start_soon(read, messages)
        for number in range(300):
            await ann.publish(TOPIC, b"%d" % number)
        await until(lambda: len(got) == 300)
        messages.close()
    assert len(set(got)) == 300
