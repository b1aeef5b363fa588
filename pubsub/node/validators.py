"""Which validators judge which topic: those of the node first, then the topic's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pubsub.errors import ParamError
from pubsub.node.validation import SLOW_SECONDS, TopicValidator, Validator
from pubsub.router import Router
from pubsub.router.effects import Validate
from pubsub.router.events import Event, SetValidation, Validation, ValidationFinished
from pubsub.router.message import Message

if TYPE_CHECKING:
    import trio


class Validators:
    """The validators in use, by topic."""

    def __init__(
        self,
        defaults: Sequence[Validator],
        router: Router,
        nursery: trio.Nursery,
        feed: Callable[[Event], object],
    ) -> None:
        if callable(defaults) or not all(map(callable, defaults)):
            raise ParamError("validators takes a list of functions of a Message")
        self._defaults = tuple(defaults)
        self._router = router
        self._nursery = nursery
        self._feed = feed
        self._topics: dict[str, TopicValidator] = {}
        self._own: dict[str, Validator] = {}
        "Those that were set for one topic."
        self._past_timeouts = 0

    def enter(self, topic: str) -> None:
        """We begin to receive a topic: its messages pass through the node's validators."""
        if self._defaults and topic not in self._topics:
            self.set(topic, None)

    def leave(self, topic: str) -> None:
        """We receive a topic no more: what was set for it stays, what every topic has goes."""
        if topic in self._topics and topic not in self._own:
            self._put(topic, None)

    def set(
        self,
        topic: str,
        validator: Validator | None,
        *,
        concurrency: int | None = None,
        timeout: float | None = None,
        slow_after: float | None = SLOW_SECONDS,
    ) -> None:
        """Give a topic a validator of its own, beside those of the node, or take it away."""
        params = self._router.params_of(topic)
        chain = (*self._defaults, *((validator,) if validator is not None else ()))
        made = TopicValidator(
            topic,
            *chain,
            concurrency=params.validate_concurrency if concurrency is None else concurrency,
            timeout=params.validate_timeout if timeout is None else timeout,
            slow_after=slow_after,
            nursery=self._nursery,
            finish=self._finish,
        )
        self._own.pop(topic, None)
        if validator is not None:
            self._own[topic] = validator
        self._put(topic, made if chain else None)

    def _put(self, topic: str, validator: TopicValidator | None) -> None:
        before = self._topics.pop(topic, None)
        if before is not None:
            self._past_timeouts += before.timeouts
        if validator is not None:
            self._topics[topic] = validator
        self._feed(SetValidation(topic, validator is not None))

    def judge(self, effect: Validate) -> None:
        """Have a message judged, now or later."""
        message = effect.message
        validator = self._topics.get(message.topic)
        if validator is None:
            self._finish(message, Validation.ACCEPT)
        else:
            validator.submit(message)

    def _finish(self, message: Message, verdict: Validation) -> None:
        self._feed(ValidationFinished(message.id, verdict))

    @property
    def timeouts(self) -> int:
        """How often an async validator took too long."""
        return self._past_timeouts + sum(one.timeouts for one in self._topics.values())
