"""Whole peers that pull blocks: what is shown to whom, asked for, and taken."""

from __future__ import annotations

import pytest

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import decode_envelope
from pubsub.fabric.intake_rules import Reason
from pubsub.fabric.params import V14
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.sim.fabric_people import (
    SALES,
    START_NS,
    blocks,
    genesis,
    organization,
    settle,
    with_one_leader,
)
from tests.sim.fabric_talk import block_message, digests, hears, pull_message, received, says
from tests.sim.fabric_town import DELAY, Resident, Town

PULLED = V14.replaced(state_enabled=False, block_gossip_enabled=False)


@pytest.fixture
def town() -> Town:
    return Town(START_NS)


def test_pulling_alone_brings_all_blocks(town: Town) -> None:
    residents = with_one_leader(town, 6, PULLED)
    for block in blocks(10):
        town.orders(SALES, block)
    town.until(town.now + 20)
    for resident in residents:
        assert resident.commits == [(SALES, number) for number in range(1, 11)]
        assert received(resident, Content.DATA, Content.STATE_RESPONSE) == []


def test_a_digest_lists_the_newest_blocks_and_no_others(town: Town) -> None:
    residents = with_one_leader(town, 3, V14.replaced(max_block_count_to_store=10))
    for block in blocks(100):
        town.orders(SALES, block)
    town.until(town.now + 5)
    for resident, asker in zip(residents, [*residents[1:], residents[0]], strict=True):
        assert resident.ledgers[SALES].height == 101
        # None is more than ten below the newest.
        assert digests(town, asker, resident, 5) == [b"%d" % n for n in range(90, 101)]


# -- The side that asks


def sent_by(town: Town, sender: Resident, to: Resident, content: Content) -> GossipMessage:
    """The next message of a content that one sends to another; it is still under way."""
    while True:
        before = len(sender.effects)
        town.until(town.now + DELAY / 2)
        for _, effect in sender.effects[before:]:
            if isinstance(effect, fx.SendEnvelope) and effect.peer == to.core.pki_id:
                envelope = decode_envelope(effect.envelope)
                if envelope.content is content and envelope.message.channel == SALES.encode():
                    return envelope.message


def offer(nonce: int, *numbers: int) -> GossipMessage:
    return pull_message(data_dig={"nonce": nonce, "digests": [b"%d" % n for n in numbers]})


def test_blocks_below_the_ledgers_height_are_not_asked_for(town: Town) -> None:
    puller, owner = with_one_leader(town, 2, V14.replaced(state_enabled=False))
    for block in blocks(5):
        town.orders(SALES, block)
    nonce = sent_by(town, puller, owner, Content.HELLO).hello.nonce
    hears(town, puller, owner, offer(nonce, *range(9)))
    town.until(town.now + 1.1)
    (asked,) = received(owner, Content.DATA_REQUEST)
    assert list(asked.data_req.digests) == [b"6", b"7", b"8"]


def counters(resident: Resident) -> dict[str, int]:
    return dict(resident.core.channel(SALES)._blocks._pulling.counters)


def test_digests_that_are_late_or_of_another_nonce_lead_to_no_request(town: Town) -> None:
    puller, owner = with_one_leader(town, 2, PULLED)
    nonce = sent_by(town, puller, owner, Content.HELLO).hello.nonce
    hears(town, puller, owner, offer(nonce ^ 1, 1))
    assert counters(puller) == {"digest late or unasked": 1}
    # Whoever is greeted has a second to answer.
    town.until(town.now + 1.1)
    hears(town, puller, owner, offer(nonce, 1))
    assert counters(puller) == {"digest late or unasked": 2}
    town.until(town.now + 2)
    assert received(owner, Content.DATA_REQUEST) == []


def update(nonce: int, *raws: bytes) -> GossipMessage:
    return pull_message(data_update={"nonce": nonce, "data": list(raws)})


def test_one_that_answers_with_what_is_not_genuine_is_blamed_and_others_are_asked(
    town: Town,
) -> None:
    puller, liar, honest = with_one_leader(town, 3, PULLED, leader=2)
    first, second = (block_message(each.raw, each.number).raw for each in blocks(2))
    bad = block_message(blocks(2)[1].raw.replace(b"sale 1", b"sale 9"), 2).raw
    # What nobody asked for is not even read.
    assert hears(town, puller, liar, update(7, first)) == []
    nonce = sent_by(town, puller, liar, Content.HELLO).hello.nonce
    hears(town, puller, liar, offer(nonce, 1, 2, 3))
    asked = sent_by(town, puller, liar, Content.DATA_REQUEST).data_req
    assert (asked.nonce, list(asked.digests)) == (nonce, [b"1", b"2", b"3"])
    # One bad item spoils the good ones with it.
    (blamed,) = hears(town, puller, liar, update(nonce, first, bad))
    assert isinstance(blamed, fx.Blamed)
    assert blamed.peer == liar.core.pki_id
    assert puller.core.channel(SALES).first_missing == 1
    # Its answer was one; a second is not awaited, though it is good.
    assert hears(town, puller, liar, update(nonce, first, second)) == []
    assert counters(puller) == {"update late or unasked": 2, "bad update": 1}
    for block in blocks(2):
        town.orders(SALES, block)
    town.until(town.now + 10)
    assert puller.commits == [(SALES, 1), (SALES, 2)]
    assert honest.commits == [(SALES, 1), (SALES, 2)]


# -- The side that is asked


@pytest.mark.slow
def test_only_those_of_our_organization_who_have_said_that_they_are_in_are_shown_blocks(
    town: Town,
) -> None:
    residents = settle(town)
    asked, ours, theirs = residents[0], residents[1], residents[3]
    for block in blocks(5):
        town.orders(SALES, block)
    for resident in residents[:3]:
        town.joins(resident, genesis("hr", 1, 3))
    idle = town.moves_in(organization(1), "peer3", external=True, bootstrap=("peer0",))
    guest = town.moves_in(organization(3), "peer0", external=True)
    town.joins(guest, genesis("hr", 1, 3))
    town.until(town.now + 15)
    assert {idle.name, guest.name} < set(town.view(asked))
    assert digests(town, ours, asked, 1) == [b"1", b"2", b"3", b"4", b"5"]
    for other, reason in (
        (theirs, Reason.SENDER),
        (guest, Reason.NOT_MEMBER),
        (idle, Reason.NOT_ELIGIBLE),
    ):
        before = asked.core.refusals[reason]
        assert digests(town, other, asked, 2) == []
        says(town, other, asked, pull_message(data_req={"nonce": 1, "digests": [b"1"]}))
        assert received(other, Content.DATA_UPDATE) == []
        assert asked.core.refusals[reason] == before + 2
    # Once it has said so, it is shown them.
    town.joins(idle, genesis())
    town.until(town.now + 9)
    assert digests(town, idle, asked, 3) == [b"1", b"2", b"3", b"4", b"5"]
    # And no more, once it has left.
    town.tells(idle, ev.LeaveChannel(SALES))
    town.until(town.now + 5)
    assert digests(town, idle, asked, 4) == []
