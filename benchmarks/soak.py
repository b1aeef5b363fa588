"""Ten minutes of traffic between two nodes: does memory stay where it is?

    python benchmarks/soak.py                      # 10 minutes of 500 messages a second
    python benchmarks/soak.py --minutes 2 --rate 2000

Prints the resident memory of both processes each minute, and at the end how
much the last minute differs from the third.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import trio

import pubsub

TOPIC = "soak"
BASE_MINUTE = 3


async def receive(args: argparse.Namespace) -> None:
    async with (
        pubsub.open_node(listen=["/ip4/127.0.0.1/tcp/0"]) as node,
        node.subscribe(TOPIC) as messages,
    ):
        print(node.addresses[0], flush=True)
        got = 0
        while got < args.rate * 60 * args.minutes:
            got += len(await messages.receive_batch())
        print(got, messages.lost, flush=True)


async def send(args: argparse.Namespace) -> None:
    body = os.urandom(args.size - 8)
    async with pubsub.open_node() as node:
        await node.connect(args.connect)
        await node.wait_for_peers(TOPIC)
        start = trio.current_time()
        for number in range(args.rate * 60 * args.minutes):
            await trio.sleep_until(start + number / args.rate)
            await node.publish(TOPIC, number.to_bytes(8, "big") + body)


def resident(pid: int) -> int:
    """KiB of resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError(f"process {pid} has no resident memory")


async def watch(args: argparse.Namespace) -> int:
    common = ["--rate", str(args.rate), "--minutes", str(args.minutes), "--size", str(args.size)]
    command = [sys.executable, __file__]
    receiver = subprocess.Popen(  # noqa: ASYNC220 - it starts in no time
        [*command, "--role", "receive", *common], stdout=subprocess.PIPE, text=True
    )
    assert receiver.stdout is not None
    address = receiver.stdout.readline().strip()
    sender = subprocess.Popen(  # noqa: ASYNC220
        [*command, "--role", "send", "--connect", address, *common]
    )
    start = trio.current_time()
    figures: list[tuple[int, int]] = []
    print(f"{args.rate} messages a second of {args.size} B, {args.minutes} minutes")
    print(f"{'minute':>6} {'sender KiB':>12} {'receiver KiB':>12}")
    for minute in range(1, args.minutes + 1):
        # A second early: in the last one the processes end.
        await trio.sleep_until(start + 60 * minute - 1)
        figures.append((resident(sender.pid), resident(receiver.pid)))
        print(f"{minute:>6} {figures[-1][0]:>12} {figures[-1][1]:>12}", flush=True)
    with trio.fail_after(60):
        await trio.to_thread.run_sync(sender.wait)
        await trio.to_thread.run_sync(receiver.wait)
    got, lost = receiver.stdout.read().split()
    print(f"received {got} of {args.rate * 60 * args.minutes}, lost {lost}")
    base = figures[min(BASE_MINUTE, len(figures)) - 1]
    for name, first, last in zip(("sender", "receiver"), base, figures[-1], strict=True):
        print(f"{name}: {100 * (last - first) / first:+.2f} % since minute {BASE_MINUTE}")
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--rate", type=int, default=500, help="messages a second")
    parser.add_argument("--size", type=int, default=1024, help="bytes a message")
    parser.add_argument("--role", choices=["send", "receive"], help=argparse.SUPPRESS)
    parser.add_argument("--connect", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role == "receive":
        trio.run(receive, args)
    elif args.role == "send":
        trio.run(send, args)
    else:
        sys.exit(trio.run(watch, args))


if __name__ == "__main__":
    main()
