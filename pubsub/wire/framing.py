"""Frames: each RPC on a stream is preceded by its length as a varint (pubsub spec, "The RPC").

A length over the limit is refused as soon as its prefix has been read; nothing
is allocated for what a prefix merely promises.
"""

from __future__ import annotations

from pubsub.errors import RemoteError
from pubsub.wire.varint import decode_varint, encode_varint

CRUMBS = 1024
"Pieces of one frame that are kept apart; so many are joined, for each costs more than its bytes."


def frame(payload: bytes) -> bytes:
    """`payload` with its length in front."""
    return encode_varint(len(payload)) + payload


class FrameReader:
    """Cuts a stream of bytes into frames of at most `limit` bytes."""

    __slots__ = ("_have", "_joined", "_need", "_parts", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._parts: list[bytes] = []
        self._joined = 0
        self._have = 0
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
            self._have += len(data)
            if self._have < self._need:
                if len(self._parts) - self._joined > CRUMBS:
                    self._parts[self._joined :] = [b"".join(self._parts[self._joined :])]
                    self._joined += 1
                return []
            data = b"".join(self._parts)
            self._parts.clear()
            self._joined = 0
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
        self._have = len(rest)
        self._need = need

    @property
    def buffered(self) -> int:
        """Bytes held of a frame that is not complete yet."""
        return self._have if self._parts else 0
