from datetime import timedelta

import pytest

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.actions import CloseConnection, Warn
from pubsub.fabric.announcement import Announcement
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import decode_envelope
from pubsub.fabric.intake_rules import Reason, Verdict
from pubsub.fabric.members import Change
from pubsub.fabric.membership import MemberChanged
from tests.unit.fabric.making import pki_id
from tests.unit.fabric.peering import (
    ANN,
    BEN,
    BLOCKS,
    BOB,
    CHANNEL,
    EVE,
    HOME,
    LEADER,
    OURS,
    TOPICS,
    US,
    Desk,
    alive,
    asks_for_blocks,
    of,
    sent,
    settled,
    state,
)


@pytest.fixture
def desk():
    made = Desk()
    made.on(ev.Started())
    return made


@pytest.fixture
def joined():
    return settled()


# -- The beginning


def test_it_begins_with_the_topic_of_its_organization_and_its_bootstrap_peers():
    desk = Desk()
    assert desk.on(ev.Started()) == [fx.JoinTopic(HOME)]
    assert fx.Dial("ann:2") in desk.at(0.0)
    (warning,) = desk.on(ev.DialFailed("ann:2", "refused"))
    assert warning == Warn("membership.unreachable", "could not connect to ann:2: refused")


def test_a_bootstrap_peer_that_is_reached_is_asked_who_is_there(desk):
    desk.at(0.0)
    assert sent(desk.meets(ANN)) == [(ANN.pki_id, Content.MEMBERSHIP_REQUEST)]
    asked = desk.on(ev.Dialed("ann:2", ANN.pki_id))
    assert sent(asked) == [(ANN.pki_id, Content.MEMBERSHIP_REQUEST)]


# -- Peers


def test_one_of_our_organization_may_know_its_topic_once_it_is_proven(desk):
    assert not desk.core.access.may_peer_know(ANN.pki_id, HOME)
    done = desk.meets(ANN)
    assert done[0] == fx.Recheck((ANN.pki_id,))
    assert desk.core.access.may_peer_know(ANN.pki_id, HOME)
    assert desk.on(ev.PeerGone(ANN.pki_id)) == [fx.Recheck((ANN.pki_id,))]
    assert not desk.core.access.may_peer_know(ANN.pki_id, HOME)


def test_one_of_an_organization_that_we_do_not_know_is_hung_up_on(desk):
    for stranger in (BOB, EVE):
        warning, closed = desk.meets(stranger)
        assert warning.key == "peer.identity"
        assert closed == CloseConnection(stranger.pki_id)
        assert desk.core.access.org_of(stranger.pki_id) is None


def test_an_identity_under_a_wrong_name_is_refused(desk):
    done = desk.on(ev.PeerProven(pki_id("ann"), ANN.identity))
    assert done[-1] == CloseConnection(pki_id("ann"))


def test_we_do_not_talk_to_ourselves(desk):
    warning, closed = desk.meets(US)
    assert (warning.key, closed) == ("peer.twin", CloseConnection(US.pki_id))


def test_one_that_cannot_be_reached_is_dead_and_asked_for_nothing(joined):
    assert joined.view == [ANN.pki_id, BOB.pki_id]
    done = joined.on(ev.PeerUnreachable(ANN.pki_id))
    assert MemberChanged(ANN.pki_id, Change.DIED) in done
    assert joined.view == [BOB.pki_id]
    asks_for_blocks(joined, BOB)
    joined.on(ev.PeerUnreachable(BOB.pki_id))
    assert joined.core.next_deadline < joined.now


def test_a_connection_that_ends_is_no_death(joined):
    joined.on(ev.PeerGone(ANN.pki_id))
    assert joined.view == [ANN.pki_id, BOB.pki_id]


def test_one_that_comes_back_with_a_new_certificate_takes_the_place_of_the_old(joined):
    joined.hears(TOPICS.state, state(BOB), BOB)
    done = joined.on(ev.PeerRenewed(BOB.pki_id, BEN.pki_id, BEN.identity))
    assert joined.core.channel(CHANNEL).state_of(BOB.pki_id) is None
    assert MemberChanged(BOB.pki_id, Change.FORGOTTEN) in done
    assert CloseConnection(BOB.pki_id) in done
    assert joined.core.access.org_of(BEN.pki_id) == "Org2MSP"
    assert joined.view == [ANN.pki_id]
    done = joined.on(ev.PeerRenewed(ANN.pki_id, BOB.pki_id, BOB.identity))
    assert done[-1] == CloseConnection(BOB.pki_id)
    assert joined.view == [ANN.pki_id]


def test_one_whose_certificate_ends_is_put_out(joined):
    joined.hears(TOPICS.state, state(BOB), BOB)
    assert joined.core.channel(CHANNEL).is_eligible(BOB.pki_id)
    years = timedelta(days=365 * 20)
    joined.now = years.total_seconds()
    done = joined.on(ev.TimerFired())
    for peer in (ANN.pki_id, BOB.pki_id):
        assert CloseConnection(peer) in done
        assert MemberChanged(peer, Change.FORGOTTEN) in done
        assert joined.core.access.org_of(peer) is None
    assert [each.key for each in of(Warn, done)] == ["peer.certificate"]
    assert CloseConnection(US.pki_id) not in done
    assert joined.core.channel(CHANNEL).state_of(BOB.pki_id) is None


