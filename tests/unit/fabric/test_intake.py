from datetime import timedelta

import pytest

from pubsub.fabric import topics as names
from pubsub.fabric.access import Access, Kind
from pubsub.fabric.author_pace import BURST
from pubsub.fabric.block_verification import verify_block
from pubsub.fabric.certificates import encode_pem
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import sign_message, strip_secret, wrap_message
from pubsub.fabric.identities import pki_id_of, serialize_identity
from pubsub.fabric.identity_mapper import IdentityMapper
from pubsub.fabric.intake import Intake
from pubsub.fabric.intake_rules import (
    ON_STREAM,
    ON_TOPIC,
    PROTOCOL_OF,
    Judged,
    Reason,
    Verdict,
    verdict_of,
)
from pubsub.fabric.make_blocks import BlockMaker
from pubsub.fabric.members import Alive, Freshness
from pubsub.fabric.peer_state import PeerState
from pubsub.fabric.state_info import Verdict as StateVerdict
from pubsub.fabric.topics import Network
from pubsub.fabric.trust import Trust
from pubsub.pb.fabric.gossip_pb2 import Envelope, GossipMessage, PullMsgType
from tests.unit.fabric.making import Tag, one_of_each
from tests.unit.fabric.network import (
    WHEN,
    config,
    entropy,
    genesis,
    maker,
    organization,
    transaction,
)


def signer(org, number):
    return organization(org).members[f"peer{number}.org{org}.example.com"].signer


US, ANN, BOB, EVE = signer(1, 0), signer(1, 1), signer(2, 0), signer(3, 0)
USER = organization(1).members["User1@org1.example.com"].signer
CHANNEL = "mychannel"
TOPICS = Network("net").channel(CHANNEL, genesis().hash)
HOME = Network("net").org_alive("Org1MSP")
LEADER, BLOCKS = TOPICS.leader("Org1MSP"), TOPICS.blocks("Org1MSP")
ORG_STATE = TOPICS.org_state("Org1MSP")


class View:
    """A membership that has heard nothing, or just one time."""

    def __init__(self):
        self.heard = (0, 0)

    def freshness(self, alive):
        if alive.time > self.heard:
            return Freshness.NEW
        return Freshness.SAME if alive.time == self.heard else Freshness.OLD

    def is_news(self, alive):
        return alive.time > self.heard


class Joined:
    """A channel whose answers are set by the test."""

    def __init__(self):
        self.has_left = False
        self.keeps_ledger = True
        self.passed_over = []
        self.next_number = 1
        self.orgs = ["Org1MSP", "Org2MSP"]
        self.eligible = [ANN.pki_id, BOB.pki_id]
        self.held = {}
        self.verdict = StateVerdict.NEW
        self.led = (0, 0)
        self.verified = []

    def is_org_in_channel(self, org):
        return org in self.orgs

    def is_eligible(self, peer):
        return peer in self.eligible

    def judge(self, state):
        held = self.held.get(state.peer)
        if held and held.time >= state.time:
            return StateVerdict.OLD
        return self.verdict

    def state_of(self, peer):
        return self.held.get(peer)

    def is_fresh(self, sender, message):
        return (message.timestamp.inc_num, message.timestamp.seq_num) > self.led

    def wants_block(self, number):
        return 1 <= number <= 20

    def pass_over(self, number):
        self.passed_over.append(number)

    def verify(self, number, raw):
        self.verified.append(number)
        return verify_block(raw, number, config())


class Desk:
    """An intake and all that it asks."""

    def __init__(self, know=(ANN, BOB)):
        self.trust = Trust(organization(1).msp())
        self.trust.set_channel(config())
        self.mapper = IdentityMapper(US.identity, self.trust, now=0, when=WHEN)
        for each in know:
            self.mapper.put(each.pki_id, each.identity, now=0, when=WHEN)
        self.access = Access(Network("net"), "Org1MSP", external=True)
        self.access.join(CHANNEL, TOPICS, ["Org1MSP", "Org2MSP"])
        for each, org in ((ANN, "Org1MSP"), (BOB, "Org2MSP"), (EVE, "Org3MSP")):
            self.access.on_proven(each.pki_id, org)
        self.view, self.channel = View(), Joined()
        self.intake = Intake(
            US.pki_id,
            "Org1MSP",
            access=self.access,
            mapper=self.mapper,
            trust=self.trust,
            view=self.view,
            channels={CHANNEL: self.channel},
        )
        self.when = WHEN

    def topic(self, topic, envelope, sender=ANN):
        return self.intake.on_topic(sender.pki_id, topic, raw_of(envelope), now=1.0, when=self.when)

    def stream(self, message, sender=ANN, protocol=None):
        protocol = protocol or PROTOCOL_OF[Content(message.WhichOneof("content"))]
        raw = raw_of(message)
        return self.intake.on_stream(sender.pki_id, protocol, raw, now=1.0, when=self.when)


