"""A hundred routers, each linked to twenty others, one RPC in a hundred lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pubsub.params import Params
from tests.sim.network import Network

ROOT = Path(__file__).resolve().parents[2]
ROUTERS, DEGREE, LOSS, MESSAGES = 100, 20, 0.01, 1000
FORMING = 6.0
"Seconds after which every mesh stands."
RATE = 500
"Messages published in a second, over all routers."


def formed(seed: int, count: int = ROUTERS, degree: int = DEGREE) -> Network:
    network = Network(count, seed=seed, loss=LOSS)
    for number in range(count):
        network.subscribe(number, "news")
    network.link_randomly(degree)
    network.run(FORMING)
    return network


def publish_from_anywhere(network: Network, messages: int) -> float:
    """Plan messages from random routers; returns when the last one is sent."""
    for number in range(messages):
        publisher = network.rng.randrange(len(network.routers))
        data = b"message %d" % number
        network.at(
            FORMING + number / RATE, lambda p=publisher, d=data: network.publish(p, "news", d)
        )
    return FORMING + messages / RATE


def wrong_deliveries(network: Network) -> list[tuple[int, int, int]]:
    """(publisher, subscriber, times) wherever a message did not come exactly once."""
    return [
        (publisher, number, counter[message_id])
        for message_id, publisher in network.published.items()
        for number, counter in enumerate(network.delivered)
        if counter[message_id] != (number != publisher)
    ]


@pytest.mark.parametrize(
    "seed",
    [
        1,
        pytest.param(2, marks=pytest.mark.slow),
        pytest.param(3, marks=pytest.mark.slow),
    ],
)
def test_every_subscriber_has_every_message_exactly_once(seed: int) -> None:
    network = formed(seed)
    for a, neighbours in enumerate(network.neighbours()):
        assert len(neighbours) >= DEGREE, f"seed {seed}: router {a}"
    end = publish_from_anywhere(network, MESSAGES) + 8
    params = Params()
    while network.now < end:
        network.run(network.now + params.heartbeat_interval / 4)
        # Links that a lost RPC left on one side are seen by the traffic on them. Two heartbeats,
        # and the time in which the last word of the second one arrives.
        if network.now - max(network.last_mesh_change, FORMING) > 2.2 * params.heartbeat_interval:
            assert network.one_sided("news") == [], f"seed {seed} at {network.now}"
    assert network.now - network.last_mesh_change > 2.2, f"seed {seed}: the mesh is not at rest"
    degrees = {degree for when, degree in network.mesh_degrees if when > FORMING}
    assert degrees <= set(range(params.d_low, params.d_high + 1)), f"seed {seed}"
    assert len(network.published) == MESSAGES
    assert network.lost > MESSAGES
    assert wrong_deliveries(network) == [], f"seed {seed}"


def small_trace(seed: int) -> str:
    network = formed(seed, count=24, degree=8)
    network.run(publish_from_anywhere(network, 150) + 3)
    network.unsubscribe(3, "news")
    network.unlink(5, next(iter(network.neighbours()[5])))
    network.run(network.now + 4)
    return network.trace


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    assert small_trace(1) == small_trace(1)
    assert small_trace(1) != small_trace(2)


def test_the_order_of_hashes_does_not_matter() -> None:
    program = "from tests.sim.test_hundred_routers import small_trace; print(small_trace(7))"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("1", "2")
    ]
    traces = [process.communicate()[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert len(traces[0]) == 64
    assert traces[0] == traces[1]
