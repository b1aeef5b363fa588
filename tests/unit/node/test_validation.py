"""Validators: inline or beside, at most so many, for at most so long; and what they may answer."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.errors import ParamError
from pubsub.identity import PrivateKey, peer_id_of
from pubsub.node import validation as validation_module
from pubsub.node.validation import SLOW_SECONDS, TopicValidator, Validator, verdict_of
from pubsub.router.events import Validation
from pubsub.router.message import Message

ANN = peer_id_of(PrivateKey(bytes(32)).public_key)


def message(number: int) -> Message:
    return Message("t", b"%d" % number, bytes([number]), ANN)


class Desk:
    """Collects verdicts, and makes the validator under test."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.verdicts: list[tuple[int, Validation]] = []
        self.nursery = nursery

    def make(
        self,
        validator: Validator,
        *,
        concurrency: int = 2,
        timeout: float = 5.0,
        slow_after: float | None = SLOW_SECONDS,
    ) -> TopicValidator:
        return TopicValidator(
            "t",
            validator,
            concurrency=concurrency,
            timeout=timeout,
            slow_after=slow_after,
            nursery=self.nursery,
            finish=lambda one, verdict: self.verdicts.append((one.id[0], verdict)),
        )


@pytest.fixture
def desk(nursery: trio.Nursery) -> Desk:
    return Desk(nursery)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [(True, Validation.ACCEPT), (False, Validation.REJECT), *((one, one) for one in Validation)],
)
def test_what_an_answer_means(answer: object, verdict: Validation):
    assert verdict_of(answer, "t") is verdict


@pytest.mark.parametrize("answer", [None, 1, "accept", b""])
def test_any_other_answer_is_a_mistake_that_is_named(answer: object):
    with pytest.raises(TypeError, match="validator of 't' returned"):
        verdict_of(answer, "t")


async def test_a_plain_function_answers_at_once_and_in_order(desk: Desk):
    validator = desk.make(lambda one: one.id[0] % 2 == 0)
    for number in range(3):
        validator.submit(message(number))
    assert desk.verdicts == [
        (0, Validation.ACCEPT),
        (1, Validation.REJECT),
        (2, Validation.ACCEPT),
    ]


async def test_a_plain_function_that_raises_is_heard(desk: Desk):
    def broken(one: Message) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        desk.make(broken).submit(message(0))


async def accept(one: Message) -> bool:
    await trio.lowlevel.checkpoint()
    return True


class Judge:
    async def __call__(self, one: Message) -> bool:
        return await accept(one)


@pytest.mark.parametrize(
    "validator", [accept, functools.partial(accept), Judge(), Judge().__call__]
)
async def test_every_kind_of_async_callable_serves(desk: Desk, validator: Validator):
    desk.make(validator).submit(message(1))
    assert not desk.verdicts
    await wait_all_tasks_blocked()
    assert desk.verdicts == [(1, Validation.ACCEPT)]


async def test_a_plain_function_may_answer_single_messages_later(
    desk: Desk, autojump_clock: MockClock
):
    async def no() -> bool:
        await trio.sleep(1)
        return False

    async def never() -> bool:
        await trio.sleep_forever()
        return True

    def judge(one: Message) -> object:
        return {1: no, 2: never}.get(one.id[0], True)

    validator = desk.make(judge, concurrency=1)
    for number in (1, 2, 1, 3):
        validator.submit(message(number))
    # What needs no time does not wait for what does.
    assert desk.verdicts == [(3, Validation.ACCEPT)]
    await trio.sleep(10)
    assert desk.verdicts[1:] == [
        (1, Validation.REJECT),
        (2, Validation.IGNORE),
        (1, Validation.REJECT),
    ]
    assert validator.timeouts == 1


async def test_at_most_so_many_run_at_one_time_and_the_rest_wait_in_order(
    desk: Desk, autojump_clock: MockClock
):
    running = most = 0
    begun: list[int] = []

    async def slow(one: Message) -> Validation:
        nonlocal running, most
        begun.append(one.id[0])
        running += 1
        most = max(most, running)
        await trio.sleep(1)
        running -= 1
        return Validation.IGNORE

    validator = desk.make(slow, concurrency=2)
    for number in range(5):
        validator.submit(message(number))
    await trio.sleep(10)
    assert most == 2
    # Which of two tasks starts first is trio's choice.
    assert sorted(begun[:2]) == [0, 1]
    assert begun[2:] == [2, 3, 4]
    assert len(desk.verdicts) == 5
    # All places are free again.
    validator.submit(message(5))
    validator.submit(message(6))
    await wait_all_tasks_blocked()
    assert running == 2


async def test_one_that_takes_too_long_is_cancelled_and_its_message_ignored(
    desk: Desk, autojump_clock: MockClock
):
    cancelled: list[int] = []

    async def hangs(one: Message) -> bool:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.append(one.id[0])

    validator = desk.make(hangs, concurrency=1, timeout=2.0)
    validator.submit(message(0))
    validator.submit(message(1))
    await trio.sleep(3)
    assert desk.verdicts == [(0, Validation.IGNORE)]
    await trio.sleep(2)
    assert desk.verdicts == [(0, Validation.IGNORE), (1, Validation.IGNORE)]
    assert validator.timeouts == 2
    assert cancelled == [0, 1]


@pytest.mark.parametrize(
    ("options", "text"),
    [({"concurrency": 0}, "concurrency must be at least 1"), ({"timeout": 0}, "above 0")],
)
async def test_impossible_limits_are_refused(desk: Desk, options: dict[str, int], text: str):
    with pytest.raises(ParamError, match=text):
        desk.make(accept, **options)


async def test_a_slow_plain_function_is_reported_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    now = [0.0]

    def takes(seconds: float) -> Callable[[Message], bool]:
        def validator(one: Message) -> bool:
            now[0] += seconds
            return True

        return validator

    monkeypatch.setattr(validation_module.time, "perf_counter", lambda: now[0])
    with caplog.at_level(logging.WARNING, "pubsub"):
        quick, slow = desk.make(takes(0.004)), desk.make(takes(0.012))
        known = desk.make(takes(0.012), slow_after=None)
        for number in range(3):
            quick.submit(message(number))
            slow.submit(message(number))
            known.submit(message(number))
    assert [record.getMessage() for record in caplog.records] == [
        "the validator of 't' took 12 ms and held up everything meanwhile; make it faster, or async"
    ]
