"""A `pubsub-fabric peer` process of the demonstration: started, listened to, asked, ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

import trio

from pubsub.cli.fabric_control import ControlError, NotRunningError, ask
from pubsub.cli.fabric_data import PeerData
from pubsub.cli.fabric_demo_network import CHANNEL, Place

COMMAND = (sys.executable, "-m", "pubsub.cli.fabric_command", "peer")
END_PATIENCE = 3.0
"Seconds that a peer may take to end after SIGTERM."
OURS = ("CORE_", "FABRIC_")
"What the names of variables begin with that a peer reads."

Show = Callable[[str, dict[str, Any]], None]


def environment() -> dict[str, str]:
    """Ours, without what would change what a peer does."""
    return {name: text for name, text in os.environ.items() if not name.startswith(OURS)}


class DemoPeer:
    """One peer, through all its processes."""

    def __init__(self, place: Place, arguments: tuple[str, ...], show: Show) -> None:
        self.place = place
        self.name = place.name
        self.events: list[dict[str, Any]] = []
        "What the process that runs, or ran last, has said."

        self._arguments = arguments
        self._show = show
        self._process: trio.Process | None = None
        self._done = trio.Event()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def exit_status(self) -> int | None:
        return None if self._process is None else self._process.returncode

    async def start(self, nursery: trio.Nursery) -> None:
        self.events.clear()
        self._done = trio.Event()
        log = self.place.log.open("ab", buffering=0)
        try:
            # Of a session of its own: Ctrl-C is for the demonstration, which then ends its peers.
            self._process = await trio.lowlevel.open_process(
                [*COMMAND, "--json", "--config", str(self.place.config), *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(),
                start_new_session=True,
            )
        except BaseException:
            log.close()
            raise
        nursery.start_soon(self._listen, self._process, log, self._done)

    async def _listen(self, process: trio.Process, log: BinaryIO, done: trio.Event) -> None:
        """Take in what the process says, until it ends."""
        assert process.stdout is not None
        unfinished = b""
        try:
            with log:
                async for data in process.stdout:
                    log.write(data)
                    *lines, unfinished = (unfinished + data).split(b"\n")
                    for line in lines:
                        event = json.loads(line)
                        self.events.append(event)
                        self._show(self.name, event)
            await process.wait()
        finally:
            done.set()

    async def kill(self) -> None:
        """End the process without a warning."""
        if self._process is not None:
            self._process.kill()
            await self._done.wait()

    async def stop(self) -> None:
        """Ask the process to end; after a while, end it."""
        if self._process is not None:
            self._process.terminate()
            with trio.move_on_after(END_PATIENCE):
                await self._done.wait()
                return
            await self.kill()

    async def end(self) -> None:
        """Be sure that no process is left, whatever happens meanwhile."""
        with trio.CancelScope(shield=True):
            if self.is_running and self._process is not None:
                self._process.kill()
                await self._process.wait()

    async def ask(self, do: str, **fields: Any) -> dict[str, Any] | None:
        """What the peer answers; None if it does not, or not yet."""
        path = PeerData(self.place.data).socket
        try:
            return await trio.to_thread.run_sync(
                partial(ask, path, {"do": do, **fields}), abandon_on_cancel=True
            )
        except (NotRunningError, ControlError):
            return None

    async def channel(self) -> dict[str, Any]:
        """Height, last hash and leadership in the channel; nothing while it is in none."""
        return await self.ask("height", channel=CHANNEL) or {}

    async def members(self) -> set[str]:
        """The PKI-IDs of the channel's other peers."""
        answer = await self.ask("peers", channel=CHANNEL) or {"peers": []}
        return {peer["pki_id"] for peer in answer["peers"]}

    def has_said(self, kind: str) -> bool:
        return any(event["event"] == kind for event in self.events)

    def said(self, kind: str) -> dict[str, Any]:
        """The first event of a kind that it has told of; it must have."""
        return next(event for event in self.events if event["event"] == kind)

    @property
    def problems(self) -> list[str]:
        return [event["message"] for event in self.events if event["event"] == "error"]
