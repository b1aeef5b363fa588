import pytest

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric import topics as names
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import decode_envelope, sign_message, wrap_message
from pubsub.fabric.intake_rules import MAX_FAULTS, Reason, Verdict
from pubsub.fabric.members import Change
from pubsub.fabric.membership import MemberChanged
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, PullMsgType
from tests.unit.fabric.making import Tag, pki_id
from tests.unit.fabric.network import maker, transaction
from tests.unit.fabric.peering import (
    ANN,
    BEN,
    BOB,
    CHANNEL,
    EVE,
    NETWORK,
    TOPICS,
    Desk,
    alive,
    of,
    sent,
    state,
)

HOME = NETWORK.org_alive("Org1MSP")
NAME = CHANNEL.encode()


@pytest.fixture
def desk():
    made = Desk()
    made.on(ev.Started())
    made.joins()
    made.meets(ANN, BOB)
    made.hears(HOME, alive(ANN), ANN)
    made.hears(TOPICS.alive, alive(BOB), BOB)
    return made


def request(author, nonce=5):
    content = {"self_information": alive(author, seq=2).raw}
    return GossipMessage(tag=Tag.EMPTY, nonce=nonce, mem_req=content)


def response(nonce, *members):
    content = {"alive": [each.raw for each in members]}
    return GossipMessage(tag=Tag.EMPTY, nonce=nonce, mem_res=content)


def nonce_for(peer, effects, content):
    for effect in of(fx.SendEnvelope, effects):
        envelope = decode_envelope(effect.envelope)
        if effect.peer == peer.pki_id and envelope.content is content:
            return envelope.message.nonce or getattr(envelope.message, content).nonce
    raise AssertionError("nothing was asked")


# -- Membership


def test_who_asks_is_told_who_is_there(desk):
    done = desk.gets(names.MEMBERSHIP, request(ANN), ANN)
    assert sent(done) == [(ANN.pki_id, Content.MEMBERSHIP_RESPONSE)]
    message = decode_envelope(done[0].envelope).message
    authors = [decode_envelope(raw).author for raw in message.mem_res.alive]
    assert message.nonce == 5
    assert ANN.pki_id in authors
    assert BOB.pki_id not in authors


def test_one_that_asks_in_the_name_of_another_is_told_nothing(desk):
    (warning,) = desk.gets(names.MEMBERSHIP, request(ANN), BOB)
    assert warning.key == "membership.spoof"


def test_one_that_asks_in_the_name_of_a_stranger_does_not_make_it_known(desk):
    about = GossipMessage.FromString(alive(BEN, seq=2).payload)
    about.alive_msg.identity = BEN.identity
    content = {"self_information": sign_message(about, BEN).raw}
    message = GossipMessage(tag=Tag.EMPTY, nonce=5, mem_req=content)
    assert desk.gets(names.MEMBERSHIP, message, BOB) == []
    assert BEN.pki_id not in desk.core._mapper


def test_a_request_whose_own_information_is_not_good_is_not_answered(desk):
    message = request(ANN)
    message.mem_req.self_information = state(ANN).raw
    assert desk.gets(names.MEMBERSHIP, message, ANN) == []
    assert desk.core.refusals == {Reason.CONTENT: 1}


def test_an_answer_counts_once_and_only_if_it_was_asked_for(desk):
    nonce = nonce_for(BEN, desk.meets(BEN), Content.MEMBERSHIP_REQUEST)
    answer = response(nonce, alive(BEN))
    assert desk.gets(names.MEMBERSHIP, answer, BOB) == []
    done = desk.gets(names.MEMBERSHIP, answer, BEN)
    assert done == [MemberChanged(BEN.pki_id, Change.LEARNED)]
    assert desk.gets(names.MEMBERSHIP, response(nonce, alive(BEN, seq=2)), BEN) == []
    assert desk.core._inbox.counters == {Content.MEMBERSHIP_RESPONSE: 2}


