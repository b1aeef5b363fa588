"""Running a node under a shell: descriptors, signals, and an end that is always quick.

Ctrl-C, SIGTERM and a terminal that hangs up close the node cleanly. Should that
not be done within a second, for whatever reason, the process ends all the same.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import trio

from pubsub.cli.json_shell import JsonShell
from pubsub.cli.line_reader import survive_background
from pubsub.cli.line_writer import LineWriter, shared_lock, watch_reader
from pubsub.cli.options import Options
from pubsub.cli.printable import count
from pubsub.cli.shell import PROGRAM, Shell, Terminal
from pubsub.cli.text_shell import TextShell
from pubsub.errors import ParamError

if TYPE_CHECKING:
    from pubsub import Node

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CLOSE_LIMIT = 0.9
"After a signal, the process is gone after this time, come what may."
LAST_LINES_AFTER_SIGNAL = 0.1
LAST_LINES_PATIENCE, LAST_LINES_LIMIT = 0.5, 30.0

OpenNode = Callable[..., "AbstractAsyncContextManager[Node]"]


def run(options: Options) -> int:
    """Run a node until it is told to end; the exit status.

    Raises ParamError if it cannot start.
    """
    from pubsub import open_node

    return NodeRun(options, open_node).run()


class NodeRun:
    """One run of the command."""

    def __init__(self, options: Options, open_node: OpenNode) -> None:
        self._options = options
        self._open_node = open_node
        self._signalled: int | None = None
        self._nursery: trio.Nursery | None = None
        self._token: trio.lowlevel.TrioToken | None = None

    def run(self) -> int:
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
        status = trio.run(self._main, terminal, out)
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
            err.write(f"{PROGRAM}: {lost} lost at the end: standard output is not being read")
        if out.fault is not None:
            status = status or 1
            err.write(f"{PROGRAM}: cannot write to standard output: {out.fault.lower()}")
        err.finish(patience, at_most=at_most)
        return status

    async def _main(self, terminal: Terminal, out: int | None) -> int:
        status = 0
        refused: ParamError | None = None
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
                    status = await self._serve(terminal)
                except* ParamError as errors:
                    refused = _first(errors)
                nursery.cancel_scope.cancel()
        if refused is not None:
            raise refused
        return status

    async def _serve(self, terminal: Terminal) -> int:
        options = self._options
        opening = self._open_node(
            listen=options.listen,
            key=options.key,
            params=options.params,
            direct=options.direct,
            mdns=options.mdns,
        )
        async with opening as node:
            kind: type[Shell] = JsonShell if options.json else TextShell
            return await kind(node, options, terminal).run()

    async def _watch_signals(self, signals: AsyncIterator[int]) -> None:
        async for number in signals:
            if self._signalled is not None:
                os._exit(128 + number)  # asked twice: at once
            self._signalled = number
            guard = threading.Timer(CLOSE_LIMIT, os._exit, [128 + number])
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


def _first(errors: BaseExceptionGroup[ParamError]) -> ParamError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, ParamError)
    return error
