"""How a node ends: with everything sent, nothing left behind, and the error that ended it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

import pubsub
from tests.io.nodes import LOOPBACK, TOPIC, know, link, open_pair, raw_peer, rpc, take, until


def open_files() -> dict[str, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # the one that listed them
            continue
    return found


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Fail if tasks or sockets are left at the end of the block."""
    await trio.testing.wait_all_tasks_blocked()
    files, tasks = open_files(), trio.lowlevel.current_statistics().tasks_living
    yield
    await trio.testing.wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert open_files() == files


@pytest.mark.parametrize("turn", range(20))
async def test_what_was_published_is_sent_before_the_node_ends(turn: int):
    async with pubsub.open_node(listen=[LOOPBACK]) as receiver:
        messages = receiver.subscribe(TOPIC, capacity=2000)
        async with pubsub.open_node() as publisher:
            await publisher.connect(receiver.addresses[0])
            await know(publisher, TOPIC)
            for number in range(1000):
                await publisher.publish(TOPIC, b"%d" % number)
        assert await take(messages, 1000) == [b"%d" % number for number in range(1000)]


@pytest.mark.slow
async def test_a_peer_that_does_not_read_does_not_keep_a_node_from_ending():
    async with raw_peer(reads=False) as deaf:
        async with pubsub.open_node(listen=[LOOPBACK]) as node:
            stream = await deaf.open(node)
            await stream.send_all(rpc(subscribe=(TOPIC,)))
            await know(node, TOPIC)
            for _ in range(20):
                node.publish_nowait(TOPIC, bytes(100_000))
            started = trio.current_time()
        assert trio.current_time() - started < 3.5


async def publish(node: pubsub.Node) -> None:
    await node.publish(TOPIC, b"")


async def publish_nowait(node: pubsub.Node) -> None:
    node.publish_nowait(TOPIC, b"")


async def subscribe(node: pubsub.Node) -> None:
    node.subscribe(TOPIC)


async def events(node: pubsub.Node) -> None:
    node.events()


async def wait_for_peers(node: pubsub.Node) -> None:
    await node.wait_for_peers(TOPIC)


async def set_validator(node: pubsub.Node) -> None:
    node.set_validator(TOPIC, lambda message: True)


async def connect(node: pubsub.Node) -> None:
    await node.connect("/ip4/127.0.0.1/tcp/1")


@pytest.mark.parametrize(
    "verb", [publish, publish_nowait, subscribe, events, wait_for_peers, set_validator, connect]
)
async def test_a_closed_node_says_that_it_is_closed(verb: Callable[[pubsub.Node], Awaitable[None]]):
    async with pubsub.open_node() as node:
        pass
    with pytest.raises(pubsub.ClosedError):
        await verb(node)
    assert await node.flush(0)
    assert node.peers() == []
    node.snapshot()


async def test_those_who_wait_are_told_that_the_node_is_closed(nursery: trio.Nursery):
    told = 0

    async def wait(verb: Callable[[], Awaitable[object]]) -> None:
        nonlocal told
        with pytest.raises(pubsub.ClosedError):
            await verb()
        told += 1

    async with pubsub.open_node() as node:
        messages, news = node.subscribe(TOPIC), node.events()
        for verb in (
            messages.receive,
            messages.receive_batch,
            news.receive,
            lambda: node.wait_for_peers(TOPIC),
            lambda: node.publish(TOPIC, b"", min_peers=1, timeout=60),
        ):
            nursery.start_soon(wait, verb)
        await trio.testing.wait_all_tasks_blocked()
    await trio.testing.wait_all_tasks_blocked()
    assert told == 5