def test_a_bad_part_of_an_answer_does_not_spoil_the_others(desk):
    nonce = nonce_for(BEN, desk.meets(BEN), Content.MEMBERSHIP_REQUEST)
    done = desk.gets(names.MEMBERSHIP, response(nonce, alive(EVE), state(ANN), alive(BEN)), BEN)
    assert done == [MemberChanged(BEN.pki_id, Change.LEARNED)]


def test_the_dead_are_dialled(desk):
    desk.on(ev.PeerUnreachable(BOB.pki_id))
    dials = [dial for step in range(11) for dial in of(fx.Dial, desk.at(2.5 * step))]
    assert fx.Dial("there:1", BOB.pki_id) in dials
    assert fx.Dial("there:1", ANN.pki_id) not in dials


# -- StateInfo


def snapshot(*states):
    content = {"elements": [each.raw for each in states]}
    return GossipMessage(tag=Tag.CHAN_OR_ORG, channel=NAME, state_snapshot=content)


def test_a_snapshot_counts_if_it_was_asked_for(desk):
    told = snapshot(state(BOB, height=4), state(EVE))
    assert desk.gets(names.STATE_INFO, told, ANN) == []
    assert desk.core._inbox.counters == {Content.STATE_SNAPSHOT: 1}
    assert (ANN.pki_id, Content.STATE_INFO_REQUEST) in sent(desk.at(4.0))
    (changed,) = desk.gets(names.STATE_INFO, told, ANN)
    assert (changed.state.peer, changed.state.height) == (BOB.pki_id, 4)


def test_states_are_told_to_members_who_know_the_name(desk):
    desk.hears(TOPICS.state, state(BOB), BOB)
    asks = {"channel_mac": channel_mac(BOB.pki_id, CHANNEL)}
    message = GossipMessage(tag=Tag.CHAN_OR_ORG, state_info_pull_req=asks)
    done = desk.gets(names.STATE_INFO, message, BOB)
    assert sent(done) == [(BOB.pki_id, Content.STATE_SNAPSHOT)]
    assert desk.gets(names.STATE_INFO, message, ANN) == []
    assert desk.core.refusals == {Reason.NOT_IN_CHANNEL: 1}


# -- Blocks


def test_blocks_are_asked_for_and_sent_within_the_channel(desk):
    asks = {"start_seq_num": 0, "end_seq_num": 3}
    message = GossipMessage(tag=Tag.CHAN_OR_ORG, channel=NAME, state_request=asks)
    assert desk.gets(names.STATE_TRANSFER, message, BOB) == []
    desk.hears(TOPICS.state, state(BOB), BOB)
    (answer,) = desk.gets(names.STATE_TRANSFER, message, BOB)
    assert (answer.channel, answer.request.peer) == (CHANNEL, BOB.pki_id)
    assert desk.gets(names.STATE_TRANSFER, message, BOB) == []
    assert len(desk.on(ev.Answered(CHANNEL))) == 1
    assert desk.on(ev.Answered(CHANNEL)) == []


def test_a_response_with_blocks_that_are_not_genuine_is_held_against_its_sender(desk):
    desk.hears(TOPICS.state, state(BOB, height=3), BOB)
    nonce = nonce_for(BOB, desk.at(10.0), Content.STATE_REQUEST)
    raw = maker().next_block([transaction()]).raw
    message = GossipMessage(
        nonce=nonce,
        tag=Tag.CHAN_OR_ORG,
        channel=NAME,
        state_response={"payloads": [{"seq_num": 2, "data": raw}]},
    )
    (blamed,) = desk.gets(names.STATE_TRANSFER, message, BOB)
    assert blamed == fx.Blamed(BOB.pki_id, "block 1 was sent as block 2")
    assert desk.gets(names.STATE_TRANSFER, message, BOB) == []


