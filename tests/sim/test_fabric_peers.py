"""Two organizations of three peers in one channel, with real identities and blocks."""

from __future__ import annotations

import pytest

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.content import content_of
from pubsub.fabric.envelope import GossipEnvelope, sign_message, wrap_message
from pubsub.fabric.intake_rules import PROTOCOL_OF, Verdict
from pubsub.pb.fabric.gossip_pb2 import Envelope, GossipMessage, PullMsgType
from tests.sim.fabric_people import (
    SALES,
    SETTLED,
    START_NS,
    blocks,
    genesis,
    leaders,
    organization,
    settle,
)
from tests.sim.fabric_talk import block_message
from tests.sim.fabric_town import NETWORK, Resident, Town

pytestmark = pytest.mark.timeout(60)

Tag = GossipMessage.Tag


@pytest.fixture
def town() -> Town:
    return Town(START_NS)


def test_each_peer_knows_those_that_it_may_know(town: Town) -> None:
    residents = settle(town)
    for resident in residents:
        name, org = resident.name.split(".")
        other = "Org2MSP" if org == "Org1MSP" else "Org1MSP"
        expected = [f"peer{n}.{org}" for n in range(3) if f"peer{n}" != name]
        if name != "peer2":
            expected += [f"peer0.{other}", f"peer1.{other}"]
        assert town.view(resident) == sorted(expected), resident.name
        for member in town.members(resident):
            is_ours = town.name(member.peer).endswith(org)
            assert bool(member.internal_endpoint) == is_ours


def test_each_organization_elects_its_peer_with_the_lowest_id(town: Town) -> None:
    residents = settle(town)
    for org in (residents[:3], residents[3:]):
        lowest = min(org, key=lambda each: each.core.pki_id)
        assert leaders(org) == [lowest.name]
    first = next(each for each in residents[:3] if each.core.channel(SALES).leading)
    town.dies(first)
    town.until(SETTLED + 60)
    left = [each for each in residents[:3] if each is not first]
    assert leaders(left) == [min(left, key=lambda each: each.core.pki_id).name]


def test_blocks_of_the_orderer_reach_every_ledger_in_order(town: Town) -> None:
    residents = settle(town)
    for block in blocks(60):
        town.orders(SALES, block)
        town.until(town.now + 0.1)
    town.until(town.now + 5)
    expected = [(SALES, number) for number in range(1, 61)]
    for resident in residents:
        assert resident.commits == expected, resident.name
        assert resident.ledgers[SALES].last_hash == blocks(60)[-1].hash
        assert not resident.core.refusals["block that is not genuine"]
    # All know how high the others are, as far as they know them.
    heights = residents[0].core.channel(SALES).heights()
    assert sorted(heights.values()) == [61] * 4


def test_one_that_was_away_and_one_that_comes_late_catch_up(town: Town) -> None:
    residents = settle(town)
    away = next(each for each in residents[:3] if not each.core.channel(SALES).leading)
    for number, block in enumerate(blocks(60)):
        if number == 10:
            town.dies(away)
        town.orders(SALES, block)
        town.until(town.now + 0.05)
    assert away.ledgers[SALES].height == 11
    name = away.name.split(".")[0]
    others = [f"peer{n}" for n in range(3) if f"peer{n}" != name]
    back = town.moves_in(
        organization(1),
        name,
        external=name != "peer2",
        bootstrap=others,
        ledgers=away.ledgers,
    )
    town.joins(back, genesis())
    late = town.moves_in(organization(2), "peer3", external=False, bootstrap=["peer0"])
    town.joins(late, genesis())
    town.until(town.now + 60)
    for resident, first in ((back, 11), (late, 1)):
        assert resident.commits == [(SALES, number) for number in range(first, 61)]
        assert resident.ledgers[SALES].last_hash == blocks(60)[-1].hash
    assert len(town.view(late)) == 3


def test_one_whose_ledger_is_slow_misses_nothing(town: Town) -> None:
    residents = settle(town)
    slow = next(each for each in residents[:3] if not each.core.channel(SALES).leading)
    slow.commit_time = 0.1
    begun = town.now
    for block in blocks(60):
        town.orders(SALES, block)
        town.until(town.now + 0.05)
    assert slow.core.refusals["block that is not wanted"] > 20
    # It needs 6 s for 60 blocks, and learns within 4 s of those that it did not take.
    town.until(begun + 6 + 4)
    assert slow.commits == [(SALES, number) for number in range(1, 61)]
    assert not town.warnings(slow)


# -- Outsiders