def raw_of(message):
    if isinstance(message, bytes):
        return message
    if isinstance(message, GossipMessage):
        return Envelope(payload=message.SerializeToString()).SerializeToString()
    return message.raw


@pytest.fixture
def desk():
    return Desk()


def refused(reason):
    return Judged(verdict_of(reason), reason)


def alive(author, *, endpoint="/ip4/192.0.2.1/tcp/1", secret="", time=(1, 1), identity=False):
    message = GossipMessage(tag=Tag.EMPTY)
    message.alive_msg.membership.pki_id = author.pki_id
    message.alive_msg.membership.endpoint = endpoint
    message.alive_msg.timestamp.inc_num, message.alive_msg.timestamp.seq_num = time
    if identity:
        message.alive_msg.identity = author.identity
    return sign_message(message, author, internal_endpoint=secret)


def state(author, *, time=(1, 1), channel=CHANNEL, height=5):
    message = GossipMessage(tag=Tag.CHAN_OR_ORG)
    message.state_info.pki_id = author.pki_id
    message.state_info.channel_mac = channel_mac(author.pki_id, channel)
    message.state_info.timestamp.inc_num, message.state_info.timestamp.seq_num = time
    message.state_info.properties.ledger_height = height
    return sign_message(message, author)


def leader(author, *, time=(1, 1), channel=CHANNEL):
    message = GossipMessage(tag=Tag.CHAN_AND_ORG, channel=channel.encode())
    message.leadership_msg.pki_id = author.pki_id
    message.leadership_msg.timestamp.inc_num, message.leadership_msg.timestamp.seq_num = time
    return sign_message(message, author)


def block(raw, number=1, channel=CHANNEL, tag=Tag.CHAN_AND_ORG):
    message = GossipMessage(tag=tag, channel=channel.encode())
    message.data_msg.payload.seq_num = number
    message.data_msg.payload.data = raw
    return wrap_message(message)


def first_block():
    return maker().next_block([transaction()]).raw


def retagged(envelope, author, tag):
    message = GossipMessage.FromString(envelope.payload)
    message.tag = tag
    return sign_message(message, author)


def forged(envelope):
    """The same message, signed by another."""
    read = Envelope.FromString(envelope.raw)
    read.signature = USER.sign(read.payload)
    return read.SerializeToString()


GOOD = {
    HOME: alive(ANN, secret="/ip4/10.0.0.1/tcp/1"),
    TOPICS.alive: alive(BOB),
    TOPICS.state: state(BOB),
    ORG_STATE: state(ANN),
    LEADER: leader(ANN),
    BLOCKS: block(first_block()),
}


# -- The tables


def test_each_reason_has_its_verdict():
    verdicts = {reason: verdict_of(reason) for reason in Reason}
    assert verdicts[Reason.STALE] is Verdict.IGNORE
    assert verdicts[Reason.SIGNATURE] is Verdict.REJECT
    assert [each for each in Reason if verdicts[each] is Verdict.RETRY] == [Reason.EARLY]


def test_each_kind_of_topic_and_each_stream_has_its_contents():
    assert set(ON_TOPIC) == set(Kind)
    contents = [content for listed, _ in ON_STREAM.values() for content in listed]
    assert len(contents) == len(set(contents))
    on_topics = {content for content, _ in ON_TOPIC.values()}
    # An identity by itself, and what says nothing, are nowhere.
    nowhere = set(Content) - set(contents) - on_topics
    assert nowhere == {Content.IDENTITY, Content.EMPTY, Content.UNKNOWN}


