"""Whole peers that tell of their ledgers: when they speak, and to whom."""

from __future__ import annotations

import pytest

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import decode_envelope
from pubsub.fabric.params import V14
from pubsub.fabric.peer_state import Chaincode
from pubsub.pb.fabric.gossip_pb2 import StateInfo
from tests.sim.fabric_people import (
    SALES,
    SETTLED,
    START_NS,
    blocks,
    genesis,
    organization,
    settle,
    with_one_leader,
)
from tests.sim.fabric_town import NETWORK, Resident, Town

TOPICS = NETWORK.channel(SALES, genesis().hash)


@pytest.fixture
def town() -> Town:
    return Town(START_NS)


def told(resident: Resident, topic: str) -> list[StateInfo]:
    """What a resident has published of its own ledger."""
    envelopes = [
        decode_envelope(effect.envelope)
        for _, effect in resident.effects
        if isinstance(effect, fx.Publish) and effect.topic == topic
    ]
    assert all(each.content is Content.STATE_INFO for each in envelopes)
    return [each.message.state_info for each in envelopes]


def test_who_is_alone_says_nothing_and_then_speaks_once_for_each_change(town: Town) -> None:
    params = V14.replaced(use_leader_election=False, org_leader=True)
    org = organization(1)
    first = town.moves_in(org, "peer0", external=True, params=params)
    town.joins(first, genesis())
    town.until(60)
    assert town.seen(first, fx.Publish) == []
    second = town.moves_in(org, "peer1", external=False, bootstrap=("peer0",))
    town.joins(second, genesis())
    town.until(80)
    places = (TOPICS.state, TOPICS.org_state("Org1MSP"))
    for place in places:
        assert [each.properties.ledger_height for each in told(first, place)] == [1]
    # Three blocks within one tick are one change; chaincodes are another.
    for block in blocks(3):
        town.orders(SALES, block)
    town.until(120)
    town.tells(first, ev.SetChaincodes(SALES, (Chaincode("basic", "1"),)))
    town.until(200)
    for place in places:
        said = told(first, place)
        assert [each.properties.ledger_height for each in said] == [1, 4, 4]
        assert [len(each.properties.chaincodes) for each in said] == [0, 0, 1]
        times = [(each.timestamp.inc_num, each.timestamp.seq_num) for each in said]
        assert times == sorted(set(times))
    # One that others may not know speaks to its organization alone.
    assert told(second, TOPICS.state) == []
    heights = [each.properties.ledger_height for each in told(second, TOPICS.org_state("Org1MSP"))]
    assert heights == [1, 4]


def test_of_those_in_a_channel_each_knows_how_high_the_others_are(town: Town) -> None:
    residents = settle(town)
    for block in blocks(7):
        town.orders(SALES, block)
    town.until(SETTLED + 9)
    for resident in residents:
        heights = resident.core.channel(SALES).heights()
        assert set(heights) == {each.peer for each in town.members(resident)}
        assert set(heights.values()) == {8}


def test_one_that_comes_later_is_told_what_nobody_says_again(town: Town) -> None:
    residents = with_one_leader(town, 3, V14)
    for block in blocks(4):
        town.orders(SALES, block)
    town.until(SETTLED + 20)
    before = [len(told(each, TOPICS.org_state("Org1MSP"))) for each in residents]
    late = town.moves_in(organization(1, 24), "peer9", external=False, bootstrap=("peer0",))
    town.joins(late, genesis())
    # Two rounds: in the first it may not yet know whom to ask.
    town.until(SETTLED + 29)
    heights = late.core.channel(SALES).heights()
    assert heights == {each.core.pki_id: 5 for each in residents}
    assert [len(told(each, TOPICS.org_state("Org1MSP"))) for each in residents] == before