def attacks(us: Resident, topics: list[str]) -> list[ev.TopicMessage | ev.StreamMessage]:
    """All that one asks for, or says, who wants to be in the channel; signed by itself."""
    pki_id, name = us.core.pki_id, SALES.encode()
    mac = channel_mac(pki_id, SALES)
    hello = {"nonce": 1, "msg_type": PullMsgType.BLOCK_MSG}
    asks = [
        GossipMessage(tag=Tag.CHAN_AND_ORG, channel=name, hello=hello),
        GossipMessage(tag=Tag.CHAN_OR_ORG, state_info_pull_req={"channel_mac": mac}),
        GossipMessage(
            tag=Tag.CHAN_OR_ORG,
            channel=name,
            state_request={"start_seq_num": 0, "end_seq_num": 5},
        ),
    ]
    time = {"inc_num": 1 << 62, "seq_num": 1}
    state = {"timestamp": time, "pki_id": pki_id, "channel_mac": mac, "properties": {}}
    lead = {"timestamp": time, "pki_id": pki_id, "is_declaration": True}
    says = [
        sign_message(GossipMessage(tag=Tag.CHAN_OR_ORG, state_info=state), us.signer),
        sign_message(
            GossipMessage(tag=Tag.CHAN_AND_ORG, channel=name, leadership_msg=lead), us.signer
        ),
        block_message(blocks(1)[0].raw, 1),
    ]
    streams = [ev.StreamMessage(pki_id, protocol_of(one), wrap_message(one).raw) for one in asks]
    published = [ev.TopicMessage(pki_id, topic, one.raw) for topic in topics for one in says]
    return [*streams, *published]


def protocol_of(message: GossipMessage) -> str:
    return PROTOCOL_OF[content_of(message)]


def secrets(residents: list[Resident]) -> list[bytes]:
    """What nobody outside the channel may read: its names, its MACs, what is in its blocks."""
    topics = NETWORK.channel(SALES, genesis().hash)
    macs = [channel_mac(each.core.pki_id, SALES) for each in residents]
    return [SALES.encode(), topics.prefix.encode(), b"sale ", genesis().hash, *macs]


def test_one_whose_organization_nobody_knows_gets_not_a_byte(town: Town) -> None:
    residents = settle(town)
    outsider = town.moves_in(organization(3), "peer0", external=True)
    town.joins(outsider, genesis(SALES, 1, 2, 3))
    outsider.topics |= residents[0].topics
    for message in attacks(outsider, list(residents[0].topics)):
        if isinstance(message, ev.StreamMessage):
            for resident in residents:
                town.sends(outsider, resident.core.pki_id, message.protocol, message.envelope)
        else:
            town.publishes(outsider, message.topic, message.envelope)
    for block in blocks(10):
        town.orders(SALES, block)
    town.until(town.now + 30)
    assert outsider.received == []
    assert not outsider.linked
    assert town.view(outsider) == []
    assert {each.ledgers[SALES].height for each in residents} == {11}


@pytest.mark.slow
def test_one_that_shares_another_channel_hears_nothing_of_this_one(town: Town) -> None:
    residents = settle(town)
    ours, theirs = residents[:3], residents[3:]
    for resident in ours:
        town.joins(resident, genesis("hr", 1, 3))
    guest = town.moves_in(organization(3), "peer0", external=True)
    town.joins(guest, genesis("hr", 1, 3))
    guest.topics |= {topic: None for each in residents for topic in each.topics}
    town.until(town.now + 30)
    assert town.view(guest) == ["peer0.Org1MSP", "peer1.Org1MSP"]
    refused = 0
    for resident in ours:
        before = resident.core.channel(SALES).heights()
        for event in attacks(guest, [t for t in residents[0].topics if "/c/" in t][:5]):
            done = resident.core.handle(event, now=town.now, wall_ns=town.wall_ns)
            assert not [effect for effect in done if isinstance(effect, fx.SendEnvelope)]
            assert not [effect for effect in done if isinstance(effect, fx.Commit | fx.Publish)]
            refused += 1
        assert resident.core.channel(SALES).heights() == before
    for block in blocks(10):
        town.orders(SALES, block)
    town.until(town.now + 30)
    assert {each.ledgers[SALES].height for each in residents} == {11}
    assert refused == 3 * (3 + 5 * 3)
    assert guest.received
    forbidden = [*secrets(residents), *(each.core.pki_id for each in theirs), b"Org2MSP"]
    for sender, place, raw in guest.received:
        for secret in forbidden:
            assert secret not in raw, (town.name(sender), place)
            assert secret not in place.encode()


# -- Insiders that lie


def forged(envelope: GossipEnvelope, liar: Resident) -> bytes:
    payload = envelope.payload
    return Envelope(payload=payload, signature=liar.signer.sign(payload)).SerializeToString()


