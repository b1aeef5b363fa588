"""Where an organization's leader gets a channel's blocks, before it gossips them.

    async for raw in delivery.blocks(ledger.height):
        ...

A deliverer gives every block from a number on, in order, for as long as it is asked; it
waits for those that are not made yet. Nothing is verified here.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import trio

from pubsub.fabric.blocks import MAX_BLOCK_BYTES, BlockError, parse_block
from pubsub.fabric.ledger import LedgerError

POLL_INTERVAL = 0.25
LARGE_FILE = 1 << 20
"Bytes from which on reading a file is worth a thread."


class Delivery(Protocol):
    """A source of blocks: an ordering service, or what stands for one."""

    def blocks(self, start: int) -> AsyncIterator[bytes]:
        """Encoded blocks `start`, `start` + 1 and so on, without an end.

        When it can give no more it raises PubSubError, OSError or what trio's streams raise:
        then it is asked again after a pause. Anything else is a mistake and ends the peer.
        """


class FileDelivery:
    """Blocks in a directory, each in its file `NUMBER.block`; new files are followed.

    A file that has another after it is taken to be whole; the last one is when it has not
    changed for one `interval`, so that whoever writes need not rename.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, interval: float = POLL_INTERVAL
    ) -> None:
        self._directory = Path(directory)
        self._interval = interval

    def blocks(self, start: int) -> AsyncIterator[bytes]:
        """Raises LedgerError if the directory is not there or a file holds another block."""
        return _Files(self._directory, start, self._interval)


class _Files:
    def __init__(self, directory: Path, number: int, interval: float) -> None:
        self._directory = directory
        self._number = number
        self._interval = interval

    def __aiter__(self) -> _Files:
        return self

    async def __anext__(self) -> bytes:
        path = self._path(self._number)
        seen = None
        while True:
            await trio.lowlevel.checkpoint()
            state = self._state(path)
            if state is not None and (state == seen or self._path(self._number + 1).exists()):
                break
            seen = state
            await trio.sleep(self._interval)
        if state[0] < LARGE_FILE:
            raw = _read(path, self._number)
        else:
            raw = await trio.to_thread.run_sync(_read, path, self._number)
        self._number += 1
        return raw

    def _path(self, number: int) -> Path:
        return self._directory / f"{number}.block"

    def _state(self, path: Path) -> tuple[int, int] | None:
        """Size and time of the file; None while it is not there or empty."""
        try:
            found = path.stat()
        except FileNotFoundError as error:
            if not self._directory.is_dir():
                raise LedgerError(f"there is no directory {str(self._directory)!r}") from error
            return None
        except OSError as error:
            raise _unusable(path, error) from error
        return (found.st_size, found.st_mtime_ns) if found.st_size else None


def _read(path: Path, number: int) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BLOCK_BYTES + 1)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        found = parse_block(raw).number
    except BlockError as error:
        raise LedgerError(f"{str(path)!r}: {error}") from error
    if found != number:
        raise LedgerError(f"{str(path)!r} holds block {found}")
    return raw


def _unusable(path: Path, error: OSError) -> LedgerError:
    reason = (error.strerror or str(error)).lower()
    return LedgerError(f"cannot read {str(path)!r}: {reason}")
