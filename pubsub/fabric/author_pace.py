"""How often one author may say something new on a topic.

    bucket of each (topic, author): BURST messages, refilled by RATE a second

A signature takes a while to check, and what is new is carried on to all. Fabric's peers speak
every few seconds; one that speaks thousands of times a second would occupy everybody. Only
messages that were found good are counted, so that nobody can use up what another may say.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import final

RATE = 10.0
BURST = 50.0
"Messages; Fabric's own need less than one a second (ours)."
MAX_BUCKETS = 20_000
"Beyond, the one that was not used for longest is forgotten, and is full again."

Key = tuple[str, bytes]
"Topic and PKI-ID."


@final
class AuthorPace:
    """The buckets of all authors."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[Key, tuple[float, float]] = OrderedDict()
        "What was left in each, and when."

    def __len__(self) -> int:
        return len(self._buckets)

    def allows(self, key: Key, now: float) -> bool:
        """Whether one more message is not too much."""
        return self._left(key, now) >= 1

    def count(self, key: Key, now: float) -> None:
        """One more message was found good."""
        self._buckets[key] = (self._left(key, now) - 1, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)

    def _left(self, key: Key, now: float) -> float:
        left, at = self._buckets.get(key, (BURST, now))
        return min(BURST, left + RATE * (now - at))
