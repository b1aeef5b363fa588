"""Whole peers in channels: nothing of a channel reaches those outside, whoever they are."""

from __future__ import annotations

import pytest

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.blocks import Block
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.config import config_from_block
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import decode_envelope
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.sim.fabric_people import (
    SALES,
    SETTLED,
    START_NS,
    WHEN,
    blocks,
    genesis,
    genesis_of,
    maker_after,
    organization,
    profile,
    profile_of,
    settle,
    transaction,
)
from tests.sim.fabric_talk import digests, numbers_got
from tests.sim.fabric_town import NETWORK, Resident, Town

pytestmark = pytest.mark.timeout(60)

TOPICS = NETWORK.channel(SALES, genesis().hash)
Tag = GossipMessage.Tag


@pytest.fixture
def town() -> Town:
    return Town(START_NS)


def blocks_of(genesis: Block, channel: str, count: int) -> list[Block]:
    making = maker_after(genesis)
    return [
        making.next_block([transaction(b"in %s %d" % (channel.encode(), n), channel)])
        for n in range(count)
    ]


def leaks(resident: Resident, secrets: list[bytes]) -> list[str]:
    """By which topics and protocols a resident got something that it must not know."""
    return [
        place
        for _, place, raw in resident.received
        if any(secret in raw or secret in place.encode() for secret in secrets)
    ]


@pytest.mark.slow
def test_of_ten_connected_peers_those_in_a_channel_get_its_blocks_and_no_other_a_byte(
    town: Town,
) -> None:
    orgs = {"a": organization(1, 5), "b": organization(2, 5)}
    common = genesis_of(profile_of("common", *orgs.values()))
    born = {name: genesis_of(profile_of(name, org)) for name, org in orgs.items()}
    residents: dict[str, list[Resident]] = {}
    for name, org in orgs.items():
        for n in range(5):
            bootstrap = ("peer0",) if n else ()
            resident = town.moves_in(org, f"peer{n}", external=True, bootstrap=bootstrap)
            town.joins(resident, common)
            if n < 3:
                town.joins(resident, born[name])
            residents.setdefault(name, []).append(resident)
    town.until(SETTLED)
    topics = {name: NETWORK.channel(name, born[name].hash) for name in orgs}
    of_members = {name: dict(residents[name][0].topics) for name in orgs}
    for name, other in (("a", "b"), ("b", "a")):
        # They would hear it if anybody told them.
        for resident in residents[other]:
            resident.topics |= of_members[name]
        for block in blocks_of(born[name], name, 10):
            town.orders(name, block)
            town.until(town.now + 0.5)
    town.until(town.now + 15)
    for name, other in (("a", "b"), ("b", "a")):
        members, idle = residents[name][:3], residents[name][3:]
        for resident in members:
            assert len(town.members(resident)) == 9
            assert [n for where, n in resident.commits if where == name] == [*range(1, 11)]
        secrets = [b"in %s " % name.encode(), topics[name].prefix.encode(), born[name].hash]
        macs = [channel_mac(each.core.pki_id, name) for each in members]
        assert all(leaks(each, secrets) for each in members)
        for resident in residents[other]:
            assert leaks(resident, [*secrets, *macs]) == []
        for resident in idle:
            # Its organization may be in the channel: it is asked, by MAC, and knows nothing.
            assert leaks(resident, secrets) == []
            assert resident.core.channel(name) is None


def test_nobody_is_blamed_for_asking_one_that_has_not_joined(town: Town) -> None:
    joined = [town.moves_in(organization(1), f"peer{n}", external=False) for n in (0, 1)]
    idle = town.moves_in(organization(1), "peer2", external=False, bootstrap=("peer0",))
    for resident in joined:
        town.joins(resident, genesis())
    town.until(SETTLED)
    asked = [
        place
        for _, place, raw in idle.received
        if decode_envelope(raw).content is Content.STATE_INFO_REQUEST
    ]
    assert asked
    for resident in [*joined, idle]:
        assert town.seen(resident, fx.Blamed) == []


