"""Whole peers that elect one of their organization to get the blocks from the orderer."""

from __future__ import annotations

import pytest

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.envelope import sign_message
from pubsub.fabric.identities import Signer
from pubsub.fabric.intake_rules import Reason, Verdict
from pubsub.pb.fabric.gossip_pb2 import Envelope, GossipMessage
from tests.sim.fabric_people import (
    SALES,
    START_NS,
    blocks,
    genesis,
    leaders,
    organization,
    settle,
)
from tests.sim.fabric_town import NETWORK, Resident, Town

LEADER = NETWORK.channel(SALES, genesis().hash).leader("Org1MSP")
Tag = GossipMessage.Tag


@pytest.fixture
def town() -> Town:
    return Town(START_NS)


def declaration(author: Signer, *, seq: int = 1, declares: bool = True) -> bytes:
    content = {
        "pki_id": author.pki_id,
        "timestamp": {"inc_num": 1 << 62, "seq_num": seq},
        "is_declaration": declares,
    }
    message = GossipMessage(tag=Tag.CHAN_AND_ORG, channel=SALES.encode(), leadership_msg=content)
    return sign_message(message, author).raw


def says(town: Town, hearer: Resident, sender: Resident, raw: bytes) -> list[fx.Effect]:
    event = ev.TopicMessage(sender.core.pki_id, LEADER, raw)
    before = len(hearer.effects)
    town.tells(hearer, event)
    return [effect for _, effect in hearer.effects[before:]]


def unsigned(raw: bytes) -> bytes:
    return Envelope(payload=Envelope.FromString(raw).payload).SerializeToString()


def wrongly_signed(raw: bytes, signer: Signer) -> bytes:
    payload = Envelope.FromString(raw).payload
    return Envelope(payload=payload, signature=signer.sign(payload)).SerializeToString()


def test_of_leadership_only_our_own_organization_in_the_channel_has_a_say(town: Town) -> None:
    residents = settle(town)
    (first,) = leaders(residents[:3])
    leader = next(each for each in residents if each.name == first)
    follower, other = (each for each in residents[:3] if each is not leader)
    foreign, stranger = residents[3].signer, organization(3).members["peer0.org3.example"].signer
    good = declaration(other.signer)
    refused = [
        (other, declaration(foreign), Verdict.REJECT, Reason.OUTSIDE),
        (other, declaration(stranger), Verdict.IGNORE, Reason.UNKNOWN_AUTHOR),
        (other, unsigned(good), Verdict.REJECT, Reason.SIGNATURE),
        (other, wrongly_signed(good, follower.signer), Verdict.REJECT, Reason.SIGNATURE),
        # A foreign peer has no business on the topic, whatever it brings there.
        (residents[3], good, Verdict.REJECT, Reason.SENDER),
        (residents[3], declaration(foreign, declares=False), Verdict.REJECT, Reason.SENDER),
    ]
    for hearer in (leader, follower):
        for sender, raw, verdict, reason in refused:
            assert says(town, hearer, sender, raw) == [fx.Validated(None, verdict, reason)]
    town.until(town.now + 60)
    assert leaders(residents[:3]) == [first]
    assert [e.leading for e in town.seen(leader, fx.LeaderChanged)] == [True]


def test_who_is_in_our_organization_and_not_in_the_channel_is_not_followed(town: Town) -> None:
    residents = settle(town)
    idle = town.moves_in(organization(1), "peer3", external=False, bootstrap=("peer0",))
    town.until(town.now + 15)
    before = leaders(residents[:3])
    for resident in residents[:3]:
        assert idle.name in town.view(resident)
        says(town, resident, idle, declaration(idle.signer))
    town.until(town.now + 1)
    assert leaders(residents[:3]) == before


@pytest.mark.slow
def test_a_leader_that_cannot_reach_the_orderer_gives_way_and_blocks_come_by_another(
    town: Town,
) -> None:
    residents = settle(town)[:3]
    (first,) = leaders(residents)
    leader = next(each for each in residents if each.name == first)
    town.tells(leader, ev.OrdererLost(SALES))
    assert leaders(residents) == []
    town.until(town.now + 30)
    assert len(leaders(residents)) == 1
    assert leaders(residents) != [first]
    for block in blocks(5):
        town.orders(SALES, block)
    town.until(town.now + 5)
    assert [each.ledgers[SALES].height for each in residents] == [6, 6, 6]


@pytest.mark.slow
def test_parts_have_a_leader_each_and_one_remains_when_they_meet(town: Town) -> None:
    residents = settle(town)[:3]
    (first,) = leaders(residents)
    leader = next(each for each in residents if each.name == first)
    others = [each for each in residents if each is not leader]
    # Nobody hears the leader any more, which hears all others.
    town.silent[leader.core.pki_id] = None
    town.until(town.now + 60)
    assert len(leaders(others)) == 1
    del town.silent[leader.core.pki_id]
    town.until(town.now + 60)
    assert len(leaders(residents)) == 1
    assert all(len(town.members(each)) >= 2 for each in residents)
