"""Envelopes on a stream: each with its length before it, as a varint.

A length is judged before anything is kept for it. What is kept of long envelopes that are
not complete is bounded for all streams together, and for each peer; an envelope must go on at
`MIN_RATE`, or its stream is given up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import trio

from pubsub.errors import RemoteError, StreamError
from pubsub.host.stream import Stream
from pubsub.identity import PeerId
from pubsub.wire.framing import frame
from pubsub.wire.varint import decode_varint

FREE = 64 * 1024
"Envelopes up to so many bytes need no budget: one for each stream, and streams are bounded."
MIN_RATE = 64 * 1024
"Bytes a second at which a long envelope must come."
GRACE = 10.0
"Seconds beside those that follow from the rate."
BUSY_RATE = 1 << 20
"Bytes a second at which one must come while others wait for what it holds of the budget."
SHEDDING = 1.0
"Seconds between two looks for one that comes more slowly."


class TooSlowPeerError(StreamError):
    """An envelope hardly goes on."""


@dataclass(frozen=True, slots=True, eq=False)
class _Claim:
    """An envelope that is coming, and holds a part of the budget."""

    since: float
    received: Callable[[], int]
    scope: trio.CancelScope


@final
class Budget:
    """Bytes that unfinished envelopes of all peers may hold; one peer's, a quarter of them.

    They are promises: while others wait for room, the slowest is given up.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0
        self._by_peer: dict[PeerId, int] = {}
        self._lot = trio.lowlevel.ParkingLot()
        self._claims: dict[_Claim, None] = {}

    async def take(self, peer: PeerId, size: int) -> None:
        """Wait until so many bytes are free."""
        while not self._has_room(peer, size):
            if self.held + size > self.most:
                self._shed()
            with trio.move_on_after(SHEDDING):
                await self._lot.park()
        self.held += size
        self._by_peer[peer] = self._by_peer.get(peer, 0) + size

    @contextmanager
    def coming(self, received: Callable[[], int]) -> Iterator[trio.CancelScope]:
        """Within this an envelope comes, of which `received` tells how much has; it is cancelled
        if it is too slow for those who wait."""
        with trio.CancelScope() as scope:
            claim = _Claim(trio.current_time(), received, scope)
            self._claims[claim] = None
            try:
                yield scope
            finally:
                del self._claims[claim]

    def _shed(self) -> None:
        now = trio.current_time()
        rates = {
            claim: claim.received() / (now - claim.since)
            for claim in self._claims
            if now - claim.since > GRACE
        }
        slowest = min(rates, key=lambda claim: rates[claim], default=None)
        if slowest is not None and rates[slowest] < BUSY_RATE:
            slowest.scope.cancel()

    def _has_room(self, peer: PeerId, size: int) -> bool:
        # One alone may exceed everything: its stream's own limit was asked before.
        of_peer = self._by_peer.get(peer, 0)
        is_fair = not of_peer or of_peer + size <= self.most // 4
        return is_fair and (not self.held or self.held + size <= self.most)

    def give(self, peer: PeerId, size: int) -> None:
        self.held -= size
        self._by_peer[peer] -= size
        if not self._by_peer[peer]:
            del self._by_peer[peer]
        self._lot.unpark_all()


@final
class EnvelopeStream:
    """One stream, read envelope by envelope; `limit` is for the longest that is read."""

    def __init__(self, stream: Stream, limit: int, budget: Budget) -> None:
        self.stream = stream
        self._limit = limit
        self._budget = budget
        # What was read and not yet taken: what follows `_start` in `_rest`.
        self._rest = b""
        self._start = 0
        self.received = 0
        "Bytes that have come."

    async def send(self, envelope: bytes) -> None:
        """Raises StreamError."""
        await self.stream.send_all(frame(envelope))

    async def receive(self, patience: float = math.inf) -> bytes | None:
        """Wait for the next envelope; None when the peer has ended the stream.

        Raises RemoteError for one over the limit, TooSlowPeerError if none begins in `patience`
        seconds or one hardly goes on, and StreamError if the stream breaks.
        """
        # Many may have come at once, and others shall have their turn between them.
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(patience) as scope:
            size = await self._length()
        if scope.cancelled_caught:
            raise TooSlowPeerError(f"no envelope began within {patience:g} s")
        if size is None:
            return None
        if size > self._limit:
            raise RemoteError(f"an envelope of {size} bytes; at most {self._limit}", penalty=10)
        if size <= FREE:
            return await self._body(size)
        await self._budget.take(self.stream.peer, size)
        before = self.received
        try:
            with self._budget.coming(lambda: self.received - before):
                return await self._body(size)
        finally:
            self._budget.give(self.stream.peer, size)
        raise TooSlowPeerError(f"an envelope of {size} bytes is too slow for others who wait")

    async def _length(self) -> int | None:
        while True:
            rest = self._rest
            decoded = decode_varint(rest, self._start) if self._start < len(rest) else None
            if decoded is not None:
                size, self._start = decoded
                return size
            data = await self._some()
            if not data:
                if self._start < len(rest):
                    raise StreamError("the peer ended the stream within a length")
                return None
            self._rest, self._start = rest[self._start :] + data, 0

    async def _body(self, size: int) -> bytes:
        end = self._start + size
        if end <= len(self._rest):
            envelope = self._rest[self._start : end]
            self._start = end
            return envelope
        # One buffer: pieces may be single bytes, each of which would cost more than itself.
        found = bytearray(self._rest[self._start :])
        self._rest, self._start = b"", 0
        with trio.move_on_after(GRACE + size / MIN_RATE):
            while len(found) < size:
                data = await self._some()
                if not data:
                    raise StreamError("the peer ended the stream within an envelope")
                found += data
        if len(found) < size:
            raise TooSlowPeerError(f"an envelope of {size} bytes hardly goes on")
        self._rest = bytes(found[size:])
        del found[size:]
        return bytes(found)

    async def _some(self) -> bytes:
        data = await self.stream.receive_some()
        self.received += len(data)
        return data