@pytest.mark.parametrize("topic", GOOD)
def test_what_is_in_order_is_accepted(desk, topic):
    sender = BOB if topic in (TOPICS.alive, TOPICS.state) else ANN
    channel = "" if "alive" in topic else CHANNEL
    expected = Judged(Verdict.ACCEPT, envelope=GOOD[topic], channel=channel)
    assert desk.topic(topic, GOOD[topic], sender) == expected
    assert not desk.intake.counters


@pytest.mark.parametrize("topic", GOOD)
def test_each_topic_takes_its_own_content_alone(desk, topic):
    for other, envelope in GOOD.items():
        if envelope.content is not GOOD[topic].content:
            assert desk.topic(topic, envelope) == refused(Reason.CONTENT), other
    for message in one_of_each().values():
        if message.WhichOneof("content") != GOOD[topic].content:
            assert desk.topic(topic, message) == refused(Reason.CONTENT)


# -- Who sends


@pytest.mark.parametrize("topic", GOOD)
def test_who_may_not_know_a_topic_may_not_write_there(desk, topic):
    strangers = [EVE, USER] if topic in (TOPICS.alive, TOPICS.state) else [BOB, EVE, USER]
    for stranger in strangers:
        assert desk.topic(topic, GOOD[topic], stranger) == refused(Reason.SENDER)
    assert desk.intake.counters == {Reason.SENDER: len(strangers)}


def test_a_topic_that_is_not_ours_is_passed_over(desk):
    assert desk.topic("weather", b"sunny") == refused(Reason.NOT_OURS)
    desk.access.configure(CHANNEL, ["Org2MSP"])
    assert desk.topic(BLOCKS, GOOD[BLOCKS]) == refused(Reason.NOT_OURS)


# -- Bytes and tags


@pytest.mark.parametrize("topic", GOOD)
def test_bytes_that_are_no_envelope_are_rejected(desk, topic):
    for raw in (b"", b"\xff\xff", b"\x0a\x00", GOOD[topic].raw[:-1]):
        assert desk.topic(topic, raw) == refused(Reason.MALFORMED)


def test_an_envelope_that_is_too_long_for_its_topic_is_rejected(desk):
    message = GossipMessage.FromString(GOOD[HOME].payload)
    message.alive_msg.membership.metadata = bytes(20_000)
    assert desk.topic(HOME, sign_message(message, ANN)) == refused(Reason.MALFORMED)


@pytest.mark.parametrize("topic", [HOME, TOPICS.alive, TOPICS.state, ORG_STATE, LEADER])
def test_another_tag_than_that_of_the_content_is_rejected(desk, topic):
    author = BOB if topic in (TOPICS.alive, TOPICS.state) else ANN
    legal = GOOD[topic].message.tag
    for tag in set(Tag.values()) - {legal}:
        envelope = retagged(GOOD[topic], author, tag)
        assert desk.topic(topic, envelope) == refused(Reason.TAG)


def test_a_block_with_another_tag_is_rejected_and_not_looked_at(desk):
    assert desk.topic(BLOCKS, block(first_block(), tag=Tag.CHAN_OR_ORG)) == refused(Reason.TAG)
    assert desk.channel.verified == []


# -- Channels


def test_what_is_of_another_channel_is_rejected(desk):
    assert desk.topic(BLOCKS, block(first_block(), channel="hr")) == refused(Reason.CHANNEL)
    assert desk.topic(LEADER, leader(ANN, channel="hr")) == refused(Reason.CHANNEL)
    assert desk.topic(TOPICS.state, state(BOB, channel="hr")) == refused(Reason.CHANNEL)
    assert desk.channel.verified == []


@pytest.mark.parametrize(("topic", "author"), [(HOME, ANN), (TOPICS.state, BOB)])
def test_the_name_of_a_channel_is_not_said_where_a_mac_or_nothing_belongs(desk, topic, author):
    message = GossipMessage.FromString(GOOD[topic].payload)
    message.channel = CHANNEL.encode()
    assert desk.topic(topic, sign_message(message, author)) == refused(Reason.CHANNEL)


@pytest.mark.parametrize("topic", [HOME, TOPICS.alive, TOPICS.state, ORG_STATE, LEADER, BLOCKS])
def test_what_has_something_about_it_that_nobody_signs_is_rejected(desk, topic):
    dressed = GOOD[topic].raw + b"\x2a\x03any"
    sender = BOB if topic in (TOPICS.alive, TOPICS.state) else ANN
    assert desk.topic(topic, dressed, sender) == refused(Reason.DRESSED_UP)
    assert desk.channel.verified == []


