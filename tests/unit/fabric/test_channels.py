import pytest

from pubsub.errors import ParamError
from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric import topics as names
from pubsub.fabric.actions import CloseConnection, Warn
from pubsub.fabric.announcement import block_envelope
from pubsub.fabric.config import config_from_block
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import decode_envelope
from pubsub.fabric.intake_rules import Reason, Verdict
from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric.members import Change
from pubsub.fabric.membership import MemberChanged
from pubsub.fabric.peer_state import Chaincode
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.unit.fabric.making import Tag
from tests.unit.fabric.network import WHEN, config, genesis, maker, profile, transaction
from tests.unit.fabric.peering import (
    ANN,
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


def test_joining_opens_topics_and_reaches_anchor_peers(desk):
    done = desk.joins()
    topics = (OURS, TOPICS.state, TOPICS.alive, LEADER, BLOCKS)
    assert done == [fx.JoinTopic(topic) for topic in topics]
    assert fx.Dial("localhost:7051") in desk.at(0.0)
    with pytest.raises(ParamError, match="already"):
        desk.joins()


def test_those_who_were_strangers_may_come_once_a_channel_has_them(desk):
    desk.meets(BOB)
    desk.joins()
    assert fx.Recheck((BOB.pki_id,)) in desk.meets(BOB)
    assert desk.core.access.may_peer_know(BOB.pki_id, TOPICS.state)
    assert not desk.core.access.may_peer_know(BOB.pki_id, OURS)
    assert desk.meets(EVE)[-1] == CloseConnection(EVE.pki_id)


def test_there_is_nothing_to_be_done_in_a_channel_that_we_are_not_in(desk):
    for event in (ev.LeaveChannel("hr"), ev.BlockDelivered("hr", b""), ev.Committed("hr", 1)):
        with pytest.raises(ParamError, match="not in channel 'hr'"):
            desk.on(event)


def test_leaving_closes_topics_and_joining_again_opens_them(joined):
    done = joined.on(ev.LeaveChannel(CHANNEL))
    assert of(fx.LeaveTopic, done) == [fx.LeaveTopic(LEADER), fx.LeaveTopic(BLOCKS)]
    assert joined.on(ev.LeaveChannel(CHANNEL)) == []
    assert of(fx.JoinTopic, joined.joins()) == [fx.JoinTopic(LEADER), fx.JoinTopic(BLOCKS)]


def test_of_a_channel_that_was_left_nothing_stays_once_all_have_been_told(joined):
    joined.hears(TOPICS.state, state(BOB), BOB)
    joined.now = 10.0
    joined.on(ev.LeaveChannel(CHANNEL))
    told = [each.topic for each in of(fx.Publish, joined.at(509.9))]
    assert told.count(OURS) == told.count(TOPICS.state) == 1
    assert joined.core.next_deadline <= 510.0
    assert joined.core.org_of(BOB.pki_id) == "Org2MSP"
    done = joined.at(510.0)
    assert of(fx.LeaveTopic, done) == [
        fx.LeaveTopic(each) for each in (OURS, TOPICS.state, TOPICS.alive)
    ]
    assert of(fx.Recheck, done) == [fx.Recheck((ANN.pki_id, BOB.pki_id))]
    assert CloseConnection(BOB.pki_id) in done
    assert CloseConnection(ANN.pki_id) not in done
    assert joined.core.channel(CHANNEL) is None
    assert joined.core.access.topics == [HOME]
    assert [each.pki_id for each in joined.core.identities] == [US.pki_id, ANN.pki_id]
    assert joined.core.membership.lookup(BOB.pki_id) is None
    assert joined.core.access.org_of(BOB.pki_id) is None
    assert joined.meets(BOB)[-1] == CloseConnection(BOB.pki_id)
    with pytest.raises(ParamError, match="not in channel"):
        joined.on(ev.LeaveChannel(CHANNEL))
    # Joined again, it is as it was.
    topics = (OURS, TOPICS.state, TOPICS.alive, LEADER, BLOCKS)
    assert of(fx.JoinTopic, joined.joins()) == [fx.JoinTopic(topic) for topic in topics]
    assert fx.Recheck((BOB.pki_id,)) in joined.meets(BOB)
    assert not joined.core.channel(CHANNEL).has_left


def test_one_that_another_channel_has_stays_known_when_one_is_forgotten(joined):
    joined.on(ev.JoinChannel(config("hr"), genesis("hr").hash))
    joined.on(ev.LeaveChannel(CHANNEL))
    done = joined.at(500.0)
    assert joined.core.channel(CHANNEL) is None
    assert CloseConnection(BOB.pki_id) not in done
    assert joined.core.org_of(BOB.pki_id) == "Org2MSP"


def test_anchor_peers_of_a_channel_that_is_forgotten_are_reached_no_more(desk):
    desk.joins()
    desk.on(ev.LeaveChannel(CHANNEL))
    assert fx.Dial("localhost:7051") in desk.at(0.0)
    desk.on(ev.DialFailed("localhost:7051", "refused"))
    assert fx.Dial("localhost:7051") in desk.at(499.0)
    desk.on(ev.DialFailed("localhost:7051", "refused"))
    desk.at(500.0)
    assert fx.Dial("ann:2") in of(fx.Dial, desk.at(600.0))
    assert fx.Dial("localhost:7051") not in desk.at(700.0)


def test_a_channel_joined_again_in_time_is_not_forgotten(joined):
    joined.on(ev.LeaveChannel(CHANNEL))
    joined.now = 499.0
    joined.joins()
    joined.at(1100.0)
    assert not joined.core.channel(CHANNEL).has_left


def test_a_channel_is_joined_again_when_its_ledger_has_done_its_work(joined):
    joined.hears(TOPICS.state, state(BOB), BOB)
    asks = {"start_seq_num": 0, "end_seq_num": 3}
    message = GossipMessage(tag=Tag.CHAN_OR_ORG, channel=CHANNEL.encode(), state_request=asks)
    assert len(joined.gets(names.STATE_TRANSFER, message, BOB)) == 1
    joined.on(ev.LeaveChannel(CHANNEL))
    with pytest.raises(ParamError, match="still at work"):
        joined.joins()
    assert joined.core.channel(CHANNEL).has_left
    joined.on(ev.Answered(CHANNEL))
    joined.joins()
    assert not joined.core.channel(CHANNEL).has_left


def test_a_channel_is_not_forgotten_before_its_ledger_has_done_its_work(joined):
    raw = maker().next_block([transaction()]).raw
    assert fx.Commit(CHANNEL, 1, raw) in joined.on(ev.BlockDelivered(CHANNEL, raw))
    joined.on(ev.LeaveChannel(CHANNEL))
    joined.at(500.0)
    assert joined.core.channel(CHANNEL).next_deadline == 501.0
    with pytest.raises(ParamError, match="still at work"):
        joined.joins()
    joined.on(ev.Committed(CHANNEL, 1))
    joined.at(501.0)
    assert joined.core.channel(CHANNEL) is None


def test_chaincodes_are_told(joined):
    joined.on(ev.SetChaincodes(CHANNEL, (Chaincode("basic", "1"),)))
    told = next(each for each in of(fx.Publish, joined.at(4.0)) if each.topic == OURS)
    chaincodes = decode_envelope(told.envelope).message.state_info.properties.chaincodes
    assert [each.name for each in chaincodes] == ["basic"]


def test_blocks_go_from_the_orderer_to_others_and_into_the_ledger(joined):
    raw = maker().next_block([transaction()]).raw
    published, commit = joined.on(ev.BlockDelivered(CHANNEL, raw))
    assert published.topic == BLOCKS
    assert commit == fx.Commit(CHANNEL, 1, raw)
    assert joined.on(ev.Committed(CHANNEL, 1)) == []
    assert joined.core.channel(CHANNEL).height == 2
    (refused,) = joined.hears(BLOCKS, decode_envelope(published.envelope), ANN)
    assert refused == fx.Validated(7, Verdict.IGNORE, Reason.WINDOW)


def test_a_commit_that_fails_and_an_orderer_that_is_lost_are_told_to_the_channel(joined):
    raw = maker().next_block([transaction()]).raw
    joined.on(ev.BlockDelivered(CHANNEL, raw))
    (warning,) = joined.on(ev.CommitFailed(CHANNEL, 1, "disk full"))
    assert warning.key == "channel.commit"
    assert fx.Commit(CHANNEL, 1, raw) not in joined.at(0.9)
    assert fx.Commit(CHANNEL, 1, raw) in joined.at(1.0)
    assert joined.on(ev.OrdererLost(CHANNEL)) == []


def test_what_others_ask_for_is_read_from_the_ledger(joined):
    joined.hears(TOPICS.state, state(BOB), BOB)
    asks = {"start_seq_num": 0, "end_seq_num": 3}
    message = GossipMessage(
        tag=Tag.CHAN_OR_ORG, channel=CHANNEL.encode(), state_request=asks, nonce=9
    )
    (asked,) = joined.gets(names.STATE_TRANSFER, message, BOB)
    ledger = MemoryLedger()
    ledger.append(0, genesis().raw)
    answer = joined.core.answer(asked, ledger)
    response = decode_envelope(answer.envelope).message
    assert (answer.peer, response.nonce) == (BOB.pki_id, 9)
    assert [each.data for each in response.state_response.payloads] == [genesis().raw]


def configured(desk, *orgs, **more):
    changed = maker().next_config(profile(orgs=orgs, **more), when=WHEN)
    desk.on(ev.BlockDelivered(CHANNEL, changed.raw))
    return desk.on(ev.Committed(CHANNEL, 1))


def test_an_organization_that_is_removed_is_put_out_at_once(joined):
    joined.hears(TOPICS.state, state(BOB), BOB)
    done = configured(joined, 1)
    assert MemberChanged(BOB.pki_id, Change.FORGOTTEN) in done
    assert fx.Recheck((BOB.pki_id,)) in done
    assert CloseConnection(BOB.pki_id) in done
    assert not joined.core.access.may_peer_know(BOB.pki_id, TOPICS.state)
    assert joined.core.channel(CHANNEL).state_of(BOB.pki_id) is None
    assert joined.view == [ANN.pki_id]
    assert joined.meets(BOB)[-1] == CloseConnection(BOB.pki_id)


def test_one_that_another_channel_has_loses_no_more_than_this_one(joined):
    joined.on(ev.JoinChannel(config("hr"), genesis("hr").hash))
    asks_for_blocks(joined, BOB)
    done = configured(joined, 1)
    assert CloseConnection(BOB.pki_id) not in done
    assert fx.Recheck((BOB.pki_id,)) in done
    assert joined.view == [ANN.pki_id, BOB.pki_id]
    assert not joined.core.access.may_peer_know(BOB.pki_id, TOPICS.state)
    # What it was asked for is asked of others at once.
    assert joined.core.next_deadline < joined.now


def test_an_organization_that_is_added_may_come(joined):
    configured(joined, 1, 2, 3)
    assert fx.Recheck((EVE.pki_id,)) in joined.meets(EVE)
    assert joined.core.access.may_peer_know(EVE.pki_id, TOPICS.state)
    assert joined.core.access.org_of(BOB.pki_id) == "Org2MSP"


def test_when_our_own_organization_is_removed_we_leave(joined):
    done = configured(joined, 2)
    left = {each.topic for each in of(fx.LeaveTopic, done)}
    assert left == {OURS, TOPICS.state, TOPICS.alive, LEADER, BLOCKS}
    assert Warn("channel.removed", "mychannel: our organization was removed") in done
    assert joined.core.channel(CHANNEL).has_left
    assert joined.core.access.topics == [HOME]


# -- A ledger that the user keeps


@pytest.fixture
def gossiping(desk):
    """In the channel, whose ledger the user keeps."""
    desk.on(ev.JoinChannel(config(), genesis().hash, 1, keeps_ledger=False))
    desk.meets(ANN, BOB)
    desk.hears(HOME, alive(ANN), ANN)
    desk.hears(TOPICS.alive, alive(BOB), BOB)
    desk.hears(TOPICS.state, state(BOB, height=9), BOB)
    return desk


def test_blocks_are_passed_on_and_handed_over_but_never_committed(gossiping):
    making = maker()
    first, second = (making.next_block([transaction()]).raw for _ in range(2))
    pushed = block_envelope(CHANNEL, 2, second)
    assert gossiping.hears(BLOCKS, pushed, ANN) == [
        fx.Validated(7, Verdict.ACCEPT),
        fx.BlockReceived(CHANNEL, 2, second),
    ]
    again = gossiping.hears(BLOCKS, pushed, ANN)
    assert again == [fx.Validated(7, Verdict.IGNORE, Reason.WINDOW)]
    published = fx.Publish(BLOCKS, block_envelope(CHANNEL, 1, first).raw)
    assert gossiping.on(ev.GossipBlock(CHANNEL, first)) == [published]
    forged = block_envelope(CHANNEL, 3, second)
    refused = gossiping.hears(BLOCKS, forged, ANN)
    assert refused == [fx.Validated(7, Verdict.REJECT, Reason.BLOCK)]


def test_nobody_is_asked_for_blocks_and_nobody_is_given_any(gossiping):
    assert (BOB.pki_id, Content.STATE_REQUEST) not in sent(gossiping.at(10.0))
    asks = {"start_seq_num": 0, "end_seq_num": 3}
    message = GossipMessage(tag=Tag.CHAN_OR_ORG, channel=CHANNEL.encode(), state_request=asks)
    assert gossiping.gets(names.STATE_TRANSFER, message, BOB) == []
    assert gossiping.core.refusals == {Reason.NO_LEDGER: 1}


def test_the_user_says_how_high_its_ledger_is(gossiping):
    assert gossiping.on(ev.SetLedgerHeight(CHANNEL, 50)) == []
    assert gossiping.core.channel(CHANNEL).height == 50
    with pytest.raises(ParamError, match="from 50 down to 49"):
        gossiping.on(ev.SetLedgerHeight(CHANNEL, 49))
    with pytest.raises(ParamError, match="kept elsewhere"):
        gossiping.on(ev.Committed(CHANNEL, 50))
    assert gossiping.core.channel(CHANNEL).height == 50


def test_the_users_configuration_puts_out_an_organization_that_is_removed(gossiping):
    changed = config_from_block(maker().next_config(profile(orgs=(1,)), when=WHEN))
    assert gossiping.on(ev.Configure(CHANNEL, changed)) == [
        fx.Recheck((BOB.pki_id,)),
        MemberChanged(BOB.pki_id, Change.FORGOTTEN),
        CloseConnection(BOB.pki_id),
    ]
    assert gossiping.view == [ANN.pki_id]
    text = "mychannel: configuration 1 comes after 1"
    assert gossiping.on(ev.Configure(CHANNEL, changed)) == [Warn("channel.config", text)]


def test_a_ledger_that_is_kept_here_speaks_for_itself(joined):
    for event in (ev.SetLedgerHeight(CHANNEL, 5), ev.Configure(CHANNEL, config())):
        with pytest.raises(ParamError, match="kept here"):
            joined.on(event)


def test_what_the_user_says_after_it_has_left_changes_nothing(gossiping):
    gossiping.on(ev.LeaveChannel(CHANNEL))
    assert gossiping.on(ev.SetLedgerHeight(CHANNEL, 50)) == []
    changed = config_from_block(maker().next_config(profile(orgs=(1,)), when=WHEN))
    assert gossiping.on(ev.Configure(CHANNEL, changed)) == []
    assert gossiping.core.channel(CHANNEL).height == 1
    assert gossiping.core.channel(CHANNEL).config == config()
    with pytest.raises(ParamError, match="not pushed"):
        gossiping.on(ev.GossipBlock(CHANNEL, maker().next_block([transaction()]).raw))


def test_a_block_that_the_user_gossips_is_pushed_and_committed(joined):
    raw = maker().next_block([transaction()]).raw
    published = fx.Publish(BLOCKS, block_envelope(CHANNEL, 1, raw).raw)
    commit = fx.Commit(CHANNEL, 1, raw)
    assert joined.on(ev.GossipBlock(CHANNEL, raw)) == [published, commit]
    with pytest.raises(ParamError, match="not genuine"):
        joined.on(ev.GossipBlock(CHANNEL, b"block"))
