from __future__ import annotations

from dataclasses import replace

import pytest

from pubsub.fabric.topics import MEMBERSHIP, PULL, STATE_TRANSFER
from pubsub.sim.fabric_city import City
from pubsub.sim.fabric_report import CityReport, city_table, make_city_report
from tests.unit.sim.fabric_making import empty_city, material, mesh, plans


def ended() -> City:
    """Two blocks of three. Peers 0 and 2 are of one organization, 1 and 3 of another.

    Peer 2 was away from 2.0 to 4.0, peer 3 has but one block.
    """
    city = empty_city()
    for plan in plans():
        city.settle(plan, mesh)
    city.chain += material().blocks(3, 1000, 1)
    record = city.diary
    record.ordered.update({1: 1.0, 2: 3.0, 3: 5.0})
    record.stopped(2, 2.0, 4.0)
    when = {
        0: {1: 1.25, 2: 3.25, 3: 5.25},
        1: {1: 1.5, 2: 3.5, 3: 5.5},
        2: {1: 1.75, 2: 4.5, 3: 5.75},
        3: {1: 2.0},
    }
    for peer, found in when.items():
        for number, now in found.items():
            record.committed(peer, number, now)
            record.verified(peer, 1, number)
            city.residents[peer].ledger.append(number, city.chain[number].raw)
    record.delivered.update({0: 3000})
    record.sent[0].update({PULL: 10, STATE_TRANSFER: 20, MEMBERSHIP: 30})
    record.sent[1].update({"push /blocks": 40})
    record.lost.update({PULL: 2})
    city.nodes[2].bytes_out = 100
    return city


@pytest.fixture
def report() -> CityReport:
    return make_city_report(ended(), "mesh")


def test_ledgers_are_compared_with_the_orderers_chain(report: CityReport) -> None:
    assert (report.alike, report.in_order, report.behind) == (False, True, 2)
    city = ended()
    for number in (2, 3):
        city.residents[3].ledger.append(number, city.chain[number].raw)
    assert make_city_report(city, "mesh").alike


def test_blocks_out_of_order_are_seen() -> None:
    city = ended()
    city.diary.committed(3, 3, 6.0)
    assert not make_city_report(city, "mesh").in_order


def test_latency_is_of_those_who_ran_all_the_time(report: CityReport) -> None:
    # Peer 2 was away when block 2 was cut.
    assert report.latency.count == 9
    assert (report.latency.p50, report.latency.max) == (0.5, 1.0)


def test_blocks_that_waited_for_a_leader_are_told_apart(report: CityReport) -> None:
    assert report.led.count == 0
    city = ended()
    city.diary.led(0, True, 0.5)
    city.diary.led(1, True, 1.0)
    # The second organization's leader was lost while it got block 2.
    city.diary.led(1, False, 3.25)
    led = make_city_report(city, "mesh").led
    # Blocks 1 to 3 in the first, where peer 2 was away for block 2; block 1 in the second.
    assert led.count == 5 + 2
    assert led.max == 1.0


def test_a_restart_is_followed_until_nothing_is_missing(report: CityReport) -> None:
    assert (report.restarts, report.caught_up.max) == (1, 0.5)
    city = ended()
    city.diary.stopped(1, 5.0, 5.1)
    # It had what its organization had, and then was the first.
    assert make_city_report(city, "mesh").caught_up.count == 2
    city.diary.stopped(3, 5.0, 7.0)
    city.clock.now = 20.0
    assert make_city_report(city, "mesh").caught_up.max == 13.0


def test_what_was_verified_before_is_told_by_lives() -> None:
    city = ended()
    assert make_city_report(city, "mesh").repeated == 0
    city.diary.verified(0, 1, 1)
    city.diary.verified(2, 2, 1)
    report = make_city_report(city, "mesh")
    assert (report.checks, report.repeated, report.repeated_later) == (12, 1, 1)


def test_traffic_by_the_way_it_went(report: CityReport) -> None:
    assert report.sent.mean == 200 / 4
    assert report.by_way == {
        "pushed on topics": 140 / 4,
        "pulled": 10 / 4,
        "state transfer": 20 / 4,
        "other streams": 30 / 4,
    }
    assert (report.from_orderer, report.lost) == (3000, 2)


def test_a_run_holds_if_ledgers_are_alike_and_nothing_was_verified_twice(
    report: CityReport,
) -> None:
    assert not report.holds
    good = replace(report, alike=True)
    assert good.holds
    assert not replace(good, in_order=False).holds
    assert not replace(good, repeated=1).holds


def test_runs_beside_each_other(report: CityReport) -> None:
    lines = city_table([report, replace(report, carrier="push", alike=True)]).splitlines()
    assert lines[0].split() == ["carrier", "mesh", "push"]
    assert lines[1].split()[-4:] == ["NO,", "yes", "yes,", "yes"]
    assert len({len(line) for line in lines}) == 1
