from __future__ import annotations

import pytest

from pubsub.fabric.block_verification import verify_block
from pubsub.fabric.config import config_from_block
from pubsub.fabric.params import V14
from pubsub.sim.fabric_material import CHANNEL, make_material


def test_peers_are_spread_over_the_organizations() -> None:
    made = make_material(orgs=3, peers=8, seed=1)
    assert [len(org.members) for org in made.orgs] == [3, 3, 2]
    plans = list(made.plans(external=1))
    assert len(plans) == 8
    assert [plan.org for plan in plans[:4]] == ["Org1MSP", "Org2MSP", "Org3MSP", "Org1MSP"]
    assert len({plan.signer.pki_id for plan in plans}) == 8


def test_some_may_be_known_by_others_and_all_begin_with_the_first_two() -> None:
    plans = list(make_material(orgs=2, peers=6, seed=1).plans(external=2, params=V14))
    outside = [plan.name.split(".")[0] for plan in plans if plan.params.external_endpoint]
    assert outside == ["peer0", "peer0", "peer1", "peer1"]
    begins = {plan.name: plan.params.bootstrap for plan in plans if plan.org == "Org1MSP"}
    first, second = "peer0.org1.example:17051", "peer1.org1.example:17051"
    assert list(begins.values()) == [(second,), (first,), (first, second)]
    assert all(plan.config.channel == CHANNEL for plan in plans)


def test_blocks_are_genuine_and_of_the_size_that_was_asked_for() -> None:
    made = make_material(orgs=2, peers=2, seed=1)
    config, last = config_from_block(made.genesis), made.genesis
    for block in made.blocks(3, 5000, 1):
        verify_block(block.raw, block.number, config)
        block.check_follows(last.header)
        assert 5000 < len(block.raw) < 8000
        last = block
    assert last.number == 3


@pytest.mark.parametrize(("seed", "same"), [(1, True), (2, False)])
def test_the_same_seed_makes_the_same_material(seed: int, same: bool) -> None:
    one, other = (make_material(orgs=2, peers=2, seed=each) for each in (1, seed))
    assert (one.genesis.raw == other.genesis.raw) is same
    blocks = [next(made.blocks(1, 100, 1)).hash for made in (one, other)]
    assert (blocks[0] == blocks[1]) is same
