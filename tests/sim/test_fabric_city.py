"""Organizations of Fabric peers on real routers: blocks reach every ledger, whatever is dropped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pubsub.sim.fabric_report import CityReport, make_city_report
from pubsub.sim.fabric_scenarios import CityScenario

ROOT = Path(__file__).resolve().parents[2]


def check(scenario: CityScenario) -> CityReport:
    """Every ledger is the orderer's chain, each peer has checked each block once in a life."""
    city = scenario.build()
    end = scenario.ordering_ends + scenario.settle
    while city.now < end and not (city.now >= scenario.ordering_ends and city.alike()):
        city.run_for(1.0)
    chain = [block.raw for block in city.chain]
    assert len(chain) == 1 + scenario.blocks
    for number, resident in city.residents.items():
        ledger = resident.ledger
        assert [ledger.block(each) for each in range(ledger.height)] == chain, number
        assert list(city.diary.commits[number]) == list(range(1, len(chain))), number
        assert resident.life == 1 + len(city.diary.downs.get(number, ())), number
    assert set(city.diary.checks.values()) == {1}
    assert len(city.diary.checks) >= scenario.peers * scenario.blocks
    assert not city.diary.blamed
    report = make_city_report(city, scenario.carrier)
    assert report.holds
    assert report.restarts == scenario.restarts
    return report


SMALL = CityScenario(peers=8, orgs=2, blocks=25, size=2000, restarts=2, warm_up=20.0)
TOWN = CityScenario(peers=20, orgs=2, blocks=100, size=20 * 1024, restarts=4, warm_up=25.0)


def test_eight_peers_of_which_two_are_restarted() -> None:
    report = check(SMALL)
    assert report.lost > 100
    # But for those that were away, a block is everywhere within four hops.
    assert report.latency.p50 < 4 * 0.02 + 0.015


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_twenty_peers_of_which_four_are_restarted() -> None:
    report = check(TOWN)
    assert report.lost > 1000
    assert report.latency.p50 < 0.1
    # Who was away has caught up after no more than two comparisons of heights.
    assert report.caught_up.max < 30.0


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_the_same_with_fabrics_own_push() -> None:
    check(TOWN.replaced(carrier="push"))


@pytest.mark.slow
def test_the_program_prints_both_beside_each_other() -> None:
    small = ["--peers", "4", "--orgs", "1", "--blocks", "3", "--size", "100", "--loss", "0"]
    result = subprocess.run(
        [sys.executable, "benchmarks/fabric_gossip.py", "--quiet", "--restarts", "0", *small],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "4 peers, 1 organizations, 3 blocks, seed 1"
    assert lines[1].split() == ["carrier", "mesh", "push"]
    assert lines[2].split()[-4:] == ["yes,", "yes", "yes,", "yes"]


def test_figures_that_cannot_be_are_one_line() -> None:
    result = subprocess.run(
        [sys.executable, "benchmarks/fabric_gossip.py", "--orgs", "0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2
    assert result.stderr == "error: 60 peers in 0 organizations\n"
