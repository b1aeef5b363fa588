"""What a subscriber holds: a bounded queue of messages, and of events."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar, final

from pubsub.errors import ClosedError
from pubsub.node.channel import Channel
from pubsub.node.events import Connected, Deliver, Disconnected, NodeEvent, Published
from pubsub.params import Overflow
from pubsub.router.message import Message

T = TypeVar("T")


class Reader(Generic[T]):
    """Reading from a channel, with `async with`, `async for` and by hand."""

    def __init__(self, channel: Channel[T], on_close: Callable[[], None]) -> None:
        self._channel = channel
        self._on_close = on_close

    async def receive(self) -> T:
        """Wait for the next one.

        Raises ClosedError once this is closed and all that waited has been read.
        """
        return await self._channel.receive()

    async def receive_batch(self, max_items: int = 64) -> list[T]:
        """Wait for at least one and return all that are there, up to `max_items`.

        The quickest way to read much. Raises ClosedError as `receive` does,
        ParamError if `max_items` is below 1.
        """
        return await self._channel.receive_batch(max_items)

    def receive_nowait(self) -> T:
        """The next one, if there is one.

        Raises trio.WouldBlock if there is none, ClosedError as `receive` does.
        """
        return self._channel.receive_nowait()

    @property
    def lost(self) -> int:
        """How many items were lost so far because this reader was too slow."""
        return self._channel.lost

    @property
    def waiting(self) -> int:
        """How many items wait to be read."""
        return len(self._channel)

    def close(self) -> None:
        """Stop receiving. What already waits can still be read. Closing twice is fine."""
        if not self._channel.closed:
            self._channel.close()
            self._on_close()

    async def __aenter__(self) -> Reader[T]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> Reader[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self._channel.receive()
        except ClosedError:
            raise StopAsyncIteration from None


@final
class Subscription(Reader[Message]):
    """The messages of one topic, from when `Node.subscribe` was called.

    Holds at most `capacity` messages; `lost` counts those that a slow reader
    lost to the overflow policy. Own publishes are not among them.
    """

    def __init__(
        self,
        topic: str,
        channel: Channel[Message],
        on_close: Callable[[], None],
        where: Callable[[Message], bool] | None = None,
    ) -> None:
        super().__init__(channel, on_close)
        self.topic = topic
        self.offer: Callable[[Message], bool] = channel.offer
        "Add a message; False if one was lost for it."
        if where is not None:
            take, wanted = channel.offer, where
            self.offer = lambda message: take(message) if wanted(message) else True

    async def __aenter__(self) -> Subscription:
        return self

    def __aiter__(self) -> Subscription:
        return self

    def __repr__(self) -> str:
        return f"<Subscription to {self.topic!r}, {self.waiting} waiting, {self.lost} lost>"


@final
class EventStream(Reader[NodeEvent]):
    """What happened, from when `Node.events` or `Node.trace` was called, of one topic or of all."""

    def __init__(
        self,
        channel: Channel[NodeEvent],
        on_close: Callable[[], None],
        topic: str | None = None,
    ) -> None:
        super().__init__(channel, on_close)
        self._topic = topic

    def offer(self, event: NodeEvent) -> bool:
        """Add an event, if it is of our topic; False if one was lost for it."""
        if self._topic is not None and topic_of(event) != self._topic:
            return True
        return self._channel.offer(event)

    async def __aenter__(self) -> EventStream:
        return self

    def __aiter__(self) -> EventStream:
        return self


def topic_of(event: NodeEvent) -> str | None:
    """The topic that an event belongs to, None if to none."""
    match event:
        case Connected() | Disconnected():
            return None
        case Published():
            return event.message.topic
        case Deliver():
            return event.messages[0].topic
        case _:
            return event.topic


@final
class Relay:
    """Messages of a topic pass through this node for as long as this is open, and nobody reads."""

    def __init__(self, topic: str, on_close: Callable[[], None]) -> None:
        self.topic = topic
        self._on_close = on_close
        self._closed = False

    def close(self) -> None:
        """Relay no more. Closing twice is fine."""
        if not self._closed:
            self._closed = True
            self._on_close()

    async def __aenter__(self) -> Relay:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


__all__ = ["EventStream", "Overflow", "Reader", "Relay", "Subscription"]
