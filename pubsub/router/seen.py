"""Which message ids have been seen, for a while (pubsub spec, "seen cache").

Ids are kept in the order they came, in one bucket for each heartbeat, so that
forgetting is one sweep over what is old and never a look at what is not.
"""

from __future__ import annotations

from collections import deque


class SeenCache:
    """Remembers ids for `ttl` seconds from when they were first seen, at most `limit` of them."""

    def __init__(self, ttl: float, limit: int) -> None:
        self.ttl = ttl
        self.limit = limit
        self.evicted = 0
        "Ids forgotten early because there were too many."
        self.ids: dict[bytes, int] = {}
        "What is remembered, to look into where it matters that `in` calls no method (0.1 µs)."
        self._buckets: deque[tuple[float, int, list[bytes]]] = deque()
        self._newest: list[bytes] = []
        self._serial = 0
        # Each id knows its bucket, because one that was forgotten and seen
        # again must live as long as its second bucket.

    def __contains__(self, message_id: object) -> bool:
        return message_id in self.ids

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, message_id: bytes) -> None:
        """Remember an id that was not seen before."""
        self.ids[message_id] = self._serial
        self._newest.append(message_id)
        if len(self.ids) > self.limit:
            self._evict()

    def forget(self, message_id: bytes) -> None:
        """Unsee an id, so that the next copy counts as the first."""
        self.ids.pop(message_id, None)

    def tick(self, now: float) -> None:
        """Close the current bucket and drop those that are older than the time to live."""
        if self._newest:
            self._buckets.append((now, self._serial, self._newest))
            self._newest = []
            self._serial += 1
        # A bucket's time is that of its end, so no id lives shorter than promised.
        while self._buckets and self._buckets[0][0] + self.ttl <= now:
            _, serial, ids = self._buckets.popleft()
            self._drop(serial, ids)

    def _evict(self) -> None:
        if self._buckets:
            _, serial, ids = self._buckets.popleft()
        else:
            half = len(self._newest) // 2 + 1
            serial, ids, self._newest = self._serial, self._newest[:half], self._newest[half:]
        before = len(self.ids)
        self._drop(serial, ids)
        self.evicted += before - len(self.ids)

    def _drop(self, serial: int, ids: list[bytes]) -> None:
        known = self.ids
        for message_id in ids:
            if known.get(message_id) == serial:
                del known[message_id]
