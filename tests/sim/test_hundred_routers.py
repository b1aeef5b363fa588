"""A hundred routers, each linked to twenty others, one RPC in a hundred lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pubsub.identity import PeerId
from pubsub.params import Params
from pubsub.router.events import Event, TimerFired
from pubsub.sim import Conditions, Network, RouterNode, Uniform, random_graph

# A run takes 15 s of one processor, so it is long over the usual limit where there are others.
pytestmark = pytest.mark.timeout(90)

ROOT = Path(__file__).resolve().parents[2]
ROUTERS, DEGREE, LOSS, MESSAGES = 100, 20, 0.01, 1000
FORMING = 6.0
"Seconds after which every mesh stands."
RATE, FLOOD, TRICKLE = 500, 800, 40
"Messages a second, over all routers: so many at the first rate, and the rest at the last."
SETTLING = 3.2
"Heartbeats in which a lost GRAFT or PRUNE is noticed and answered, even if an answer is lost."


class MeshWatch:
    """When the meshes of a network last changed, and how large they were after each heartbeat."""

    def __init__(self, network: Network) -> None:
        self.last_change = 0.0
        self.degrees: list[tuple[float, int]] = []
        self.since: dict[int, dict[PeerId, float]] = {}
        "For each router its mesh, and when it took in each peer."
        self._network = network
        network.watch = self._look

    def _look(self, number: int, event: Event) -> None:
        mesh = self._network.node(number, RouterNode).router.mesh("news")
        before = self.since.setdefault(number, {})
        if len(mesh) != len(before) or any(peer not in before for peer in mesh):
            now = self.last_change = self._network.now
            self.since[number] = {peer: before.get(peer, now) for peer in mesh}
        if isinstance(event, TimerFired):
            self.degrees.append((self._network.now, len(mesh)))

    def stale_links(self, seconds: float) -> list[tuple[int, int]]:
        """Links in one side's mesh only, for so long, although there was traffic to tell by."""
        network = self._network
        return [
            (a, b)
            for a, b in network.one_sided("news")
            if network.now - max(FORMING, self.since[a][network.nodes[b].id]) > seconds
        ]


def formed(seed: int, count: int = ROUTERS, degree: int = DEGREE) -> tuple[Network, MeshWatch]:
    conditions = Conditions(latency=Uniform(0.01, 0.1), loss=LOSS)
    network = Network(seed=seed, conditions=conditions, turn=0.01)
    watch = MeshWatch(network)
    routers = [network.add() for _ in range(count)]
    for number in routers:
        network.subscribe(number, "news")
    network.connect_all(random_graph(routers, degree, network.rng))
    network.run_until(FORMING)
    return network, watch


def publish_from_anywhere(network: Network, messages: int) -> float:
    """Plan messages from random routers; returns when the last one is sent."""
    when = FORMING
    for number in range(messages):
        when += 1 / (RATE if number < FLOOD else TRICKLE)
        publisher = network.rng.randrange(len(network.nodes))
        data = b"message %d" % number
        network.clock.at(when, network.publish, publisher, "news", data)
    return when


@pytest.mark.parametrize(
    ("seed", "messages"),
    [(1, 100), *(pytest.param(seed, MESSAGES, marks=pytest.mark.slow) for seed in (1, 2, 3))],
)
def test_every_subscriber_has_every_message_exactly_once(seed: int, messages: int) -> None:
    network, watch = formed(seed)
    for number in range(ROUTERS):
        assert len(list(network.neighbours(number))) >= DEGREE, f"seed {seed}: router {number}"
    end = publish_from_anywhere(network, messages)
    params = Params()
    beat = params.heartbeat_interval
    while network.now < end:
        network.run_for(beat / 4)
        assert watch.stale_links(SETTLING * beat) == [], f"seed {seed} at {network.now}"
    network.run_for(6 * beat)
    assert network.now - watch.last_change > 2.2 * beat, f"seed {seed}: the mesh is not at rest"
    degrees = {degree for when, degree in watch.degrees if when > FORMING}
    assert degrees <= set(range(params.d_low, params.d_high + 1)), f"seed {seed}"
    report = network.report()
    assert len(report.messages) == messages
    assert report.rpcs_lost > messages
    assert report.expected == messages * (ROUTERS - 1)
    assert (report.missed, report.repeated, report.invented) == (0, 0, 0), f"seed {seed}"


def small_trace(seed: int) -> str:
    network, _ = formed(seed, count=24, degree=8)
    network.run_until(publish_from_anywhere(network, 150) + 3)
    network.unsubscribe(3, "news")
    network.disconnect(5, next(network.neighbours(5)))
    network.restart(7, down=0.5)
    network.run_for(4)
    return network.trace.hexdigest()


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    assert small_trace(1) == small_trace(1)
    assert small_trace(1) != small_trace(2)


@pytest.mark.slow
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
    assert len(traces[0]) == 32
    assert traces[0] == traces[1]
