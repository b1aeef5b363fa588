"""Writing lines to a file descriptor whose reader may be slow, stuck or gone.

    trio ── write(line) ──► bounded queue ──► daemon thread ── os.write ──► terminal, pipe, file

The caller never waits. When the queue is full, the line is lost and counted.
The descriptor is left as it is: making it non-blocking would change it for
every other program that shares the terminal.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Callable

MAX_LINES = 4096
MAX_BYTES = 16 * 1024 * 1024
CHUNK = 64 * 1024
"Lines are put together up to this size for one system call: what a Linux pipe holds."


class LineWriter:
    """Lines for one descriptor. `lost` counts those there was no room for."""

    def __init__(
        self,
        descriptor: int,
        *,
        on_broken: Callable[[], None] | None = None,
        lock: threading.Lock | None = None,
        max_lines: int = MAX_LINES,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.lost = 0
        self.broken = False
        "True once nothing can be written any more; lines are thrown away from then on."
        self.fault: str | None = None
        "Why nothing can be written, unless it is that the reader has left."
        self._descriptor = descriptor
        self._on_broken = on_broken
        self._turn = lock or threading.Lock()
        "Held while writing; shared by writers of the same file so that their lines do not mix."
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._lines_in_hand = 0
        self._written_bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> None:
        """Queue a line, given without its end; if there is no room it is lost and counted."""
        if not self.try_write(text):
            self.lost += 1

    def try_write(self, text: str) -> bool:
        """Queue a line if there is room."""
        line = text.encode("utf-8", errors="backslashreplace") + b"\n"
        with self._changed:
            if self.broken:
                return True  # nobody misses it
            if self._queue and (
                len(self._queue) >= self._max_lines
                or self._queued_bytes + len(line) > self._max_bytes
            ):
                return False
            self._queue.append(line)
            self._queued_bytes += len(line)
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="line writer", daemon=True)
            self._thread.start()
        return True

    @property
    def unwritten(self) -> int:
        """How many lines are not, or not wholly, written."""
        with self._changed:
            return len(self._queue) + self._lines_in_hand

    def finish(self, patience: float, *, at_most: float) -> bool:
        """Wait until all is written, as long as it goes on; False if lines remain.

        Gives up when nothing has moved for `patience`, or `at_most` has passed.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is None:
            return True
        end = time.monotonic() + at_most
        while True:
            before = self._written_bytes
            self._thread.join(max(0.0, min(patience, end - time.monotonic())))
            if not self._thread.is_alive():
                return not self.broken
            if self._written_bytes == before or time.monotonic() >= end:
                return False

    def _run(self) -> None:
        try:
            while chunk := self._next_chunk():
                with self._turn:
                    self._write_all(chunk)
        except OSError as error:
            with self._changed:
                self.broken = True
                self.fault = None if error.errno == errno.EPIPE else error.strerror
                self._queue.clear()
                self._queued_bytes = self._lines_in_hand = 0
            if self._on_broken is not None:
                self._on_broken()

    def _next_chunk(self) -> bytes:
        """Wait for lines and take some; empty at the end."""
        with self._changed:
            self._lines_in_hand = 0
            while not self._queue and not self._closing:
                self._changed.wait()
            size, lines = 0, list[bytes]()
            while self._queue and (not lines or size + len(self._queue[0]) <= CHUNK):
                lines.append(self._queue.popleft())
                size += len(lines[-1])
            self._queued_bytes -= size
            self._lines_in_hand = len(lines)
        return b"".join(lines)

    def _write_all(self, chunk: bytes) -> None:
        left = memoryview(chunk)
        while left:
            try:
                written = os.write(self._descriptor, left[:CHUNK])
            except BlockingIOError:
                # Somebody who shares the descriptor made it non-blocking.
                select.select([], [self._descriptor], [])
                continue
            self._written_bytes += written
            left = left[written:]


def watch_reader(descriptor: int, on_gone: Callable[[], None]) -> None:
    """Call `on_gone`, from a thread, when the other end of a pipe or socket is closed.

    Without it, a node whose reader has gone would notice at the next message only.
    """
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def watch() -> None:
        poll = select.poll()
        poll.register(descriptor, 0)  # errors and hang-ups are reported without being asked for
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll()):
            on_gone()

    threading.Thread(target=watch, name="reader watch", daemon=True).start()


def shared_lock(one: int, other: int) -> threading.Lock | None:
    """A lock for two writers if both descriptors lead to the same place, as in `2>&1`."""
    return threading.Lock() if os.path.sameopenfile(one, other) else None
