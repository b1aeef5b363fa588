"""Blocks among many Fabric peers in a virtual network: by meshes, and by Fabric's own push.

    python benchmarks/fabric_gossip.py
    python benchmarks/fabric_gossip.py --peers 30 --blocks 200 --carrier mesh --seed 7

Everything runs in this process, in virtual time: cores and routers are those of a real node,
links, ledgers and the orderer are made up (pubsub/sim/fabric_scenarios.py says what is not
modelled, pubsub/sim/fabric_push.py what Fabric's push is here). Ends with exit status 0 if in
each run all ledgers are equal and in order, and no peer verified a block twice.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from pubsub.errors import LocalError
from pubsub.params import Params
from pubsub.sim.fabric_city import City
from pubsub.sim.fabric_report import CityReport, city_table
from pubsub.sim.fabric_scenarios import CARRIERS, CityScenario, Progress
from pubsub.sim.links import Latency, Uniform

INTERRUPTED = 130
PAUSE = 5.0
"Seconds of real time between two words on the progress."


def latency(text: str) -> Latency:
    """`50`, the same for every connection, or `10-100`, in milliseconds."""
    low, dash, high = text.partition("-")
    return Uniform(float(low) / 1000, float(high if dash else low) / 1000)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--peers", type=int, default=60, help="default 60")
    add("--orgs", type=int, default=3, help="organizations, one leader each (default 3)")
    add("--blocks", type=int, default=1000, help="default 1000")
    add("--size", type=int, default=100 * 1024, help="bytes in a block (default 102400)")
    add("--rate", type=float, default=5.0, help="blocks a second (default 5)")
    add("--seed", type=int, default=1, help="default 1")
    add("--restarts", type=int, help="peers restarted on the way (default: 20 %%)")
    add("--down", type=float, default=5.0, help="seconds that each is away (default 5)")
    add("--loss", type=float, default=0.05,
        help="share of RPCs and stream messages dropped (default 0.05)")  # fmt: skip
    add("--latency", type=latency, default=Uniform(0.002, 0.02), metavar="MS",
        help="of a connection, as 50 or 2-20 (default)")  # fmt: skip
    add("--uplink", type=float, default=1000.0, help="Mbit/s of each peer (default 1000)")
    add("--carrier", choices=(*CARRIERS, "both"), default="both", help="default both")
    add("--param", "-p", action="append", default=[], metavar="NAME=VALUE",
        help="a parameter of the routers")  # fmt: skip
    add("--quiet", "-q", action="store_true", help="no progress")
    return parser.parse_args()


def scenario(options: argparse.Namespace) -> CityScenario:
    params = dict(text.partition("=")[::2] for text in options.param)
    restarts = round(options.peers / 5) if options.restarts is None else options.restarts
    return CityScenario(
        peers=options.peers,
        orgs=options.orgs,
        blocks=options.blocks,
        size=options.size,
        rate=options.rate,
        seed=options.seed,
        restarts=restarts,
        down=options.down,
        loss=options.loss,
        latency=options.latency,
        uplink=options.uplink * 1e6 / 8,
        router=Params().with_texts(params),
    )


def progress(carrier: str) -> Progress:
    start = told = time.monotonic()

    def tell(city: City) -> None:
        nonlocal told
        if time.monotonic() - told >= PAUSE:
            told = time.monotonic()
            lowest = min(each.ledger.height for each in city.residents.values())
            text = f"{carrier}: {told - start:.0f} s, virtual {city.now:.0f} s"
            print(f"{text}, blocks {lowest} to {len(city.chain)}", file=sys.stderr, flush=True)

    return tell


def run(plan: CityScenario, told: Progress | None) -> tuple[CityReport, float, float]:
    """The report, and how long it took: real time, and time of the processor."""
    # There is much that lives, and no garbage in circles.
    gc.set_threshold(50_000, 20, 50)
    start, worked = time.monotonic(), time.process_time()
    report = plan.run(told)
    return report, time.monotonic() - start, time.process_time() - worked


def run_quietly(plan: CityScenario) -> tuple[CityReport, float, float]:
    return run(plan, None)


def run_told(plan: CityScenario) -> tuple[CityReport, float, float]:
    return run(plan, progress(plan.carrier))


def main() -> int:
    options = arguments()
    reports = []
    try:
        plan = scenario(options)
        carriers = CARRIERS if options.carrier == "both" else (options.carrier,)
        plans = [plan.replaced(carrier=carrier) for carrier in carriers]
        with ProcessPoolExecutor(len(plans)) as pool:
            for found in pool.map(run_quietly if options.quiet else run_told, plans):
                report, real, worked = found
                reports.append(report)
                figures = f"{real:.0f} s of real time, {worked:.0f} s of a processor"
                print(f"{report.carrier}: {figures}", file=sys.stderr)
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{plan.peers} peers, {plan.orgs} organizations, {plan.blocks} blocks, seed {plan.seed}")
    print(city_table(reports), flush=True)
    return 0 if all(report.holds for report in reports) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