def test_blocks_that_are_pushed_are_committed(desk):
    raw = maker().next_block([transaction()]).raw
    content = {"payload": {"seq_num": 1, "data": raw}}
    message = GossipMessage(tag=Tag.CHAN_AND_ORG, channel=NAME, data_msg=content)
    done = desk.hears(TOPICS.blocks("Org1MSP"), wrap_message(message), ANN)
    assert done == [fx.Validated(7, Verdict.ACCEPT), fx.Commit(CHANNEL, 1, raw)]


def test_leaders_are_heard(desk):
    desk.hears(TOPICS.org_state("Org1MSP"), state(ANN), ANN)
    desk.at(1.0)
    time = {"inc_num": 1, "seq_num": 1}
    content = {"pki_id": ANN.pki_id, "timestamp": time, "is_declaration": True}
    message = GossipMessage(tag=Tag.CHAN_AND_ORG, channel=NAME, leadership_msg=content)
    envelope = sign_message(message, ANN)
    topic = TOPICS.leader("Org1MSP")
    assert desk.hears(topic, envelope, ANN) == [fx.Validated(7, Verdict.ACCEPT)]
    again = fx.Validated(7, Verdict.IGNORE, Reason.STALE)
    assert desk.hears(topic, envelope, ANN) == [again]
    assert not of(fx.LeaderChanged, desk.at(6.0))


def test_blocks_are_pulled_by_those_of_our_organization_that_are_in_the_channel(desk):
    raw = maker().next_block([transaction()]).raw
    desk.on(ev.BlockDelivered(CHANNEL, raw))
    kind = PullMsgType.BLOCK_MSG
    hello = GossipMessage(tag=Tag.CHAN_AND_ORG, channel=NAME, hello={"nonce": 3, "msg_type": kind})
    assert desk.gets(names.PULL, hello, ANN) == []
    desk.hears(TOPICS.org_state("Org1MSP"), state(ANN), ANN)
    assert sent(desk.gets(names.PULL, hello, ANN)) == [(ANN.pki_id, Content.DIGEST)]
    assert desk.gets(names.PULL, hello, BOB) == [fx.Blamed(BOB.pki_id, Reason.SENDER)]


# -- Identities


def test_identities_are_pulled_and_then_known(desk):
    kind = PullMsgType.IDENTITY_MSG
    nonce = nonce_for(ANN, desk.at(4.0), Content.HELLO)
    digest = {"nonce": nonce, "msg_type": kind, "digests": [BEN.pki_id]}
    desk.gets(names.PULL, GossipMessage(tag=Tag.EMPTY, data_dig=digest), ANN)
    nonce = nonce_for(ANN, desk.at(5.0), Content.DATA_REQUEST)
    content = {"pki_id": BEN.pki_id, "cert": BEN.identity}
    identity = sign_message(GossipMessage(tag=Tag.EMPTY, peer_identity=content), BEN)
    update = {"nonce": nonce, "msg_type": kind, "data": [identity.raw]}
    assert of(fx.Validated, desk.hears(TOPICS.alive, alive(BEN), BOB))[0].reason == (
        Reason.UNKNOWN_AUTHOR
    )
    assert desk.gets(names.PULL, GossipMessage(tag=Tag.EMPTY, data_update=update), ANN) == []
    done = desk.hears(TOPICS.alive, alive(BEN), BOB)
    assert MemberChanged(BEN.pki_id, Change.LEARNED) in done


