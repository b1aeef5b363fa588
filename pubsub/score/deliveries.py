"""Each message's fate, for as long as a further copy of it can still matter to a score.

    arrived ── accepted ──► near-first: copies within a window count for P3
       │
       ├────── refused ───► invalid: each further copy counts for P4
       └────── dropped ───► nothing: we cannot tell what it was worth

While the verdict is open, those who forward a copy are noted, once each; they
get theirs with the verdict (gossipsub v1.1 §P₃ and P₃b). A message that is not
known here costs and earns nothing, so forgetting early only makes us lenient.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass

from pubsub.identity import PeerId


class Copy(enum.Enum):
    """What one more copy of a message counts as."""

    NOTHING = enum.auto()
    NEAR_FIRST = enum.auto()
    INVALID = enum.auto()


@dataclass(slots=True)
class Pending:
    """A message on its way through validation."""

    since: float
    forwarders: dict[PeerId, None] | None = None
    "None until there is one: most messages are judged before a copy comes."


@dataclass(slots=True)
class Accepted:
    """A good message whose copies still count."""

    until: float
    counted: dict[PeerId, None]
    "Who has been credited already; a second copy earns nothing."


class DeliveryRecords:
    """Fates by message id, bounded by time and by number."""

    # OrderedDict, because its oldest entry is found at once even after many deletions.
    __slots__ = ("_accepted", "_invalid", "_limit", "_pending", "_ttl", "evicted")

    def __init__(self, *, ttl: float, limit: int) -> None:
        self._ttl = ttl
        self._limit = limit
        self._pending: OrderedDict[bytes, Pending] = OrderedDict()
        self._accepted: OrderedDict[bytes, Accepted] = OrderedDict()
        self._invalid: OrderedDict[bytes, float] = OrderedDict()
        self.evicted = 0
        "Records forgotten early because there were too many."

    def __len__(self) -> int:
        return len(self._pending) + len(self._accepted) + len(self._invalid)

    def arrived(self, message_id: bytes, *, now: float) -> None:
        """Open a verdict, unless the message is known."""
        if message_id in self._pending or message_id in self._invalid:
            return
        if message_id not in self._accepted:
            self._pending[message_id] = Pending(now)
            if len(self._pending) > self._limit:
                self._pending.popitem(last=False)
                self.evicted += 1

    def copied(self, message_id: bytes, peer: PeerId, *, now: float) -> Copy:
        """Note a copy from `peer` and return what it counts as right now."""
        pending = self._pending.get(message_id)
        if pending is not None:
            if pending.forwarders is None:
                pending.forwarders = {}
            pending.forwarders[peer] = None
            return Copy.NOTHING
        if message_id in self._invalid:
            return Copy.INVALID
        accepted = self._accepted.get(message_id)
        if accepted is None or now > accepted.until or peer in accepted.counted:
            return Copy.NOTHING
        accepted.counted[peer] = None
        return Copy.NEAR_FIRST

    def accepted(
        self, message_id: bytes, first: PeerId, *, until: float | None
    ) -> dict[PeerId, None]:
        """Close the verdict; return who, besides `first`, forwarded the message meanwhile.

        With `until`, copies that come by then are near-first ones.
        """
        others = self._close(message_id, first)
        # An id that does not bind the content can be refused once and be good the next time.
        self._invalid.pop(message_id, None)
        if until is not None and message_id not in self._accepted:
            self._accepted[message_id] = Accepted(until, {first: None, **others})
            if len(self._accepted) > self._limit:
                self._accepted.popitem(last=False)
                self.evicted += 1
        return others

    def refused(self, message_id: bytes, first: PeerId, *, now: float) -> dict[PeerId, None]:
        """As `accepted`, for a message that is invalid from whomever it comes."""
        others = self._close(message_id, first)
        self._invalid.setdefault(message_id, now + self._ttl)
        if len(self._invalid) > self._limit:
            self._invalid.popitem(last=False)
            self.evicted += 1
        return others

    def dropped(self, message_id: bytes) -> None:
        """End the wait for a verdict that will not come."""
        self._pending.pop(message_id, None)

    def expire(self, *, now: float) -> None:
        while self._pending and next(iter(self._pending.values())).since + self._ttl < now:
            self._pending.popitem(last=False)
        while self._accepted and next(iter(self._accepted.values())).until < now:
            self._accepted.popitem(last=False)
        while self._invalid and next(iter(self._invalid.values())) < now:
            self._invalid.popitem(last=False)

    def _close(self, message_id: bytes, first: PeerId) -> dict[PeerId, None]:
        pending = self._pending.pop(message_id, None)
        if pending is None or pending.forwarders is None:
            return {}
        pending.forwarders.pop(first, None)
        return pending.forwarders
