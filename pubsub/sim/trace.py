"""One hash over a whole run: two runs with the same hash did the same things at the same times."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

_STAMP = struct.Struct("<cdIII")


class Trace:
    """Takes in what happens, cheaply; nothing is kept but the hash."""

    __slots__ = ("_hash",)

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def arrival(self, now: float, sender: int, receiver: int, frames: Sequence[bytes]) -> None:
        """RPCs reached a node."""
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        self._hash.update(_STAMP.pack(b"r", now, sender, receiver, len(data)) + data)

    def timer(self, now: float, node: int) -> None:
        """A node's timer went off."""
        self._hash.update(_STAMP.pack(b"t", now, node, 0, 0))

    def note(self, now: float, node: int, text: str) -> None:
        """Anything else, told in words that are the same in every run."""
        data = text.encode()
        self._hash.update(_STAMP.pack(b"n", now, node, 0, len(data)) + data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
