"""What was said last, and what was said so lately that it must not count again.

    add ──► live ── ttl ──► expired ── ttl ──► gone
             │                │
             ▼                ▼
        answers, and     only refuses what
        refuses stale    is stale

An expired message is remembered once more as long as it lived, so that a late
copy cannot bring it back. `expire` is what moves messages on: nothing expires by
itself. Only verified messages belong here: one forged block number or stamp would
shut out the true ones.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar, final

from pubsub.errors import ParamError
from pubsub.fabric.comparator import (
    BY_AUTHOR,
    Stamp,
    Verdict,
    compare_numbers,
    compare_stamps,
    stamp_of,
)
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import GossipEnvelope

K = TypeVar("K", bytes, int)
R = TypeVar("R", Stamp, int)


@final
@dataclass(frozen=True, slots=True)
class Added:
    """What came of offering a message."""

    accepted: bool
    displaced: tuple[GossipEnvelope, ...] = ()
    "Live messages that the new one made worthless."

    evicted: tuple[GossipEnvelope, ...] = ()
    "Live messages that had to go because the store was full."


REFUSED = Added(False)


@dataclass(frozen=True, slots=True)
class _Live(Generic[R]):
    envelope: GossipEnvelope
    rank: R
    created: float


@dataclass(frozen=True, slots=True)
class _Expired(Generic[R]):
    rank: R
    created: float


class _Store(Generic[K, R]):
    """Live and expired messages by key, each in the order in which they came."""

    def __init__(self, ttl: float) -> None:
        if ttl <= 0:
            raise ParamError(f"a store's time to live must be above 0, not {ttl}")
        self.ttl = ttl
        self._live: OrderedDict[K, _Live[R]] = OrderedDict()
        self._expired: OrderedDict[K, _Expired[R]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[GossipEnvelope]:
        """The live messages, those that came first before the others."""
        return (entry.envelope for entry in self._live.values())

    def get(self, key: K) -> GossipEnvelope | None:
        """The live message under `key`."""
        entry = self._live.get(key)
        return None if entry is None else entry.envelope

    @property
    def next_deadline(self) -> float:
        """When `expire` will next have something to do; infinite if never."""
        live = next(iter(self._live.values()), None)
        expired = next(iter(self._expired.values()), None)
        return min(
            inf if live is None else live.created + self.ttl,
            inf if expired is None else expired.created + 2 * self.ttl,
        )

    def expire(self, now: float) -> tuple[GossipEnvelope, ...]:
        """Let go of what is too old, and return what has just expired."""
        gone: list[GossipEnvelope] = []
        while self._live:
            key, entry = next(iter(self._live.items()))
            if entry.created + self.ttl > now:
                break
            del self._live[key]
            self._expired[key] = _Expired(entry.rank, entry.created)
            gone.append(entry.envelope)
        while self._expired:
            key, old = next(iter(self._expired.items()))
            if old.created + 2 * self.ttl > now:
                break
            self._forget(key)
        return tuple(gone)

    def purge(self, unwanted: Callable[[GossipEnvelope], bool]) -> tuple[GossipEnvelope, ...]:
        """Forget wholly the live messages that are `unwanted`, and return them."""
        keys = [key for key, entry in self._live.items() if unwanted(entry.envelope)]
        return tuple(filter(None, [self._forget(key) for key in keys]))

    def _rank(self, key: K) -> R | None:
        entry = self._live.get(key) or self._expired.get(key)
        return None if entry is None else entry.rank

    def _forget(self, key: K) -> GossipEnvelope | None:
        """Drop whatever is under `key` and return it if it was live."""
        self._expired.pop(key, None)
        entry = self._live.pop(key, None)
        return None if entry is None else entry.envelope


@final
class LatestStore(_Store[bytes, Stamp]):
    """The latest message of each author, of one content, by PKI-ID; at most `limit` of them.

    When it is full the oldest goes, an expired one first. `key` is what tells
    messages apart, if that is not the author: a store for several channels keeps
    StateInfo by the channel's MAC, which is another for each author.
    """

    def __init__(
        self,
        content: Content,
        *,
        ttl: float,
        limit: int,
        key: Callable[[GossipEnvelope], bytes] = lambda envelope: envelope.author,
    ) -> None:
        if content not in BY_AUTHOR:
            raise ParamError(f"{content or 'nothing'} has no latest message of an author")
        if limit < 1:
            raise ParamError(f"a store's limit must be 1 or more, not {limit}")
        super().__init__(ttl)
        self.content = content
        self.limit = limit
        self.evicted = 0
        "Messages, live or expired, forgotten early because there were too many."
        self._key = key

    def is_news(self, envelope: GossipEnvelope) -> bool:
        """True if `add` would accept this message."""
        self._check(envelope)
        held = self._rank(self._key(envelope))
        if held is None:
            return True
        return compare_stamps(stamp_of(envelope.message), held) is Verdict.INVALIDATES

    def add(self, envelope: GossipEnvelope, now: float) -> Added:
        """Keep a verified message, unless one is known that makes it worthless."""
        if not self.is_news(envelope):
            return REFUSED
        key = self._key(envelope)
        displaced = self._forget(key)
        self._live[key] = _Live(envelope, stamp_of(envelope.message), now)
        return Added(True, () if displaced is None else (displaced,), self._evict())

    def _evict(self) -> tuple[GossipEnvelope, ...]:
        if len(self._live) + len(self._expired) <= self.limit:
            return ()
        self.evicted += 1
        if self._expired:
            self._expired.popitem(last=False)
            return ()
        _, entry = self._live.popitem(last=False)
        return (entry.envelope,)

    def _check(self, envelope: GossipEnvelope) -> None:
        if envelope.content is not self.content:
            raise ParamError(f"{envelope.content} in a store of {self.content}")


@final
class BlockStore(_Store[int, int]):
    """The newest blocks of one channel by number: none is more than `window` below the highest."""

    def __init__(self, *, ttl: float, window: int) -> None:
        if window < 0:
            raise ParamError(f"a store's window must be 0 or more, not {window}")
        super().__init__(ttl)
        self.window = window
        self._numbers: list[int] = []
        "Of live and expired ones, sorted."

    def is_news(self, envelope: GossipEnvelope) -> bool:
        """True if `add` would accept this block."""
        number = self._number(envelope)
        if self._rank(number) is not None:
            return False
        highest = self._numbers[-1] if self._numbers else number - 1
        return compare_numbers(number, highest, self.window) is not Verdict.INVALIDATED

    def add(self, envelope: GossipEnvelope, now: float) -> Added:
        """Keep a verified block, unless it is known or too old."""
        if not self.is_news(envelope):
            return REFUSED
        number = self._number(envelope)
        outdated = self._numbers[: bisect_left(self._numbers, number - self.window)]
        displaced = filter(None, [self._forget(one) for one in outdated])
        insort(self._numbers, number)
        self._live[number] = _Live(envelope, number, now)
        return Added(True, tuple(displaced))

    def _forget(self, key: int) -> GossipEnvelope | None:
        del self._numbers[bisect_left(self._numbers, key)]
        return super()._forget(key)

    def _number(self, envelope: GossipEnvelope) -> int:
        if envelope.content is not Content.DATA:
            raise ParamError(f"{envelope.content} in a store of blocks")
        return envelope.message.data_msg.payload.seq_num
