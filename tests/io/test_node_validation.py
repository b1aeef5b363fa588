"""Validators decide what is delivered and passed on, and a slow one delays its topic alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio

import pubsub
from pubsub import Validation
from tests.io.nodes import LOOPBACK, TOPIC, drops, know, link, mesh, open_pair, take, until

GOOD, BAD, ODD = b"good", b"bad", b"odd"
ANSWERS: dict[bytes, Validation] = {
    GOOD: Validation.ACCEPT,
    BAD: Validation.REJECT,
    ODD: Validation.IGNORE,
}


def answer(message: pubsub.Message) -> Validation:
    return ANSWERS[message.data]


async def answer_later(message: pubsub.Message) -> Validation:
    await trio.lowlevel.checkpoint()
    return ANSWERS[message.data]


def answer_by_bool(message: pubsub.Message) -> bool:
    return message.data == GOOD


@pytest.mark.parametrize("validator", [answer, answer_later])
async def test_only_what_is_accepted_arrives(validator: Callable[[pubsub.Message], Validation]):
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        bob.set_validator(TOPIC, validator)
        await know(ann, TOPIC)
        for data in (BAD, ODD, GOOD):
            await ann.publish(TOPIC, data)
        assert await take(messages, 1) == [GOOD]
        await until(lambda: drops(bob, "rejected_by_validator") == 1)
        assert drops(bob, "ignored_by_validator") == 1
        # Only the rejected one is held against its sender.
        assert bob.snapshot()["faults"][str(ann.peer_id)] == 5


async def test_a_bool_is_an_answer():
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        bob.set_validator(TOPIC, answer_by_bool)
        await know(ann, TOPIC)
        for data in (BAD, GOOD):
            await ann.publish(TOPIC, data)
        assert await take(messages, 1) == [GOOD]
        assert drops(bob, "rejected_by_validator") == 1


async def test_what_is_not_accepted_is_not_passed_on():
    async with (
        pubsub.open_node() as ann,
        pubsub.open_node(listen=[LOOPBACK]) as middle,
        pubsub.open_node() as bob,
    ):
        await link(ann, middle)
        await link(bob, middle)
        middle.subscribe(TOPIC)
        messages = bob.subscribe(TOPIC)
        middle.set_validator(TOPIC, answer)
        await until(lambda: len(mesh(middle)) == 1)
        await know(ann, TOPIC)
        for data in (BAD, ODD, GOOD):
            await ann.publish(TOPIC, data)
        assert await take(messages, 1) == [GOOD]
        assert messages.waiting == 0


async def test_messages_of_one_author_keep_their_order_through_a_plain_function():
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        bob.set_validator(TOPIC, lambda message: True)
        await know(ann, TOPIC)
        expected = [b"%d" % number for number in range(300)]
        for data in expected:
            await ann.publish(TOPIC, data)
        assert await take(messages, 300) == expected


async def test_own_messages_are_not_validated():
    asked: list[bytes] = []

    def note(message: pubsub.Message) -> bool:
        asked.append(message.data)
        return True

    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        ann.set_validator(TOPIC, note)
        await know(ann, TOPIC)
        await ann.publish(TOPIC, b"1")
        await take(messages, 1)
        assert not asked


async def test_a_slow_validator_delays_no_other_topic():
    gate = trio.Event()

    async def slow(message: pubsub.Message) -> bool:
        await gate.wait()
        return True

    async with open_pair() as (ann, bob):
        held, free = bob.subscribe("held"), bob.subscribe("free")
        bob.set_validator("held", slow, concurrency=2)
        bob.set_validator("free", answer_later)
        await know(ann, "held")
        await know(ann, "free")
        for number in range(20):
            await ann.publish("held", b"%d" % number)
        for _ in range(20):
            await ann.publish("free", GOOD)
        assert await take(free, 20) == [GOOD] * 20
        assert held.waiting == 0
        gate.set()
        assert sorted(await take(held, 20)) == sorted(b"%d" % number for number in range(20))


async def test_more_than_may_wait_are_dropped_and_counted():
    gate = trio.Event()

    async def slow(message: pubsub.Message) -> bool:
        await gate.wait()
        return True

    params = pubsub.Params(validate_pending_topic=10)
    async with open_pair(params) as (ann, bob), bob.subscribe(TOPIC) as messages:
        bob.set_validator(TOPIC, slow)
        await know(ann, TOPIC)
        for number in range(25):
            await ann.publish(TOPIC, b"%d" % number)
        await until(lambda: drops(bob, "validation_queue_full") == 15)
        gate.set()
        assert len(await take(messages, 10)) == 10


async def test_one_that_never_answers_is_given_up():
    async def hangs(message: pubsub.Message) -> bool:
        await trio.sleep_forever()

    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        bob.set_validator(TOPIC, hangs, timeout=0.05)
        await know(ann, TOPIC)
        await ann.publish(TOPIC, b"1")
        await until(lambda: drops(bob, "ignored_by_validator") == 1)
        assert bob.snapshot()["counters"]["validator_timeouts"] == 1
        assert messages.waiting == 0


async def test_a_validator_can_be_taken_away():
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        bob.set_validator(TOPIC, lambda message: False)
        await know(ann, TOPIC)
        await ann.publish(TOPIC, b"1")
        await until(lambda: drops(bob, "rejected_by_validator") == 1)
        bob.set_validator(TOPIC, None)
        bob.set_validator(TOPIC, None)
        await ann.publish(TOPIC, b"2")
        assert await take(messages, 1) == [b"2"]


async def test_a_validator_may_use_the_node():
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:

        def replies(message: pubsub.Message) -> bool:
            bob.publish_nowait("replies", b"re: " + message.data)
            return True

        bob.set_validator(TOPIC, replies)
        answers = ann.subscribe("replies")
        await know(bob, "replies")
        await know(ann, TOPIC)
        for number in range(20):
            await ann.publish(TOPIC, b"%d" % number)
        assert await take(answers, 20) == [b"re: %d" % number for number in range(20)]
        assert len(await take(messages, 20)) == 20


def returns_none(message: pubsub.Message) -> None:
    pass


async def returns_text(message: pubsub.Message) -> str:
    await trio.lowlevel.checkpoint()
    return "accept"


def raises(message: pubsub.Message) -> bool:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("validator", "error"),
    [(returns_none, TypeError), (returns_text, TypeError), (raises, ZeroDivisionError)],
)
async def test_a_validators_mistake_ends_its_node_alone(
    validator: Callable[[pubsub.Message], object], error: type[Exception]
):
    async with pubsub.open_node() as ann:

        async def run() -> None:
            async with pubsub.open_node(listen=[LOOPBACK]) as bob:
                bob.subscribe(TOPIC)
                bob.set_validator(TOPIC, validator)  # type: ignore[arg-type]
                await link(ann, bob)
                await ann.publish(TOPIC, b"1", min_peers=1)
                await trio.sleep_forever()

        with trio.fail_after(5), pytest.raises(error):
            await run()
        await until(lambda: not ann.peers())
        await ann.publish(TOPIC, b"2")


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"timeout": 0.0}])
async def test_impossible_limits_are_refused(options: dict[str, float]):
    async with pubsub.open_node() as node:
        with pytest.raises(pubsub.ParamError):
            node.set_validator(TOPIC, answer, **options)  # type: ignore[arg-type]
