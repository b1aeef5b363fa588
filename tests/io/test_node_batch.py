"""Batches over sockets: each peer is sent another message first, and nothing is lost."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio

import pubsub
from pubsub import Params, Signing
from tests.io.nodes import (
    LOOPBACK,
    TOPIC,
    RawPeer,
    drops,
    know,
    mesh,
    open_pair,
    raw_peer,
    rpc,
    take,
    until,
)

BATCH = [(TOPIC, b"one"), (TOPIC, b"two"), (TOPIC, b"three")]


async def subscribers(
    stack: AsyncExitStack, node: pubsub.Node, count: int, *, reads: bool = True
) -> list[RawPeer]:
    """Raw peers that subscribe to TOPIC, to whom the node can send."""
    peers: list[RawPeer] = []
    for _ in range(count):
        peers.append(await stack.enter_async_context(raw_peer(reads=reads)))
        stream = await peers[-1].open(node)
        await stream.send_all(rpc(subscribe=(TOPIC,)))
    await until(lambda: {peer.host.peer_id for peer in peers} <= {*node.peers(TOPIC)})
    await until(lambda: all(peer.inbound for peer in peers))
    return peers


@pytest.mark.parametrize("subscribed", [False, True])
async def test_each_peer_gets_another_message_first(subscribed: bool):
    async with pubsub.open_node(listen=[LOOPBACK]) as node, AsyncExitStack() as stack:
        if subscribed:
            node.subscribe(TOPIC)
        peers = await subscribers(stack, node, 3)
        if subscribed:
            await until(lambda: len(mesh(node)) == 3)
        receipts = await node.publish_batch(BATCH)
        await until(lambda: all(len(peer.messages()) == 3 for peer in peers))
        heard = [peer.messages() for peer in peers]
        assert {order[0] for order in heard} == {b"one", b"two", b"three"}
        assert {order[-1] for order in heard} == {b"one", b"two", b"three"}
        everybody = sorted(peer.host.peer_id for peer in peers)
        assert [sorted(receipt.peers) for receipt in receipts] == [everybody] * 3
        with trio.fail_after(5):
            for receipt in receipts:
                await receipt.sent()


async def test_receipts_come_in_order_and_name_the_messages():
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        await know(ann, TOPIC)
        receipts = await ann.publish_batch(BATCH)
        with trio.fail_after(5):
            arrived = [await messages.receive() for _ in BATCH]
        assert [one.data for one in arrived] == [b"one", b"two", b"three"]
        assert [one.id for one in receipts] == [one.id for one in arrived]
        assert [one.peers for one in receipts] == [(bob.peer_id,)] * 3


async def test_a_batch_far_larger_than_the_queues_arrives_whole():
    small = Params(queue_messages=8, queue_bytes=20_000)
    async with open_pair(small) as (ann, bob), bob.subscribe(TOPIC) as messages:
        await know(ann, TOPIC)
        batch = [(TOPIC, b"%04d" % number + bytes(1000)) for number in range(300)]
        receipts = await ann.publish_batch(batch)
        assert await take(messages, 300) == [data for _, data in batch]
        assert all(receipt.peers == (bob.peer_id,) for receipt in receipts)
        assert drops(ann, "queue_full") == 0


async def test_a_peer_that_does_not_read_is_waited_for_once_and_named():
    small = Params(queue_messages=8)
    async with pubsub.open_node(listen=[LOOPBACK], params=small) as node, AsyncExitStack() as stack:
        (deaf,) = await subscribers(stack, node, 1, reads=False)
        deafs_id = deaf.host.peer_id
        readers = await subscribers(stack, node, 2)
        started = trio.current_time()
        receipts = await node.publish_batch([(TOPIC, bytes(50_000))] * 60, timeout=0.5)
        assert 0.5 <= trio.current_time() - started < 4
        assert deafs_id in receipts[0].peers
        assert receipts[-1].skipped == {deafs_id: "its queue is full"}
        # The others lost nothing by it.
        assert all(len({*receipt.peers} - {deafs_id}) == 2 for receipt in receipts)
        await until(lambda: all(len(peer.messages()) == 60 for peer in readers))


async def test_a_bad_message_sends_nothing_of_its_turn():
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        await know(ann, TOPIC)
        with pytest.raises(pubsub.ParamError, match="the limit is"):
            await ann.publish_batch([*BATCH, (TOPIC, bytes(2 << 20))])
        await ann.publish(TOPIC, b"after")
        assert await take(messages, 1) == [b"after"]


async def test_without_signatures_a_message_may_stand_in_a_batch_once():
    async with (
        open_pair(Params(signing=Signing.NONE)) as (ann, bob),
        bob.subscribe(TOPIC) as messages,
    ):
        await know(ann, TOPIC)
        with pytest.raises(pubsub.LocalError, match="the same message"):
            await ann.publish_batch([*BATCH, BATCH[0]])
        assert len(await ann.publish_batch(BATCH)) == 3
        with pytest.raises(pubsub.LocalError, match="was seen within"):
            await ann.publish_batch([(TOPIC, b"new"), BATCH[1]])
        assert await take(messages, 3) == [b"one", b"two", b"three"]
        assert messages.waiting == 0


async def test_a_closed_node_publishes_no_batch():
    async with pubsub.open_node() as node:
        pass
    with pytest.raises(pubsub.ClosedError):
        await node.publish_batch(BATCH)
