"""Blocks that are too large for topics: announced there by digest, fetched over a stream.

    publisher ── number, header hash ──► mesh neighbour
              ◄── the same, as a request ── (stream)
              ── the block ──► it is judged as a pushed one, and only then announced further

Whoever announces must give; if it gives another block, nothing, or too slowly, our neighbours
are asked in its place, and again for a while, since those who lack it are looking for it, too.
An announcement is passed on only by who has the block.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import final

import trio

from pubsub.errors import PubSubError, StreamError
from pubsub.fabric.announcement import (
    Announcement,
    announce,
    read_announcement,
    read_request,
    request,
)
from pubsub.fabric.envelope import MAX_ENVELOPE_BYTES
from pubsub.fabric.topics import BLOCK
from pubsub.fabric_node.envelope_stream import Budget, EnvelopeStream
from pubsub.host.host import Host
from pubsub.host.stream import Stream
from pubsub.identity import PeerId

MAX_REQUEST = 4096
KEPT_BYTES = 256 << 20
"Of large blocks kept for those that we announced them to; the newest is kept in any case."
PATIENCE = 1.0
"Seconds without anything new after which somebody else is asked as well: one heartbeat."
FIRST_WITHIN = 10.0
"Seconds until a peer that was asked must begin to give, and one that asks must have asked."
MAX_GIVEN = 2
"Blocks that one peer is given at one time."
GIVE_GRACE, GIVE_RATE = 20.0, 32 * 1024
"Seconds and bytes a second that one must take a block in."
MAX_ASKED = 3
"Peers asked for one block at one time."
SEARCH = 10.0
"Seconds in which peers are asked; who has begun to give then may end."
MAX_WAITING = 20
"Blocks that wait for one peer's turn, so many as a leader is ahead of its ledger. For what it"
"announces beside them, others are asked."

IsGood = Callable[[PeerId, bytes], bool | None]
"None: nothing is needed any more, and what came was not looked at."
Key = tuple[str, int, bytes]
"Channel, number, header hash."


@final
class LargeBlocks:
    """Keeps, gives and fetches large blocks. Blocks here are whole envelopes.

    `may_fetch(peer, channel)` says who may have them; `find(announcement)` looks elsewhere for
    one that is not kept; `neighbours(topic)` are those who may have what is announced there.
    """

    def __init__(
        self,
        host: Host,
        *,
        above: int,
        budget: Budget,
        may_fetch: Callable[[PeerId, str], bool],
        find: Callable[[Announcement], Awaitable[bytes | None]],
        neighbours: Callable[[str], Iterable[PeerId]],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._host = host
        self._above = above
        self._budget = budget
        self._may_fetch = may_fetch
        self._find = find
        self._neighbours = neighbours
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._held = 0
        self._given: Counter[PeerId] = Counter()
        self._turns: dict[PeerId, trio.Lock] = {}
        host.set_handler(BLOCK, self._give)

    def small(self, envelope: bytes) -> bytes:
        """What goes to the topic for a block: the block itself, or its announcement."""
        if len(envelope) <= self._above:
            return envelope
        raw = announce(envelope)
        announced = read_announcement(raw)
        assert announced is not None
        self.keep(announced, envelope)
        return raw

    def keep(self, announced: Announcement, envelope: bytes) -> None:
        """Have a block ready for those who will ask for it."""
        key = _key(announced)
        if key in self._kept:
            return
        self._kept[key] = envelope
        self._held += len(envelope)
        while self._held > KEPT_BYTES and len(self._kept) > 1:
            self._held -= len(self._kept.popitem(last=False)[1])

    # -- Giving

    async def _give(self, stream: Stream) -> None:
        peer = stream.peer
        if self._given[peer] >= MAX_GIVEN:
            self.counters["requests refused"] += 1
            stream.reset()
            return
        self._given[peer] += 1
        try:
            await self._answer(stream)
        except PubSubError:
            self.counters["requests broken off"] += 1
            stream.reset()
        else:
            stream.close()
        finally:
            self._given[peer] -= 1
            if not self._given[peer]:
                del self._given[peer]

    async def _answer(self, stream: Stream) -> None:
        envelopes = EnvelopeStream(stream, MAX_REQUEST, self._budget)
        raw = await envelopes.receive(FIRST_WITHIN)
        asked = read_request(raw) if raw is not None else None
        if asked is None or not self._may_fetch(stream.peer, asked.channel):
            self.counters["requests refused"] += 1
            return
        envelope = self._kept.get(_key(asked)) or await self._find(asked)
        if envelope is None:
            self.counters["requests for what is not here"] += 1
            return
        with trio.move_on_after(GIVE_GRACE + len(envelope) / GIVE_RATE) as scope:
            await envelopes.send(envelope)
        if scope.cancelled_caught:
            raise StreamError("a peer that hardly takes what it asked for")
        self.counters["blocks given"] += 1

    # -- Fetching

    async def fetch(
        self,
        announced: Announcement,
        topic: str,
        announcer: PeerId,
        is_good: IsGood,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Fetch a block that `announcer` announced in `topic`, from it or others.

        `is_good` is asked about each envelope that comes, until it is content with one. True
        also if the block is kept here by then; False as soon as it is not wanted any more.
        """
        search = _Search(announced, is_good)
        async with trio.open_nursery() as nursery:
            while not self._is_over(search, is_wanted):
                await self._ask_around(search, topic, announcer, nursery)
                await search.rest()
            nursery.cancel_scope.cancel()
        found = search.found
        self.counters["blocks fetched" if found else "fetches that failed"] += 1
        return found

    def _is_over(self, search: _Search, is_wanted: Callable[[], bool]) -> bool:
        if _key(search.announced) in self._kept:
            search.found = True
        return search.found or search.is_hopeless or not is_wanted()

    async def _ask_around(
        self, search: _Search, topic: str, announcer: PeerId, nursery: trio.Nursery
    ) -> None:
        """Ask one after another, the next one when somebody has nothing or stalls."""
        peers = [peer for peer in self._neighbours(topic) if peer != announcer]
        turn = self._turns.get(announcer)
        if turn is None or turn.statistics().tasks_waiting < MAX_WAITING:
            peers.insert(0, announcer)
        for peer in peers:
            if search.found or trio.current_time() >= search.until:
                break
            if search.under_way >= MAX_ASKED or not search.may_ask(peer):
                continue
            attempt = search.attempts[peer] = _Attempt(peer)
            nursery.start_soon(self._ask, search, attempt)
            await attempt.stalls()

    async def _ask(self, search: _Search, attempt: _Attempt) -> None:
        raw = None
        try:
            async with self._turn(attempt.peer):
                raw = await self._get(search.announced, attempt)
            attempt.has_nothing = raw is None
        except PubSubError:
            # Counted with the fetch, if nobody else gives the block.
            await trio.lowlevel.checkpoint()
        finally:
            attempt.ended.set()
        # Of several that have come, the first is judged and all others forgotten.
        if raw is not None and not search.found:
            is_good = search.is_good(attempt.peer, raw)
            if is_good:
                self.keep(search.announced, raw)
            search.found = is_good is not False
        search.tell()

    @asynccontextmanager
    async def _turn(self, peer: PeerId) -> AsyncIterator[None]:
        """One block of each peer at a time: who gives none delays only what it has announced."""
        lock = self._turns.setdefault(peer, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and self._turns.get(peer) is lock:
                del self._turns[peer]

    async def _get(self, announced: Announcement, attempt: _Attempt) -> bytes | None:
        stream = await self._host.open_stream(attempt.peer, [BLOCK])
        try:
            attempt.envelopes = EnvelopeStream(stream, MAX_ENVELOPE_BYTES, self._budget)
            await attempt.envelopes.send(request(announced))
            raw = await attempt.envelopes.receive(FIRST_WITHIN)
        except BaseException:
            # The giver shall not go on with what nobody reads.
            stream.reset()
            raise
        stream.close()
        return raw


class _Search:
    """One block that is looked for."""

    def __init__(self, announced: Announcement, is_good: IsGood) -> None:
        self.announced = announced
        self.is_good = is_good
        self.found = False
        self.until = trio.current_time() + SEARCH
        self.attempts: dict[PeerId, _Attempt] = {}
        "The last one of each peer."
        self._news = trio.Event()

    @property
    def under_way(self) -> int:
        return sum(not attempt.ended.is_set() for attempt in self.attempts.values())

    @property
    def is_hopeless(self) -> bool:
        """Whether nobody is asked any more, and nobody gives."""
        return trio.current_time() >= self.until and not self.under_way

    def tell(self) -> None:
        """An attempt has ended."""
        self._news.set()
        self._news = trio.Event()

    async def rest(self) -> None:
        """Wait before others are asked, unless it is over."""
        with trio.move_on_after(PATIENCE):
            while not self.found and not self.is_hopeless:
                await self._news.wait()

    def may_ask(self, peer: PeerId) -> bool:
        """Whether a peer was not asked yet, or had nothing then."""
        before = self.attempts.get(peer)
        return before is None or before.has_nothing


class _Attempt:
    """One peer that was asked for a block."""

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.ended = trio.Event()
        self.has_nothing = False
        "It said so; it may have the block later."

        self.envelopes: EnvelopeStream | None = None

    async def stalls(self) -> None:
        """Wait until it has ended, or nothing new came for a while."""
        seen = -1
        while not self.ended.is_set():
            received = self.envelopes.received if self.envelopes else 0
            if received == seen:
                return
            seen = received
            with trio.move_on_after(PATIENCE):
                await self.ended.wait()


def _key(announced: Announcement) -> Key:
    return (announced.channel, announced.number, announced.header_hash)
