"""Two verbs: what is published arrives, once, as it was, where it is subscribed to."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio

import pubsub
from tests.io.nodes import LOOPBACK, TOPIC, drops, know, link, mesh, open_pair, take, until


async def test_a_message_arrives_with_all_that_is_known_of_it():
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        await know(ann, TOPIC)
        receipt = await ann.publish(TOPIC, b"hello")
        assert receipt.peers == (bob.peer_id,)
        assert receipt.topic == TOPIC
        assert not receipt.skipped
        with trio.fail_after(5):
            message = await messages.receive()
        assert (message.topic, message.data, message.id) == (TOPIC, b"hello", receipt.id)
        assert message.author == message.received_from == ann.peer_id
        assert message.seqno is not None
        assert message.seqno > 0


async def test_messages_flow_both_ways_at_once_and_keep_their_order():
    count = 500
    expected = [b"%d" % number for number in range(count)]
    async with open_pair() as (ann, bob):
        nodes = {node: node.subscribe(TOPIC) for node in (ann, bob)}
        for node in nodes:
            await know(node, TOPIC)

        async def publish_all(node: pubsub.Node) -> None:
            for data in expected:
                await node.publish(TOPIC, data)

        async with trio.open_nursery() as nursery:
            for node in nodes:
                nursery.start_soon(publish_all, node)
            for messages in nodes.values():
                assert await take(messages, count) == expected
        for messages in nodes.values():
            with pytest.raises(trio.WouldBlock):
                messages.receive_nowait()


async def test_own_messages_do_not_come_back():
    async with open_pair() as (ann, bob), ann.subscribe(TOPIC) as own:
        others = bob.subscribe(TOPIC)
        await know(ann, TOPIC)
        await ann.publish(TOPIC, b"mine")
        assert await take(others, 1) == [b"mine"]
        await know(bob, TOPIC)
        await bob.publish(TOPIC, b"yours")
        assert await take(own, 1) == [b"yours"]
        assert own.waiting == 0


async def test_every_subscription_to_a_topic_gets_every_message():
    async with open_pair() as (ann, bob):
        first, second = bob.subscribe(TOPIC), bob.subscribe(TOPIC)
        await know(ann, TOPIC)
        await ann.publish(TOPIC, b"1")
        assert await take(first, 1) == await take(second, 1) == [b"1"]
        first.close()
        await ann.publish(TOPIC, b"2")
        assert await take(second, 1) == [b"2"]
        assert bob.snapshot()["subscriptions"] == [TOPIC]
        second.close()
        assert bob.snapshot()["subscriptions"] == []
        await until(lambda: not ann.peers(TOPIC))


async def test_topics_are_apart():
    async with open_pair() as (ann, bob):
        red, blue = bob.subscribe("red"), bob.subscribe("blue")
        await know(ann, "red")
        await know(ann, "blue")
        await ann.publish("red", b"r")
        await ann.publish("blue", b"b")
        assert await take(red, 1) == [b"r"]
        assert await take(blue, 1) == [b"b"]
        assert red.waiting == blue.waiting == 0


async def test_a_topic_left_and_joined_again_goes_on():
    async with open_pair() as (ann, bob):
        for number in range(3):
            async with bob.subscribe(TOPIC) as messages:
                await know(ann, TOPIC)
                await ann.publish(TOPIC, b"%d" % number)
                assert await take(messages, 1) == [b"%d" % number]
            await until(lambda: not ann.peers(TOPIC))
            receipt = await ann.publish(TOPIC, b"to nobody")
            assert receipt.peers == ()


async def test_many_topics():
    names = [f"topic {number}" for number in range(200)]
    async with open_pair() as (ann, bob):
        readers = {name: bob.subscribe(name) for name in names}
        for name in names:
            await know(ann, name)
        for name in names:
            assert (await ann.publish(name, name.encode())).peers
        for name, messages in readers.items():
            assert await take(messages, 1) == [name.encode()]
        for messages in readers.values():
            messages.close()
        await until(lambda: not any(ann.peers(name) for name in names))


async def test_a_publisher_need_not_subscribe():
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        await know(ann, TOPIC)
        await ann.publish(TOPIC, b"1")
        snapshot = ann.snapshot()
        assert snapshot["fanout"] == {TOPIC: [str(bob.peer_id)]}
        assert snapshot["mesh"] == {}
        assert await take(messages, 1) == [b"1"]
        # Subscribing turns the fan-out into a mesh.
        own = ann.subscribe(TOPIC)
        assert mesh(ann) == [str(bob.peer_id)]
        assert ann.snapshot()["fanout"] == {}
        await know(bob, TOPIC)
        await bob.publish(TOPIC, b"2")
        assert await take(own, 1) == [b"2"]


async def test_messages_hop_along_a_line():
    count = 100
    async with (
        pubsub.open_node(listen=[LOOPBACK]) as n0,
        pubsub.open_node(listen=[LOOPBACK]) as n1,
        pubsub.open_node(listen=[LOOPBACK]) as n2,
        pubsub.open_node(listen=[LOOPBACK]) as n3,
        pubsub.open_node(listen=[LOOPBACK]) as n4,
    ):
        line = [n0, n1, n2, n3, n4]
        readers = [node.subscribe(TOPIC) for node in line]
        for left, right in pairwise(line):
            await link(left, right)
        for place, node in enumerate(line):
            await until(lambda node=node, want=2 if 0 < place < 4 else 1: len(mesh(node)) == want)
        expected = [b"%d" % number for number in range(count)]
        for data in expected:
            await n0.publish(TOPIC, data)
        for place in range(1, 5):
            with trio.fail_after(5):
                message = await readers[place].receive()
            assert message.author == n0.peer_id
            assert message.received_from == line[place - 1].peer_id
            assert [message.data, *await take(readers[place], count - 1)] == expected
        assert all(reader.waiting == 0 for reader in readers)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16 * 1024, 65 * 1024, 1024 * 1024])
async def test_every_size_arrives(size: int):
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        await know(ann, TOPIC)
        data = bytes(range(256)) * (size // 256 + 1)
        await ann.publish(TOPIC, data[:size])
        assert await take(messages, 1) == [data[:size]]


async def test_one_byte_too_many_is_the_publishers_mistake():
    async with open_pair() as (ann, _):
        largest = ann.params.max_message_size
        with pytest.raises(pubsub.ParamError, match="max_message_size"):
            await ann.publish(TOPIC, bytes(largest + 1))
        with pytest.raises(pubsub.ParamError, match="max_message_size"):
            ann.publish_nowait(TOPIC, bytes(largest + 1))


async def test_a_receiver_with_a_smaller_limit_drops_what_is_larger():
    async with open_pair(None, pubsub.Params(max_message_size=100)) as (ann, bob):
        messages = bob.subscribe(TOPIC)
        await know(ann, TOPIC)
        await ann.publish(TOPIC, bytes(101))
        await ann.publish(TOPIC, bytes(100))
        assert await take(messages, 1) == [bytes(100)]
        assert drops(bob, "too_large") == 1


@pytest.mark.parametrize("data", [bytearray(b"abc"), memoryview(b"abc")])
async def test_anything_like_bytes_is_copied(data: bytearray | memoryview):
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        await know(ann, TOPIC)
        await ann.publish(TOPIC, data)  # type: ignore[arg-type]
        if isinstance(data, bytearray):
            data[:] = b"xyz"
        assert await take(messages, 1) == [b"abc"]


async def test_text_is_no_data():
    async with pubsub.open_node() as node:
        with pytest.raises(pubsub.ParamError, match="must be bytes, not str"):
            await node.publish(TOPIC, "text")  # type: ignore[arg-type]


@pytest.mark.parametrize("topic", ["x", "ü" * 512, "/a b/\n\t", "主题 🜁", "x" * 1024, "\0"])
async def test_any_text_up_to_the_limit_is_a_topic(topic: str):
    async with open_pair() as (ann, bob), bob.subscribe(topic) as messages:
        await know(ann, topic)
        await ann.publish(topic, b"1")
        with trio.fail_after(5):
            assert (await messages.receive()).topic == topic


@pytest.mark.parametrize("topic", ["", "x" * 1025, "ü" * 513, "\ud800"])
async def test_a_bad_topic_is_refused_and_leaves_no_trace(topic: str):
    async with pubsub.open_node() as node:
        with pytest.raises(pubsub.ParamError, match="topic"):
            node.subscribe(topic)
        with pytest.raises(pubsub.ParamError, match="topic"):
            await node.publish(topic, b"")
        with pytest.raises(pubsub.ParamError, match="topic"):
            node.publish_nowait(topic, b"")
        assert node.snapshot()["subscriptions"] == []


async def test_without_signatures_a_message_has_no_author_and_equal_data_is_one_message():
    async with open_pair(pubsub.Params(signing=pubsub.Signing.NONE)) as (ann, bob):
        messages = bob.subscribe(TOPIC)
        await know(ann, TOPIC)
        await ann.publish(TOPIC, b"1")
        with trio.fail_after(5):
            message = await messages.receive()
        assert (message.data, message.author, message.seqno) == (b"1", None, None)
        assert message.received_from == ann.peer_id
        with pytest.raises(pubsub.LocalError, match="equal data is the same message"):
            await ann.publish(TOPIC, b"1")


async def test_peers_with_another_signing_policy_are_not_believed_and_that_is_said(caplog):
    async with open_pair(None, pubsub.Params(signing=pubsub.Signing.NONE)) as (ann, bob):
        nodes = {node: node.subscribe(TOPIC) for node in (ann, bob)}
        for node in nodes:
            await know(node, TOPIC)
        for node in nodes:
            await node.publish(TOPIC, b"from the other camp")
        for node, messages in nodes.items():
            await until(lambda node=node: drops(node, "signing_policy") == 1)
            assert messages.waiting == 0
        await until(lambda: len(caplog.messages) == 2)
        assert all("all nodes of a topic must agree" in text for text in caplog.messages)


async def test_a_message_id_function_of_the_applications_own():
    def whole(message: pubsub.Message) -> bytes:
        return b"id of " + message.data

    async with (
        pubsub.open_node(message_id=whole) as ann,
        pubsub.open_node(listen=[LOOPBACK], message_id=whole) as bob,
    ):
        messages = bob.subscribe(TOPIC)
        await link(ann, bob)
        await know(ann, TOPIC)
        assert (await ann.publish(TOPIC, b"1")).id == b"id of 1"
        with trio.fail_after(5):
            assert (await messages.receive()).id == b"id of 1"
