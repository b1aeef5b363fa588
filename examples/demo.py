"""Three nodes meet, talk, and show what arrived and who is in whose mesh.

    python examples/demo.py

Each node is a process of its own, `pubsub-node --json`, driven over its JSON
contract (docs/pubsub-node.md), on loopback: nothing leaves this machine. Ends
by itself, with exit status 0 if every message arrived exactly once at both
other nodes and every node has both others in its mesh.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import trio

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "pubsub.cli.node_command"]
OPTIONS = ["--json", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"]
TOPIC = "demo"
NAMES = ("ann", "bob", "cy")
GREETINGS = ("hello", "how are you?", "good bye")
DEADLINE = 15.0
"Seconds after which the demonstration gives up."
LOOK_AGAIN = 0.2
INTERRUPTED = 130


class Member:
    """One node process and all that it has said."""

    def __init__(self, name: str, process: trio.Process) -> None:
        self.name = name
        self.peer = ""
        self.address = ""
        self.met: dict[str, None] = {}
        "Peers that it knows to be in the topic."
        self.heard: Counter[str] = Counter()
        "How often each text arrived."
        self.mesh: list[str] = []
        self.problems: list[str] = []
        self.leaving = False
        self._process = process

    async def ask(self, do: str, **fields: Any) -> None:
        assert self._process.stdin is not None
        line = json.dumps({"do": do, **fields}) + "\n"
        # A node that has ended is noticed by whoever listens to it.
        with suppress(trio.BrokenResourceError):
            await self._process.stdin.send_all(line.encode())

    async def listen(self, changed: Callable[[], None]) -> None:
        """Take in what the node says, until it ends."""
        assert self._process.stdout is not None
        unfinished = b""
        async for data in self._process.stdout:
            *lines, unfinished = (unfinished + data).split(b"\n")
            for line in lines:
                self._take(json.loads(line))
            changed()
        if not self.leaving:
            self.problems.append("the node ended before it was asked to")

    def _take(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "listening":
                self.peer, self.address = event["peer"], event["addrs"][0]
            case "peer_joined" if event["topic"] == TOPIC:
                self.met[event["peer"]] = None
            case "peer_left" if event["topic"] == TOPIC:
                self.met.pop(event["peer"], None)
            case "message":
                self.heard[base64.b64decode(event["data"]).decode()] += 1
            case "snapshot":
                self.mesh = event["mesh"][TOPIC]
            case "error":
                self.problems.append(event["message"])


class Meeting:
    """The three of them."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.members: list[Member] = []
        self._nursery = nursery
        self._changed = trio.Event()

    async def start(self, name: str) -> Member:
        """Start a node that knows the addresses of those before it."""
        options = [*OPTIONS, "--topic", TOPIC]
        for other in self.members:
            options += ["--bootstrap", other.address]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process: trio.Process = await self._nursery.start(
            partial(trio.run_process, [*COMMAND, *options], **pipes, check=False, cwd=ROOT)
        )
        member = Member(name, process)
        self.members.append(member)
        self._nursery.start_soon(self._listen_to, member)
        await self._until(lambda: bool(member.address))
        return member

    async def find_each_other(self) -> None:
        for member in self.members:
            await self._until(partial(self._knows_all, member.met))
            print(f"  {member.name:3} knows {self._names(member.met)}")

    async def talk(self) -> None:
        for greeting in GREETINGS:
            for member in self.members:
                text = f"{greeting} ({member.name})"
                others = [other for other in self.members if other is not member]
                await member.ask("publish", topic=TOPIC, text=text)
                for other in others:
                    await self._until(partial(other.heard.__contains__, text))
                heard = " and ".join(other.name for other in others)
                print(f"  {member.name:3} says {greeting!r:14} heard by {heard}")

    async def show_meshes(self) -> None:
        for member in self.members:
            # A mesh may take a heartbeat to form.
            while not self._knows_all(member.mesh):
                await member.ask("snapshot")
                with trio.move_on_after(LOOK_AGAIN):
                    await self._until(partial(self._mesh_is_full, member))
            print(f"  {member.name:3} has {self._names(member.mesh)}")

    async def leave(self) -> None:
        for member in self.members:
            member.leaving = True
            await member.ask("quit")

    def faults(self) -> list[str]:
        """Everything that is not as it should be."""
        wanted = [(name, f"{greeting} ({name})") for greeting in GREETINGS for name in NAMES]
        faults = [] if len(self.members) == len(NAMES) else ["not all nodes were started"]
        for member in self.members:
            expected = Counter(text for name, text in wanted if name != member.name)
            faults += [f"{member.name}: {problem}" for problem in member.problems]
            for text in expected | member.heard:
                if member.heard[text] != expected[text]:
                    times = f"{member.heard[text]} times, not {expected[text]}"
                    faults.append(f"{member.name} heard {text!r} {times}")
            if not self._knows_all(member.mesh):
                faults.append(f"the mesh of {member.name} holds {self._names(member.mesh)}")
        return faults

    async def _listen_to(self, member: Member) -> None:
        await member.listen(self._wake)
        if not member.leaving:
            self._nursery.cancel_scope.cancel()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    def _knows_all(self, peers: Iterable[str]) -> bool:
        return len(list(peers)) == len(NAMES) - 1

    def _mesh_is_full(self, member: Member) -> bool:
        return self._knows_all(member.mesh)

    def _names(self, peers: Iterable[str]) -> str:
        known = {member.peer: member.name for member in self.members}
        return " and ".join(sorted(known.get(peer, peer) for peer in peers)) or "nobody"


async def hold(meeting: Meeting) -> None:
    """The whole demonstration; what is missing in the end is among the meeting's faults."""
    print("Three nodes on this machine, each a process of its own:")
    for name in NAMES:
        member = await meeting.start(name)
        print(f"  {name:3} {member.address}")
    print(f'\nThey find each other in topic "{TOPIC}":')
    await meeting.find_each_other()
    print("\nEach publishes, and both others hear it:")
    await meeting.talk()
    print("\nWho is in whose mesh:")
    await meeting.show_meshes()
    await meeting.leave()


async def main() -> int:
    started = time.monotonic()
    with trio.move_on_after(DEADLINE) as deadline:
        async with trio.open_nursery() as nursery:
            meeting = Meeting(nursery)
            await hold(meeting)
    faults = meeting.faults()
    if deadline.cancelled_caught:
        faults.append(f"not done after {DEADLINE:g} s")
    for fault in faults:
        print(f"FAILED: {fault}")
    if faults:
        return 1
    count = len(GREETINGS) * len(NAMES)
    arrivals = count * (len(NAMES) - 1)
    seconds = time.monotonic() - started
    print(f"\nAll well: {count} messages, {arrivals} arrivals, each just once, in {seconds:.1f} s.")
    return 0


def run() -> int:
    """The exit status. Ctrl-C ends the demonstration early; errors still show."""
    status = INTERRUPTED
    try:
        status = trio.run(main)
    except* KeyboardInterrupt:
        print("\nInterrupted.")
    return status


if __name__ == "__main__":
    sys.exit(run())
