"""Ten processes, three of them killed and restarted while messages flow: the others miss none."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from pubsub.identity import PrivateKey, peer_id_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

MEMBERS, VICTIMS = 10, 3
MESSAGES, RATE = 2000, 250.0
ROOT = Path(__file__).resolve().parents[2]


class Member:
    """A process that is a node, and what it said."""

    def __init__(self, number: int, port: int) -> None:
        self.number = number
        self.key = PrivateKey(bytes([number + 1]) * 32)
        self.listen = f"/ip4/127.0.0.1/tcp/{port}"
        self.address = f"{self.listen}/p2p/{peer_id_of(self.key.public_key)}"
        self.bootstrap: list[str] = []
        self.process: trio.Process | None = None
        self.got: Counter[int] = Counter()
        self.published: list[int] = []
        self.nobody = 0
        self.snapshot: dict[str, Any] = {}
        self.ready = trio.Event()
        self.done = trio.Event()
        self.ended = trio.Event()

    async def run(self) -> None:
        """Run the process until it ends, and note what it says."""
        config = {
            "key": self.key.seed.hex(),
            "listen": self.listen,
            "bootstrap": self.bootstrap,
        }
        self.process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "tests.io.kill_member", json.dumps(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        try:
            assert self.process.stdout is not None
            buffered = b""
            async for data in self.process.stdout:
                *lines, buffered = (buffered + data).split(b"\n")
                for line in lines:
                    self._note(json.loads(line))
        finally:
            self.process.kill()
            with trio.CancelScope(shield=True):
                await self.process.wait()
                for pipe in (self.process.stdin, self.process.stdout):
                    assert pipe is not None
                    await pipe.aclose()
            self.ended.set()

    def _note(self, said: dict[str, Any]) -> None:
        if "got" in said:
            self.got.update(said["got"])
        elif "ready" in said:
            self.ready.set()
        elif "published" in said:
            self.published, self.nobody = said["published"], said["nobody"]
            self.done.set()
        elif "snapshot" in said:
            self.snapshot = said["snapshot"]

    async def order(self, **what: Any) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        await self.process.stdin.send_all(json.dumps(what).encode() + b"\n")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


async def look(members: list[Member], degree: int) -> None:
    """Wait until each has at least `degree` peers in its mesh."""
    with trio.fail_after(30):
        while True:
            for member in members:
                member.snapshot = {}
                await member.order(show=True)
            while not all(member.snapshot for member in members):  # noqa: ASYNC110
                await trio.sleep(0.02)
            meshes = [member.snapshot["mesh"].get("kill", []) for member in members]
            if all(len(mesh) >= degree for mesh in meshes):
                return
            await trio.sleep(0.1)


@asynccontextmanager
async def crowd() -> AsyncIterator[tuple[list[Member], trio.Nursery]]:
    """All members, each of which knows the next three in the ring."""
    members = [Member(number, port) for number, port in enumerate(free_ports(MEMBERS))]
    for member in members:
        member.bootstrap = [members[(member.number + step) % MEMBERS].address for step in (1, 2, 4)]
    async with trio.open_nursery() as nursery:
        for member in members:
            nursery.start_soon(member.run)
        with trio.fail_after(30):
            for member in members:
                await member.ready.wait()
        yield members, nursery
        nursery.cancel_scope.cancel()


async def test_survivors_miss_nothing_that_a_survivor_published():
    began = time.perf_counter()
    async with crowd() as (members, nursery):
        await look(members, 4)
        victims = [members[number] for number in (1, 4, 7)]
        survivors = [member for member in members if member not in victims]
        share = -(-MESSAGES // len(survivors))
        total = share * len(survivors)
        for place, member in enumerate(survivors):
            await member.order(publish=[place * share, share, RATE / len(survivors)])
        seconds = total / RATE
        before: list[int] = []
        for victim in victims:
            await trio.sleep(seconds / 8)
            victim.kill()
            with trio.fail_after(5):
                await victim.ended.wait()
            before.append(sum(victim.got.values()))
            nursery.start_soon(victim.run)
        with trio.fail_after(60):
            for member in survivors:
                await member.done.wait()
        everything = set(range(total))
        for member in survivors:
            # Own messages are not delivered.
            member.got.update(member.published)
        assert {number for member in survivors for number in member.published} == everything
        with trio.move_on_after(10):
            while any(len(member.got) < total for member in survivors):  # noqa: ASYNC110
                await trio.sleep(0.1)
        await look(members, 4)
        after = [
            sum(victim.got.values()) - first for victim, first in zip(victims, before, strict=True)
        ]
        gossip = Counter[str]()
        for member in survivors:
            gossip.update(member.snapshot["drops"])
            gossip["iwant_answered"] += member.snapshot["counters"].get("iwant_answered", 0)
        print(
            f"\n{total} messages at {RATE:.0f}/s from {len(survivors)} survivors; "
            f"{VICTIMS} killed and restarted; missing "
            f"{[total - len(member.got) for member in survivors]}, "
            f"published to nobody {[member.nobody for member in survivors]}, "
            f"victims got {before} before and {after} after, {dict(gossip)}, "
            f"{time.perf_counter() - began:.1f} s in all"
        )
        for member in survivors:
            missing = sorted(everything - member.got.keys())
            assert not missing, f"{member.number} misses {len(missing)}: {missing[:10]}"
            assert max(member.got.values()) == 1
            assert member.nobody == 0
        assert all(after), "a victim did not come back"