# -- Authors


def test_an_unknown_author_is_nobodys_fault():
    desk = Desk(know=())
    for topic in (HOME, TOPICS.alive, TOPICS.state, ORG_STATE, LEADER):
        sender = BOB if topic in (TOPICS.alive, TOPICS.state) else ANN
        assert desk.topic(topic, GOOD[topic], sender) == refused(Reason.UNKNOWN_AUTHOR)


def test_an_alive_message_brings_its_authors_identity():
    desk = Desk(know=())
    assert desk.topic(HOME, alive(ANN, identity=True)).verdict is Verdict.ACCEPT
    assert ANN.pki_id in desk.mapper
    assert desk.topic(HOME, alive(EVE, identity=True)) == refused(Reason.UNKNOWN_AUTHOR)
    message = GossipMessage.FromString(alive(US).payload)
    message.alive_msg.membership.pki_id = bytes(32)
    message.alive_msg.identity = ANN.identity
    payload = message.SerializeToString()
    lie = Envelope(payload=payload, signature=ANN.sign(payload)).SerializeToString()
    assert desk.topic(HOME, lie) == refused(Reason.SIGNATURE)


def test_an_author_whose_certificate_has_ended_is_not_heard(desk):
    desk.when = desk.mapper.get(ANN.pki_id, now=0).not_after + timedelta(seconds=1)
    assert desk.topic(LEADER, GOOD[LEADER]) == refused(Reason.EXPIRED)
    assert desk.topic(HOME, GOOD[HOME]) == refused(Reason.EXPIRED)


def test_an_author_of_another_organization_has_no_place_in_topics_of_ours(desk):
    assert desk.topic(HOME, alive(BOB)) == refused(Reason.OUTSIDE)
    assert desk.topic(ORG_STATE, state(BOB)) == refused(Reason.OUTSIDE)
    assert desk.topic(LEADER, leader(BOB)) == refused(Reason.OUTSIDE)


def test_an_author_whose_organization_was_removed_is_rejected(desk):
    desk.access.configure(CHANNEL, ["Org1MSP"])
    assert desk.topic(TOPICS.state, state(BOB)) == refused(Reason.OUTSIDE)
    assert desk.topic(TOPICS.alive, alive(BOB)) == refused(Reason.OUTSIDE)


def test_internal_endpoints_and_internal_peers_have_no_place_in_a_channel(desk):
    assert desk.topic(TOPICS.alive, alive(BOB, secret="10.0.0.1:1")) == refused(Reason.SECRET)
    assert desk.topic(TOPICS.alive, alive(BOB, endpoint="")) == refused(Reason.ENDPOINT)


# -- Freshness


def test_what_is_old_is_passed_over_before_its_signature_is_checked(desk):
    desk.view.heard = (1, 2)
    assert desk.topic(HOME, forged(alive(ANN))) == refused(Reason.STALE)
    desk.channel.led = (1, 1)
    assert desk.topic(LEADER, forged(leader(ANN))) == refused(Reason.STALE)
    desk.channel.held[BOB.pki_id] = PeerState.of(state(BOB, time=(1, 2)))
    assert desk.topic(TOPICS.state, forged(state(BOB))) == refused(Reason.STALE)


def test_the_same_alive_message_is_carried_on_in_both_of_its_topics(desk):
    desk.view.heard = (1, 1)
    envelope = alive(ANN, secret="10.0.0.1:1")
    assert desk.topic(HOME, envelope).verdict is Verdict.ACCEPT
    assert desk.topic(TOPICS.alive, strip_secret(envelope)).verdict is Verdict.ACCEPT


def test_the_same_state_is_carried_on_but_is_no_news(desk):
    envelope = state(ANN)
    desk.channel.held[ANN.pki_id] = PeerState.of(envelope)
    expected = Judged(Verdict.ACCEPT, envelope=envelope, channel=CHANNEL, is_known=True)
    assert desk.topic(ORG_STATE, envelope) == expected
    twin = state(ANN, height=6)
    assert desk.topic(ORG_STATE, twin) == refused(Reason.STALE)


def test_a_state_for_which_there_is_no_room_is_passed_over(desk):
    desk.channel.verdict = StateVerdict.NO_ROOM
    assert desk.topic(TOPICS.state, state(BOB)) == refused(Reason.NO_ROOM)


