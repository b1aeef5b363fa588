"""Events of one topic, changes of meshes, losses, and traces of single messages."""

from __future__ import annotations

import trio

import pubsub
from pubsub import Params
from pubsub.node.events import NodeEvent
from tests.io.nodes import LOOPBACK, TOPIC, know, link, open_pair, raw_peer, rpc, take, until

QUICK = Params(heartbeat_interval=0.05)


def read(stream: pubsub.EventStream) -> list[NodeEvent]:
    return [stream.receive_nowait() for _ in range(stream.waiting)]


async def test_events_of_one_topic():
    async with open_pair(QUICK) as (ann, bob), ann.events(topic=TOPIC) as events:
        me = bob.peer_id
        ann.subscribe(TOPIC)
        ann.subscribe("other")
        async with bob.subscribe("other"), bob.subscribe(TOPIC):
            with trio.fail_after(5):
                assert await events.receive() == pubsub.PeerJoined(TOPIC, me)
                assert await events.receive() == pubsub.Grafted(TOPIC, me)
            await until(lambda: ann.mesh("other"))
        # Whether PRUNE or UNSUBSCRIBE comes first is the other's affair.
        await until(lambda: not ann.peers("other"))
        assert read(events) == [pubsub.Pruned(TOPIC, me), pubsub.PeerLeft(TOPIC, me)]


async def test_who_goes_leaves_its_meshes_first():
    async with pubsub.open_node(listen=[LOOPBACK], params=QUICK) as ann, ann.subscribe(TOPIC):
        async with pubsub.open_node(params=QUICK) as bob:
            me = bob.peer_id
            bob.subscribe(TOPIC)
            await link(bob, ann)
            await until(lambda: ann.mesh(TOPIC))
            events = ann.events()
            await bob.host.disconnect(ann.peer_id)
            await until(lambda: not ann.peers())
        assert read(events) == [
            pubsub.Pruned(TOPIC, me),
            pubsub.PeerLeft(TOPIC, me),
            pubsub.Disconnected(me),
        ]


async def test_losses_of_a_slow_reader_are_told_once_a_heartbeat():
    async with open_pair(QUICK) as (ann, bob), ann.events(topic=TOPIC) as events:
        slow = ann.subscribe(TOPIC, capacity=2)
        quick = ann.subscribe(TOPIC)
        await know(bob, TOPIC)
        for count, total in ((3, 3), (4, 7)):
            waiting = 2 if total == 3 else 0
            for number in range(count + waiting):
                await bob.publish(TOPIC, b"%d" % number)
            with trio.fail_after(5):
                lost = [await events.receive()]
                while lost[-1].total < total:
                    lost.append(await events.receive())
            assert lost[-1] == pubsub.MessagesLost(TOPIC, lost[-1].count, total)
            assert sum(one.count for one in lost) == count
        assert (slow.lost, quick.lost) == (7, 0)
        assert ann.snapshot()["drops"]["reader_too_slow"] == 7


async def test_a_trace_follows_a_message_from_node_to_node():
    async with open_pair(QUICK) as (ann, bob):
        messages = bob.subscribe(TOPIC)
        await know(ann, TOPIC)
        anns, bobs = ann.trace(topic=TOPIC), bob.trace()
        receipt = await ann.publish(TOPIC, b"hello")
        batch = await ann.publish_batch([(TOPIC, b"1"), ("other", b"2")])
        assert await take(messages, 2) == [b"hello", b"1"]
        published = [(one.message.id, one.peers) for one in read(anns)]
        assert published == [(receipt.id, (bob.peer_id,)), (batch[0].id, (bob.peer_id,))]
        delivered = [one for one in read(bobs) if isinstance(one, pubsub.Deliver)]
        ids = [message.id for one in delivered for message in one.messages]
        assert ids == [receipt.id, batch[0].id]
        assert delivered[0].messages[0].received_from == ann.peer_id


async def test_a_trace_says_what_was_dropped_and_why():
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=QUICK) as node,
        raw_peer() as peer,
        node.subscribe(TOPIC) as messages,
        node.trace() as trace,
    ):
        node.set_validator(TOPIC, lambda message: message.data != b"bad")
        stream = await peer.open(node)
        forged = peer.message(TOPIC, b"forged")
        forged.data = b"changed"
        elsewhere = peer.message("elsewhere", b"x")
        bad, good = peer.message(TOPIC, b"bad"), peer.message(TOPIC, b"good")
        await stream.send_all(rpc(forged, elsewhere, bad, good))
        assert await take(messages, 1) == [b"good"]
        them = peer.host.peer_id
        dropped = [one for one in read(trace) if isinstance(one, pubsub.Dropped)]
        assert {(one.reason, one.topic, one.peer) for one in dropped} == {
            ("bad_signature", TOPIC, them),
            ("not_subscribed", "elsewhere", them),
            ("rejected_by_validator", TOPIC, them),
        }
        ids = {one.reason: one.message_id for one in dropped}
        assert ids["rejected_by_validator"] == bad.author + bad.seqno
        assert [one.count for one in dropped] == [1, 1, 1]


async def test_drops_are_told_only_while_somebody_traces():
    async with open_pair(QUICK) as (ann, bob):
        first, second = ann.trace(), ann.trace()
        core = ann._router._core
        assert core.traced
        first.close()
        assert core.traced
        second.close()
        assert not core.traced
        events = ann.events()
        ann.subscribe(TOPIC, capacity=1)
        await know(bob, TOPIC)
        for _ in range(3):
            await bob.publish(TOPIC, b"x")
        await until(lambda: ann.snapshot()["drops"].get("reader_too_slow") == 2)
        await until(lambda: events.waiting)
        assert not [one for one in read(events) if isinstance(one, pubsub.Dropped)]


async def test_a_trace_that_is_not_read_loses_its_oldest_and_counts_them():
    async with open_pair(QUICK) as (ann, bob), ann.trace(capacity=5) as trace:
        await link(ann, bob)
        receipts = [await ann.publish(TOPIC, b"%d" % number) for number in range(9)]
        kept = [one.message.id for one in read(trace) if isinstance(one, pubsub.Published)]
        assert kept == [receipt.id for receipt in receipts[4:]]
        assert trace.lost >= 4


async def test_traces_end_with_the_node():
    async with pubsub.open_node() as node:
        trace = node.trace()
        await node.publish(TOPIC, b"to nobody")
    (published,) = [event async for event in trace]
    assert published.peers == ()
