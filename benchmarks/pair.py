"""Two processes, one topic: messages a second, and CPU time for each message at both ends.

    make bench                                    # ours beside the Go peer, signed and unsigned
    python benchmarks/pair.py --rounds 5 --count 100000
    python benchmarks/pair.py --no-go             # ours alone

Ours goes through the public API only. The sender keeps at most 1,024 messages
unacknowledged; the receiver answers every 128th on a second topic. Both
implementations do the same in the same run, in turn, so that the machine's
moods meet both. The figure to compare is CPU µs a message: the wall clock of a
shared machine is noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import trio

import pubsub

TOPIC, ACKS = "bench", "ack"
ACK_EVERY = 128
WARM_UP = 1024
GO_DIRECTORY = Path(__file__).parent.parent / "interop" / "go"
GO_BENCH = Path(__file__).parent.parent / "interop" / "build" / "go-bench"


def params_for(args: argparse.Namespace) -> pubsub.Params:
    settings = dict(text.split("=", 1) for text in args.param)
    return pubsub.Params(signing=pubsub.Signing(args.sign)).with_texts(settings)


class Clock:
    """Wall and CPU time since `start`."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def report(self, role: str, count: int, lost: int) -> dict[str, Any]:
        wall = time.perf_counter() - self._wall
        cpu = time.process_time() - self._cpu
        return {
            "role": role,
            "count": count,
            "seconds": wall,
            "msgs_per_s": count / wall,
            "cpu_us_per_msg": cpu / count * 1e6,
            "lost": lost,
        }


async def receive(args: argparse.Namespace) -> None:
    """Count messages and acknowledge them."""
    async with (
        pubsub.open_node(listen=["/ip4/127.0.0.1/tcp/0"], params=params_for(args)) as node,
        node.subscribe(TOPIC, capacity=4 * args.window) as messages,
    ):
        emit({"addrs": [str(address) for address in node.addresses]})
        clock = Clock()
        seen = 0
        total = WARM_UP + args.count
        while seen < total:
            for _ in await messages.receive_batch():
                seen += 1
                if seen % ACK_EVERY == 0 or seen == total:
                    await node.publish(ACKS, seen.to_bytes(8, "big"))
                if seen == WARM_UP:
                    clock.start()
        report = clock.report("receive", args.count, messages.lost)
        await node.flush(5)
        emit(report)
        sys.stdin.read()


async def send(args: argparse.Namespace) -> None:
    """Publish, never more than the window ahead of the acknowledgements."""
    async with (
        pubsub.open_node(params=params_for(args)) as node,
        node.subscribe(ACKS) as acks,
        trio.open_nursery() as nursery,
    ):
        await node.connect(args.connect)
        with trio.fail_after(20):
            await node.wait_for_peers(TOPIC)
        window = Window(args.window)
        nursery.start_soon(window.follow, acks)
        body = os.urandom(args.size - 8)
        clock = Clock()
        for number in range(WARM_UP + args.count):
            if number == WARM_UP:
                clock.start()
            while window.full(number):
                await window.opened()
            await node.publish(TOPIC, number.to_bytes(8, "big") + body)
        while window.acked < WARM_UP + args.count:
            await window.opened()
        drops = sum(node.snapshot()["drops"].values())
        emit(clock.report("send", args.count, drops))
        nursery.cancel_scope.cancel()


