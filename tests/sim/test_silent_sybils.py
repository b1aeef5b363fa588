"""A fifth of the peers are sybils that fall silent, and every honest peer gets every message.

Each sybil has an address of its own, and behaves well until it drops everything, so that no
score tells it from the others beforehand. With scores off, meshes and gossip alone must do it.
"""

from __future__ import annotations

import pytest

from pubsub.params import Params
from pubsub.sim import Scenario, silent_sybils

HEARTBEAT = Params().heartbeat_interval


UNSCORED = Params(scoring=False)


def hundred(seed: int) -> Scenario:
    return silent_sybils(seed, peers=100)


def check(scenario: Scenario) -> None:
    report = scenario.run()
    where = f"seed {scenario.seed}, {scenario.peers} peers"
    assert report.adversaries == scenario.peers // 5
    assert (report.missed, report.repeated, report.invented) == (0, 0, 0), where
    assert report.expected == scenario.messages * (scenario.peers - report.adversaries - 1)
    assert report.latency.p99 < 3 * HEARTBEAT, where


SEEDS = [*range(1, 6), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(6, 21))]


@pytest.mark.parametrize("params", [Params(), UNSCORED], ids=["scored", "unscored"])
def test_a_hundred_peers_with_twenty_silent_sybils(params: Params) -> None:
    check(hundred(1).replaced(params=params, sybils_silent=5.0, warm_up=6.0, messages=40))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_twenty_seeds_of_three_hundred_peers(seed: int) -> None:
    check(silent_sybils(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_twenty_seeds_of_a_hundred_peers_without_scores(seed: int) -> None:
    check(hundred(seed).replaced(params=UNSCORED))


@pytest.mark.slow
@pytest.mark.parametrize("params", [Params(), UNSCORED], ids=["scored", "unscored"])
@pytest.mark.parametrize("seed", range(1, 4))
def test_sybils_that_take_every_place_they_can_get(seed: int, params: Params) -> None:
    check(hundred(seed).replaced(params=params, eager_sybils=True))
