"""Links to peers survive what connections do not: restarts, and dials from both ends at once."""

from __future__ import annotations

import os
import random

import pytest
import trio
import trio.testing

import pubsub
from pubsub.identity import PrivateKey
from tests.io.nodes import (
    LOOPBACK,
    TOPIC,
    drops,
    know,
    link,
    mesh,
    open_pair,
    raw_peer,
    rpc,
    take,
    until,
)


def in_mesh(one: pubsub.Node, two: pubsub.Node) -> bool:
    return str(two.peer_id) in mesh(one)


async def test_a_peer_that_restarts_is_found_again_with_its_topics_and_mesh():
    key = PrivateKey.generate(os.urandom)
    first_ends = trio.Event()

    async def run_first(task_status: trio.TaskStatus[pubsub.Node]) -> None:
        async with pubsub.open_node(listen=[LOOPBACK], key=key) as node:
            node.subscribe(TOPIC)
            task_status.started(node)
            await first_ends.wait()

    async with trio.open_nursery() as nursery:
        first = await nursery.start(run_first)
        address = first.addresses[0]
        async with pubsub.open_node(bootstrap=[address]) as ann:
            own = ann.subscribe(TOPIC)
            await until(lambda: in_mesh(ann, first) and in_mesh(first, ann))
            first_ends.set()
            await until(lambda: not ann.peers())
            async with pubsub.open_node(listen=[address.with_peer(None)], key=key) as second:
                messages = second.subscribe(TOPIC)
                # The first pause after a loss is one to two seconds.
                await until(lambda: in_mesh(ann, second) and in_mesh(second, ann))
                await ann.publish(TOPIC, b"there?")
                assert await take(messages, 1) == [b"there?"]
                await second.publish(TOPIC, b"here")
                assert await take(own, 1) == [b"here"]


