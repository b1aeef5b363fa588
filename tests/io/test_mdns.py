"""Nodes find each other by real multicast, on loopback alone, and leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
import trio

from pubsub.discovery.mdns import run_mdns
from pubsub.identity import Address, PrivateKey, parse_address, peer_id_of

ROOT = Path(__file__).resolve().parents[2]

FINDER = """
import sys, trio
from pubsub.discovery.mdns import run_mdns
from pubsub.identity import Address, PrivateKey, peer_id_of

class Host:
    peer_id = peer_id_of(PrivateKey(bytes([int(sys.argv[2])]) * 32).public_key)
    addresses = [Address("ip4", "127.0.0.1", int(sys.argv[2]), peer_id)]

def found(addresses):
    print(*addresses, flush=True)

async def main():
    with trio.move_on_after(15):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_to_eof, nursery.cancel_scope)
            await run_mdns(Host, found, service=sys.argv[1], interfaces=["127.0.0.1"])

async def run_to_eof(scope):
    await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
    scope.cancel()

trio.run(main)
"""


@pytest.fixture
def service() -> str:
    """A service of this test's own, so that no other node is found."""
    return f"_t{os.urandom(5).hex()}._udp.local."


class Host:
    def __init__(self, seed: int, *ports: int) -> None:
        self.peer_id = peer_id_of(PrivateKey(bytes([seed]) * 32).public_key)
        self.addresses = [Address("ip4", "127.0.0.1", port, self.peer_id) for port in ports]


class Meeting:
    """Collects what was found until it is all there."""

    def __init__(self) -> None:
        self.found: list[list[Address]] = []
        self._changed = trio.Event()

    def __call__(self, addresses: list[Address]) -> None:
        self.found.append(addresses)
        self._changed.set()
        self._changed = trio.Event()

    async def first(self) -> list[Address]:
        while not self.found:
            await self._changed.wait()
        return self.found[0]


def test_two_processes_on_loopback_find_each_other(service: str) -> None:
    started = time.monotonic()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", FINDER, service, str(seed)],
            **{"cwd": ROOT, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True},
        )
        for seed in (1, 2)
    ]
    try:
        lines = [process.stdout.readline().strip() for process in processes]
    finally:
        for process in processes:
            process.stdin.close()
            assert process.wait(5) == 0
            process.stdout.close()
    assert [parse_address(line) for line in lines] == [Host(n, n).addresses[0] for n in (2, 1)]
    assert time.monotonic() - started < 10


async def test_all_addresses_arrive_and_a_move_is_noticed(service: str) -> None:
    ann, bob = Host(1, 4001, 4002, 4003), Host(2, 5001)
    by_ann, by_bob = Meeting(), Meeting()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for host, meeting in ((ann, by_ann), (bob, by_bob)):
                nursery.start_soon(_run, host, meeting, service)
            assert await by_bob.first() == ann.addresses
            assert await by_ann.first() == bob.addresses
            nursery.cancel_scope.cancel()


async def test_ending_is_quick_and_leaves_no_thread_or_socket(service: str) -> None:
    process = psutil.Process()
    before = (process.num_fds(), threading.active_count())
    meeting = Meeting()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_run, Host(1, 4001), Meeting(), service)
            nursery.start_soon(_run, Host(2, 4002), meeting, service)
            await meeting.first()
            asked = time.monotonic()
            nursery.cancel_scope.cancel()
    assert time.monotonic() - asked < 0.5
    # trio keeps its idle worker threads for a while; they hold nothing.
    assert process.num_fds() <= before[0]
    assert threading.active_count() <= before[1] + 2


async def test_a_node_that_listens_nowhere_still_finds_others(service: str) -> None:
    meeting = Meeting()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_run, Host(1), meeting, service)
            nursery.start_soon(_run, Host(2, 4002), Meeting(), service)
            assert await meeting.first() == Host(2, 4002).addresses
            nursery.cancel_scope.cancel()


async def test_an_interface_that_is_gone_costs_nothing(service: str) -> None:
    meeting = Meeting()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            interfaces = ["127.0.0.1", "198.51.100.77"]
            nursery.start_soon(_run, Host(1), meeting, service, interfaces)
            nursery.start_soon(_run, Host(2, 4002), Meeting(), service)
            assert await meeting.first()
            nursery.cancel_scope.cancel()


async def _run(
    host: Host, meeting: Meeting, service: str, interfaces: list[str] | None = None
) -> None:
    await run_mdns(host, meeting, service=service, interfaces=interfaces or ["127.0.0.1"])


async def test_no_usable_interface_is_said(service: str) -> None:
    said: list[str] = []
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:

            def failed(reason: str) -> None:
                said.append(reason)
                nursery.cancel_scope.cancel()

            nursery.start_soon(
                partial(
                    *(run_mdns, Host(1, 4001), Meeting()),
                    **{"service": service, "interfaces": ["198.51.100.77"]},
                    on_failure=failed,
                )
            )
    assert said == ["no network interface takes multicast"]
