"""Frames: each RPC on a stream is preceded by its length as a varint (pubsub spec, "The RPC").

A length over the limit is refused as soon as its prefix has been read; nothing
is allocated for what a prefix merely promises. What has come of a frame must be
kept until the rest is there, so peers that never send the rest are found out:

    held by all together over the budget ──► the oldest frame of an equal share or more goes
    a frame that hardly grows            ──► goes, too
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pubsub.errors import RemoteError
from pubsub.wire.varint import decode_varint, encode_varint

CRUMBS = 128
"Pieces of one frame that are kept apart; so many are joined, for each costs more than its bytes."
PATIENCE = 60.0
PROGRESS = 1024 * 1024
"A frame is complete after so many seconds or has grown by so many bytes (ours: 17 KiB/s)."

Key = TypeVar("Key", bound=Hashable)


def frame(payload: bytes) -> bytes:
    """`payload` with its length in front."""
    return encode_varint(len(payload)) + payload


class FrameReader:
    """Cuts a stream of bytes into frames of at most `limit` bytes."""

    __slots__ = ("_joined", "_need", "_parts", "buffered", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.buffered = 0
        "Bytes held of a frame that is not complete yet."
        self._parts: list[bytes] = []
        self._joined = 0
        self._need = 0
        # Bytes that must be there before reading on makes sense; while a large
        # frame arrives in pieces, they are only collected, so that a byte is
        # copied once and not once for each piece.

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they arrive and return the frames that are now complete.

        Raises RemoteError if a frame is announced that is longer than the limit.
        """
        if self._parts:
            self._parts.append(data)
            self.buffered += len(data)
            if self.buffered < self._need:
                if len(self._parts) - self._joined > CRUMBS:
                    self._parts[self._joined :] = [b"".join(self._parts[self._joined :])]
                    self._joined += 1
                return []
            data = b"".join(self._parts)
            self._parts.clear()
            self._joined = self.buffered = 0
        frames: list[bytes] = []
        offset, end = 0, len(data)
        while offset < end:
            length = data[offset]
            if length < 0x80:
                start = offset + 1
            else:
                decoded = decode_varint(data, offset)
                if decoded is None:
                    self._keep(data, offset, end - offset + 1)
                    return frames
                length, start = decoded
            if length > self.limit:
                raise RemoteError(
                    f"a frame of {length} bytes; the limit is {self.limit}", penalty=10
                )
            stop = start + length
            if stop > end:
                self._keep(data, offset, stop - offset)
                return frames
            frames.append(data[start:stop])
            offset = stop
        return frames

    def _keep(self, data: bytes, offset: int, need: int) -> None:
        rest = data[offset:]
        self._parts.append(rest)
        self.buffered = len(rest)
        self._need = need


@dataclass(slots=True)
class _Mark:
    """How far an unfinished frame was at some time."""

    time: float
    buffered: int


class FrameReaders(Generic[Key]):
    """A reader for each of many streams, which together hold not much more than `budget` bytes.

    After `feed`, part with whom `greediest` names, until it names nobody; now and then,
    with whom `stalled` names.
    """

    __slots__ = ("_limit", "_readers", "_unfinished", "budget", "held")

    def __init__(self, limit: int, budget: int) -> None:
        self.budget = budget
        self.held = 0
        "Bytes of all unfinished frames."
        self._limit = limit
        self._readers: dict[Key, FrameReader] = {}
        self._unfinished: dict[Key, _Mark | None] = {}
        "Who has an unfinished frame, in the order in which these frames began."

    def open(self, key: Key) -> None:
        """Begin to read a stream."""
        self._readers[key] = FrameReader(self._limit)

    def close(self, key: Key) -> None:
        """Forget a stream and what is held of it; whatever it still brings is thrown away."""
        reader = self._readers.pop(key, None)
        if reader is not None:
            self.held -= reader.buffered
            self._unfinished.pop(key, None)

    def feed(self, key: Key, data: bytes) -> list[bytes]:
        """Take bytes of a stream and return the frames that are now complete.

        Raises RemoteError if a frame is announced that is longer than the limit; the stream
        is closed then.
        """
        reader = self._readers.get(key)
        if reader is None:
            return []
        before = reader.buffered
        try:
            frames = reader.feed(data)
        except RemoteError:
            self.held -= before
            self.close(key)
            raise
        after = reader.buffered
        self.held += after - before
        if frames or not before:
            if before:
                del self._unfinished[key]
            if after:
                self._unfinished[key] = None
        return frames

    def greediest(self) -> Key | None:
        """Whom to part with because all together hold too much; None if they do not.

        Among those who hold an equal share or more, it is the one whose frame began first:
        an honest frame is complete soon, and who would look like one must keep sending.
        """
        if self.held <= self.budget:
            return None
        share = self.held / len(self._unfinished)
        return next(key for key in self._unfinished if self._readers[key].buffered >= share)

    def stalled(self, now: float) -> list[Key]:
        """Whose frames have hardly grown for `PATIENCE` seconds."""
        found: list[Key] = []
        for key, mark in self._unfinished.items():
            buffered = self._readers[key].buffered
            if mark is not None and now - mark.time < PATIENCE:
                continue
            if mark is not None and buffered - mark.buffered < PROGRESS:
                found.append(key)
            else:
                self._unfinished[key] = _Mark(now, buffered)
        return found
