"""What a node tells of its peers, and what it shows of itself."""

from __future__ import annotations

import json

import trio

import pubsub
from pubsub.router.effects import PeerJoined, PeerLeft
from tests.io.nodes import LOOPBACK, TOPIC, know, link, open_pair, take, until

KEYS = {
    *("peer", "peers", "subscriptions", "mesh", "fanout", "recent", "scores", "queues"),
    *("drops", "counters", "addresses", "readers", "backoff", "caches"),
}


async def test_a_peer_comes_joins_leaves_and_goes():
    async with pubsub.open_node(listen=[LOOPBACK]) as ann, ann.events() as events:
        async with pubsub.open_node() as bob:
            me = bob.peer_id
            await bob.connect(ann.addresses[0])
            with trio.fail_after(5):
                assert await events.receive() == pubsub.Connected(me)
            async with bob.subscribe(TOPIC):
                with trio.fail_after(5):
                    assert await events.receive() == pubsub.PeerJoined(TOPIC, me)
            with trio.fail_after(5):
                assert await events.receive() == pubsub.PeerLeft(TOPIC, me)
            bob.subscribe("other")
            with trio.fail_after(5):
                assert await events.receive() == pubsub.PeerJoined("other", me)
        with trio.fail_after(5):
            assert await events.receive() == pubsub.PeerLeft("other", me)
            assert await events.receive() == pubsub.Disconnected(me)
        assert events.waiting == 0
        assert not ann.peers()


async def test_events_are_those_of_the_router():
    assert pubsub.PeerJoined is PeerJoined
    assert pubsub.PeerLeft is PeerLeft


async def test_each_event_stream_gets_all_and_the_slow_one_loses_the_oldest():
    async with open_pair() as (ann, bob):
        quick, slow = ann.events(), ann.events(capacity=2)
        for number in range(5):
            bob.subscribe(f"topic {number}")
        await know(ann, "topic 4")
        assert [event.topic for event in await quick.receive_batch()] == [
            f"topic {number}" for number in range(5)
        ]
        assert slow.lost == 3
        assert [event.topic for event in await slow.receive_batch()] == ["topic 3", "topic 4"]
        slow.close()
        bob.subscribe("one more")
        await know(ann, "one more")
        assert slow.waiting == 0
        assert quick.waiting == 1


async def test_events_end_with_the_node():
    async with pubsub.open_node() as node:
        events = node.events()
    assert [event async for event in events] == []


async def test_an_unwanted_disconnect_has_a_reason():
    async with open_pair() as (ann, bob), ann.events() as events:
        ann._engine.peering.expel(bob.peer_id, "it is not liked")
        with trio.fail_after(5):
            assert await events.receive() == pubsub.Disconnected(bob.peer_id, "it is not liked")
        assert not ann._engine.peering.reasons
        await until(lambda: not bob.peers())
        # That was about what it did, not about who it is.
        await link(bob, ann)


async def test_a_snapshot_is_plain_data_with_all_its_keys():
    async with open_pair() as (ann, bob):
        messages = [node.subscribe(TOPIC) for node in (ann, bob)]
        await know(ann, TOPIC)
        await know(bob, TOPIC)
        receipt = await ann.publish(TOPIC, b"1")
        await ann.publish("elsewhere", b"2")
        await take(messages[1], 1)
        for node, other in ((ann, bob), (bob, ann)):
            snapshot = node.snapshot()
            assert snapshot.keys() >= KEYS
            assert json.loads(json.dumps(snapshot)) == snapshot
            peer = str(other.peer_id)
            assert snapshot["peer"] == str(node.peer_id)
            assert snapshot["addresses"] == [str(address) for address in node.addresses]
            assert list(snapshot["peers"]) == [peer]
            assert snapshot["peers"][peer]["protocol"] == "/meshsub/1.2.0"
            assert snapshot["peers"][peer]["topics"] == [TOPIC]
            assert snapshot["subscriptions"] == [TOPIC]
            assert snapshot["mesh"] == {TOPIC: [peer]}
            assert {"topic": TOPIC, "id": receipt.id.hex()} in snapshot["recent"]
            assert snapshot["queues"] == {peer: {"messages": 0, "bytes": 0}}
        # Copies: what is done to one changes nothing.
        ann.snapshot()["subscriptions"].clear()
        assert ann.snapshot()["subscriptions"] == [TOPIC]


async def test_addresses_are_what_others_connect_to():
    async with pubsub.open_node(listen=[LOOPBACK, "/ip6/::1/tcp/0"]) as node:
        assert len(node.addresses) == 2
        for address in node.addresses:
            assert str(address).endswith(f"/p2p/{node.peer_id}")
            async with pubsub.open_node() as other:
                assert await other.connect(str(address)) == node.peer_id
                await until(lambda: len(node.peers()) == 1)
            await until(lambda: not node.peers())
