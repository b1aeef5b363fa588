from __future__ import annotations

from pubsub.fabric.access import Kind
from pubsub.identity import PeerId
from pubsub.sim.fabric_city import City
from pubsub.sim.fabric_nodes import MeshNode
from tests.unit.sim.fabric_making import material, settled


def node(city: City, number: int) -> MeshNode:
    return city.node(number, MeshNode)


def peers_of(city: City, number: int, topic: str) -> set[int]:
    return {city.number_of(PeerId(peer)) for peer in node(city, number).router.mesh(topic)}


def test_topics_are_those_of_the_core_and_meshes_are_of_those_who_may_know() -> None:
    city = settled(external=1)
    access = city.residents[2].core.access
    assert access.find(Kind.STATE, "city") is None
    blocks = access.find(Kind.BLOCKS, "city")
    assert blocks is not None
    assert peers_of(city, 2, blocks.topic) == {0}
    state = city.residents[0].core.access.find(Kind.STATE, "city")
    assert state is not None
    assert peers_of(city, 0, state.topic) == {1}


def test_a_block_goes_on_when_the_core_has_found_it_good() -> None:
    city = settled(peers=6)
    city.order(next(material().blocks(1, 100, 1)))
    city.run_for(1.0)
    assert city.alike()
    counters = [node(city, number).tallies()[0] for number in range(6)]
    # Each has at most the two others to hear it from.
    assert all(counter["forwarded"] <= 60 for counter in counters)
    drops = [node(city, number).tallies()[1] for number in range(6)]
    assert not any(drop["rejected_by_validator"] for drop in drops)


def test_a_block_that_is_not_genuine_goes_nowhere() -> None:
    city = settled(peers=6)
    leader = city.residents[0]
    place = leader.core.access.find(Kind.BLOCKS, "city")
    assert place is not None
    node(city, 0).spread(place.topic, b"no block")
    city.run_for(0.5)
    drops = [node(city, number).tallies()[1] for number in (2, 4)]
    assert all(drop["rejected_by_validator"] == 1 for drop in drops)
    assert city.residents[2].core.refusals["malformed"] == 1


def test_what_was_published_before_is_not_published_again() -> None:
    city = settled()
    place = city.residents[0].core.access.find(Kind.BLOCKS, "city")
    assert place is not None
    for _ in range(2):
        node(city, 0).spread(place.topic, b"again")
    assert city.diary.warnings["already published"] == 1


def test_a_restart_makes_a_new_router_with_the_topics_of_the_new_core() -> None:
    city = settled()
    before = node(city, 2).router
    city.restart(2, down=0.5)
    assert not node(city, 2).running
    city.run_for(3.0)
    assert node(city, 2).router is not before
    blocks = city.residents[2].core.access.find(Kind.BLOCKS, "city")
    assert blocks is not None
    assert peers_of(city, 2, blocks.topic) == {0}
