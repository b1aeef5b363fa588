"""Small cities for the tests here: two organizations, leaders that are set, no loss."""

from __future__ import annotations

from functools import cache

from pubsub.fabric.params import V14, GossipParams
from pubsub.params import Params
from pubsub.sim.fabric_city import City
from pubsub.sim.fabric_material import Material, make_material
from pubsub.sim.fabric_nodes import FabricNode, MeshNode
from pubsub.sim.fabric_push import PushNode
from pubsub.sim.fabric_resident import PeerPlan
from pubsub.sim.links import Conditions, Fixed
from pubsub.sim.nodes import Place

LATENCY = 0.01
SETTLED = 6.0
"Seconds after which peers know each other and their ledgers."


@cache
def material(peers: int = 4) -> Material:
    return make_material(orgs=2, peers=peers, seed=1)


def mesh(city: City, place: Place, plan: PeerPlan) -> FabricNode:
    return MeshNode(city, city, place, plan, Params())


def push(city: City, place: Place, plan: PeerPlan) -> FabricNode:
    return PushNode(city, city, place, plan)


def empty_city(*, seed: int = 1, loss: float = 0.0, bandwidth: float = 1e9) -> City:
    conditions = Conditions(latency=Fixed(LATENCY), bandwidth=bandwidth, loss=loss)
    genesis, start_ns = material().genesis, material().start_ns
    return City(genesis, seed=seed, conditions=conditions, start_ns=start_ns)


def plans(peers: int = 4, external: int = 1, params: GossipParams = V14) -> list[PeerPlan]:
    """The organizations by turns. The first peer of each leads, and nobody is elected."""
    made = material(peers).plans(
        external=external, params=params.replaced(use_leader_election=False)
    )
    return [plan if index >= 2 else _leading(plan) for index, plan in enumerate(made)]


def _leading(plan: PeerPlan) -> PeerPlan:
    return PeerPlan(
        name=plan.name,
        org=plan.org,
        signer=plan.signer,
        msp=plan.msp,
        network=plan.network,
        params=plan.params.replaced(org_leader=True),
        config=plan.config,
        genesis=plan.genesis,
    )


def settled(make=mesh, *, peers: int = 4, external: int = 1, seed: int = 1, **more) -> City:
    """Peers that know each other; numbers 0 and 1 lead."""
    city = empty_city(seed=seed, **more)
    for plan in plans(peers, external):
        city.settle(plan, make)
    city.run_until(SETTLED)
    return city