@pytest.mark.slow
def test_one_of_three_leaves_and_takes_no_more_part(town: Town) -> None:
    residents = settle(town)[:3]
    for block in blocks(5):
        town.orders(SALES, block)
    town.until(town.now + 5)
    leaver, others = residents[0], residents[1:]
    town.until(town.now + 2)
    assert digests(town, leaver, others[0], 1)
    assert digests(town, others[0], leaver, 2)

    town.tells(leaver, ev.LeaveChannel(SALES))
    town.until(town.now + 5)
    for resident in others:
        channel = resident.core.channel(SALES)
        assert leaver.core.pki_id not in channel.heights()
        state = channel.state_of(leaver.core.pki_id)
        assert state is not None
        assert state.has_left
        # It is alive all the same.
        assert leaver.name in town.view(resident)
    assert leaver.core.channel(SALES).peers == []
    assert digests(town, others[0], leaver, 3) == []
    assert digests(town, leaver, others[0], 4) == []
    commits = list(leaver.commits)
    for block in blocks(10)[5:]:
        town.orders(SALES, block)
    town.until(town.now + 30)
    assert all(each.ledgers[SALES].height == 11 for each in others)
    assert leaver.commits == commits


@pytest.mark.slow
def test_a_configuration_with_a_lower_sequence_is_ignored(town: Town) -> None:
    residents = settle(town)
    making = maker_after(genesis())
    town.orders(SALES, making.next_config(profile(SALES, 1, 2, 3), when=WHEN))
    making.sequence = -1
    town.orders(SALES, making.next_config(profile(SALES, 1), when=WHEN))
    town.until(town.now + 5)
    for resident in residents:
        channel = resident.core.channel(SALES)
        assert (channel.height, channel.config.sequence) == (3, 1)
        assert channel.is_org_in_channel("Org2MSP")
        assert channel.is_org_in_channel("Org3MSP")
        assert len(channel.peers) == len(town.members(resident))


@pytest.mark.slow
def test_an_organization_that_is_removed_loses_topics_state_and_blocks(town: Town) -> None:
    residents = settle(town)
    for resident in residents:
        town.joins(resident, genesis("hr", 1, 2), config_from_block(genesis("hr", 1, 2)))
    town.until(town.now + 15)
    ours, theirs = residents[:3], residents[3:]
    town.orders(SALES, blocks(1)[0])
    town.until(town.now + 5)
    assert numbers_got(town, theirs[0], ours[0], 0, 1) == [0, 1]
    making = maker_after(blocks(1)[0])
    town.orders(SALES, making.next_config(profile(SALES, 1), when=WHEN))
    town.until(town.now + 0.1)
    assert {each.ledgers[SALES].height for each in residents} == {3}
    for resident in theirs:
        assert resident.core.channel(SALES).has_left
        assert not [topic for topic in resident.topics if topic.startswith(TOPICS.prefix)]
        # What else they share goes on.
        assert resident.core.channel("hr").peers
    # They would hear it if anybody told them.
    for resident in theirs:
        resident.topics |= {topic: None for each in ours for topic in each.topics}
    since = len(theirs[0].received), len(theirs[1].received)
    for _ in range(5):
        town.orders(SALES, making.next_block([transaction(b"sold without them")]))
        town.until(town.now + 1)
    town.until(town.now + 20)
    assert {each.ledgers[SALES].height for each in ours} == {8}
    macs = [channel_mac(each.core.pki_id, SALES) for each in residents]
    secrets = [b"sold without", SALES.encode(), TOPICS.prefix.encode(), *macs]
    for resident, start in zip(theirs, since, strict=False):
        places = [
            place for _, place, raw in resident.received[start:] if any(s in raw for s in secrets)
        ]
        assert not places
        assert len(resident.received) > start
    for resident in ours:
        channel = resident.core.channel(SALES)
        assert not any(channel.state_of(each.core.pki_id) for each in theirs)
        assert len(channel.peers) == 2
    assert numbers_got(town, theirs[0], ours[0], 0, 1) == []
