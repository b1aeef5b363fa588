"""Topics with parameters of their own, relays, and subscriptions to a part of a topic."""

from __future__ import annotations

import pytest
import trio

import pubsub
from pubsub import Overflow, Params, Signing, TopicParams
from tests.io.nodes import LOOPBACK, TOPIC, drops, know, link, mesh, open_pair, take, until

MIB = 1024 * 1024
QUICK = Params(heartbeat_interval=0.05)


# Relays


async def test_a_relay_passes_on_what_it_does_not_read():
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=QUICK) as hub,
        pubsub.open_node(params=QUICK) as ann,
        pubsub.open_node(params=QUICK) as bob,
    ):
        for node in (ann, bob):
            await link(node, hub)
        async with bob.subscribe(TOPIC) as messages, ann.subscribe(TOPIC):
            async with hub.relay(TOPIC) as relay:
                assert relay.topic == TOPIC
                await until(lambda: len(mesh(hub)) == 2 and mesh(ann) and mesh(bob))
                await ann.publish(TOPIC, b"through the hub", min_peers=1)
                assert await take(messages, 1) == [b"through the hub"]
                assert hub.snapshot()["readers"] == {}
                assert hub.snapshot()["subscriptions"] == [TOPIC]
            await until(lambda: not ann.peers(TOPIC))
            assert hub.snapshot()["subscriptions"] == []


async def test_a_topic_is_left_when_neither_reader_nor_relay_is_left():
    async with open_pair() as (ann, bob):
        relay, messages = ann.relay(TOPIC), ann.subscribe(TOPIC)
        await know(bob, TOPIC)
        relay.close()
        relay.close()
        await bob.publish(TOPIC, b"still read")
        assert await take(messages, 1) == [b"still read"]
        messages.close()
        await until(lambda: not bob.peers(TOPIC))


async def test_what_is_relayed_is_validated_like_all():
    async with open_pair() as (ann, bob):
        ann.set_validator(TOPIC, lambda message: False)
        async with ann.relay(TOPIC):
            await know(bob, TOPIC)
            await bob.publish(TOPIC, b"bad")
            await until(lambda: drops(ann, "rejected_by_validator") == 1)


# A part of a topic


async def test_a_subscription_to_a_part_of_a_topic():
    async with open_pair() as (ann, bob):
        some = bob.subscribe(TOPIC, where=lambda message: message.data.startswith(b"b"))
        everything = bob.subscribe(TOPIC)
        await know(ann, TOPIC)
        for data in (b"a1", b"b1", b"a2", b"b2"):
            await ann.publish(TOPIC, data)
        assert await take(everything, 4) == [b"a1", b"b1", b"a2", b"b2"]
        assert await take(some, 2) == [b"b1", b"b2"]
        assert (some.waiting, some.lost) == (0, 0)


async def test_a_filter_that_raises_ends_its_node_and_says_why():
    async def read_with_it(ann: pubsub.Node) -> None:
        async with pubsub.open_node() as bob:
            await link(bob, ann)
            bob.subscribe(TOPIC, where=lambda message: 1 // 0 > 0)
            await know(ann, TOPIC)
            await ann.publish(TOPIC, b"x")
            await trio.sleep(5)

    async with pubsub.open_node(listen=[LOOPBACK]) as ann:
        with pytest.raises(ZeroDivisionError):
            await read_with_it(ann)


# Parameters of one topic


async def test_a_larger_message_is_for_the_topic_that_allows_it():
    topics = {"films": TopicParams(max_message_size=6 * MIB)}
    data = bytes(range(256)) * (5 * MIB // 256)
    async with (
        pubsub.open_node(listen=[LOOPBACK], topics=topics) as ann,
        pubsub.open_node(listen=[LOOPBACK], topics=topics) as bob,
    ):
        await link(ann, bob)
        async with bob.subscribe("films") as films, bob.subscribe(TOPIC):
            await know(ann, TOPIC)
            await ann.publish("films", data)
            assert await take(films, 1) == [data]
            with pytest.raises(pubsub.ParamError, match="the limit is 1048576"):
                await ann.publish(TOPIC, data)
            with pytest.raises(pubsub.ParamError, match=f"the limit is {6 * MIB}"):
                await ann.publish("films", data + data)


async def test_a_receiver_that_does_not_allow_it_drops_it_and_stays():
    async with (
        pubsub.open_node(topics={TOPIC: TopicParams(max_message_size=3 * MIB)}) as ann,
        pubsub.open_node(listen=[LOOPBACK]) as bob,
    ):
        await link(ann, bob)
        async with bob.subscribe(TOPIC) as messages:
            await know(ann, TOPIC)
            await ann.publish(TOPIC, bytes(2 * MIB))
            await ann.publish(TOPIC, b"small")
            assert await take(messages, 1) == [b"small"]
            assert drops(bob, "too_large") == 1


async def test_parameters_can_change_while_the_node_runs():
    async with open_pair() as (ann, bob):
        for node in (ann, bob):
            node.configure_topic(TOPIC, TopicParams(max_message_size=2 * MIB))
        async with bob.subscribe(TOPIC) as messages:
            await know(ann, TOPIC)
            await ann.publish(TOPIC, bytes(2 * MIB))
            assert await take(messages, 1) == [bytes(2 * MIB)]
            ann.configure_topic(TOPIC, None)
            with pytest.raises(pubsub.ParamError, match="the limit is 1048576"):
                await ann.publish(TOPIC, bytes(2 * MIB))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (TopicParams(max_message_size=64 * MIB), "does not fit into the frames of this node"),
        (TopicParams(max_message_size=0), "max_message_size must be at least 1"),
        (TopicParams(d=100), "parameters of topic 't': d_low <= d <= d_high is required"),
        ({"d": 8}, "'t' takes TopicParams"),
    ],
)
async def test_impossible_parameters_are_refused_and_change_nothing(given: object, said: str):
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        with pytest.raises(pubsub.ParamError, match=said):
            ann.configure_topic(TOPIC, given)
        await know(ann, TOPIC)
        await ann.publish(TOPIC, b"as before")
        assert await take(messages, 1) == [b"as before"]


