"""What a publisher is told: where a message went, where not, and when it had left."""

from __future__ import annotations

import json

import pytest
import trio
import trio.testing

import pubsub
from tests.io.nodes import (
    LOOPBACK,
    TOPIC,
    RawPeer,
    know,
    link,
    mesh,
    open_pair,
    raw_peer,
    rpc,
    take,
    until,
)

SMALL_QUEUE = pubsub.Params(queue_messages=16, publish_timeout=0.3)


async def test_a_message_to_nobody_names_nobody():
    async with pubsub.open_node() as node:
        receipt = await node.publish(TOPIC, b"1")
        assert receipt.peers == ()
        assert not receipt.skipped
        await receipt.sent()
        assert node.publish_nowait(TOPIC, b"2").peers == ()


async def test_the_receipt_names_every_peer_it_was_queued_to():
    async with (
        pubsub.open_node(listen=[LOOPBACK]) as hub,
        pubsub.open_node() as ann,
        pubsub.open_node() as bob,
    ):
        for node in (ann, bob):
            await link(node, hub)
        readers = [node.subscribe(TOPIC) for node in (ann, bob)]
        assert set(await know(hub, TOPIC, 2)) == {ann.peer_id, bob.peer_id}
        receipt = await hub.publish(TOPIC, b"1")
        assert set(receipt.peers) == {ann.peer_id, bob.peer_id}
        with trio.fail_after(5):
            await receipt.sent()
        for reader in readers:
            assert await take(reader, 1) == [b"1"]


async def test_without_waiting():
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        await know(ann, TOPIC)
        receipts = [ann.publish_nowait(TOPIC, b"%d" % number) for number in range(100)]
        assert all(receipt.peers == (bob.peer_id,) for receipt in receipts)
        assert len({receipt.id for receipt in receipts}) == 100
        assert await take(messages, 100) == [b"%d" % number for number in range(100)]


async def test_publish_waits_for_as_many_peers_as_it_is_asked_to():
    async with open_pair() as (ann, bob), trio.open_nursery() as nursery:
        receipts: list[pubsub.Receipt] = []

        async def publish() -> None:
            receipts.append(await ann.publish(TOPIC, b"1", min_peers=1))

        nursery.start_soon(publish)
        await trio.testing.wait_all_tasks_blocked()
        assert not receipts
        messages = bob.subscribe(TOPIC)
        assert await take(messages, 1) == [b"1"]
        await until(lambda: receipts)
        assert receipts[0].peers == (bob.peer_id,)


async def test_publish_gives_up_when_too_few_come():
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        await know(ann, TOPIC)
        with pytest.raises(pubsub.NotEnoughPeersError, match="1 peers subscribe to 't', where 2"):
            await ann.publish(TOPIC, b"1", min_peers=2, timeout=0.05)
        await ann.publish(TOPIC, b"2", min_peers=1, timeout=0)
        assert await take(messages, 1) == [b"2"]


async def test_waiting_for_peers_of_a_topic():
    async with open_pair() as (ann, bob), trio.open_nursery() as nursery:
        found: list[list[pubsub.PeerId]] = []

        async def wait() -> None:
            found.append(await ann.wait_for_peers(TOPIC))

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        bob.subscribe("another")
        await know(ann, "another")
        assert not found
        bob.subscribe(TOPIC)
        await until(lambda: found)
        assert found == [[bob.peer_id]]
        assert await ann.wait_for_peers(TOPIC, 0) == [bob.peer_id]


async def test_sent_fails_when_the_peer_dies_first():
    async with pubsub.open_node(listen=[LOOPBACK]) as node, raw_peer(reads=False) as deaf:
        await subscribe_raw(deaf, node)
        receipts = [await node.publish(TOPIC, bytes(100_000)) for _ in range(20)]
        with trio.fail_after(5):
            await receipts[0].sent()
            with trio.move_on_after(0.05) as scope:
                await receipts[-1].sent()
            assert scope.cancelled_caught
            await deaf.host.disconnect(node.peer_id)
            with pytest.raises(pubsub.StreamError, match=str(deaf.host.peer_id)):
                await receipts[-1].sent()
            await receipts[0].sent()


async def subscribe_raw(peer: RawPeer, node: pubsub.Node) -> None:
    stream = await peer.open(node)
    await stream.send_all(rpc(subscribe=(TOPIC,)))
    await until(lambda: peer.host.peer_id in node.peers(TOPIC) and peer.inbound)


