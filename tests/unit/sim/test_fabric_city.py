from __future__ import annotations

from collections import Counter

import pytest

from pubsub.fabric import topics as names
from pubsub.fabric.make_blocks import make_transaction
from pubsub.sim.fabric_city import RPC
from pubsub.sim.fabric_material import CHANNEL, WHEN
from tests.unit.sim.fabric_making import (
    SETTLED,
    empty_city,
    material,
    mesh,
    plans,
    push,
    settled,
)


def test_what_the_orderer_cuts_is_soon_in_every_ledger() -> None:
    city = settled()
    assert [number for number, each in city.residents.items() if each.leading] == [0, 1]
    for block in material().blocks(5, 1000, 1):
        city.order(block)
        city.run_for(0.1)
    assert city.alike()
    assert set(city.diary.checks.values()) == {1}
    assert len(city.diary.checks) == 4 * 5
    size = sum(len(block.raw) for block in city.chain[1:])
    assert city.diary.delivered == {0: size, 1: size}


def test_ledgers_that_lack_a_block_are_not_alike() -> None:
    city = settled()
    assert city.alike()
    city.order(next(material().blocks(1, 100, 1)))
    assert not city.alike()
    city.run_for(0.1)
    assert city.alike()


def test_a_leader_gets_what_was_cut_while_nobody_led() -> None:
    city = settled()
    city.stop(0)
    for block in material().blocks(15, 100, 1):
        city.order(block)
    city.run_for(1.0)
    assert [each.ledger.height for each in city.residents.values()] == [1, 16, 1, 16]
    city.start(0)
    city.run_for(6.0)
    assert city.residents[0].ledger.height == 16


def test_each_frame_that_arrives_is_seen() -> None:
    city = settled()
    seen: Counter[tuple[int, str]] = Counter()
    blocks = []

    def look(sender: int, receiver: int, protocol: str, data: bytes) -> None:
        assert sender != receiver
        seen[receiver, protocol] += 1
        if protocol == RPC and b"<a block of the channel>" in data:
            blocks.append((sender, receiver))

    city.on_frame = look
    maker = material().maker(1)
    member = next(iter(material().orgs[0].members.values()))
    transaction = make_transaction(
        member.signer, CHANNEL, b"<a block of the channel>", entropy=bytes, when=WHEN
    )
    city.order(maker.next_block([transaction]))
    city.run_for(8.0)
    assert city.alike()
    # Within an organization only, as it is pushed.
    assert sorted(set(blocks)) == [(0, 2), (1, 3)]
    assert {protocol for _, protocol in seen} == {
        RPC,
        names.MEMBERSHIP,
        names.PULL,
        names.STATE_INFO,
    }
    assert sum(node.rpcs_in for node in city.nodes) >= seen[0, RPC] > 0


def test_what_is_sent_by_streams_is_counted_and_some_of_it_dropped() -> None:
    city = settled(loss=0.5)
    sent, lost = city.diary.sent, city.diary.lost
    assert set(sent) == {0, 1, 2, 3}
    assert sum(lost.values()) > 10
    assert names.IDENTITY not in lost
    assert city.rpcs_lost > 10


def test_a_restarted_peer_has_its_ledger_and_a_new_core() -> None:
    city = settled()
    blocks = list(material().blocks(4, 100, 1))
    city.order(blocks[0])
    city.run_for(0.1)
    before = city.residents[2].core
    city.restart(2, down=1.0)
    assert not list(city.neighbours(2))
    city.order(blocks[1])
    city.run_for(0.5)
    assert city.residents[2].ledger.height == 2
    assert city.residents[3].ledger.height == 3
    city.run_for(15.0)
    assert city.residents[2].core is not before
    assert city.alike()
    assert set(city.diary.checks.values()) == {1}
    assert city.diary.downs == {2: [(SETTLED + 0.1, SETTLED + 1.1)]}


@pytest.mark.parametrize("make", [mesh, push])
def test_the_same_seed_is_the_same_run(make) -> None:
    first, same, other = (settled(make, seed=seed, loss=0.1) for seed in (1, 1, 2))
    assert first.trace.hexdigest() == same.trace.hexdigest()
    assert first.trace.hexdigest() != other.trace.hexdigest()


def test_the_links_of_a_node_share_what_it_can_send() -> None:
    city = settled(bandwidth=1e6)
    blocks = list(material().blocks(1, 100_000, 1))
    city.order(blocks[0])
    # 0.1 s for each block that a leader sends, and latency.
    city.run_for(0.1)
    assert not city.alike()
    city.run_for(0.1)
    assert city.alike()


def test_peers_may_come_one_after_another() -> None:
    city = empty_city()
    for index, plan in enumerate(plans()):
        city.settle(plan, mesh, after=float(index))
    city.run_until(2.5)
    assert [each.running for each in city.residents.values()] == [True, True, True, False]
