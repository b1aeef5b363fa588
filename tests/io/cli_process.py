"""Real `pubsub-node` processes for tests: started, listened to line by line, and ended."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "pubsub.cli.node_command"]
PATIENCE = 10.0


class LineFeed:
    """The lines of a stream, as they come."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self.seen: list[str] = []
        "Everything that was ever read."
        self._name = name
        self._queue: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, args=[stream], daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._queue.put(line.decode().removesuffix("\n"))
        self._queue.put(None)

    def next(self, patience: float = PATIENCE) -> str:
        try:
            line = self._queue.get(timeout=patience)
        except queue.Empty:
            raise AssertionError(f"no line on {self._name}; so far {self.seen}") from None
        assert line is not None, f"{self._name} ended; so far {self.seen}"
        self.seen.append(line)
        return line

    def until(self, text: str, patience: float = PATIENCE) -> str:
        """Read on to a line that contains `text`."""
        end = time.monotonic() + patience
        while text not in (line := self.next(max(0.01, end - time.monotonic()))):
            pass
        return line

    def rest(self) -> list[str]:
        """All lines to the end of the stream."""
        self._thread.join(PATIENCE)
        lines: list[str] = []
        while (line := self._queue.get(timeout=PATIENCE)) is not None:
            lines.append(line)
        self.seen += lines
        return lines


class NodeProcess:
    """One running command. By default on loopback alone, without mDNS."""

    def __init__(
        self,
        *arguments: str,
        topics: tuple[str, ...] = ("A",),
        alone: bool = True,
        stdin: Any = subprocess.PIPE,
        stdout: Any = subprocess.PIPE,
        stderr: Any = subprocess.PIPE,
    ) -> None:
        options = ["--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns"] if alone else []
        for topic in topics:
            options += ["--topic", topic]
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*COMMAND, *options, *arguments],
            cwd=ROOT,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, "PYTHONWARNINGS": "error"},
        )
        if self.process.stdout is not None:
            self.out = LineFeed(self.process.stdout, "stdout")
        if self.process.stderr is not None:
            self.err = LineFeed(self.process.stderr, "stderr")

    # Text.

    def address(self) -> str:
        """Where it listens, once it does."""
        return self.err.until("listening on ").removeprefix("listening on ")

    def type(self, text: str | bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() if isinstance(text, str) else text)
        self.process.stdin.flush()

    def end_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    # JSON.

    def event(self, kind: str, patience: float = PATIENCE, **fields: Any) -> dict[str, Any]:
        """Read on to an event of that kind with those fields."""
        end = time.monotonic() + patience
        while True:
            event: dict[str, Any] = json.loads(self.out.next(max(0.01, end - time.monotonic())))
            wanted = all(event.get(name) == value for name, value in fields.items())
            if event["event"] == kind and wanted:
                return event

    def ask(self, do: str, **fields: Any) -> None:
        self.type(json.dumps({"do": do, **fields}) + "\n")

    # The end.

    def signal(self, number: int = signal.SIGINT) -> float:
        """Send a signal and return how long the end took."""
        asked = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        return time.monotonic() - asked

    def wait(self, patience: float = PATIENCE) -> int:
        return self.process.wait(patience)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        self.process.wait()


Start = Callable[..., NodeProcess]


def node_processes() -> Iterator[Start]:
    """The body of a fixture: starts processes, and ends what is left of them."""
    nodes: list[NodeProcess] = []

    def start(*arguments: str, **options: Any) -> NodeProcess:
        nodes.append(NodeProcess(*arguments, **options))
        return nodes[-1]

    yield start
    for node in nodes:
        node.close()


start_node = pytest.fixture(node_processes, name="start")
