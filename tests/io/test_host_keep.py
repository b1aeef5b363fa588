"""Staying connected to a peer, between whole hosts."""

import random

import pytest
import trio

from pubsub.discovery import keep
from tests.io.hosts import Node, world


@pytest.fixture(autouse=True)
def settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "SETTLED_AFTER", 0)


async def stay_with(node: Node, other: Node) -> None:
    rng = random.Random(1)
    await keep.keep_peer(node.host, other.id, [other.address], rng=rng)


async def test_a_lost_peer_is_dialled_at_once_for_as_long_as_it_is_kept() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stay_with, a, b)
            for times in (1, 2, 3):
                await a.log.seen("connected", times)
                await b.log.seen("connected", times)
                await b.host.disconnect(a.id)
            await a.log.seen("connected", 4)
            nursery.cancel_scope.cancel()
        await b.log.seen("connected", 4)
        assert a.host.is_connected(b.id)
        await b.host.disconnect(a.id)
        await a.log.seen("disconnected", 4)
        assert a.log.count("connected") == 4
        assert a.host._connections.listeners == [a.log]


async def test_two_that_keep_each_other_find_together_again() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stay_with, a, b)
            nursery.start_soon(stay_with, b, a)
            await a.log.seen("identified")
            await b.log.seen("identified")
            await a.host.disconnect(b.id)
            await a.log.seen("connected", 2)
            await b.log.seen("connected", 2)
            assert await a.host.ping(b.id) > 0
            nursery.cancel_scope.cancel()
