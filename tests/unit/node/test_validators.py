"""Which validators are asked about a message, and in which order."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.errors import ParamError
from pubsub.identity import PrivateKey, peer_id_of
from pubsub.node.validation import Validator
from pubsub.node.validators import Validators
from pubsub.params import Params
from pubsub.router import Router
from pubsub.router.effects import Validate
from pubsub.router.events import Event, SetValidation, Validation, ValidationFinished
from pubsub.router.message import Message
from pubsub.router.topic_params import TopicParams

KEY = PrivateKey(bytes(32))
ANN = peer_id_of(KEY.public_key)


class Desk:
    """Validators over a router, and what they tell it."""

    def __init__(self, nursery: trio.Nursery, defaults: Sequence[Validator] = ()) -> None:
        self.fed: list[Event] = []
        router = Router(
            KEY,
            Params(validate_timeout=7.0),
            rng=random.Random(0),
            now=0.0,
            first_seqno=1,
            topics={"brief": TopicParams(validate_timeout=1.0)},
        )
        self.validators = Validators(defaults, router, nursery, self.fed.append)

    def judge(self, data: bytes, topic: str = "t") -> list[Validation]:
        """The verdicts that are there at once."""
        before = len(self.fed)
        self.validators.judge(Validate(Message(topic, data, data, ANN)))
        return [one.verdict for one in self.fed[before:] if isinstance(one, ValidationFinished)]

    def switches(self) -> list[tuple[str, bool]]:
        """What the router was told of topics."""
        told = [event for event in self.fed if isinstance(event, SetValidation)]
        return [(event.topic, event.validated) for event in told]


def no(letter: bytes, asked: list[bytes] | None = None) -> Callable[[Message], bool]:
    """A validator that rejects data with a letter in it."""

    def validator(message: Message) -> bool:
        if asked is not None:
            asked.append(letter)
        return letter not in message.data

    return validator


async def test_the_nodes_own_are_asked_before_the_topics(nursery: trio.Nursery) -> None:
    asked: list[bytes] = []
    desk = Desk(nursery, [no(b"a", asked), no(b"b", asked)])
    desk.validators.enter("t")
    desk.validators.set("t", no(b"c", asked))
    assert desk.judge(b"good") == [Validation.ACCEPT]
    assert asked == [b"a", b"b", b"c"]
    asked.clear()
    assert desk.judge(b"bc") == [Validation.REJECT]
    assert asked == [b"a", b"b"]
    assert desk.judge(b"c") == [Validation.REJECT]


async def test_they_judge_each_topic_that_is_entered(nursery: trio.Nursery) -> None:
    desk = Desk(nursery, [no(b"a")])
    desk.validators.enter("t")
    desk.validators.enter("t")
    desk.validators.enter("u")
    assert desk.switches() == [("t", True), ("u", True)]
    assert desk.judge(b"a") == desk.judge(b"a", "u") == [Validation.REJECT]


async def test_without_any_nothing_is_validated(nursery: trio.Nursery) -> None:
    desk = Desk(nursery)
    desk.validators.enter("t")
    desk.validators.leave("t")
    assert desk.fed == []
    # One that waited while its validator was taken away.
    assert desk.judge(b"a") == [Validation.ACCEPT]


async def test_taking_a_topics_own_away_leaves_the_others(nursery: trio.Nursery) -> None:
    desk = Desk(nursery, [no(b"a")])
    desk.validators.set("t", no(b"b"))
    desk.validators.set("t", None)
    assert desk.switches() == [("t", True), ("t", True)]
    assert desk.judge(b"b") == [Validation.ACCEPT]
    assert desk.judge(b"a") == [Validation.REJECT]


async def test_where_there_are_no_others_the_topic_is_validated_no_more(
    nursery: trio.Nursery,
) -> None:
    desk = Desk(nursery)
    desk.validators.set("t", no(b"b"))
    desk.validators.set("t", None)
    assert desk.switches() == [("t", True), ("t", False)]


async def test_a_topic_that_is_left_keeps_what_was_set_for_it_alone(nursery: trio.Nursery) -> None:
    desk = Desk(nursery, [no(b"a")])
    desk.validators.set("t", no(b"b"))
    for topic in ("t", "u"):
        desk.validators.enter(topic)
        desk.validators.leave(topic)
    assert desk.switches() == [("t", True), ("u", True), ("u", False)]
    assert desk.judge(b"b") == [Validation.REJECT]
    desk.validators.enter("u")
    assert desk.judge(b"a", "u") == [Validation.REJECT]


async def test_sync_ones_are_asked_before_async_ones(nursery: trio.Nursery) -> None:
    asked: list[bytes] = []

    async def slow(message: Message) -> bool:
        await trio.lowlevel.checkpoint()
        asked.append(b"slow")
        return True

    desk = Desk(nursery, [slow])
    desk.validators.set("t", no(b"a", asked))
    assert desk.judge(b"a") == [Validation.REJECT]
    assert desk.judge(b"b") == []
    await wait_all_tasks_blocked()
    assert asked == [b"a", b"a", b"slow"]
    assert desk.fed[-1] == ValidationFinished(b"b", Validation.ACCEPT)


async def test_the_first_async_one_that_does_not_accept_decides(nursery: trio.Nursery) -> None:
    async def ignores(message: Message) -> Validation:
        await trio.lowlevel.checkpoint()
        return Validation.IGNORE

    async def never(message: Message) -> bool:
        raise AssertionError("it was asked")

    desk = Desk(nursery, [ignores, never])
    desk.validators.enter("t")
    desk.judge(b"a")
    await wait_all_tasks_blocked()
    assert desk.fed[-1] == ValidationFinished(b"a", Validation.IGNORE)


async def test_the_time_for_one_is_that_of_its_topic_and_timeouts_are_counted_for_good(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async def never(message: Message) -> bool:
        await trio.sleep_forever()
        raise AssertionError

    desk = Desk(nursery, [never])
    for topic, seconds in (("brief", 1.0), ("t", 7.0)):
        desk.validators.enter(topic)
        started = trio.current_time()
        desk.judge(b"x", topic)
        await trio.sleep(seconds - 0.01)
        assert not isinstance(desk.fed[-1], ValidationFinished)
        await trio.sleep(0.02)
        assert desk.fed[-1] == ValidationFinished(b"x", Validation.IGNORE)
        assert trio.current_time() - started < seconds + 0.1
    assert desk.validators.timeouts == 2
    desk.validators.leave("brief")
    assert desk.validators.timeouts == 2


@pytest.mark.parametrize("validators", [no(b"a"), [None], ["reject"]])
async def test_what_is_no_list_of_functions_is_refused(
    nursery: trio.Nursery, validators: object
) -> None:
    with pytest.raises(ParamError, match="list of functions"):
        Desk(nursery, validators)


async def test_what_is_no_function_is_refused_and_changes_nothing(nursery: trio.Nursery) -> None:
    desk = Desk(nursery)
    desk.validators.set("t", no(b"a"))
    with pytest.raises(ParamError, match="a validator is a function"):
        desk.validators.set("t", "accept")
    assert desk.judge(b"a") == [Validation.REJECT]
