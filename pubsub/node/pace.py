"""When a call that need not wait yields to the scheduler all the same.

Yielding at every call costs more than the call (5 µs beside 2) and makes each
message a system call of its own. So calls that find their work done check for
cancellation only, and yield after 64 items or a millisecond.
"""

from __future__ import annotations

import time

import trio

ITEMS = 64
SECONDS = 0.001


class Pace:
    """Counts the work of one caller since it last yielded."""

    __slots__ = ("_items", "_yielded_at")

    def __init__(self) -> None:
        self._items = 0
        self._yielded_at = 0.0

    async def checkpoint(self, items: int = 1) -> None:
        """A trio checkpoint that yields only now and then; cancellation is seen every time."""
        self._items += items
        # The clock is asked every eighth time: it costs as much as the rest.
        if self._items >= ITEMS or (
            not self._items & 7 and time.perf_counter() - self._yielded_at > SECONDS
        ):
            self._items = 0
            await trio.lowlevel.checkpoint()
            self._yielded_at = time.perf_counter()
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
