"""Many peers of one attacker: what each may take is its own share, and nobody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

import pubsub
from tests.io.nodes import LOOPBACK, know, link, until
from tests.spec.hostile_peer import (
    QUICK,
    TOPIC,
    control,
    framed,
    graft,
    hostile_peers,
    siege,
    subscription,
)

PARAMS = pubsub.Params()
SYBILS, FRIENDS = 50, 6


async def test_the_topics_of_sybils_take_no_room_from_honest_peers():
    async with siege(QUICK, attackers=16, subscribe=False) as attack:
        for index, peer in enumerate(attack.attackers):
            for start in range(0, 2000, 500):
                names = [f"{index} {start + number}" for number in range(500)]
                await peer.send(framed(*map(subscription, names)))
        most = PARAMS.max_topics_per_peer
        peers = attack.core.peers
        await until(lambda: all(len(peers[peer.id].topics) == most for peer in attack.attackers))
        # Nothing is kept of it but each peer's own list.
        assert list(attack.core.topics) == [TOPIC]
        friend = attack.friends[0]
        async with friend.subscribe("foreign"):
            await know(attack.victim, "foreign")
            assert attack.victim.peers("foreign") == [friend.peer_id]
            receipt = await attack.victim.publish("foreign", b"hello", min_peers=1)
            assert receipt.peers == (friend.peer_id,)
        for peer in attack.attackers:
            await peer.host.disconnect(attack.victim.peer_id)
        await until(lambda: len(peers) == 2)


@asynccontextmanager
async def eclipse(
    params: pubsub.Params, *, dialled: bool
) -> AsyncIterator[tuple[pubsub.Node, list[pubsub.Subscription]]]:
    """A victim whose mesh sybils have filled before its friends came, and what these receive.

    The sybils graft and pass nothing on. `dialled`: the victim dialled its friends, who are
    in a ring among themselves; otherwise they dialled it and know nobody else.
    """
    async with AsyncExitStack() as stack:

        async def node() -> pubsub.Node:
            opening = pubsub.open_node(listen=[LOOPBACK], params=params)
            return await stack.enter_async_context(opening)

        victim = await node()
        victim.subscribe(TOPIC)
        for sybil in await stack.enter_async_context(hostile_peers(SYBILS)):
            await sybil.approach(victim)
            await sybil.send(framed(subscription(TOPIC), control(graft())))
        counters = victim._router._core.counters
        await until(lambda: counters["graft_received"] == SYBILS)
        friends = [await node() for _ in range(FRIENDS)]
        readers = [friend.subscribe(TOPIC, capacity=1000) for friend in friends]
        for index, friend in enumerate(friends):
            await (link(victim, friend) if dialled else link(friend, victim))
            if dialled and index:
                await link(friend, friends[index - 1])
        await know(victim, TOPIC, SYBILS + FRIENDS)
        yield victim, readers


async def _reaches_all(victim: pubsub.Node, readers: list[pubsub.Subscription]) -> None:
    sent = [b"%d" % number for number in range(20)]
    for data in sent:
        await victim.publish(TOPIC, data)
        await trio.sleep(0.05)
    with trio.fail_after(10):
        for reader in readers:
            got = {(await reader.receive()).data for _ in sent}
            assert got == set(sent)
    assert len(victim.snapshot()["mesh"][TOPIC]) <= victim.params.d_high


@pytest.mark.slow
async def test_flood_publishing_goes_past_a_mesh_of_sybils():
    """v1.1 §Flood Publishing: a mesh of nothing but sybils, and no message is lost."""
    params = PARAMS.replaced(flood_publish=True)
    async with eclipse(params, dialled=False) as (victim, readers):
        await _reaches_all(victim, readers)


@pytest.mark.slow
async def test_sybils_cannot_keep_those_that_we_dialled_out_of_the_mesh():
    """v1.1 §Outbound Mesh Quotas: D_out members that we dialled, in a full mesh as well."""
    async with eclipse(PARAMS, dialled=True) as (victim, readers):
        peers = victim.snapshot()["peers"]

        def outbound() -> int:
            return sum(peers[peer]["outbound"] for peer in victim.snapshot()["mesh"][TOPIC])

        await until(lambda: outbound() >= PARAMS.d_out)
        await _reaches_all(victim, readers)
