"""`pubsub-fabric demo`: a Fabric network on loopback, step by step, each step checked."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio

from pubsub.cli.command_run import CommandRun, Terminal
from pubsub.cli.fabric_config import check_yaml
from pubsub.cli.fabric_demo_checks import check_disks, check_outsider
from pubsub.cli.fabric_demo_network import DemoNetwork
from pubsub.cli.fabric_demo_screen import Screen
from pubsub.cli.fabric_demo_steps import SIZES, Demo, StepFailed
from pubsub.cli.fabric_events import lines_of
from pubsub.errors import ParamError

PROGRAM = "pubsub-fabric"
FAILED = 1
SIGNALLED = 128
"Added to a signal's number it is an exit status."


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    blocks: int = 200
    seed: int | None = None
    keep: Path | None = None
    verbose: bool = False


def run(options: DemoOptions) -> int:
    """Show everything; 0 if every check held, else 1. Raises ParamError."""
    check_yaml()
    directory = make_directory(options.keep)
    demo = DemoRun(options, directory)
    try:
        return demo.run()
    finally:
        if options.keep is None and not demo.failed:
            shutil.rmtree(directory, ignore_errors=True)


class DemoRun(CommandRun):
    """One run of `pubsub-fabric demo`; its files are in `directory`."""

    close_limit = 5.0
    "Its peers are ended first."

    def __init__(self, options: DemoOptions, directory: Path) -> None:
        super().__init__(PROGRAM)
        self.failed = False
        self._options = options
        self._directory = directory
        self._screen = Screen()

    def run(self) -> int:
        status = super().run()
        if status > SIGNALLED:
            self._screen.say("Interrupted.")
        return status

    async def serve(self, terminal: Terminal) -> int:
        started = time.monotonic()
        network = DemoNetwork(
            self._directory,
            entropy=entropy_of(self._options.seed),
            when=datetime.now(UTC),
            peers=SIZES,
        )
        self._screen.say(f"A Fabric network on this machine; its files are in {self._directory}")
        demo = Demo(network, self._options.blocks, self._screen, self._show)
        try:
            await self._run(demo)
        except* StepFailed as errors:
            self.failed = True
            self._screen.fail("; ".join(map(str, _leaves(errors))))
        seconds = time.monotonic() - started
        if self.failed:
            logs = self._directory / "logs"
            self._screen.say(f"FAILED after {seconds:.1f} s. What each peer said is in {logs}")
            return FAILED
        self._screen.say(f"All of it held, in {seconds:.1f} s.")
        return 0

    async def _run(self, demo: Demo) -> None:
        async with trio.open_nursery() as nursery:
            try:
                await demo.run(nursery)
                await check_outsider(demo)
                await check_disks(demo)
            finally:
                for peer in demo.peers:
                    await peer.end()

    def _show(self, name: str, event: dict[str, Any]) -> None:
        if self._options.verbose:
            for line in lines_of(event):
                self._screen.say(f"        {name}: {line}")


def make_directory(keep: Path | None) -> Path:
    """Where everything goes. Raises ParamError if it cannot be there."""
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="pubsub-fabric-"))
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise ParamError(f"--keep: {str(keep)!r} is not empty")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ParamError(f"--keep: cannot make directory {str(keep)!r}: {reason}") from error
    return keep.absolute()


def entropy_of(seed: int | None) -> Callable[[int], bytes]:
    """Where keys come from; with a seed, the same ones each time, which are no secret."""
    return os.urandom if seed is None else random.Random(seed).randbytes


def _leaves(errors: BaseExceptionGroup[StepFailed]) -> Iterator[BaseException]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
