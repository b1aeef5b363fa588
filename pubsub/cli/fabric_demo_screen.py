"""How the demonstration shows its steps: one line each, with what was found and the time."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress

from pubsub.cli.printable import printable

WIDTH = 34
NARROW = 80
ERASE = "\r\x1b[K"


class Screen:
    """Standard output. On a terminal, the step that is under way is shown, too."""

    def __init__(self) -> None:
        self._descriptor = None if sys.stdout is None else sys.stdout.fileno()
        self._shows_progress = self._descriptor is not None and os.isatty(self._descriptor)
        self._step = ""
        self._began = time.monotonic()

    def say(self, line: str) -> None:
        self._write(f"{self._erased()}{printable(line)}\n")

    def begin(self, step: str) -> None:
        self._step, self._began = step, time.monotonic()
        self.progress("")

    def progress(self, text: str) -> None:
        if self._shows_progress and self._step:
            line = f"  ..    {self._step:{WIDTH}} {printable(text)}"
            # A line that is longer than the terminal is wide could not be erased.
            self._write(ERASE + line[: self._columns() - 1])

    def end(self, found: str) -> None:
        self._finish("ok  ", found)

    def fail(self, why: str) -> None:
        self._finish("FAIL", why)

    def _finish(self, verdict: str, text: str) -> None:
        seconds = time.monotonic() - self._began
        step, self._step = self._step, ""
        line = f"  {verdict}  {step:{WIDTH}} {seconds:5.1f} s  {printable(text)}"
        self._write(f"{ERASE if self._shows_progress else ''}{line}\n")

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._descriptor or 0).columns or NARROW
        except OSError:
            return NARROW

    def _erased(self) -> str:
        return ERASE if self._shows_progress and self._step else ""

    def _write(self, text: str) -> None:
        # Where nobody looks any more, the run is ended by whoever watches for that.
        with suppress(OSError):
            if self._descriptor is not None:
                os.write(self._descriptor, text.encode(errors="backslashreplace"))
