"""A virtual network of routers, and what became of the messages: one row for each seed.

    python examples/simulate.py --peers 100 --seeds 1-5 --loss 0.01 --sybils 0.2

Everything runs in this process, in virtual time; the same figures give the same
run, event by event (docs/simulator.md). Ends with exit status 0 if every honest
subscriber got every message.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time

from pubsub.errors import LocalError
from pubsub.params import Params
from pubsub.sim import RAW_PEERS, Latency, Scenario, Uniform, hop_bound, table

INTERRUPTED = 130


def seeds(text: str) -> list[int]:
    """`7`, `1,5,9` or `1-20`."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        found += range(int(first), int(last if dash else first) + 1)
    return found


def latency(text: str) -> Latency:
    """`50`, the same for every connection, or `10-100`, in milliseconds."""
    low, dash, high = text.partition("-")
    return Uniform(float(low) / 1000, float(high if dash else low) / 1000)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--peers", type=int, default=100, help="of all kinds (default 100)")
    parser.add_argument("--degree", type=int, default=20, help="connections of each (default 20)")
    parser.add_argument("--seeds", type=seeds, default=[1], help="as 7, 1,5,9 or 1-20 (default 1)")
    parser.add_argument("--messages", type=int, default=100, help="default 100")
    parser.add_argument("--rate", type=float, default=10.0, help="messages a second (default 10)")
    parser.add_argument("--size", type=int, default=200, help="bytes of a message (default 200)")
    parser.add_argument("--latency", type=latency, default=Uniform(0.01, 0.1), metavar="MS",
                        help="of a connection, as 50 or 10-100 (default)")  # fmt: skip
    parser.add_argument("--loss", type=float, default=0.0, help="share of RPCs lost, 0 to 1")
    parser.add_argument("--bandwidth", type=float, help="bytes a second of each connection")
    parser.add_argument("--sybils", type=float, default=0.0, help="share that forwards nothing")
    parser.add_argument("--sybils-silent", type=float, default=0.0, help="from this second on")
    for name in RAW_PEERS:
        parser.add_argument(f"--{name}s", type=int, default=0, help="how many of the peers")
    parser.add_argument("--late", type=int, default=0, help="peers that come later, on top")
    parser.add_argument("--restarts", type=int, default=0, help="peers restarted on the way")
    parser.add_argument("--unsigned", action="store_true", help="messages without signatures")
    parser.add_argument("--param", "-p", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--verbose", "-v", action="store_true", help="the whole report of each run")
    return parser.parse_args()


def scenario(options: argparse.Namespace) -> Scenario:
    params = dict(text.partition("=")[::2] for text in options.param)
    crowds = ((name, getattr(options, f"{name.replace('-', '_')}s")) for name in RAW_PEERS)
    return Scenario(
        peers=options.peers,
        degree=options.degree,
        messages=options.messages,
        rate=options.rate,
        size=options.size,
        latency=options.latency,
        loss=options.loss,
        bandwidth=options.bandwidth,
        sybils=round(options.sybils * options.peers),
        sybils_silent=options.sybils_silent,
        # Whoever falls silent later is met by messages that are published later.
        warm_up=max(6.0, options.sybils_silent + 1),
        adversaries=tuple((name, count) for name, count in crowds if count),
        late=options.late,
        restarts=options.restarts,
        signed=not options.unsigned,
        params=Params().with_texts(params),
    )


def main() -> int:
    options = arguments()
    # A simulation makes many objects that live, and no garbage in circles: looking for
    # that as often as usual takes a sixth of the time.
    gc.set_threshold(50_000, 20, 50)
    start = time.monotonic()
    reports = []
    try:
        plan = scenario(options)
        for seed in options.seeds:
            reports.append(plan.replaced(seed=seed).run())
            if options.verbose:
                print(reports[-1].text(), end="\n\n")
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(reports))
    print(f"ceil(log6 N) + 2 is {hop_bound(options.peers)} hops;", end=" ")
    print(f"{time.monotonic() - start:.1f} s of real time", flush=True)
    return 0 if all(report.missed == 0 for report in reports) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
