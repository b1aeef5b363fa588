"""The peers a node wants: direct ones, mesh members, those that others name."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio

import pubsub
from pubsub.host import Stream
from pubsub.identity import PrivateKey, peer_id_of
from pubsub.identity.envelope import seal_peer_record
from pubsub.pb import rpc_pb2
from tests.io.nodes import (
    LOOPBACK,
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

QUICK = pubsub.Params(heartbeat_interval=0.05)
EXCHANGE = QUICK.replaced(peer_exchange=True)
TRUSTING = pubsub.Scoring(thresholds=pubsub.ScoreThresholds(accept_px=0.0))


# Direct peers


async def test_direct_peers_find_each_other_and_send_everything_without_a_mesh():
    async with (
        pubsub.open_node(listen=[LOOPBACK]) as ann,
        pubsub.open_node(listen=[LOOPBACK], direct=ann.addresses) as bob,
    ):
        assert ann.add_direct_peer(*bob.addresses) == bob.peer_id
        assert (ann.direct_peers, bob.direct_peers) == ([bob.peer_id], [ann.peer_id])
        assert ann.snapshot()["direct"] == [str(bob.peer_id)]
        async with ann.subscribe(TOPIC) as anns, bob.subscribe(TOPIC) as bobs:
            await know(ann, TOPIC)
            await know(bob, TOPIC)
            await ann.publish(TOPIC, b"from ann")
            await bob.publish(TOPIC, b"from bob")
            assert await take(bobs, 1) == [b"from ann"]
            assert await take(anns, 1) == [b"from bob"]
            assert mesh(ann) == mesh(bob) == []


async def test_a_direct_peer_that_goes_and_returns_is_connected_again():
    key = PrivateKey.generate(os.urandom)
    async with pubsub.open_node(listen=[LOOPBACK], key=key) as ann:
        address = ann.addresses[0]
        async with pubsub.open_node(direct=[address]) as bob:
            await until(lambda: bob.peers() == [ann.peer_id])
            await ann.host.disconnect(bob.peer_id)
            # Lost soon after it came: the next dial waits a second or two.
            await until(lambda: not bob.peers())
            await until(lambda: bob.peers() == [ann.peer_id])


async def test_a_direct_peer_that_is_removed_is_an_ordinary_one():
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=QUICK) as ann,
        pubsub.open_node(listen=[LOOPBACK], params=QUICK) as bob,
    ):
        bob.add_direct_peer(*ann.addresses)
        ann.add_direct_peer(*bob.addresses)
        async with ann.subscribe(TOPIC), bob.subscribe(TOPIC):
            await know(ann, TOPIC)
            await know(bob, TOPIC)
            ann.remove_direct_peer(bob.peer_id)
            bob.remove_direct_peer(ann.peer_id)
            assert ann.direct_peers == bob.direct_peers == []
            assert bob.peers() == [ann.peer_id]
            await until(lambda: mesh(bob) and mesh(ann))
        with pytest.raises(pubsub.ParamError, match="is not a direct peer"):
            bob.remove_direct_peer(ann.peer_id)


async def test_a_direct_peer_must_be_somebody_else_and_have_a_name():
    async with pubsub.open_node(listen=[LOOPBACK]) as node:
        nameless = str(node.addresses[0]).partition("/p2p/")[0]
        with pytest.raises(pubsub.ParamError, match="must all end in its id"):
            node.add_direct_peer(nameless)
        with pytest.raises(pubsub.ParamError, match="its own direct peer"):
            node.add_direct_peer(*node.addresses)
        with pytest.raises(pubsub.ParamError, match="must all end in its id"):
            async with pubsub.open_node(direct=[nameless]):
                raise AssertionError("it opened")
        assert node.direct_peers == []


# Peer exchange


async def test_who_is_pruned_finds_the_others_by_their_records():
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=EXCHANGE) as hub,
        pubsub.open_node(listen=[LOOPBACK], params=QUICK, scoring=TRUSTING) as ann,
        pubsub.open_node(listen=[LOOPBACK], params=QUICK) as bob,
        ann.subscribe(TOPIC),
        bob.subscribe(TOPIC) as messages,
    ):
        async with hub.subscribe(TOPIC):
            for node in (ann, bob):
                await link(node, hub)
            await until(lambda: len(mesh(hub)) == 2 and mesh(ann))
            await until(lambda: hub.host.peer_store.signed_record(bob.peer_id))
            assert bob.peer_id not in ann.peers()
        # The hub leaves the topic, and with its PRUNE each hears of the other.
        await until(lambda: bob.peer_id in ann.peers())
        await ann.publish(TOPIC, b"without the hub", min_peers=1)
        assert await take(messages, 1) == [b"without the hub"]
        assert ann.snapshot()["counters"]["px_taken"] == 1
        # Bob heard of ann as well, and by default believes nobody.
        await until(lambda: drops(bob, "px_below_threshold") == 1)
        assert "px_taken" not in bob.snapshot()["counters"]


@asynccontextmanager
async def pruner(node: pubsub.Node) -> AsyncIterator[tuple[RawPeer, Stream]]:
    """A raw peer in the node's mesh."""
    async with raw_peer() as peer:
        stream = await peer.open(node)
        await stream.send_all(rpc(subscribe=(TOPIC,)))
        await know(node, TOPIC)
        yield peer, stream


