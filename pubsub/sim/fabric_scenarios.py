"""Whole runs of a Fabric city, described by a few figures and reproducible by their seed.

    CityScenario(peers=60, blocks=1000, seed=1).run().text()

First all peers meet and elect a leader in each organization; then the orderer cuts blocks at
even intervals, while some peers are restarted; then the city has time until all ledgers are
alike. Blocks spread by meshes (`carrier="mesh"`) or by Fabric's own push (`carrier="push"`,
see `pubsub.sim.fabric_push`), on the same links, with the same restarts.

Not modelled: the time that checks of signatures and writes of streams take, the bandwidth of
receivers, and how the orderer's bytes travel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from pubsub.errors import ParamError
from pubsub.fabric.params import V14, GossipParams
from pubsub.params import Params
from pubsub.sim.fabric_city import City
from pubsub.sim.fabric_material import Material, make_material
from pubsub.sim.fabric_nodes import FabricNode, MeshNode
from pubsub.sim.fabric_push import PushNode
from pubsub.sim.fabric_report import CityReport, make_city_report
from pubsub.sim.fabric_resident import PeerPlan
from pubsub.sim.links import Conditions, Latency, Uniform
from pubsub.sim.nodes import Place

CARRIERS = ("mesh", "push")
STEP = 1.0
"How often, in virtual seconds, it is looked whether all is over."

Progress = Callable[[City], None]
"Called from time to time."


@dataclass(frozen=True, slots=True, kw_only=True)
class CityScenario:
    """What happens in a run. Times are virtual seconds."""

    peers: int = 60
    orgs: int = 3
    carrier: str = "mesh"
    seed: int = 1
    blocks: int = 1000

    size: int = 100 * 1024
    "Bytes of what is in a block's one transaction."

    rate: float = 5.0
    "Blocks a second."

    restarts: int = 12
    "So many peers, each once, at even intervals while blocks come."

    down: float = 5.0
    "For how long each of them is away."

    external: int = 4
    "Peers of each organization that others may know."

    loss: float = 0.05
    "The share of RPCs, and of messages of streams, that is dropped."

    latency: Latency = field(default_factory=lambda: Uniform(0.002, 0.02))
    "Drawn once for each connection."

    uplink: float = 125e6
    "Bytes a second that a node sends."

    arrival: float = 8.0
    "Peers start at even intervals in so many seconds, or all their timers would go off at once."

    warm_up: float = 40.0
    "The first block is cut then."

    settle: float = 120.0
    "The run ends so long after the last one, if ledgers are not alike before."

    params: GossipParams = V14
    router: Params = field(default_factory=Params)

    def __post_init__(self) -> None:
        if self.carrier not in CARRIERS:
            raise ParamError(f"carrier is one of {', '.join(CARRIERS)}, not {self.carrier!r}")
        if not 0 < self.orgs <= self.peers:
            raise ParamError(f"{self.peers} peers in {self.orgs} organizations")
        if not 0 <= self.restarts <= self.peers:
            raise ParamError(f"of {self.peers} peers, {self.restarts} cannot be restarted")
        if self.rate <= 0:
            raise ParamError(f"rate must be above 0, not {self.rate}")

    @property
    def ordering_ends(self) -> float:
        return self.warm_up + self.blocks / self.rate

    def replaced(self, **changes: Any) -> CityScenario:
        """A copy with some figures changed."""
        return replace(self, **changes)

    def build(self) -> City:
        """The city with everything planned, at time 0."""
        material = make_material(orgs=self.orgs, peers=self.peers, seed=self.seed)
        conditions = Conditions(
            latency=self.latency, bandwidth=self.uplink, buffer=256 * 1024, loss=self.loss
        )
        city = City(
            material.genesis, seed=self.seed, conditions=conditions, start_ns=material.start_ns
        )
        plans = material.plans(external=self.external, params=self.params)
        for index, plan in enumerate(plans):
            city.settle(plan, self._make, after=self.arrival * index / self.peers)
        self._plan_restarts(city)
        self._plan_blocks(city, material)
        return city

    def run(self, progress: Progress | None = None) -> CityReport:
        """Build the city, let everything happen, and report."""
        city = self.build()
        end = self.ordering_ends + self.settle
        while city.now < end:
            city.run_for(STEP)
            if progress is not None:
                progress(city)
            if city.now >= self.ordering_ends and city.alike():
                break
        return make_city_report(city, self.carrier)

    def _make(self, city: City, place: Place, plan: PeerPlan) -> FabricNode:
        if self.carrier == "push":
            return PushNode(city, city, place, plan)
        return MeshNode(city, city, place, plan, self.router)

    def _plan_restarts(self, city: City) -> None:
        # Of their own chance, so that both carriers lose the same peers.
        rng = Random(f"{self.seed}/restarts")
        unlucky = rng.sample(sorted(city.residents), self.restarts)
        span = self.ordering_ends - self.warm_up
        for index, number in enumerate(unlucky):
            when = self.warm_up + span * (index + 0.5) / self.restarts
            city.clock.at(when, lambda number=number: city.restart(number, down=self.down))

    def _plan_blocks(self, city: City, material: Material) -> None:
        blocks = material.blocks(self.blocks, self.size, self.seed)

        def order() -> None:
            city.order(next(blocks))

        for index in range(self.blocks):
            city.clock.at(self.warm_up + index / self.rate, order)