async def dial_both_ways(ann: pubsub.Node, bob: pubsub.Node) -> None:
    """Two connections between the same peers, one from each end."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ann.connect, bob.addresses[0])
        nursery.start_soon(bob.connect, ann.addresses[0])
    await until(lambda: len(connections(ann, bob)) == len(connections(bob, ann)) == 2)
    await until(lambda: bob.peer_id in ann.peers() and ann.peer_id in bob.peers())


def connections(one: pubsub.Node, two: pubsub.Node) -> list[object]:
    return list(one.host._connections.get(two.peer_id, ()))


async def test_two_connections_between_two_peers_are_one_link():
    async with (
        pubsub.open_node(listen=[LOOPBACK]) as ann,
        pubsub.open_node(listen=[LOOPBACK]) as bob,
    ):
        news = ann.events()
        await dial_both_ways(ann, bob)
        readers = {node: node.subscribe(TOPIC) for node in (ann, bob)}
        await until(lambda: in_mesh(ann, bob) and in_mesh(bob, ann))
        for node, other in ((ann, bob), (bob, ann)):
            for number in range(50):
                receipt = await node.publish(TOPIC, b"%d" % number)
                assert receipt.peers == (other.peer_id,)
            assert len(await take(readers[other], 50)) == 50
        for node in (ann, bob):
            assert len(node.peers()) == 1
            assert "duplicate" not in node.snapshot()["counters"]
            assert readers[node].waiting == 0
        told = [await news.receive() for _ in range(news.waiting)]
        assert told == [
            pubsub.Connected(bob.peer_id),
            pubsub.PeerJoined(TOPIC, bob.peer_id),
            pubsub.Grafted(TOPIC, bob.peer_id),
        ]


@pytest.mark.parametrize("which", [0, 1])
async def test_closing_one_of_two_connections_keeps_the_link(which: int):
    async with (
        pubsub.open_node(listen=[LOOPBACK]) as ann,
        pubsub.open_node(listen=[LOOPBACK]) as bob,
    ):
        await dial_both_ways(ann, bob)
        readers = {node: node.subscribe(TOPIC) for node in (ann, bob)}
        await until(lambda: in_mesh(ann, bob) and in_mesh(bob, ann))
        news = [node.events() for node in (ann, bob)]
        ann.host._connections[bob.peer_id][which].close("a test closes it")
        await until(lambda: len(connections(ann, bob)) == len(connections(bob, ann)) == 1)
        for node, other in ((ann, bob), (bob, ann)):
            for number in range(20):
                assert (await node.publish(TOPIC, b"%d" % number)).peers == (other.peer_id,)
            assert len(await take(readers[other], 20)) == 20
            assert in_mesh(node, other)
        assert all(stream.waiting == 0 for stream in news)


async def test_a_stream_that_breaks_is_opened_again_and_says_hello_again():
    async with pubsub.open_node(listen=[LOOPBACK]) as node, raw_peer() as peer:
        node.subscribe(TOPIC)
        stream = await peer.open(node)
        await stream.send_all(rpc(subscribe=(TOPIC,)))
        await until(lambda: str(peer.host.peer_id) in mesh(node) and b"\x01t" in peer.heard)
        peer.heard.clear()
        peer.inbound[0].reset()
        await until(lambda: len(peer.inbound) == 2 and b"\x01t" in peer.heard)
        receipt = await node.publish(TOPIC, b"still here")
        assert receipt.peers == (peer.host.peer_id,)
        await until(lambda: b"still here" in peer.heard)


async def test_a_message_that_broke_with_its_stream_is_not_called_sent():
    async with pubsub.open_node(listen=[LOOPBACK]) as node, raw_peer(reads=False) as peer:
        stream = await peer.open(node)
        await stream.send_all(rpc(subscribe=(TOPIC,)))
        await know(node, TOPIC)
        await until(lambda: peer.inbound)
        # Larger than a window: half of it is on its way when the stream breaks.
        receipt = await node.publish(TOPIC, bytes(900_000))
        after = await node.publish(TOPIC, b"after")
        await trio.testing.wait_all_tasks_blocked(0.01)
        peer.inbound[0].reset()
        await until(lambda: len(peer.inbound) == 2)
        with trio.fail_after(5):
            await after.sent()
            with pytest.raises(pubsub.StreamError):
                await receipt.sent()


async def test_a_newer_stream_of_a_peer_replaces_the_older():
    async with pubsub.open_node(listen=[LOOPBACK]) as node, raw_peer() as peer:
        messages = node.subscribe(TOPIC)
        first = await peer.open(node)
        await first.send_all(rpc(subscribe=(TOPIC,)))
        await know(node, TOPIC)
        second = await peer.open(node)
        await second.send_all(rpc(peer.message(TOPIC, b"second")))
        assert await take(messages, 1) == [b"second"]
        with trio.fail_after(5), pytest.raises(pubsub.StreamError):
            await first.receive_some()
        assert node.peers(TOPIC) == [peer.host.peer_id]


async def test_a_peer_without_pubsub_is_connected_and_no_pubsub_peer():
    async with pubsub.open_node(listen=[LOOPBACK]) as node, raw_peer() as peer:
        peer.host.remove_handler("/meshsub/1.1.0")
        news = node.events()
        await peer.host.connect(node.addresses[0])
        with trio.fail_after(5):
            assert await news.receive() == pubsub.Connected(peer.host.peer_id)
        assert peer.host.protocols
        await peer.host.ping(node.peer_id)
        assert node.peers() == []


async def test_too_many_pubsub_peers():
    params = pubsub.Params(max_peers=2)
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=params) as hub,
        pubsub.open_node() as ann,
        pubsub.open_node() as bob,
        pubsub.open_node() as eve,
    ):
        await link(ann, hub)
        await link(bob, hub)
        await eve.connect(hub.addresses[0])
        await until(lambda: drops(hub, "too_many_peers"))
        await until(lambda: not eve.host.connected_peers())
        assert set(hub.peers()) == {ann.peer_id, bob.peer_id}
        # When one leaves there is room for another.
        await ann.host.disconnect(hub.peer_id)
        await until(lambda: hub.peers() == [bob.peer_id])
        await link(eve, hub)


async def test_connecting_twice_is_one_connection():
    async with open_pair() as (ann, bob):
        assert await ann.connect(bob.addresses[0]) == bob.peer_id
        assert len(connections(ann, bob)) == 1


async def test_a_peer_that_is_not_there_is_said_to_be_unreachable():
    async with pubsub.open_node() as node:
        with pytest.raises(pubsub.DialError, match=r"127\.0\.0\.1"):
            await node.connect("/ip4/127.0.0.1/tcp/1")
        with pytest.raises(pubsub.ParamError):
            await node.connect("nonsense")


async def test_the_address_says_who_must_answer():
    stranger = pubsub.PrivateKey.generate(random.Random(1).randbytes)
    async with (
        pubsub.open_node(listen=[LOOPBACK]) as bob,
        pubsub.open_node(key=stranger) as eve,
        pubsub.open_node() as ann,
    ):
        wrong = bob.addresses[0].with_peer(eve.peer_id)
        with pytest.raises(pubsub.DialError):
            await ann.connect(wrong)
        assert ann.host.connected_peers() == []
