"""The router alone, without sockets: µs a message for publishing, receiving and forwarding.

python benchmarks/router.py [--count N] [--sign none|strict] [--param NAME=VALUE] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import pstats
import random
import time

from pubsub.identity import PrivateKey
from pubsub.identity.verify import check_all
from pubsub.params import Params, Signing
from pubsub.router import Router
from pubsub.router.effects import Effect, Verify
from pubsub.router.events import (
    Event,
    Patience,
    PeerConnected,
    Publish,
    RpcReceived,
    StreamOpened,
    Subscribe,
    TimerFired,
    Verified,
)
from pubsub.router.protocols import GOSSIPSUB_V11
from pubsub.wire.framing import FrameReader

TOPIC = "bench"
BATCH = 64


def make(name: str, params: Params) -> Router:
    return Router(
        PrivateKey(hashlib.sha256(name.encode()).digest()),
        params,
        rng=random.Random(1),
        now=0.0,
        first_seqno=1,
    )


def feed(router: Router, event: Event, now: float) -> list[Effect]:
    effects = router.handle(event, now)
    for effect in effects:
        if isinstance(effect, Verify):
            feed(router, Verified(effect.batch, check_all(effect.checks)), now)
    return effects


def link(a: Router, b: Router) -> None:
    for me, other in ((a, b), (b, a)):
        feed(me, PeerConnected(other.id, GOSSIPSUB_V11, outbound=True), 0.0)
        feed(me, StreamOpened(other.id, GOSSIPSUB_V11), 0.0)
    for _ in range(3):
        for me, other in ((a, b), (b, a)):
            frames = FrameReader(1 << 22).feed(me.take(other.id, 1 << 20))
            if frames:
                feed(other, RpcReceived(me.id, frames), 0.0)


def run(count: int, params: Params, *, subscribed: bool) -> dict[str, float]:
    """Publish `count` messages from one router through a second to a third."""
    author, middle, last = (make(name, params) for name in ("author", "middle", "last"))
    for router in (author, middle, last) if subscribed else (middle, last):
        feed(router, Subscribe(TOPIC), 0.0)
    link(author, middle)
    link(middle, last)
    body = bytes(1016)
    spent = dict.fromkeys(("publish", "take", "frame", "receive and forward"), 0.0)
    reader = FrameReader(1 << 22)
    clock = time.process_time
    for start in range(0, count, BATCH):
        now = start / 30_000
        marks = [clock()]
        for number in range(start, start + BATCH):
            author.handle(Publish(TOPIC, number.to_bytes(8, "big") + body, Patience.WAIT), now)
        marks.append(clock())
        data = author.take(middle.id, 1 << 20)
        marks.append(clock())
        frames = reader.feed(data)
        marks.append(clock())
        feed(middle, RpcReceived(author.id, frames), now)
        marks.append(clock())
        middle.take(last.id, 1 << 20)
        for step, name in enumerate(spent):
            spent[name] += marks[step + 1] - marks[step]
        for router in (author, middle):
            if router.next_deadline <= now:
                feed(router, TimerFired(), now)
    assert middle.snapshot()["counters"]["forwarded"] == count
    return {name: seconds / count * 1e6 for name, seconds in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=64_000)
    parser.add_argument("--sign", choices=["none", "strict"], default="none")
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="as scoring=false"
    )
    parser.add_argument("--profile", action="store_true", help="show where the time goes")
    args = parser.parse_args()
    settings = dict(text.split("=", 1) for text in args.param)
    params = Params(signing=Signing(args.sign)).with_texts(settings)
    if args.profile:
        profile = cProfile.Profile()
        profile.runcall(run, args.count, params, subscribed=True)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    for subscribed in (True, False):
        print("author in the mesh" if subscribed else "author publishing by fan-out")
        for name, cost in run(args.count, params, subscribed=subscribed).items():
            print(f"  {name:20} {cost:6.2f} µs a message")


if __name__ == "__main__":
    main()
