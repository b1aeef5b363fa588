from collections.abc import Iterator

import pytest

from pubsub.params import Params
from pubsub.sim import Conditions, Fixed, Network, line, silent
from pubsub.sim.report import Report, Spread, table

TOPIC = "news"


@pytest.fixture(scope="module")
def report() -> Iterator[Report]:
    """Four honest routers in a line, then a silent one, then one that nobody reaches."""
    network = Network(seed=1, conditions=Conditions(latency=Fixed(0.25)))
    numbers = [network.add() for _ in range(4)]
    numbers += [network.add_node(silent(after=0.0)), network.add()]
    for number in numbers:
        network.subscribe(number, TOPIC)
    network.connect_all(line(numbers))
    network.run_until(3.0)
    network.publish(0, TOPIC, b"hello")
    network.run_until(5.0)
    return network.report()


def test_spreads() -> None:
    assert Spread.of([]) == Spread(0, 0.0, 0.0, 0.0, 0.0)
    assert Spread.of([7.0]) == Spread(1, 7.0, 7.0, 7.0, 7.0)
    assert Spread.of(range(200, 0, -1)) == Spread(200, 100.5, 100, 198, 200)


def test_a_message_is_followed_to_each_subscriber(report: Report) -> None:
    [message] = report.messages
    assert (message.publisher, message.at, message.expected, message.arrived) == (0, 3.0, 4, 3)
    assert message.missed == (5,)
    assert message.last_hop == 3
    assert message.latency == Spread(3, 0.5, 0.5, 0.75, 0.75)
    assert report.latency == message.latency
    assert report.hops == Spread(3, 2.0, 2, 3, 3)
    assert report.last_hops.max == 3


def test_totals(report: Report) -> None:
    assert (report.peers, report.adversaries, report.seed, report.seconds) == (5, 1, 1, 5.0)
    assert (report.expected, report.arrived, report.missed) == (4, 3, 1)
    assert report.delivery == 0.75
    assert (report.repeated, report.invented, report.rpcs_lost) == (0, 0, 0)
    assert report.duplicates == 0
    assert [node.number for node in report.nodes] == [0, 1, 2, 3, 5]
    assert [node.arrived for node in report.nodes] == [0, 1, 1, 1, 0]
    assert [node.missed for node in report.nodes] == [0, 0, 0, 0, 1]
    assert all(node.bytes_out > 0 for node in report.nodes)


def test_as_text(report: Report) -> None:
    lines = dict(line.split("  ", 1) for line in report.text().splitlines())
    values = {name.strip(): value.strip() for name, value in lines.items()}
    assert values["arrived"] == "3 of 4 (75.000 %)"
    assert values["latency (s)"] == "p50 0.500   p99 0.750   max 0.750"
    assert values["hops"] == "p50 2   p99 3   max 3"
    assert values["trace"] == report.trace


def test_runs_beside_each_other(report: Report) -> None:
    lines = table([report, report]).splitlines()
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split()[:7] == ["1", "5", "1", "1", "75.000", "%", "1"]


def test_nearly_everything_is_not_everything() -> None:
    network = Network(seed=1)
    assert "(100 %)" in network.report().text()
    alone = network.add()
    for _ in range(3):
        network.subscribe(network.add(), TOPIC)
    network.publish(alone, TOPIC, b"unheard")
    assert "0 of 3 (0.000 %)" in network.report().text()


def test_who_came_later_is_no_part_of_the_figures() -> None:
    network = Network(seed=1, conditions=Conditions(latency=Fixed(0.25)))
    numbers = [network.add(), network.add()]
    for number in numbers:
        network.subscribe(number, TOPIC)
    network.connect(0, 1)
    network.run_until(3.0)
    network.publish(0, TOPIC, b"hello")
    network.run_for(0.5)
    # The mesh has no place for a third peer, so that gossip tells it.
    late = network.add(Params(d=0, d_low=0, d_high=0))
    network.connect(late, 0)
    network.subscribe(late, TOPIC)
    network.run_for(4)
    [message] = network.report().messages
    assert (message.expected, message.arrived, message.extra) == (1, 1, 1)
    assert network.report().latency == Spread(1, 0.25, 0.25, 0.25, 0.25)
    assert [node.arrived for node in network.report().nodes] == [0, 1, 0]
