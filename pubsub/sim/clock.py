"""Virtual time: what is planned happens in order of its time, then in the order of planning."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any


class Clock:
    """A heap of future happenings and the time they have brought us to."""

    __slots__ = ("_heap", "_planned", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._planned = 0

    def __len__(self) -> int:
        """How many happenings are planned."""
        return len(self._heap)

    def at(self, when: float, action: Callable[..., object], *args: Any) -> None:
        """Plan `action(*args)`; what is planned for the past happens now."""
        self._planned += 1
        heapq.heappush(self._heap, (max(when, self.now), self._planned, action, args))

    def after(self, delay: float, action: Callable[..., object], *args: Any) -> None:
        """Plan `action(*args)` for `delay` seconds from now."""
        self.at(self.now + delay, action, *args)

    def run_until(self, until: float) -> None:
        """Let everything planned up to `until`, that moment included, happen."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= until:
            self.now, _, action, args = pop(heap)
            action(*args)
        self.now = max(self.now, until)
