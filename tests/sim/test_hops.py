"""How far messages travel in an honest network: at p99, ceil(log6 N) + 2 hops.

With links of like latency the first copy comes the shortest way. Where some links
are ten times as fast as others it comes by many fast hops: later counts would be
smaller, and the message would be later.
"""

from __future__ import annotations

import time

import pytest

from pubsub.sim import Fixed, Latency, Report, Scenario, Uniform, hop_bound


def honest(peers: int, seed: int, latency: Latency, messages: int = 100) -> Report:
    report = Scenario(peers=peers, seed=seed, latency=latency, messages=messages).run()
    assert (report.missed, report.repeated, report.invented) == (0, 0, 0), f"seed {seed}"
    return report


@pytest.mark.slow
def test_a_hundred_peers() -> None:
    report = honest(100, 1, Fixed(0.05), messages=50)
    assert report.hops.p99 <= hop_bound(100) == 5


@pytest.mark.slow
@pytest.mark.parametrize("latency", [Fixed(0.05), Uniform(0.04, 0.06)])
@pytest.mark.parametrize("seed", range(1, 11))
def test_a_hundred_peers_with_other_seeds(seed: int, latency: Latency) -> None:
    report = honest(100, seed, latency)
    assert report.hops.p99 <= hop_bound(100)


@pytest.mark.slow
@pytest.mark.parametrize("latency", [Fixed(0.05), Uniform(0.04, 0.06)])
def test_a_thousand_peers(latency: Latency) -> None:
    start = time.process_time()
    report = honest(1000, 1, latency)
    assert report.hops.p99 <= hop_bound(1000) == 6
    assert time.process_time() - start < 60, "the simulator has become slow"
