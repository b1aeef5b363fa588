from __future__ import annotations

import pytest

from pubsub.errors import ParamError
from pubsub.sim.fabric_city import City
from pubsub.sim.fabric_nodes import MeshNode
from pubsub.sim.fabric_push import PushNode
from pubsub.sim.fabric_scenarios import CityScenario

SMALL = CityScenario(peers=6, orgs=2, blocks=10, size=200, restarts=2, down=1.0, warm_up=20.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"carrier": "owls"}, "carrier is one of mesh, push"),
        ({"orgs": 0}, "6 peers in 0 organizations"),
        ({"orgs": 7}, "6 peers in 7 organizations"),
        ({"restarts": 7}, "of 6 peers, 7 cannot be restarted"),
        ({"rate": 0.0}, "rate must be above 0"),
    ],
)
def test_impossible_figures_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ParamError, match=message):
        SMALL.replaced(**changes)


def test_carriers_differ_in_how_topics_travel() -> None:
    for carrier, kind in (("mesh", MeshNode), ("push", PushNode)):
        city = SMALL.replaced(carrier=carrier).build()
        assert {type(node) for node in city.nodes} == {kind}


@pytest.mark.slow
def test_both_carriers_lose_the_same_peers_at_the_same_times() -> None:
    downs = []
    for carrier in ("mesh", "push"):
        city = SMALL.replaced(carrier=carrier).build()
        city.run_until(SMALL.ordering_ends)
        downs.append(city.diary.downs)
    assert downs[0] == downs[1]
    assert [start - stop for ((stop, start),) in downs[0].values()] == [1.0, 1.0]
    assert [stop for ((stop, _),) in downs[0].values()] == [20.5, 21.5]


@pytest.mark.slow
def test_a_run_ends_soon_after_all_ledgers_are_alike() -> None:
    seen: list[float] = []

    def look(city: City) -> None:
        seen.append(city.now)

    report = SMALL.run(look)
    assert report.holds
    assert (report.peers, report.blocks, report.restarts) == (6, 10, 2)
    assert report.seconds == seen[-1] < SMALL.ordering_ends + 60.0
    assert seen[:3] == [1.0, 2.0, 3.0]
    assert report.checks >= 60


@pytest.mark.slow
def test_a_run_that_never_gets_there_ends_as_well() -> None:
    report = SMALL.replaced(down=100.0, settle=3.0).run()
    assert not report.alike
    assert report.seconds == 25.0
    assert report.behind > 0
