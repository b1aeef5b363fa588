"""What can be set for one topic: some of the node's parameters, and how its messages are named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from pubsub.errors import ParamError
from pubsub.mesh.topic import TopicState
from pubsub.params import Overflow, Params, Signing
from pubsub.router import message_ids
from pubsub.router.message import MessageIdFunction


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicParams:
    """Parameters of one topic; None leaves what `Params` says (same names, same meaning).

    All nodes of a topic must agree on `signing` and `message_id`, and on a
    `max_message_size` that suits all. What behaviour in a topic is worth stands
    in `ScoreParams.topics`.
    """

    d: int | None = None
    d_low: int | None = None
    d_high: int | None = None
    d_score: int | None = None
    d_out: int | None = None
    d_lazy: int | None = None
    gossip_factor: float | None = None
    flood_publish: bool | None = None
    fanout_ttl: float | None = None
    prune_backoff: float | None = None
    unsubscribe_backoff: float | None = None
    idontwant_threshold: int | None = None
    signing: Signing | None = None
    max_message_size: int | None = None
    validate_pending_topic: int | None = None
    validate_concurrency: int | None = None
    validate_timeout: float | None = None
    subscription_buffer: int | None = None
    subscription_overflow: Overflow | None = None

    message_id: MessageIdFunction | str | None = None
    """What makes the ids of its messages: a function, or the name of a preset (`go`, `rust`, …).

    None: the node's function, or what suits `signing`.
    """

    fanout_only: bool = False
    "Publish only: `subscribe` is an error, and so no mesh is ever kept (go: FanoutOnly)."

    def applied(self, params: Params, topic: str) -> Params:
        """The node's parameters with these in their place.

        Raises ParamError, naming the topic, for an impossible combination.
        """
        changes = {
            spec.name: value
            for spec in fields(self)
            if spec.name not in _OWN and (value := getattr(self, spec.name)) is not None
        }
        try:
            return params.replaced(**changes)
        except ParamError as error:
            raise ParamError(f"parameters of topic {topic!r}: {error}") from error


class TopicSettings:
    """The parameters of every topic: its own where some were set, else the node's."""

    def __init__(
        self,
        params: Params,
        message_id: MessageIdFunction | str | None,
        topics: Mapping[str, TopicParams],
    ) -> None:
        self.params = params
        self._message_id = message_ids.chosen(message_id, signed=_signed(params))
        self._message_ids: dict[str, MessageIdFunction] = {}
        "Of topics that have a function of their own."
        self._topics: dict[str, TopicParams] = {}
        self.max_message_size = params.max_message_size
        "The largest message of any topic."
        for name, of_topic in topics.items():
            self.set(name, of_topic)

    def set(self, topic: str, of_topic: TopicParams | None) -> None:
        """Give a topic parameters of its own, or None for the node's. ParamError as `applied`."""
        check_text(topic)
        if of_topic is None:
            self._topics.pop(topic, None)
            self._message_ids.pop(topic, None)
        elif not isinstance(of_topic, TopicParams):
            raise ParamError(f"{topic!r} takes TopicParams, not {of_topic!r:.80}")
        else:
            params = of_topic.applied(self.params, topic)
            # A function for signed messages may make no sense of anonymous ones.
            if of_topic.message_id is not None or _signed(params) is not _signed(self.params):
                self._message_ids[topic] = message_ids.chosen(
                    of_topic.message_id, signed=_signed(params)
                )
            else:
                self._message_ids.pop(topic, None)
            self._topics[topic] = of_topic
        sizes = [one.max_message_size or 0 for one in self._topics.values()]
        self.max_message_size = max(self.params.max_message_size, *sizes, 0)

    def of(self, topic: str) -> Params:
        """The parameters that hold for a topic."""
        check_text(topic)
        of_topic = self._topics.get(topic)
        return self.params if of_topic is None else of_topic.applied(self.params, topic)

    def apply(self, state: TopicState) -> None:
        """Write what holds for a topic into its record."""
        of_topic = self._topics.get(state.name)
        state.params = self.of(state.name)
        state.fanout_only = of_topic is not None and of_topic.fanout_only
        state.message_id = self._message_ids.get(state.name, self._message_id)


def _signed(params: Params) -> bool:
    return params.signing is Signing.STRICT


def check_text(topic: object) -> None:
    """Raise ParamError unless a topic is text."""
    if not isinstance(topic, str):
        raise ParamError(f"a topic is text, not {type(topic).__name__}")


_OWN = ("message_id", "fanout_only")