async def test_a_publisher_that_waits_for_room_is_told_that_the_node_is_closed(
    nursery: trio.Nursery,
):
    told: list[str] = []

    async def publish_all(node: pubsub.Node) -> None:
        try:
            while True:
                await node.publish(TOPIC, bytes(100_000), timeout=60)
        except pubsub.ClosedError as error:
            told.append(str(error))

    async with raw_peer(reads=False) as deaf:
        with trio.CancelScope() as scope:
            async with pubsub.open_node(
                listen=[LOOPBACK], params=pubsub.Params(queue_messages=16)
            ) as node:
                stream = await deaf.open(node)
                await stream.send_all(rpc(subscribe=(TOPIC,)))
                await know(node, TOPIC)
                nursery.start_soon(publish_all, node)
                await until(lambda: not node._router.has_room(deaf.host.peer_id))
                scope.cancel()
        await until(lambda: told)


class OddError(Exception):
    pass


@pytest.mark.parametrize(
    "error", [OddError("x"), KeyboardInterrupt(), ExceptionGroup("mine", [OddError("y")])]
)
async def test_an_error_in_the_block_comes_out_as_itself(error: BaseException):
    cause = ValueError("cause")
    error.__cause__ = cause

    async def fail() -> None:
        async with nothing_left(), pubsub.open_node(listen=[LOOPBACK]):
            raise error

    with pytest.raises(type(error)) as caught:
        await fail()
    assert caught.value is error
    assert error.__cause__ is cause


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"listen": ["/ip4/127.0.0.1/tcp/0/p2p/xyz"]}, "xyz"),
        ({"listen": ["nonsense"]}, "nonsense"),
        ({"listen": ["/ip4/192.0.2.1/tcp/0"]}, "cannot listen on /ip4/192.0.2.1/tcp/0"),
        ({"bootstrap": ["/ip4/127.0.0.1"]}, "/ip4/127.0.0.1"),
    ],
)
async def test_what_cannot_work_is_said_in_one_line(options: dict[str, list[str]], text: str):
    async def run() -> None:
        async with pubsub.open_node(**options):
            pytest.fail("began all the same")

    async with nothing_left():
        with pytest.raises(pubsub.ParamError) as caught:
            await run()
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_port_in_use_is_said_in_one_line():
    async def run(address: str) -> None:
        async with pubsub.open_node(listen=[address]):
            pytest.fail("began all the same")

    async with pubsub.open_node(listen=[LOOPBACK]) as node:
        taken = f"/ip4/127.0.0.1/tcp/{node.addresses[0].port}"
        with pytest.raises(pubsub.ParamError, match="address already in use"):
            await run(taken)


async def test_a_cancelled_node_leaves_nothing_behind():
    async with nothing_left():
        with trio.CancelScope() as scope:
            async with (
                pubsub.open_node(listen=[LOOPBACK]) as ann,
                pubsub.open_node(listen=[LOOPBACK], bootstrap=ann.addresses) as bob,
            ):
                for node in (ann, bob):
                    node.subscribe(TOPIC)
                for node in (ann, bob):
                    await know(node, TOPIC)
                started = trio.current_time()
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert trio.current_time() - started < 1


async def test_a_node_that_ends_well_leaves_nothing_behind():
    async with nothing_left():
        started = trio.current_time()
        async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
            ann.set_validator(TOPIC, lambda message: True)
            await know(ann, TOPIC)
            await ann.publish(TOPIC, b"1")
            await take(messages, 1)
        assert trio.current_time() - started < 1


async def test_a_node_ends_while_it_dials():
    async with nothing_left(), trio.open_nursery() as nursery:
        async with pubsub.open_node(bootstrap=["/ip4/127.0.0.1/tcp/1"]):
            await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def test_peers_of_a_node_that_ends_notice_at_once():
    async with pubsub.open_node(listen=[LOOPBACK]) as ann:
        async with pubsub.open_node() as bob:
            bob.subscribe(TOPIC)
            ann.subscribe(TOPIC)
            await link(bob, ann)
            await know(ann, TOPIC)
        await until(lambda: not ann.peers(), seconds=1)
        assert ann.snapshot()["mesh"] == {TOPIC: []}
