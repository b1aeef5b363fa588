"""Envelopes on a stream: each with its length before it, as a varint.

A length is judged before anything is kept for it. What is kept of long envelopes that are
not complete is bounded for all streams together, and for each peer; an envelope must go on at
`MIN_RATE`, or its stream is given up.
"""

from __future__ import annotations

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


class TooSlowPeerError(StreamError):
    """An envelope hardly goes on."""


@final
class Budget:
    """Bytes that unfinished envelopes of all peers may hold; one peer's, a quarter of them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0
        self._by_peer: dict[PeerId, int] = {}
        self._lot = trio.lowlevel.ParkingLot()

    async def take(self, peer: PeerId, size: int) -> None:
        """Wait until so many bytes are free."""
        while not self._has_room(peer, size):
            await self._lot.park()
        self.held += size
        self._by_peer[peer] = self._by_peer.get(peer, 0) + size

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
        self._rest = b""
        self.received = 0
        "Bytes that have come."

    async def send(self, envelope: bytes) -> None:
        """Raises StreamError."""
        await self.stream.send_all(frame(envelope))

    async def receive(self) -> bytes | None:
        """Wait for the next envelope; None when the peer has ended the stream.

        Raises RemoteError for one over the limit, TooSlowPeerError, and StreamError if the
        stream breaks.
        """
        size = await self._length()
        if size is None:
            return None
        if size > self._limit:
            raise RemoteError(f"an envelope of {size} bytes; at most {self._limit}", penalty=10)
        if size <= FREE:
            return await self._body(size)
        await self._budget.take(self.stream.peer, size)
        try:
            return await self._body(size)
        finally:
            self._budget.give(self.stream.peer, size)

    async def _length(self) -> int | None:
        while True:
            decoded = decode_varint(self._rest, 0) if self._rest else None
            if decoded is not None:
                size, start = decoded
                self._rest = self._rest[start:]
                return size
            data = await self._some()
            if not data:
                if self._rest:
                    raise StreamError("the peer ended the stream within a length")
                return None
            self._rest += data

    async def _body(self, size: int) -> bytes:
        with trio.move_on_after(GRACE + size / MIN_RATE):
            parts, missing = [self._rest], size - len(self._rest)
            while missing > 0:
                data = await self._some()
                if not data:
                    raise StreamError("the peer ended the stream within an envelope")
                parts.append(data)
                missing -= len(data)
            whole = b"".join(parts)
            self._rest = whole[size:]
            return whole[:size]
        raise TooSlowPeerError(f"an envelope of {size} bytes hardly goes on")

    async def _some(self) -> bytes:
        data = await self.stream.receive_some()
        self.received += len(data)
        return data