def test_identities_of_strangers_are_asked_for_again_once_a_channel_has_them():
    desk = Desk()
    desk.on(ev.Started())
    desk.meets(ANN)
    desk.hears(HOME, alive(ANN), ANN)
    kind = PullMsgType.IDENTITY_MSG
    content = {"pki_id": BOB.pki_id, "cert": BOB.identity}
    identity = sign_message(GossipMessage(tag=Tag.EMPTY, peer_identity=content), BOB)

    def is_asked_for(now):
        nonce = nonce_for(ANN, desk.at(now), Content.HELLO)
        digest = {"nonce": nonce, "msg_type": kind, "digests": [BOB.pki_id]}
        desk.gets(names.PULL, GossipMessage(tag=Tag.EMPTY, data_dig=digest), ANN)
        asked = desk.at(now + 1)
        if (ANN.pki_id, Content.DATA_REQUEST) not in sent(asked):
            return False
        nonce = nonce_for(ANN, asked, Content.DATA_REQUEST)
        update = {"nonce": nonce, "msg_type": kind, "data": [identity.raw]}
        desk.gets(names.PULL, GossipMessage(tag=Tag.EMPTY, data_update=update), ANN)
        return True

    assert is_asked_for(4.0)
    assert not is_asked_for(8.0)
    desk.joins()
    assert is_asked_for(12.0)
    assert not is_asked_for(16.0)


# -- All else


def test_private_data_and_acknowledgements_are_handed_on(desk):
    for message in (
        GossipMessage(nonce=1, ack={"error": "no"}),
        GossipMessage(tag=Tag.CHAN_ONLY, channel=NAME, private_data={"payload": {}}),
    ):
        (handed,) = desk.gets(names.DIRECT, message, ANN)
        assert handed.peer == ANN.pki_id
        assert decode_envelope(handed.envelope).message == message


def test_a_second_proof_of_identity_says_nothing_new(desk):
    content = {"pki_id": ANN.pki_id, "identity": ANN.identity}
    message = GossipMessage(tag=Tag.EMPTY, conn=content)
    assert desk.gets(names.IDENTITY, message, ANN) == []


def test_who_sends_what_does_not_belong_there_is_blamed(desk):
    blamed = fx.Blamed(ANN.pki_id, Reason.CONTENT)
    assert desk.gets(names.PULL, request(ANN), ANN) == [blamed]
    stranger = pki_id("nobody")
    event = ev.StreamMessage(stranger, names.PULL, b"")
    assert desk.on(event) == [fx.Blamed(stranger, Reason.SENDER)]


def test_what_comes_from_a_peer_shows_that_it_lives(desk):
    died = []
    for step in range(12):
        died += of(MemberChanged, desk.at(2.5 * step))
        desk.gets(names.DIRECT, GossipMessage(nonce=1, ack={}), ANN)
    assert died == [MemberChanged(BOB.pki_id, Change.DIED)]


def test_what_a_peer_passes_on_shows_that_it_lives_whoever_wrote_it(desk):
    died = []
    for step in range(12):
        died += of(MemberChanged, desk.at(2.5 * step))
        desk.hears(TOPICS.alive, alive(BOB), ANN)
    assert died == [MemberChanged(BOB.pki_id, Change.DIED)]


# -- Answers that would take long


def test_an_answer_with_many_bad_parts_is_not_read_to_its_end(desk):
    nonce = nonce_for(ANN, desk.at(4.0), Content.MEMBERSHIP_REQUEST)
    many = [alive(ANN, seq=seq) for seq in range(2, 100)]
    done = desk.gets(names.MEMBERSHIP, response(nonce, *many), ANN)
    assert [(each.peer, each.why) for each in done] == [
        (ANN.pki_id, "an answer with 10 bad parts or more")
    ]
    assert desk.core.refusals[Reason.REPEATED] == MAX_FAULTS


def test_a_snapshot_with_many_bad_parts_is_not_read_to_its_end(desk):
    asked = [peer for peer, what in sent(desk.at(4.0)) if what is Content.STATE_INFO_REQUEST]
    assert ANN.pki_id in asked
    many = {"elements": [state(ANN, seq=seq).raw for seq in range(1, 100)]}
    message = GossipMessage(channel=NAME, tag=Tag.CHAN_OR_ORG, state_snapshot=many)
    (blamed,) = desk.gets(names.STATE_INFO, message, ANN)
    assert blamed.why == "an answer with 10 bad parts or more"
    assert desk.core.refusals[Reason.REPEATED] == MAX_FAULTS