# -- Signatures


@pytest.mark.parametrize("topic", [HOME, TOPICS.alive, TOPICS.state, ORG_STATE, LEADER])
def test_a_forged_signature_is_rejected(desk, topic):
    assert desk.topic(topic, forged(GOOD[topic])) == refused(Reason.SIGNATURE)
    unsigned = Envelope(payload=GOOD[topic].payload).SerializeToString()
    assert desk.topic(topic, unsigned) == refused(Reason.SIGNATURE)


def test_a_secret_that_its_author_did_not_sign_is_rejected(desk):
    read = Envelope.FromString(GOOD[HOME].raw)
    read.secret_envelope.signature = USER.sign(read.secret_envelope.payload)
    assert desk.topic(HOME, read.SerializeToString()) == refused(Reason.SIGNATURE)


def test_our_own_word_is_read_and_not_carried_on(desk):
    envelope = alive(US)
    assert desk.topic(HOME, envelope) == Judged(Verdict.IGNORE, Reason.OWN, envelope)
    assert desk.topic(HOME, forged(envelope)) == refused(Reason.SIGNATURE)


# -- Blocks


def test_a_block_that_is_not_wanted_is_not_verified(desk):
    for number in (0, 21, 1 << 63):
        assert desk.topic(BLOCKS, block(first_block(), number)) == refused(Reason.WINDOW)
        assert desk.channel.passed_over.pop() == number
    assert desk.channel.verified == []


def test_a_block_that_is_not_genuine_is_rejected(desk):
    good = first_block()
    assert desk.topic(BLOCKS, block(good, 2)) == refused(Reason.BLOCK)
    assert desk.topic(BLOCKS, block(good[:-3], 1)) == refused(Reason.BLOCK)
    other = maker("hr").next_block([transaction(channel="hr")]).raw
    assert desk.topic(BLOCKS, block(other, 1)) == refused(Reason.BLOCK)


def test_a_block_of_unknown_orderers_may_follow_a_change_of_orderers(desk):
    making = BlockMaker(genesis(), [USER], entropy=entropy(8))
    first, second = (making.next_block([transaction()]).raw for _ in range(2))
    assert desk.topic(BLOCKS, block(first, 1)) == refused(Reason.BLOCK)
    assert desk.topic(BLOCKS, block(second, 2)) == refused(Reason.EARLY)


# -- Streams


def hello(kind=PullMsgType.BLOCK_MSG, tag=Tag.CHAN_AND_ORG, channel=CHANNEL):
    return GossipMessage(tag=tag, channel=channel.encode(), hello={"nonce": 7, "msg_type": kind})


def asks_for_states(author, channel=CHANNEL):
    request = {"channel_mac": channel_mac(author.pki_id, channel)}
    return GossipMessage(tag=Tag.CHAN_OR_ORG, state_info_pull_req=request)


def blocks_from(first, channel=CHANNEL):
    request = {"start_seq_num": first, "end_seq_num": first}
    return GossipMessage(tag=Tag.CHAN_OR_ORG, channel=channel.encode(), state_request=request)


def test_requests_that_are_in_order_are_accepted(desk):
    def accepted(message, channel, sender=ANN):
        judged = desk.stream(message, sender)
        return (judged.verdict, judged.channel) == (Verdict.ACCEPT, channel)

    assert accepted(hello(), CHANNEL)
    assert accepted(hello(PullMsgType.IDENTITY_MSG, Tag.EMPTY, ""), "", EVE)
    assert accepted(asks_for_states(BOB), CHANNEL, BOB)
    assert accepted(blocks_from(1), CHANNEL, BOB)
    assert accepted(one_of_each()[Content.MEMBERSHIP_REQUEST], "", EVE)
    assert accepted(one_of_each()[Content.ACK], "")


@pytest.mark.parametrize("content", sorted(PROTOCOL_OF))
def test_each_stream_takes_its_own_contents_alone(desk, content):
    for protocol, (contents, _) in ON_STREAM.items():
        if content not in contents:
            judged = desk.stream(one_of_each()[content], protocol=protocol)
            assert judged == refused(Reason.CONTENT)