def test_suspects_that_are_no_longer_good_are_put_out(joined):
    assert [each.pki_id for each in joined.core.identities] == [
        US.pki_id,
        ANN.pki_id,
        BOB.pki_id,
    ]
    assert joined.core.org_of(BOB.pki_id) == "Org2MSP"
    assert joined.core.org_of(EVE.pki_id) is None
    joined.hears(TOPICS.state, state(BOB), BOB)
    asked = []
    assert joined.on(ev.SuspectPeers(lambda each: asked.append(each) or True)) == []
    assert asked == [US.identity, ANN.identity, BOB.identity]
    years = timedelta(days=365 * 20)
    assert joined.on(ev.SuspectPeers(lambda each: False), later=years) == []
    done = joined.on(ev.SuspectPeers(lambda each: each == BOB.identity), later=years)
    assert done == [
        fx.Recheck((BOB.pki_id,)),
        MemberChanged(BOB.pki_id, Change.FORGOTTEN),
        CloseConnection(BOB.pki_id),
    ]
    assert joined.core.org_of(BOB.pki_id) is None
    assert joined.core.access.org_of(BOB.pki_id) is None
    assert joined.core.channel(CHANNEL).state_of(BOB.pki_id) is None
    assert joined.view == [ANN.pki_id]


# -- Heartbeats


def test_our_alive_message_keeps_its_secret_within_our_organization(joined):
    published = of(fx.Publish, joined.at(5.0))
    told = {each.topic: decode_envelope(each.envelope) for each in published}
    assert told[HOME].secret.internal_endpoint == "us:2"
    assert told[TOPICS.alive].secret is None
    assert told[TOPICS.alive].message.alive_msg.membership.endpoint == "us:1"
    assert told[TOPICS.alive].payload == told[HOME].payload


def test_one_that_others_may_not_know_speaks_to_its_organization_alone():
    desk = Desk(external=False)
    desk.on(ev.Started())
    done = desk.joins()
    assert of(fx.JoinTopic, done) == [fx.JoinTopic(t) for t in (OURS, LEADER, BLOCKS)]
    assert of(Warn, done) == []
    desk.meets(ANN)
    desk.hears(HOME, alive(ANN), ANN)
    topics = {each.topic for each in of(fx.Publish, desk.at(5.0))}
    assert topics == {HOME, OURS, LEADER}


def test_what_we_say_of_ourselves_can_be_changed(joined):
    joined.on(ev.SetMetadata(b"new"))
    told = next(each for each in of(fx.Publish, joined.at(5.0)) if each.topic == HOME)
    assert decode_envelope(told.envelope).message.alive_msg.membership.metadata == b"new"


# -- Topics


def test_what_comes_by_a_topic_is_judged_and_taken(joined):
    done = joined.hears(OURS, state(ANN, height=5), ANN)
    assert done[0] == fx.Validated(7, Verdict.ACCEPT)
    assert [each.state.height for each in of(fx.StateChanged, done)] == [5]
    again = joined.hears(OURS, state(ANN, height=5), ANN)
    assert again == [fx.Validated(7, Verdict.ACCEPT)]
    joined.hears(OURS, state(ANN, seq=2), ANN)
    old = joined.hears(OURS, state(ANN, height=5), ANN)
    assert old == [fx.Validated(7, Verdict.IGNORE, Reason.STALE)]
    assert joined.core.refusals == {Reason.STALE: 1}


# -- Announcements


def test_an_announced_block_is_fetched_if_it_would_be_taken(joined):
    def wants(topic=BLOCKS, sender=ANN, channel=CHANNEL, number=1):
        announced = Announcement(channel, number, bytes(32))
        return joined.core.wants_announced(topic, sender.pki_id, announced)

    assert [wants(), wants(number=20)] == [None, None]
    assert wants(topic=TOPICS.blocks("Org2MSP")) is Reason.NOT_OURS
    assert wants(sender=BOB) is Reason.SENDER
    assert wants(topic=OURS) is Reason.CONTENT
    assert wants(channel="hr") is Reason.CHANNEL
    assert [wants(number=0), wants(number=21)] == [Reason.WINDOW] * 2
    assert joined.core.refusals == {
        Reason.NOT_OURS: 1,
        Reason.SENDER: 1,
        Reason.CONTENT: 1,
        Reason.CHANNEL: 1,
        Reason.WINDOW: 2,
    }
    joined.on(ev.LeaveChannel(CHANNEL))
    assert wants() is Reason.NOT_OURS


def test_announced_blocks_are_for_those_who_may_know_where_they_are_announced(joined):
    peers = [ANN.pki_id, BOB.pki_id, BEN.pki_id]
    assert [joined.core.may_fetch(peer, CHANNEL) for peer in peers] == [True, False, False]
    assert not joined.core.may_fetch(ANN.pki_id, "hr")
    joined.on(ev.PeerGone(ANN.pki_id))
    assert not joined.core.may_fetch(ANN.pki_id, CHANNEL)
    joined.meets(ANN)
    assert joined.core.may_fetch(ANN.pki_id, CHANNEL)
    joined.on(ev.LeaveChannel(CHANNEL))
    assert not joined.core.may_fetch(ANN.pki_id, CHANNEL)


# -- Time


def test_the_deadline_is_the_first_of_all_machines(desk):
    assert desk.core.next_deadline == 0.0
    desk.at(0.0)
    assert desk.core.next_deadline == 2.5
    desk.joins()
    assert desk.core.next_deadline == 0.0
    desk.at(0.0)
    assert desk.core.next_deadline == 1.0


def test_the_same_events_have_the_same_effects():
    def story():
        desk = Desk()
        effects = [*desk.on(ev.Started()), *desk.joins(), *desk.meets(ANN, BOB)]
        for step in range(60):
            effects += desk.at(step / 2)
        return [
            (type(each).__name__, getattr(each, "peer", None), getattr(each, "topic", None))
            for each in effects
        ]

    assert story() == story()
    assert len(story()) > 20