def lies(town: Town, target: Resident, liar: Resident, other: Resident) -> dict[str, ev.Event]:
    """What a member of our organization can send that is not right, by what is wrong."""
    topics = NETWORK.channel(SALES, genesis().hash)
    org, time = target.core.org, {"inc_num": 1 << 62, "seq_num": 1}
    name, peer = SALES.encode(), other.core.pki_id

    def said(topic: str, raw: bytes) -> ev.TopicMessage:
        return ev.TopicMessage(liar.core.pki_id, topic, raw, token="token")

    alive = GossipMessage(
        tag=Tag.EMPTY, alive_msg={"membership": {"pki_id": peer}, "timestamp": time}
    )
    state = GossipMessage(
        tag=Tag.CHAN_OR_ORG,
        state_info={
            "timestamp": time,
            "pki_id": peer,
            "channel_mac": channel_mac(peer, SALES),
            "properties": {"ledger_height": 1 << 40},
        },
    )
    lead = {"timestamp": time, "pki_id": peer, "is_declaration": True}
    leads = GossipMessage(tag=Tag.CHAN_AND_ORG, channel=name, leadership_msg=lead)
    good = [sign_message(one, other.signer) for one in (alive, state, leads)]
    places = [NETWORK.org_alive(org), topics.org_state(org), topics.leader(org)]
    told: dict[str, ev.Event] = {}
    for envelope, place in zip(good, places, strict=True):
        told[f"forged {envelope.content}"] = said(place, forged(envelope, liar))
        wrong = GossipMessage.FromString(envelope.payload)
        wrong.tag = Tag.ORG_ONLY
        told[f"mis-tagged {envelope.content}"] = said(place, sign_message(wrong, other.signer).raw)
        for elsewhere in places:
            if elsewhere != place:
                told[f"{envelope.content} at {elsewhere}"] = said(elsewhere, envelope.raw)
    for _, place, raw in target.received:
        if place in places:
            told[f"stale at {place}"] = said(place, raw)
    leads.channel = b"hr"
    told["leader of another channel"] = said(places[2], sign_message(leads, other.signer).raw)
    state.state_info.channel_mac = channel_mac(peer, "hr")
    told["state of another channel"] = said(places[1], sign_message(state, other.signer).raw)
    first, good_block, place = blocks(1)[0].raw, blocks(2)[1].raw, topics.blocks(org)
    bad = good_block.replace(b"sale 1", b"sale 9")
    told["forged block"] = said(place, block_message(bad, 2).raw)
    told["block of another number"] = said(place, block_message(first, 2).raw)
    told["block of another channel"] = said(place, block_message(good_block, 2, "hr").raw)
    tag = Tag.CHAN_OR_ORG
    told["mis-tagged block"] = said(place, block_message(good_block, 2, tag=tag).raw)
    told["block far ahead"] = said(place, block_message(good_block, 1000).raw)
    told["block that was here"] = said(place, block_message(first, 1).raw)
    return told


def snapshot(resident: Resident) -> object:
    core = resident.core
    channel = core.channel(SALES)
    membership = core.membership
    return (
        membership.members,
        membership.dead,
        channel.heights(),
        channel.peers,
        channel.leading,
        channel.height,
        channel.first_missing,
        core.access.topics,
    )


@pytest.mark.slow
def test_what_is_forged_stale_mis_tagged_or_of_another_channel_changes_nothing(
    town: Town,
) -> None:
    residents = settle(town)
    target = next(each for each in residents[:3] if each.core.channel(SALES).leading)
    liar, other = (each for each in residents[:3] if each is not target)
    heard = list(target.received)
    # Now there is something new to say, and what was heard is old.
    town.orders(SALES, blocks(1)[0])
    town.until(town.now + 10)
    target.received = heard
    told = lies(town, target, liar, other)
    assert sum(what.startswith("stale") for what in told) == 3
    before = snapshot(target)
    for what, event in told.items():
        done = target.core.handle(event, now=town.now, wall_ns=town.wall_ns)
        assert len(done) == 1, what
        assert done[0].token == "token"
        assert done[0].verdict is not Verdict.ACCEPT, what
        assert snapshot(target) == before, what
    # The same, told as it should be, is taken.
    good = blocks(2)[1].raw
    topic = NETWORK.channel(SALES, genesis().hash).blocks(target.core.org)
    event = ev.TopicMessage(liar.core.pki_id, topic, block_message(good, 2).raw)
    done = target.core.handle(event, now=town.now, wall_ns=town.wall_ns)
    assert done == [fx.Validated(None, Verdict.ACCEPT), fx.Commit(SALES, 2, good)]
