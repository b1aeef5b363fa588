from __future__ import annotations

from collections import Counter

import pytest

from pubsub.fabric.access import Kind
from pubsub.sim.fabric_city import City
from pubsub.sim.fabric_push import PUSH, PushNode
from tests.unit.sim.fabric_making import LATENCY, material, push, settled

PEERS = 10


def pushes(city: City, kind: Kind) -> Counter[tuple[int, int]]:
    """Sender and receiver of what is pushed from now on, on the first organization's topic."""
    place = city.residents[0].core.access.find(kind, "" if kind is Kind.ORG_ALIVE else "city")
    assert place is not None
    seen: Counter[tuple[int, int]] = Counter()

    def look(sender: int, receiver: int, protocol: str, data: bytes) -> None:
        if protocol == f"{PUSH} {place.topic}":
            seen[sender, receiver] += 1

    city.on_frame = look
    return seen


def city_copies(city: City) -> int:
    return sum(city.node(number, PushNode).copies for number in range(0, PEERS, 2))


def test_each_pushes_a_block_once_to_three_and_not_back() -> None:
    city = settled(push, peers=PEERS)
    seen, before = pushes(city, Kind.BLOCKS), city_copies(city)
    city.order(next(material().blocks(1, 100, 1)))
    city.run_for(0.1)
    assert set(seen.values()) == {1}
    from_each = Counter(sender for sender, _ in seen)
    assert from_each[0] == 3
    assert set(from_each.values()) <= {2, 3}
    reached = {receiver for _, receiver in seen}
    assert reached | {0} == set(from_each)
    assert all(sender % 2 == receiver % 2 == 0 for sender, receiver in seen)
    # All further copies are known as such.
    assert sum(seen.values()) == len(reached - {0}) + city_copies(city) - before


def test_what_is_pushed_within_ten_milliseconds_goes_to_the_same_three() -> None:
    city = settled(push, peers=PEERS)
    seen = pushes(city, Kind.BLOCKS)
    for block in material().blocks(4, 100, 1):
        city.order(block)
    city.run_for(0.01 + 0.01 + 1.5 * LATENCY)
    assert {count for (sender, _), count in seen.items() if sender == 0} == {4}
    assert len({receiver for sender, receiver in seen if sender == 0}) == 3


def test_ten_messages_do_not_wait() -> None:
    city = settled(push, peers=PEERS)
    node = city.node(0, PushNode)
    place = city.residents[0].core.access.find(Kind.BLOCKS, "city")
    assert place is not None
    sent = city.diary.sent[0]
    for number in range(9):
        node.spread(place.topic, b"%d" % number)
    assert not any(protocol.endswith("blocks") for protocol in sent)
    node.spread(place.topic, b"9")
    assert sent[f"{PUSH} {place.topic}"] == 3 * 10 * 2


@pytest.mark.slow
def test_blocks_that_no_push_brought_are_pulled() -> None:
    city = settled(push, peers=PEERS, loss=0.4)
    for block in material().blocks(5, 100, 1):
        city.order(block)
    city.run_for(0.5)
    assert not city.alike()
    city.run_for(30.0)
    assert city.alike()
    assert set(city.diary.checks.values()) == {1}


@pytest.mark.slow
def test_a_restarted_peer_catches_up() -> None:
    city = settled(push, peers=PEERS)
    city.restart(2, down=1.0)
    for block in material().blocks(15, 100, 1):
        city.order(block)
    city.run_for(15.0)
    assert city.alike()


def test_one_that_may_not_be_known_outside_is_pushed_to_by_its_own() -> None:
    city = settled(push, peers=6, external=1)
    seen: Counter[tuple[int, int]] = Counter()

    def look(sender: int, receiver: int, protocol: str, data: bytes) -> None:
        if protocol.startswith(PUSH):
            seen[sender, receiver] += 1

    city.on_frame = look
    city.run_for(10.0)
    crossing = {pair for pair in seen if pair[0] % 2 != pair[1] % 2}
    assert crossing == {(0, 1), (1, 0)}
    assert len({pair for pair in seen if pair not in crossing}) == 12
