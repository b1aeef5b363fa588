"""Running the application's validators.

A sync validator is called where the message is read, and is meant to be fast:
messages of one author keep their order, and one that takes over 5 ms, or what
was set instead, is reported once. An async validator runs in a task of its own, at most
`concurrency` at a time for each topic, so a slow topic delays no other;
messages may overtake each other. A sync validator may do the same for single
messages, by returning an async function without arguments.
"""

from __future__ import annotations

import inspect
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

from pubsub.errors import ParamError
from pubsub.router.events import Validation
from pubsub.router.message import Message

Later: TypeAlias = Callable[[], "Awaitable[Validation | bool]"]
"What a sync validator returns for a message that takes it longer: the rest of its work."

Validator: TypeAlias = Callable[
    [Message], "Validation | bool | Later | Awaitable[Validation | bool]"
]
"Given a message, says whether it is good; True means ACCEPT and False REJECT."

SLOW_SECONDS = 0.005
logger = logging.getLogger("pubsub")


def verdict_of(result: object, topic: str) -> Validation:
    """Read a validator's answer.

    Raises TypeError if it is neither a Validation nor a bool.
    """
    if isinstance(result, Validation):
        return result
    if isinstance(result, bool):
        return Validation.ACCEPT if result else Validation.REJECT
    raise TypeError(
        f"the validator of {topic!r} returned {result!r}; it must be a Validation or a bool"
    )


def is_async(validator: Validator) -> bool:
    """True if the validator must be awaited."""
    return inspect.iscoroutinefunction(validator) or inspect.iscoroutinefunction(
        getattr(validator, "__call__", None)  # noqa: B004 - an object may have an async __call__
    )


class TopicValidator:
    """One topic's validators, with their queue and their limit.

    They are asked in turn, sync ones first; the first that does not accept decides.
    """

    def __init__(
        self,
        topic: str,
        *validators: Validator,
        concurrency: int,
        timeout: float,
        slow_after: float | None = SLOW_SECONDS,
        nursery: trio.Nursery,
        finish: Callable[[Message, Validation], None],
    ) -> None:
        if concurrency < 1:
            raise ParamError(f"concurrency must be at least 1, not {concurrency}")
        if timeout <= 0:
            raise ParamError(f"timeout must be above 0, not {timeout:g}")
        for validator in validators:
            if not callable(validator):
                raise ParamError(f"a validator is a function of a Message, not {validator!r:.80}")
        self._topic = topic
        self._quick = [one for one in validators if not is_async(one)]
        self._slow = [one for one in validators if is_async(one)]
        self._room = concurrency
        self._timeout = timeout
        self._nursery = nursery
        self._finish = finish
        self._waiting: deque[tuple[Message, list[Later]]] = deque()
        self._slow_after = math.inf if slow_after is None else slow_after
        self._reported = False
        self.timeouts = 0

    def submit(self, message: Message) -> None:
        """Validate a message and call `finish` with the verdict, now or later."""
        verdict = Validation.ACCEPT
        rest: list[Later] = []
        for validator in self._quick:
            started = time.perf_counter()
            result = validator(message)
            self._report_if_slow(time.perf_counter() - started)
            if callable(result):
                rest.append(result)
                continue
            verdict = verdict_of(result, self._topic)
            if verdict is not Validation.ACCEPT:
                break
        if verdict is not Validation.ACCEPT or not (rest or self._slow):
            self._finish(message, verdict)
        elif self._room > 0:
            self._room -= 1
            self._nursery.start_soon(self._work, message, rest)
        else:
            # Bounded by the router, which counts what waits for each topic.
            self._waiting.append((message, rest))

    async def _work(self, message: Message, rest: list[Later]) -> None:
        """Validate a message and then those that wait, until none does."""
        while True:
            verdict = Validation.IGNORE
            with trio.move_on_after(self._timeout) as scope:
                verdict = await self._judge(message, rest)
            if scope.cancelled_caught:
                self.timeouts += 1
            self._finish(message, verdict)
            if not self._waiting:
                break
            message, rest = self._waiting.popleft()
        self._room += 1

    async def _judge(self, message: Message, rest: list[Later]) -> Validation:
        for later in rest:
            verdict = verdict_of(await later(), self._topic)
            if verdict is not Validation.ACCEPT:
                return verdict
        for validator in self._slow:
            result = validator(message)
            assert inspect.isawaitable(result)
            verdict = verdict_of(await result, self._topic)
            if verdict is not Validation.ACCEPT:
                return verdict
        return Validation.ACCEPT

    def _report_if_slow(self, seconds: float) -> None:
        if seconds > self._slow_after and not self._reported:
            self._reported = True
            logger.warning(
                "the validator of %r took %.0f ms and held up everything meanwhile; "
                "make it faster, or async",
                self._topic,
                seconds * 1000,
            )