def prune(*offered: tuple[pubsub.PeerId, bytes]) -> bytes:
    """A PRUNE that names these peers with these records."""
    entry = rpc_pb2.ControlPrune(topic_id=TOPIC, backoff=60)
    for peer, record in offered:
        entry.peers.add(peer_id=bytes(peer), signed_peer_record=record)
    return rpc(prune=[entry])


async def test_a_record_that_another_signed_is_not_dialled_and_the_true_one_is():
    liar = PrivateKey.generate(os.urandom)
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=QUICK, scoring=TRUSTING) as node,
        pubsub.open_node(listen=[LOOPBACK]) as bob,
        node.subscribe(TOPIC),
        node.trace() as trace,
        pruner(node) as (peer, stream),
    ):
        theirs = seal_peer_record(liar, bob.addresses, 1)
        await stream.send_all(prune((bob.peer_id, theirs), (peer_id_of(liar.public_key), b"x")))
        await until(lambda: drops(node, "px_bad_record") == 2)
        told = [one for one in await trace.receive_batch(100) if isinstance(one, pubsub.Dropped)]
        assert {(one.reason, one.peer) for one in told} == {("px_bad_record", peer.host.peer_id)}
        assert bob.peer_id not in node.host.peer_store
        await stream.send_all(prune((bob.peer_id, bob.host.signed_record())))
        await until(lambda: bob.peer_id in node.peers())


async def test_who_answers_in_the_place_of_an_offered_peer_is_not_taken_for_it():
    missing = PrivateKey.generate(os.urandom)
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=QUICK, scoring=TRUSTING) as node,
        pubsub.open_node(listen=[LOOPBACK]) as bob,
        node.subscribe(TOPIC),
        pruner(node) as (_, stream),
    ):
        record = seal_peer_record(missing, [bob.addresses[0].with_peer(None)], 1)
        await stream.send_all(prune((peer_id_of(missing.public_key), record)))
        await until(lambda: node.snapshot()["counters"].get("host_failed_background_dials"))
        assert len(node.peers()) == 1


# Members are trimmed last


async def test_a_mesh_member_stays_while_others_are_trimmed():
    limits = pubsub.HostParams(high_water=3, low_water=2, grace_period=0.01)
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=QUICK, host_params=limits) as hub,
        pubsub.open_node() as first,
        pubsub.open_node() as second,
        pubsub.open_node() as third,
        pubsub.open_node() as member,
        hub.subscribe(TOPIC),
        member.subscribe(TOPIC),
    ):
        for node in (first, second, member):
            await link(node, hub)
        await until(lambda: mesh(hub))
        await trio.sleep(0.02)
        # One too many. The member came last of those that are known, and would go first.
        with suppress(pubsub.PubSubError):
            await third.connect(hub.addresses[0])
        await until(lambda: len(hub.host.connected_peers()) == 2)
        assert member.peer_id in hub.host.connected_peers()
        assert mesh(hub) == [str(member.peer_id)]
        assert hub.snapshot()["counters"]["host_trimmed_connections"] == 2


async def test_who_leaves_the_mesh_is_protected_no_more():
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=QUICK) as ann,
        pubsub.open_node(params=QUICK) as bob,
    ):
        await link(bob, ann)
        async with ann.subscribe(TOPIC):
            async with bob.subscribe(TOPIC):
                await until(lambda: mesh(ann) and mesh(bob))
                assert ann.host._worth.is_protected(bob.peer_id)
            await until(lambda: not mesh(ann))
            assert not ann.host._worth.is_protected(bob.peer_id)