class Window:
    """How far the sender may be ahead."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.acked = 0
        self._lot = trio.lowlevel.ParkingLot()

    def full(self, sent: int) -> bool:
        return sent - self.acked >= self.size

    async def opened(self) -> None:
        with trio.fail_after(60):
            await self._lot.park()

    async def follow(self, acks: pubsub.Subscription) -> None:
        async for ack in acks:
            self.acked = max(self.acked, int.from_bytes(ack.data, "big"))
            self._lot.unpark_all()


def emit(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


# The run


def ours(role: str, args: argparse.Namespace, sign: str, count: int) -> list[str]:
    return [
        sys.executable, __file__, "--role", role, "--sign", sign, "--count", str(count),
        "--size", str(args.size), "--window", str(args.window),
        *(f"--param={text}" for text in args.param),
    ]  # fmt: skip


def go(role: str, args: argparse.Namespace, sign: str, count: int) -> list[str]:
    return [
        str(GO_BENCH), "--role", role, "--sign", sign, "--count", str(count),
        "--size", str(args.size), "--window", str(args.window), "--warmup", str(WARM_UP),
    ]  # fmt: skip


def run_pair(receiver: list[str], sender: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run both ends and return what the sender and the receiver report."""
    with subprocess.Popen(receiver, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as far:
        assert far.stdout is not None
        assert far.stdin is not None
        address = next(
            record["addrs"][0] for record in map(json.loads, far.stdout) if record.get("addrs")
        )
        near = subprocess.run(
            [*sender, "--connect", address], stdout=subprocess.PIPE, check=True, timeout=600
        )
        received = next(record for record in map(json.loads, far.stdout) if "role" in record)
        far.stdin.close()
        far.wait(timeout=20)
    sent = next(record for record in map(json.loads, near.stdout.splitlines()) if "role" in record)
    return sent, received


def compare(args: argparse.Namespace) -> None:
    with_go = not args.no_go and build_go()
    for sign, count in (("none", args.count), ("strict", max(1, args.count // 10))):
        makers = {"ours": ours, **({"go": go} if with_go else {})}
        results: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {k: [] for k in makers}
        for _ in range(args.rounds):
            for name, maker in makers.items():
                results[name].append(
                    run_pair(maker("receive", args, sign, count), maker("send", args, sign, count))
                )
        print_table(sign, count, args, results)


def print_table(
    sign: str,
    count: int,
    args: argparse.Namespace,
    results: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]],
) -> None:
    label = "signed" if sign == "strict" else "unsigned"
    print(
        f"\n{label}, {args.size} B, {count} messages, window {args.window}, "
        f"median of {args.rounds} (min-max)"
    )
    print(f"{'':6} {'msg/s':>24} {'µs CPU sending':>24} {'µs CPU receiving':>24} {'lost':>6}")
    rates: dict[str, float] = {}
    for name, pairs in results.items():
        rate = [sent["msgs_per_s"] for sent, _ in pairs]
        sending = [sent["cpu_us_per_msg"] for sent, _ in pairs]
        receiving = [received["cpu_us_per_msg"] for _, received in pairs]
        lost = sum(sent["lost"] + received["lost"] for sent, received in pairs)
        rates[name] = statistics.median(rate)
        print(
            f"{name:6} {spread(rate, 0):>24} {spread(sending, 1):>24} {spread(receiving, 1):>24} "
            f"{lost:>6}"
        )
    if "go" in rates:
        print(f"ours / go: {rates['ours'] / rates['go']:.2f} × the messages a second")


def spread(values: list[float], digits: int) -> str:
    middle = statistics.median(values)
    return f"{middle:,.{digits}f} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def build_go() -> bool:
    """Build the Go benchmark; False, with the reason printed, where Go is missing."""
    if shutil.which("go") is None:
        print("no Go toolchain on this machine: ours alone")
        return False
    print("building the Go benchmark (the first time takes a few minutes) …", flush=True)
    subprocess.run(
        ["go", "build", "-o", str(GO_BENCH), "./cmd/bench"], cwd=GO_DIRECTORY, check=True
    )
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=200_000, help="unsigned messages a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=1024, help="bytes a message")
    parser.add_argument("--window", type=int, default=1024, help="messages unacknowledged at most")
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="of ours: scoring=false"
    )
    parser.add_argument("--no-go", action="store_true", help="leave the Go peer out")
    parser.add_argument("--role", choices=["send", "receive"], help=argparse.SUPPRESS)
    parser.add_argument("--sign", choices=["strict", "none"], help=argparse.SUPPRESS)
    parser.add_argument("--connect", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role == "receive":
        trio.run(receive, args)
    elif args.role == "send":
        trio.run(send, args)
    else:
        compare(args)


if __name__ == "__main__":
    main()
