"""What happens to a Fabric peer, for those who want to be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, final

from pubsub.fabric.effects import LeaderChanged, StateChanged
from pubsub.fabric.membership import MemberChanged
from pubsub.node.channel import Channel
from pubsub.node.subscription import Reader
from pubsub.params import Overflow


@dataclass(frozen=True, slots=True)
class BlockCommitted:
    """A block is in our ledger."""

    channel: str
    number: int


Event: TypeAlias = BlockCommitted | LeaderChanged | MemberChanged | StateChanged


@final
class NewsStream(Reader[Event]):
    """What happened since `events` was called; `lost` counts what a slow reader missed."""

    async def __aenter__(self) -> NewsStream:
        return self

    def __aiter__(self) -> NewsStream:
        return self


@final
class News:
    """All who are told."""

    def __init__(self) -> None:
        self._channels: list[Channel[Event]] = []

    def events(self, capacity: int) -> NewsStream:
        channel = Channel[Event](capacity, Overflow.DROP_OLDEST)
        stream = NewsStream(channel, lambda: self._drop(channel))
        self._channels.append(channel)
        return stream

    def tell(self, event: Event) -> None:
        for channel in self._channels:
            channel.offer(event)

    def close(self) -> None:
        for channel in self._channels:
            channel.close()
        self._channels.clear()

    def _drop(self, channel: Channel[Event]) -> None:
        if channel in self._channels:
            self._channels.remove(channel)
