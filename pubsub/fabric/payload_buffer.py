"""Blocks that came before their turn: in whatever order they are pushed, they are popped in theirs.

    gossip ────────► push_gossip ─┐
                                  ├─► number → payload ── pop ──► ledger, strictly in order
    state transfer ─► push ───────┘
    or orderer

What gossip brings is refused when it is too far ahead of the ledger: nobody waits for it.
What was fetched on purpose is told to wait while there is no room: whoever fetches looks at
`has_room` before, which is true below twice `blockBufferSize`, and a batch fits above that.
"""

from __future__ import annotations

import enum

from pubsub.errors import ParamError
from pubsub.pb.fabric.gossip_pb2 import Payload

MAX_BUFFER_BYTES = 256 << 20
"Of all waiting blocks together; one can have 99 MB (ours)."


class Pushed(enum.Enum):
    """What became of a payload."""

    KEPT = "kept"
    KNOWN = "known"
    "It is in the buffer, or was popped."

    TOO_FAR = "too far"
    "So far ahead of the ledger that it is better fetched later."

    NO_ROOM = "no room"
    "Push it again when some have been popped."


class PayloadBuffer:
    """The blocks of one channel that wait for the ones before them.

    Who pushes has verified them: one forged number would take the place of the true block.
    """

    def __init__(
        self,
        next_number: int,
        *,
        buffer_size: int = 20,
        batch_size: int = 10,
        max_bytes: int = MAX_BUFFER_BYTES,
    ) -> None:
        if min(buffer_size, batch_size, max_bytes) < 1:
            raise ParamError("sizes of a buffer must be 1 or more")
        self._next = next_number
        self._buffer_size = buffer_size
        self._room = 2 * buffer_size
        self._limit = 2 * buffer_size + batch_size
        self._max_bytes = max_bytes
        self._payloads: dict[int, Payload] = {}
        self._bytes = 0

    @property
    def next(self) -> int:
        """The number of the block that `pop` gives next."""
        return self._next

    @property
    def ready(self) -> bool:
        """Whether `pop` has something to give."""
        return self._next in self._payloads

    @property
    def has_room(self) -> bool:
        """Whether to fetch more: there is place for a batch, unless its blocks are very large."""
        return len(self._payloads) < self._room and self._bytes < self._max_bytes

    @property
    def first_missing(self) -> int:
        """The lowest number that is neither here nor was popped."""
        number = self._next
        while number in self._payloads:
            number += 1
        return number

    @property
    def held_bytes(self) -> int:
        return self._bytes

    def __len__(self) -> int:
        return len(self._payloads)

    def __contains__(self, number: int) -> bool:
        return number in self._payloads

    def push_gossip(self, payload: Payload, height: int) -> Pushed:
        """Take a block that was pushed to us or pulled; `height` is the ledger's now."""
        # Fabric computes `number - height` without a sign: what is below the ledger is far too.
        if not 0 <= payload.seq_num - height < self._buffer_size:
            return Pushed.TOO_FAR
        return self._keep(payload)

    def push(self, payload: Payload) -> Pushed:
        """Take a block that was fetched, from a peer or the orderer, however far ahead."""
        return self._keep(payload)

    def _keep(self, payload: Payload) -> Pushed:
        number, size = payload.seq_num, payload.ByteSize()
        if number < self._next or number in self._payloads:
            return Pushed.KNOWN
        # The next one has its place always, or blocks that wait for it could shut it out.
        if number != self._next and not self._fits(size):
            return Pushed.NO_ROOM
        self._payloads[number] = payload
        self._bytes += size
        return Pushed.KEPT

    def _fits(self, size: int) -> bool:
        return len(self._payloads) < self._limit and self._bytes + size <= self._max_bytes

    def pop(self) -> Payload | None:
        """The next block, if it is here."""
        payload = self._payloads.pop(self._next, None)
        if payload is None:
            return None
        self._next += 1
        self._bytes -= payload.ByteSize()
        return payload

    def put_back(self, payload: Payload) -> None:
        """The block that was popped last could not be committed: it is the next one again."""
        self._next = payload.seq_num
        self._payloads[self._next] = payload
        self._bytes += payload.ByteSize()
