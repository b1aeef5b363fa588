"""Who reads what: subscriptions and relays by topic, streams of events and traces."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from operator import attrgetter

from pubsub.errors import ParamError
from pubsub.node.channel import Channel
from pubsub.node.events import MessagesLost, NodeEvent
from pubsub.node.subscription import EventStream, Relay, Subscription
from pubsub.params import Overflow
from pubsub.router.effects import Deliver, Dropped
from pubsub.router.message import Message

TOO_SLOW = "reader_too_slow"


class Readers:
    """Hands out what arrives, and counts what slow readers lose.

    `enter` is called with a topic that gets its first reader, `leave` with one
    that has lost its last; `trace` when the first trace begins and the last ends.
    """

    def __init__(
        self,
        enter: Callable[[str], None],
        leave: Callable[[str], None],
        trace: Callable[[bool], None],
    ) -> None:
        self._enter = enter
        self._leave = leave
        self._trace = trace
        self._subscriptions: dict[str, tuple[Subscription, ...]] = {}
        "Made anew at each change, so that a reader may close one while messages are handed out."
        self._relays: dict[str, list[Relay]] = {}
        self._streams: list[EventStream] = []
        self._traces: list[EventStream] = []
        self._told: dict[Subscription, int] = {}
        "How many losses of a subscription were told of."
        self.lost = 0

    # Beginning and ending

    def subscribe(
        self,
        topic: str,
        capacity: int,
        overflow: Overflow,
        where: Callable[[Message], bool] | None,
    ) -> Subscription:
        """A new subscription; raises as the router does if the topic cannot be entered."""
        if where is not None and not callable(where):
            raise ParamError(f"where takes a function of a Message, not {where!r:.80}")
        channel = Channel[Message](capacity, overflow)
        self._enter(topic)
        subscription = Subscription(topic, channel, lambda: self._end(subscription), where)
        self._subscriptions[topic] = (*self._subscriptions.get(topic, ()), subscription)
        return subscription

    def relay(self, topic: str) -> Relay:
        self._enter(topic)
        relay = Relay(topic, lambda: self._end(relay))
        self._relays.setdefault(topic, []).append(relay)
        return relay

    def _end(self, reader: Subscription | Relay) -> None:
        topic = reader.topic
        if isinstance(reader, Relay):
            self._relays[topic].remove(reader)
            if not self._relays[topic]:
                del self._relays[topic]
        else:
            self._tell_loss(reader)
            self._told.pop(reader, None)
            left = tuple(one for one in self._subscriptions[topic] if one is not reader)
            if left:
                self._subscriptions[topic] = left
            else:
                del self._subscriptions[topic]
        if topic not in self._subscriptions and topic not in self._relays:
            self._leave(topic)

    def events(self, capacity: int, topic: str | None) -> EventStream:
        channel = Channel[NodeEvent](capacity, Overflow.DROP_OLDEST)
        stream = EventStream(channel, lambda: self._streams.remove(stream), topic)
        self._streams.append(stream)
        return stream

    def trace(self, capacity: int, topic: str | None) -> EventStream:
        channel = Channel[NodeEvent](capacity, Overflow.DROP_OLDEST)
        stream = EventStream(channel, lambda: self._end_trace(stream), topic)
        self._traces.append(stream)
        if len(self._traces) == 1:
            self._trace(True)
        return stream

    def _end_trace(self, stream: EventStream) -> None:
        self._traces.remove(stream)
        if not self._traces:
            self._trace(False)

    def close(self) -> None:
        """End everything. What waits can still be read."""
        readers: list[Subscription | Relay | EventStream] = []
        readers += [one for group in self._subscriptions.values() for one in group]
        readers += [one for group in self._relays.values() for one in group]
        readers += [*self._streams, *self._traces]
        for reader in readers:
            reader.close()

    # Handing out

    def deliver(self, effect: Deliver) -> None:
        subscriptions = self._subscriptions
        for message in effect.messages:
            for subscription in subscriptions.get(message.topic, ()):
                if not subscription.offer(message):
                    self._note_loss(message)
        if self._traces:
            # One for each topic, so that a trace of one topic has all of it and nothing else.
            for _, messages in groupby(effect.messages, attrgetter("topic")):
                self.tell_traces(Deliver(tuple(messages)))

    def _note_loss(self, message: Message) -> None:
        self.lost += 1
        if self._traces:
            self.tell_traces(Dropped(TOO_SLOW, 1, message.received_from, message.topic, message.id))

    def tell(self, event: NodeEvent) -> None:
        """Hand an event to those who read events, and to the traces."""
        for stream in self._streams:
            stream.offer(event)
        if self._traces:
            self.tell_traces(event)

    def tell_traces(self, event: NodeEvent) -> None:
        """Hand an event to the traces only."""
        for stream in self._traces:
            stream.offer(event)

    def tell_losses(self) -> None:
        """Tell how many messages each subscription lost since this was last called."""
        if not self.lost:
            return
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                self._tell_loss(subscription)

    def _tell_loss(self, subscription: Subscription) -> None:
        fresh = subscription.lost - self._told.get(subscription, 0)
        if fresh:
            self._told[subscription] = subscription.lost
            self.tell(MessagesLost(subscription.topic, fresh, subscription.lost))

    def snapshot(self) -> dict[str, list[dict[str, int]]]:
        """What waits for each subscription, and what it lost."""
        return {
            topic: [{"waiting": one.waiting, "lost": one.lost} for one in subscriptions]
            for topic, subscriptions in self._subscriptions.items()
        }
