"""Whole runs, described by a few figures and reproducible by their seed.

    Scenario(peers=100, seed=7, loss=0.01).run().text()

First all peers connect and build their meshes, then messages are published by
random honest peers at even intervals, then the network has time to settle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pubsub.errors import ParamError
from pubsub.params import Params, Signing
from pubsub.router.protocols import PROTOCOLS
from pubsub.sim.adversaries import RAW_PEERS, raw_peer, silent
from pubsub.sim.graphs import by_name
from pubsub.sim.links import Conditions, Latency, Uniform
from pubsub.sim.network import Network
from pubsub.sim.report import Report

GRAPHS = ("random", "line", "star", "full")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens in a run. Times are virtual seconds."""

    peers: int = 100
    "All that are connected from the beginning, the adversaries among them included."

    degree: int = 20
    "Connections of each peer, in a random graph."

    graph: str = "random"
    seed: int = 1
    topic: str = "news"

    messages: int = 100

    rate: float = 10.0
    "Messages published in a second, over all peers."

    size: int = 200
    "Bytes of each message."

    warm_up: float = 6.0
    "The first message is published then."

    settle: float = 6.0
    "Time after the last one."

    latency: Latency = field(default_factory=lambda: Uniform(0.01, 0.1))
    "Drawn once for each connection."

    jitter: Latency | None = None
    bandwidth: float | None = None
    "Bytes a second, each way of each connection."

    loss: float = 0.0
    "The share of RPCs that is lost."

    signed: bool = True
    protocol: str = PROTOCOLS[0]
    params: Params = field(default_factory=Params)

    options: Mapping[str, Any] = field(default_factory=dict)
    "Further arguments of each `Router`, as `scoring` or `may_know`."

    turn: float = 0.0
    "See `Network`."

    sybils: int = 0
    "So many of the peers forward nothing from `sybils_silent` on."

    sybils_silent: float = 0.0

    sybil_ip: str | None = "66.66.66.66"
    "The one address of all sybils; None: each has its own, and scores cannot go by that."

    eager_sybils: bool = False
    "They graft everybody they are connected to, instead of D."

    adversaries: tuple[tuple[str, int], ...] = ()
    "Others of the peers: names of RAW_PEERS, and how many of each."

    late: int = 0
    "Honest peers that come on top, while messages are already on their way, at even intervals."

    restarts: int = 0
    "So many honest peers are restarted while messages are on their way, at even intervals."

    def __post_init__(self) -> None:
        bad = self.sybils + sum(count for _, count in self.adversaries)
        if not 0 <= bad < self.peers:
            raise ParamError(f"of {self.peers} peers, {bad} cannot be adversaries")
        if self.graph not in GRAPHS:
            raise ParamError(f"graph is one of {', '.join(GRAPHS)}, not {self.graph!r}")
        unknown = [name for name, _ in self.adversaries if name not in RAW_PEERS]
        if unknown:
            raise ParamError(f"{unknown[0]!r} is none of {', '.join(RAW_PEERS)}")
        if self.rate <= 0:
            raise ParamError(f"rate must be above 0, not {self.rate}")

    @property
    def publishing_ends(self) -> float:
        return self.warm_up + self.messages / self.rate

    def replaced(self, **changes: Any) -> Scenario:
        """A copy with some figures changed."""
        return replace(self, **changes)

    def build(self) -> Network:
        """The network with everything planned, at time 0."""
        network = Network(
            seed=self.seed,
            turn=self.turn,
            conditions=Conditions(
                latency=self.latency,
                jitter=self.jitter,
                bandwidth=self.bandwidth,
                loss=self.loss,
            ),
        )
        params = self._router_params()
        numbers = self._add_peers(network, params)
        network.connect_all(by_name(self.graph, self.degree, network.rng)(numbers))
        honest = [number for number in numbers if network.nodes[number].honest]
        self._plan_late(network, params, honest)
        self._plan_restarts(network, honest)
        self._plan_messages(network, honest)
        return network

    def run(self) -> Report:
        """Build the network, let everything happen, and report."""
        network = self.build()
        network.run_until(self.publishing_ends + self.settle)
        return network.report()

    def _router_params(self) -> Params:
        return self.params.replaced(signing=Signing.STRICT if self.signed else Signing.NONE)

    def _add_peers(self, network: Network, params: Params) -> list[int]:
        kinds = [name for name, count in self.adversaries for _ in range(count)]
        kinds += ["sybil"] * self.sybils
        kinds += ["honest"] * (self.peers - len(kinds))
        # Where in a line or a star the bad ones stand is up to chance.
        network.rng.shuffle(kinds)
        numbers = []
        for kind in kinds:
            if kind == "honest":
                number = network.add(params, protocol=self.protocol, options=self.options)
            elif kind == "sybil":
                make = silent(self._sybil_params(params), self.options, after=self.sybils_silent)
                number = network.add_node(make, self.sybil_ip, self.protocol)
            else:
                number = network.add_node(raw_peer(kind, topic=self.topic), None, self.protocol)
            if kind in ("honest", "sybil"):
                network.subscribe(number, self.topic)
            numbers.append(number)
        return numbers

    def _sybil_params(self, params: Params) -> Params:
        if not self.eager_sybils:
            return params
        most = max(params.d_high, self.degree)
        return params.replaced(d=most, d_low=most, d_high=2 * most)

    def _plan_late(self, network: Network, params: Params, known: list[int]) -> None:
        def come() -> None:
            number = network.add(params, protocol=self.protocol, options=self.options)
            for other in network.rng.sample(known, min(self.degree, len(known))):
                network.connect(number, other)
            network.subscribe(number, self.topic)

        for when in self._while_publishing(self.late):
            network.clock.at(when, come)

    def _plan_restarts(self, network: Network, honest: list[int]) -> None:
        unlucky = network.rng.sample(honest, min(self.restarts, len(honest)))
        for when, number in zip(self._while_publishing(len(unlucky)), unlucky, strict=True):
            network.clock.at(when, network.restart, number)

    def _while_publishing(self, count: int) -> list[float]:
        span = self.publishing_ends - self.warm_up
        return [self.warm_up + span * (index + 0.5) / count for index in range(count)]

    def _plan_messages(self, network: Network, honest: list[int]) -> None:
        for index in range(self.messages):
            publisher = network.rng.choice(honest)
            data = b"%d " % index
            data += network.rng.randbytes(max(0, self.size - len(data)))
            when = self.warm_up + index / self.rate
            network.clock.at(when, self._publish, network, publisher, data)

    def _publish(self, network: Network, publisher: int, data: bytes) -> None:
        if network.nodes[publisher].running:
            network.publish(publisher, self.topic, data)


def silent_sybils(seed: int, *, peers: int = 300, share: float = 0.2) -> Scenario:
    """A share of the peers takes part for a minute, then drops everything; messages follow."""
    return Scenario(
        peers=peers,
        seed=seed,
        sybils=round(peers * share),
        sybils_silent=60.0,
        sybil_ip=None,
        warm_up=61.0,
        settle=8.0,
    )


def hop_bound(peers: int) -> int:
    """ceil(log6 N) + 2: what hops may be at p99 in an honest network of meshes of six."""
    power, reach = 0, 1
    while reach < peers:
        power, reach = power + 1, reach * 6
    return power + 2