async def test_a_peer_that_stops_reading_is_waited_for_once_and_then_passed_over():
    big = bytes(50_000)
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=SMALL_QUEUE) as node,
        pubsub.open_node(params=SMALL_QUEUE) as good,
        raw_peer(reads=False) as deaf,
    ):
        await link(good, node)
        messages = good.subscribe(TOPIC)
        node.subscribe(TOPIC)
        await subscribe_raw(deaf, node)
        await know(node, TOPIC, 2)
        assert str(deaf.host.peer_id) in mesh(node)
        published = 0
        with trio.fail_after(15):
            while True:
                started = trio.current_time()
                receipt = await node.publish(TOPIC, big)
                took = trio.current_time() - started
                published += 1
                assert good.peer_id in receipt.peers
                if receipt.skipped:
                    break
                assert took < 0.25
        assert 0.29 < took < 1
        assert receipt.skipped == {deaf.host.peer_id: "its queue is full"}
        assert str(deaf.host.peer_id) not in mesh(node)
        assert published >= SMALL_QUEUE.queue_messages
        # It is not waited for again, however many messages follow.
        started = trio.current_time()
        for _ in range(50):
            receipt = await node.publish(TOPIC, b"next")
            assert receipt.peers == (good.peer_id,)
            assert list(receipt.skipped) == [deaf.host.peer_id]
        assert trio.current_time() - started < 0.25
        assert len(await take(messages, published + 50)) == published + 50
        snapshot = node.snapshot()
        assert snapshot["drops"]["queue_full"] == 51
        assert snapshot["queues"][str(deaf.host.peer_id)]["messages"] == 16
        json.dumps(snapshot)


async def test_a_slow_peer_that_reads_again_is_served_again():
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=SMALL_QUEUE) as node,
        raw_peer(reads=False) as peer,
    ):
        await subscribe_raw(peer, node)
        while not (await node.publish(TOPIC, bytes(50_000), timeout=0)).skipped:
            pass
        heard = bytearray()
        peer.inbound[0].set_sink(heard.extend, lambda: None)
        await until(lambda: node.snapshot()["queues"][str(peer.host.peer_id)]["messages"] == 0)
        receipt = await node.publish(TOPIC, b"welcome back")
        assert receipt.peers == (peer.host.peer_id,)
        await until(lambda: b"welcome back" in heard)


async def test_publishers_that_wait_for_room_go_on_when_there_is_room():
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=pubsub.Params(queue_messages=16)) as node,
        raw_peer(reads=False) as peer,
    ):
        await subscribe_raw(peer, node)
        receipts: list[pubsub.Receipt] = []

        async def publish() -> None:
            receipts.append(await node.publish(TOPIC, bytes(50_000)))

        async with trio.open_nursery() as nursery:
            for _ in range(60):
                nursery.start_soon(publish)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert 16 <= len(receipts) < 60
            peer.inbound[0].set_sink(lambda data: None, lambda: None)
            with trio.fail_after(4):
                await until(lambda: len(receipts) == 60)
        assert not any(receipt.skipped for receipt in receipts)


async def test_a_publisher_that_waits_is_told_when_the_peer_goes():
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=pubsub.Params(queue_messages=16)) as node,
        raw_peer(reads=False) as peer,
    ):
        await subscribe_raw(peer, node)
        receipts: list[pubsub.Receipt] = []

        async def publish_all() -> None:
            while not receipts or receipts[-1].peers:
                receipts.append(await node.publish(TOPIC, bytes(50_000)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish_all)
            await trio.testing.wait_all_tasks_blocked(0.01)
            with trio.fail_after(4):
                await peer.host.disconnect(node.peer_id)
                await until(lambda: not receipts[-1].peers)
        assert not receipts[-1].skipped


async def test_everything_queued_can_be_waited_for():
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        await know(ann, TOPIC)
        receipts = [ann.publish_nowait(TOPIC, bytes(1000)) for _ in range(500)]
        assert await ann.flush(5)
        for receipt in receipts:
            with trio.fail_after(0):
                await receipt.sent()
        await take(messages, 500)


async def test_a_flush_that_cannot_succeed_says_so():
    async with pubsub.open_node(listen=[LOOPBACK]) as node, raw_peer(reads=False) as deaf:
        await subscribe_raw(deaf, node)
        for _ in range(20):
            node.publish_nowait(TOPIC, bytes(100_000))
        assert not await node.flush(0.05)
        await deaf.host.disconnect(node.peer_id)
        assert await node.flush(5)
