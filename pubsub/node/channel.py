"""A bounded queue from the node to one reader, that never makes the node wait.

When it is full something is lost, by a stated policy, and counted. Reading is
cheap: a reader that finds something does not yield to the scheduler, except
now and then so that others get their turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

import trio

from pubsub.errors import ClosedError, ParamError
from pubsub.node.pace import Pace
from pubsub.params import Overflow

T = TypeVar("T")


class Channel(Generic[T]):
    """The queue. `offer` is the node's side, `receive` and its kin are the reader's."""

    def __init__(self, capacity: int, overflow: Overflow) -> None:
        if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1:
            raise ParamError(f"capacity must be a whole number of at least 1, not {capacity!r}")
        if not isinstance(overflow, Overflow):
            raise ParamError(
                f"overflow must be an Overflow, such as Overflow.DROP_NEWEST: {overflow!r}"
            )
        self.capacity = capacity
        self._overflow = overflow
        self._items: deque[T] = deque()
        self._readers = trio.lowlevel.ParkingLot()
        self._pace = Pace()
        self.lost = 0
        "How many items the reader has lost so far because it was slow."
        self.closed = False

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        """What waits, the oldest first."""
        return iter(self._items)

    def lose(self) -> None:
        """Count an item that was not even offered."""
        self.lost += 1

    def offer(self, item: T) -> bool:
        """Add an item; False if one was lost for it, or it was lost itself."""
        kept = True
        if len(self._items) >= self.capacity:
            self.lost += 1
            kept = False
            if self._overflow is Overflow.DROP_NEWEST:
                return False
            self._items.popleft()
        self._items.append(item)
        if self._readers:
            self._readers.unpark()
        return kept

    def close(self) -> None:
        """End the queue. What waits can still be read; then readers get ClosedError."""
        self.closed = True
        self._readers.unpark_all()

    def receive_nowait(self) -> T:
        """The next item.

        Raises trio.WouldBlock if there is none, ClosedError at the end.
        """
        if self._items:
            return self._items.popleft()
        if self.closed:
            raise ClosedError("this subscription is closed")
        raise trio.WouldBlock

    async def receive(self) -> T:
        """Wait for the next item.

        Raises ClosedError once the queue is closed and empty.
        """
        if self._items:
            await self._pace.checkpoint()
        # Another reader may have taken it meanwhile.
        if not self._items:
            await self._wait()
        return self._items.popleft()

    async def receive_batch(self, max_items: int = 64) -> list[T]:
        """Wait for at least one item and return all that are there, up to `max_items`.

        Raises ClosedError once the queue is closed and empty.
        """
        if max_items < 1:
            raise ParamError(f"max_items must be at least 1, not {max_items}")
        if self._items:
            await self._pace.checkpoint(min(max_items, len(self._items)))
        if not self._items:
            await self._wait()
        items = self._items
        return [items.popleft() for _ in range(min(max_items, len(items)))]

    async def _wait(self) -> None:
        while not self._items:
            if self.closed:
                raise ClosedError("this subscription is closed")
            await self._readers.park()