def test_who_has_not_proved_an_identity_is_not_heard_on_any_stream(desk):
    for content in PROTOCOL_OF:
        assert desk.stream(one_of_each()[content], USER) == refused(Reason.SENDER)
    assert desk.stream(hello(), protocol="/weather") == refused(Reason.NOT_OURS)


def test_tags_and_bytes_of_streams_are_checked(desk):
    assert desk.stream(hello(tag=Tag.CHAN_ONLY)) == refused(Reason.TAG)
    assert desk.stream(hello(PullMsgType.UNDEFINED)) == refused(Reason.TAG)
    raw = b"\xff\xff"
    judged = desk.intake.on_stream(ANN.pki_id, names.PULL, raw, now=1.0, when=WHEN)
    assert judged == refused(Reason.MALFORMED)


def test_messages_for_channels_that_we_are_not_in_are_nobodys_fault(desk):
    assert desk.stream(hello(channel="hr")) == refused(Reason.NOT_IN_CHANNEL)
    assert desk.stream(blocks_from(1, "hr")) == refused(Reason.NOT_IN_CHANNEL)
    assert desk.stream(asks_for_states(ANN, "hr")) == refused(Reason.NOT_IN_CHANNEL)
    # The MAC is that of another peer.
    assert desk.stream(asks_for_states(BOB)) == refused(Reason.NOT_IN_CHANNEL)


def test_messages_that_name_a_channel_where_none_belongs_are_rejected(desk):
    asks = asks_for_states(ANN)
    asks.channel = CHANNEL.encode()
    assert desk.stream(asks) == refused(Reason.CHANNEL)
    assert desk.stream(hello(channel="")) == refused(Reason.CHANNEL)
    named = GossipMessage(tag=Tag.EMPTY, channel=CHANNEL.encode(), mem_res={})
    assert desk.stream(named) == refused(Reason.CHANNEL)
    identities = hello(PullMsgType.IDENTITY_MSG, Tag.EMPTY)
    assert desk.stream(identities) == refused(Reason.CHANNEL)
    asked = asks_for_states(ANN)
    asked.channel = CHANNEL.encode()
    assert desk.stream(asked) == refused(Reason.CHANNEL)
    proof = one_of_each()[Content.CONNECTION]
    proof.channel = CHANNEL.encode()
    assert desk.stream(proof) == refused(Reason.CHANNEL)


def test_outsiders_ask_in_vain(desk):
    for message in (hello(), blocks_from(1), asks_for_states(EVE)):
        assert desk.stream(message, EVE) == refused(Reason.NOT_MEMBER)
    assert refused(Reason.NOT_MEMBER).verdict is Verdict.IGNORE
    # Blocks are pulled within an organization.
    assert desk.stream(hello(), BOB) == refused(Reason.SENDER)


def test_only_those_known_to_be_in_the_channel_ask_for_blocks(desk):
    desk.channel.eligible = []
    assert desk.stream(hello()) == refused(Reason.NOT_ELIGIBLE)
    assert desk.stream(blocks_from(1), BOB) == refused(Reason.NOT_ELIGIBLE)
    assert desk.stream(asks_for_states(BOB), BOB).verdict is Verdict.ACCEPT


def test_in_a_channel_that_we_have_left_states_are_told_and_nothing_else(desk):
    desk.channel.has_left = True
    assert desk.stream(hello()) == refused(Reason.LEFT)
    assert desk.stream(blocks_from(1)) == refused(Reason.LEFT)
    assert desk.stream(asks_for_states(ANN)).verdict is Verdict.ACCEPT


# -- Parts of answers


def test_the_parts_of_answers_are_judged_one_by_one(desk):
    def alive_in(envelope):
        return desk.intake.alive_in(raw_of(envelope), now=1.0, when=WHEN)

    def state_in(envelope):
        return desk.intake.state_in(raw_of(envelope), CHANNEL, now=1.0, when=WHEN, authors=set())

    envelope = alive(BOB)
    assert alive_in(envelope) == Alive.of(envelope)
    assert state_in(state(BOB)).height == 5
    bad_alive = [forged(alive(ANN)), state(ANN), alive(EVE), retagged(alive(ANN), ANN, 2), b""]
    assert [alive_in(one) for one in bad_alive] == [None] * 5
    bad_state = [forged(state(ANN)), alive(ANN), state(EVE), state(ANN, channel="hr"), b""]
    assert [state_in(one) for one in bad_state] == [None] * 5
    assert desk.intake.counters == {
        Reason.SIGNATURE: 2,
        Reason.CONTENT: 2,
        Reason.UNKNOWN_AUTHOR: 2,
        Reason.TAG: 1,
        Reason.CHANNEL: 1,
        Reason.MALFORMED: 2,
    }
    desk.channel.held[BOB.pki_id] = PeerState.of(state(BOB, time=(2, 1)))
    assert state_in(state(BOB)) is None


