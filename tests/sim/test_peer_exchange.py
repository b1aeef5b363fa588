"""Peer exchange: those who know one peer only find the others, and no longer need it."""

from __future__ import annotations

import pytest

from pubsub.params import Params
from pubsub.router.scoring import Scoring
from pubsub.score import ScoreThresholds
from pubsub.sim import Network, star

TOPIC = "news"
TRUSTING = {"scoring": Scoring(thresholds=ScoreThresholds(accept_px=0.0))}


def star_of(peers: int, params: Params, seed: int) -> Network:
    """Everybody dials the first one, which can keep only some of them in its mesh."""
    network = Network(seed=seed)
    numbers = [network.add(params, options=TRUSTING) for _ in range(peers)]
    for number in numbers:
        network.subscribe(number, TOPIC)
    network.connect_all(star(numbers))
    network.run_until(20.0)
    return network


def missed_without_the_first(network: Network) -> int:
    network.stop(0)
    network.run_for(15.0)
    for number in (1, 7, 23):
        network.publish(number, TOPIC, b"from %d" % number)
    network.run_for(8.0)
    return network.report().missed


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_star_becomes_a_mesh_that_survives_its_centre(seed: int) -> None:
    network = star_of(30, Params(peer_exchange=True), seed)
    assert min(len(list(network.neighbours(number))) for number in range(1, 30)) > 1
    assert missed_without_the_first(network) == 0


def test_without_it_the_others_are_alone() -> None:
    network = star_of(30, Params(), 1)
    assert {len(list(network.neighbours(number))) for number in range(1, 30)} == {1}
    assert missed_without_the_first(network) > 0
