"""Reading lines from standard input: terminal, pipe or file, without holding anything up.

A blocked read sits in a thread that is simply left behind at the end. Memory
is bounded: of a line that is too long only its length is kept.
"""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import dataclass

import trio

CHUNK = 64 * 1024
FOREGROUND_CHECK = 0.5


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line that was passed over."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    content: bytes
    "Without its end, `\\n` or `\\r\\n`."


class LineSplitter:
    """Bytes in, lines out; sans IO."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._size = 0
        self._number = 1

    def receive_data(self, data: bytes) -> list[Line | TooLong]:
        """The lines that end in `data`."""
        first, *rest = data.split(b"\n")
        self._add(first)
        lines: list[Line | TooLong] = []
        for part in rest:
            lines.append(self._end_line())
            self._add(part)
        return lines

    def end(self) -> list[Line | TooLong]:
        """What came after the last line end, if anything."""
        return [self._end_line()] if self._size else []

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        # One more than the limit, for a carriage return that will be taken off.
        if self._size <= self._limit + 1:
            self._kept += part
        else:
            self._kept.clear()

    def _end_line(self) -> Line | TooLong:
        number, size = self._number, self._size
        content = bytes(self._kept).removesuffix(b"\r")
        self._kept.clear()
        self._size = 0
        self._number += 1
        if size > self._limit + 1 or len(content) > self._limit:
            return TooLong(number, size)
        return Line(number, content)


class LineReader:
    """The lines of a descriptor, in batches as they come."""

    def __init__(self, descriptor: int, limit: int) -> None:
        self._descriptor = descriptor
        self._splitter = LineSplitter(limit)
        self._ended = False

    async def receive(self) -> list[Line | TooLong]:
        """Wait for at least one line; an empty list means the end."""
        while not self._ended:
            data = await _read(self._descriptor)
            if data:
                lines = self._splitter.receive_data(data)
            else:
                self._ended = True
                lines = self._splitter.end()
            if lines:
                return lines
        return []


def survive_background() -> None:
    """Let reads fail, instead of stopping us, while another job has the terminal."""
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)


async def _read(descriptor: int) -> bytes:
    while True:
        try:
            return await trio.to_thread.run_sync(os.read, descriptor, CHUNK, abandon_on_cancel=True)
        except BlockingIOError:
            # Somebody who shares the terminal made it non-blocking.
            await trio.lowlevel.wait_readable(descriptor)
        except OSError as error:
            if error.errno != errno.EIO or not _in_background(descriptor):
                return b""
            await trio.sleep(FOREGROUND_CHECK)


def _in_background(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except OSError:
        return False