def test_of_answers_only_what_is_news_is_checked(desk):
    def news_in(envelope):
        return desk.intake.news_in(raw_of(envelope), now=1.0, when=WHEN, authors=set())

    assert news_in(alive(BOB)) == Alive.of(alive(BOB))
    assert news_in(forged(alive(BOB))) is None
    desk.view.heard = (1, 1)
    counted = dict(desk.intake.counters)
    assert news_in(alive(BOB)) is None
    assert news_in(forged(alive(BOB))) is None
    assert desk.intake.counters == counted
    # What is said in our own name is always of interest.
    assert news_in(alive(US)) == Alive.of(alive(US))


def test_an_answer_makes_known_who_was_not_and_a_request_does_not():
    desk = Desk(know=())
    envelope = alive(ANN, identity=True)
    assert desk.intake.alive_in(envelope.raw, now=1.0, when=WHEN) is None
    found = desk.intake.news_in(envelope.raw, now=1.0, when=WHEN, authors=set())
    assert found == Alive.of(envelope)
    assert ANN.pki_id in desk.mapper


def test_of_one_author_an_answer_may_tell_once(desk):
    told: set[bytes] = set()

    def news_in(envelope):
        return desk.intake.news_in(raw_of(envelope), now=1.0, when=WHEN, authors=told)

    assert news_in(alive(BOB)) == Alive.of(alive(BOB))
    assert news_in(alive(BOB, time=(1, 2))) is None
    assert news_in(alive(ANN)) is not None
    assert desk.intake.faults == desk.intake.counters[Reason.REPEATED] == 1

    def state_in(envelope):
        return desk.intake.state_in(raw_of(envelope), CHANNEL, now=1.0, when=WHEN, authors=states)

    states: set[bytes] = set()
    assert state_in(state(BOB)) is not None
    assert state_in(state(BOB, time=(1, 2))) is None
    assert desk.intake.faults == 2


@pytest.mark.parametrize("other", ["another", "no identity"])
def test_an_identity_that_is_not_the_authors_is_refused_by_those_who_know_the_author(desk, other):
    message = alive(ANN).message
    message.alive_msg.identity = BOB.identity if other == "another" else b"?"
    assert desk.topic(HOME, sign_message(message, ANN)) == refused(Reason.SIGNATURE)


def test_an_identity_that_is_not_good_is_nobodys_fault(desk):
    message = GossipMessage(tag=Tag.EMPTY)
    identity = serialize_identity("Org1MSP", encode_pem(b"no certificate"))
    message.alive_msg.identity = identity
    message.alive_msg.membership.pki_id = pki_id_of(identity)
    message.alive_msg.timestamp.inc_num = 1
    raw = Envelope(payload=message.SerializeToString(), signature=b"?").SerializeToString()
    assert desk.topic(HOME, raw) == refused(Reason.IDENTITY)
    assert refused(Reason.IDENTITY).verdict is Verdict.IGNORE


def test_an_author_that_speaks_too_often_is_passed_over(desk):
    def says(count):
        return desk.topic(TOPICS.state, state(ANN, time=(1, count)))

    good = [says(count) for count in range(1, int(BURST) + 2)]
    assert [each.verdict for each in good[:-1]] == [Verdict.ACCEPT] * int(BURST)
    assert good[-1] == refused(Reason.TOO_OFTEN)
    assert good[-1].verdict is Verdict.IGNORE
    # Neither others nor other topics have to do with that.
    assert desk.topic(HOME, alive(ANN)).verdict is Verdict.ACCEPT


def test_who_forges_an_authors_messages_does_not_use_up_what_it_may_say(desk):
    for count in range(2 * int(BURST)):
        desk.topic(TOPICS.state, forged(state(ANN, time=(1, count))))
    assert desk.topic(TOPICS.state, state(ANN)).verdict is Verdict.ACCEPT
