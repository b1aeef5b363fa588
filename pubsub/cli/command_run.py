"""Running a command under a shell: descriptors, signals, and an end that is always quick.

Ctrl-C, SIGTERM and a terminal that hangs up cancel what is served, which closes it cleanly.
Should that not be done within a second, for whatever reason, the process ends all the same.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass

import trio

from pubsub.cli.line_reader import survive_background
from pubsub.cli.line_writer import LineWriter, shared_lock, watch_reader
from pubsub.cli.printable import count
from pubsub.errors import LocalError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CLOSE_LIMIT = 0.9
"After a signal, the process is gone after this time, come what may."
LAST_LINES_AFTER_SIGNAL = 0.1
LAST_LINES_PATIENCE, LAST_LINES_LIMIT = 0.5, 30.0


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a command reads and writes."""

    out: LineWriter
    err: LineWriter
    input: int | None
    "The descriptor of standard input, unless it is closed."

    input_is_terminal: bool


class CommandRun(ABC):
    """One run of the command `program`."""

    close_limit = CLOSE_LIMIT

    def __init__(self, program: str) -> None:
        self._program = program
        self._signalled: int | None = None
        self._nursery: trio.Nursery | None = None
        self._token: trio.lowlevel.TrioToken | None = None

    @abstractmethod
    async def serve(self, terminal: Terminal) -> int:
        """Do the command's work, until it is done or cancelled; the exit status."""

    def run(self) -> int:
        """Serve; the exit status. Raises LocalError if it cannot be done."""
        # Python leaves these None when the descriptor is closed; the number may
        # by now belong to something else and must not be touched.
        out, err, source = (
            None if stream is None else stream.fileno()
            for stream in (sys.stdout, sys.stderr, sys.stdin)
        )
        lock = None if out is None or err is None else shared_lock(out, err)
        terminal = Terminal(
            out=LineWriter(_or_nowhere(out), lock=lock, on_broken=self._on_reader_gone),
            err=LineWriter(_or_nowhere(err), lock=lock),
            input=source,
            input_is_terminal=source is not None and os.isatty(source),
        )
        if source is not None:
            survive_background()
        try:
            status = trio.run(self._main, terminal, out)
        except LocalError:
            self._last_lines(terminal, 1)
            raise
        return self._last_lines(terminal, status)

    def _last_lines(self, terminal: Terminal, status: int) -> int:
        """Let the last lines go out, say what did not, and return the final status."""
        patience, at_most = LAST_LINES_PATIENCE, LAST_LINES_LIMIT
        if self._signalled is not None:
            status = 128 + self._signalled
            patience = at_most = LAST_LINES_AFTER_SIGNAL
        out, err = terminal.out, terminal.err
        if not out.finish(patience, at_most=at_most) and out.unwritten:
            lost = count(out.unwritten, "line")
            err.write(f"{self._program}: {lost} lost at the end: standard output is not being read")
        if out.fault is not None:
            status = status or 1
            err.write(f"{self._program}: cannot write to standard output: {out.fault.lower()}")
        err.finish(patience, at_most=at_most)
        return status

    async def _main(self, terminal: Terminal, out: int | None) -> int:
        status = 0
        refused: LocalError | None = None
        hang_ups_count = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN  # as under nohup
        wanted = [number for number in SIGNALS if hang_ups_count or number != signal.SIGHUP]
        with trio.open_signal_receiver(*wanted) as signals:
            async with trio.open_nursery() as nursery:
                self._token = trio.lowlevel.current_trio_token()
                self._nursery = nursery
                nursery.start_soon(self._watch_signals, signals)
                if out is not None:
                    watch_reader(out, self._on_reader_gone)
                try:
                    status = await self.serve(terminal)
                except* LocalError as errors:
                    refused = _first(errors)
                nursery.cancel_scope.cancel()
        if refused is not None:
            raise refused
        return status

    async def _watch_signals(self, signals: AsyncIterator[int]) -> None:
        async for number in signals:
            if self._signalled is not None:
                os._exit(128 + number)  # asked twice: at once
            self._signalled = number
            guard = threading.Timer(self.close_limit, os._exit, [128 + number])
            guard.daemon = True
            guard.start()
            self._cancel()

    def _on_reader_gone(self) -> None:
        """Nobody reads our output any more; called in a thread."""
        if self._token is not None:
            try:
                self._token.run_sync_soon(self._cancel, idempotent=True)
            except trio.RunFinishedError:
                return

    def _cancel(self) -> None:
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()


def _or_nowhere(descriptor: int | None) -> int:
    return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC) if descriptor is None else descriptor


def _first(errors: BaseExceptionGroup[LocalError]) -> LocalError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, LocalError)
    return error