@pytest.mark.parametrize(
    ("topics", "said"),
    [
        ({TOPIC: TopicParams(subscription_buffer=0)}, "topic 't': subscription_buffer must be"),
        ({TOPIC: 8}, "'t' takes TopicParams"),
        ({8: TopicParams()}, "a topic is text"),
    ],
)
async def test_a_node_with_impossible_topics_does_not_open(topics: object, said: str):
    with pytest.raises(pubsub.ParamError, match=said):
        async with pubsub.open_node(topics=topics):
            raise AssertionError("it opened")


async def test_how_much_a_subscription_holds_and_what_it_loses():
    topics = {TOPIC: TopicParams(subscription_buffer=2, subscription_overflow=Overflow.DROP_NEWEST)}
    async with (
        pubsub.open_node(listen=[LOOPBACK], topics=topics) as ann,
        pubsub.open_node() as bob,
    ):
        await link(bob, ann)
        of_topic, larger, other = (
            *(ann.subscribe(TOPIC), ann.subscribe(TOPIC, capacity=3)),
            ann.subscribe("other"),
        )
        await know(bob, "other")
        for number in range(5):
            await bob.publish(TOPIC, b"%d" % number)
            await bob.publish("other", b"%d" % number)
        await until(lambda: other.waiting == 5)
        assert await take(of_topic, 2) == [b"0", b"1"]
        assert await take(larger, 3) == [b"0", b"1", b"2"]
        assert (of_topic.lost, larger.lost, other.lost) == (3, 2, 0)


async def test_a_topic_to_publish_to_only():
    async with (
        pubsub.open_node(topics={TOPIC: TopicParams(fanout_only=True)}) as ann,
        pubsub.open_node(listen=[LOOPBACK]) as bob,
    ):
        await link(ann, bob)
        async with bob.subscribe(TOPIC) as messages:
            await know(ann, TOPIC)
            for verb in (ann.subscribe, ann.relay):
                with pytest.raises(pubsub.ParamError, match="is set to fanout_only"):
                    verb(TOPIC)
            await ann.publish(TOPIC, b"one way")
            assert await take(messages, 1) == [b"one way"]
            assert ann.snapshot()["subscriptions"] == []
            assert bob.peers(TOPIC) == []


async def test_a_topic_that_is_read_is_so_to_its_end_though_it_becomes_fanout_only():
    async with open_pair() as (ann, bob), ann.subscribe(TOPIC) as messages:
        ann.configure_topic(TOPIC, TopicParams(fanout_only=True))
        with pytest.raises(pubsub.ParamError, match="is set to fanout_only"):
            ann.subscribe(TOPIC)
        await know(bob, TOPIC)
        await bob.publish(TOPIC, b"still")
        assert await take(messages, 1) == [b"still"]


async def test_one_topic_without_signatures_and_with_ids_of_its_own():
    topics = {TOPIC: TopicParams(signing=Signing.NONE, message_id=lambda one: one.data[:4])}
    async with (
        pubsub.open_node(listen=[LOOPBACK], topics=topics) as ann,
        pubsub.open_node(topics=topics) as bob,
    ):
        await link(bob, ann)
        async with ann.subscribe(TOPIC) as anonymous, ann.subscribe("signed") as signed:
            await know(bob, "signed")
            assert (await bob.publish(TOPIC, b"same start")).id == b"same"
            with pytest.raises(pubsub.LocalError, match="a message with this id was seen"):
                await bob.publish(TOPIC, b"same again")
            await bob.publish("signed", b"same start")
            with trio.fail_after(5):
                assert (await anonymous.receive()).author is None
                assert (await signed.receive()).author == bob.peer_id
