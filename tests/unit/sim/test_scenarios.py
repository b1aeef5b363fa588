from dataclasses import FrozenInstanceError

import pytest

from pubsub.errors import ParamError
from pubsub.params import Params
from pubsub.router.events import Event, PeerConnected
from pubsub.sim import GraftFlooder, Scenario, Silent, hop_bound, silent_sybils
from pubsub.sim.nodes import RouterNode

SMALL = Scenario(peers=12, degree=6, messages=6, warm_up=3.0, settle=3.0)


def test_everybody_gets_everything_in_an_honest_network() -> None:
    report = SMALL.run()
    assert (report.peers, report.adversaries, len(report.messages)) == (12, 0, 6)
    assert [message.at for message in report.messages] == pytest.approx(
        [3.0, 3.1, 3.2, 3.3, 3.4, 3.5]
    )
    assert (report.expected, report.missed) == (66, 0)
    assert report.seconds == SMALL.publishing_ends + 3.0


@pytest.mark.parametrize(("graph", "hops"), [("line", (4, 7)), ("star", (2, 2)), ("full", (1, 3))])
def test_other_graphs(graph: str, hops: tuple[int, int]) -> None:
    report = SMALL.replaced(graph=graph, signed=False, peers=8).run()
    assert report.missed == 0
    assert hops[0] <= report.hops.max <= hops[1]


def test_the_seed_decides() -> None:
    assert SMALL.run() == SMALL.run()
    assert SMALL.run().trace != SMALL.replaced(seed=2).run().trace


def test_adversaries_are_among_the_peers() -> None:
    network = SMALL.replaced(sybils=3, adversaries=(("graft-flooder", 2),)).build()
    kinds = [type(node) for node in network.nodes]
    assert (kinds.count(Silent), kinds.count(GraftFlooder), kinds.count(RouterNode)) == (3, 2, 7)
    ips = [node.place.ip for node in network.nodes if isinstance(node, Silent)]
    assert ips == ["66.66.66.66"] * 3


def test_eager_sybils_are_in_more_meshes() -> None:
    def grasp(*, eager: bool) -> int:
        scenario = SMALL.replaced(
            peers=24, degree=12, sybils=4, eager_sybils=eager, params=Params(scoring=False)
        )
        network = scenario.build()
        network.run_until(4.0)
        sybils = [node.number for node in network.nodes if isinstance(node, Silent)]
        return sum(len(network.mesh(number, "news")) for number in sybils)

    assert grasp(eager=True) > 1.3 * grasp(eager=False)


def test_late_peers_come_on_top_and_are_expected_from_then_on() -> None:
    scenario = SMALL.replaced(late=2, messages=20, rate=4.0)
    report = scenario.run()
    expected = [message.expected for message in report.messages]
    assert (expected[0], expected[-1]) == (11, 13)
    assert report.peers == 14
    assert report.missed == 0


def test_restarted_peers_come_back_with_their_addresses_known() -> None:
    network = SMALL.replaced(restarts=3).build()
    connected: list[PeerConnected] = []

    def watch(_number: int, event: Event) -> None:
        if isinstance(event, PeerConnected):
            connected.append(event)

    network.watch = watch
    network.run_until(SMALL.publishing_ends + 3.0)
    assert len(connected) >= 3 * 6 * 2
    assert {event.ip for event in connected} <= {node.place.ip for node in network.nodes}
    assert network.report().repeated == 0


def test_what_cannot_be_is_refused() -> None:
    for wrong in (
        {"sybils": 12},
        {"sybils": -1},
        {"graph": "ring"},
        {"adversaries": (("gremlin", 1),)},
        {"rate": 0.0},
    ):
        with pytest.raises(ParamError):
            SMALL.replaced(**wrong)
    with pytest.raises(FrozenInstanceError):
        SMALL.seed = 3  # type: ignore[misc]


def test_sybils_that_fall_silent_after_a_minute() -> None:
    scenario = silent_sybils(7, peers=300)
    assert (scenario.sybils, scenario.seed) == (60, 7)
    assert scenario.warm_up > scenario.sybils_silent == 60.0


def test_the_bound_of_hops() -> None:
    assert [hop_bound(n) for n in (1, 6, 7, 36, 100, 216, 217, 1000)] == [2, 3, 4, 4, 5, 5, 6, 6]
