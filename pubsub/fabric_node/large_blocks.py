"""Blocks that are too large for topics: announced there by digest, fetched over a stream.

    publisher ── number, header hash ──► mesh neighbour
              ◄── the same, as a request ── (stream)
              ── the block ──► it is judged as a pushed one, and only then announced further

Whoever announces must give; if it gives another block, nothing, or too slowly, its neighbours
are asked in its place. An announcement is passed on only by who has the block.
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
"Peers asked for one block, the one that announced it included."
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
    ) -> bool:
        """Fetch a block that `announcer` announced in `topic`, from it or others.

        `is_good` is asked about each envelope that comes, until it is content with one.
        """
        asked = [peer for peer in self._neighbours(topic) if peer != announcer]
        turn = self._turns.get(announcer)
        if turn is None or turn.statistics().tasks_waiting < MAX_WAITING:
            asked.insert(0, announcer)
        good: list[PeerId] = []
        async with trio.open_nursery() as nursery:
            for peer in asked[:MAX_ASKED]:
                attempt = _Attempt(peer)
                nursery.start_soon(self._ask, announced, attempt, is_good, good, nursery)
                await attempt.stalls()
                if good:
                    break
        self.counters["blocks fetched" if good else "fetches that failed"] += 1
        return bool(good)

    async def _ask(
        self,
        announced: Announcement,
        attempt: _Attempt,
        is_good: IsGood,
        good: list[PeerId],
        nursery: trio.Nursery,
    ) -> None:
        try:
            async with self._turn(attempt.peer):
                raw = await self._get(announced, attempt)
        except PubSubError:
            # Counted with the fetch, if nobody else gives the block.
            raw = None
        finally:
            attempt.ended.set()
        # Of several that have come, the first is judged and all others forgotten.
        if raw is None or good:
            return
        found = is_good(attempt.peer, raw)
        if found:
            self.keep(announced, raw)
        if found is not False:
            good.append(attempt.peer)
            nursery.cancel_scope.cancel()

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


class _Attempt:
    """One peer that was asked for a block."""

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.ended = trio.Event()
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
