from random import Random

import pytest

from pubsub.errors import ParamError, RemoteError
from pubsub.fabric import effects as fx
from pubsub.fabric import topics as names
from pubsub.fabric.access import Access, Kind
from pubsub.fabric.actions import Warn
from pubsub.fabric.channel import JoinedChannel
from pubsub.fabric.config import config_from_block
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import decode_envelope, sign_message, wrap_message
from pubsub.fabric.heartbeat import Us
from pubsub.fabric.home import Home
from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric.members import Alive
from pubsub.fabric.membership import Membership
from pubsub.fabric.moment import Moment
from pubsub.fabric.params import V14
from pubsub.fabric.peer_state import Chaincode, PeerState
from pubsub.fabric.state_info import Verdict
from pubsub.fabric.topics import Naming, Network
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, PullMsgType
from tests.unit.fabric.gossiping import START_NS
from tests.unit.fabric.making import Tag, ToySigner, alive, leadership, pki_id, state_info
from tests.unit.fabric.network import WHEN, config, genesis, maker, profile, transaction

CHANNEL = "mychannel"
US, ANN, BEN, BOB, EVE = (pki_id(name) for name in ("us", "ann", "ben", "bob", "eve"))
ORGS = {US: "Org1MSP", ANN: "Org1MSP", BEN: "Org1MSP", BOB: "Org2MSP", EVE: "Org3MSP"}
TOPICS = Network("net", Naming.PLAIN).channel(CHANNEL, b"")
STATIC = V14.replaced(use_leader_election=False, org_leader=True)


def signed(message, name):
    return sign_message(message, ToySigner(name))


def ours(message, internal_endpoint):
    return sign_message(message, ToySigner("us"), internal_endpoint=internal_endpoint)


class Joined:
    """A channel with its peer around it; the clock is set by the test."""

    def __init__(self, params=V14, *, external=True, height=1, know=("ann", "bob"), **more):
        self.moment = Moment(0.0, START_NS)
        self.membership = Membership(
            Us(US, "Org1MSP", "us:1" if external else "", "us:2", b"us"),
            params,
            org_of=ORGS.get,
            sign=ours,
            rng=Random(1),
            started_ns=START_NS,
            now=0.0,
        )
        access = Access(
            TOPICS.network,
            "Org1MSP",
            external=external,
            elects=params.use_leader_election,
            pushes_blocks=params.block_gossip_enabled,
        )
        access.join(CHANNEL, TOPICS, ["Org1MSP", "Org2MSP"])
        self.home = Home(
            US, "Org1MSP", params, access, self.membership, ours, Random(2), self.moment
        )
        self.access = access
        self.channel = JoinedChannel(self.home, config(), height=height, **more)
        for name in know:
            self.membership.on_alive(Alive.of(signed(alive(name), name)), now=0.0)

    def hears(self, name, height=1, seq=1):
        message = state_info(name, seq=seq, channel=CHANNEL)
        message.state_info.properties.ledger_height = height
        state = PeerState.of(signed(message, name))
        return state, self.channel.on_state(state)

    def at(self, now):
        self.moment.now = now
        self.moment.wall_ns = START_NS + int(now * 1e9)
        return self.channel.tick()


def blocks(count):
    making = maker()
    return [making.next_block([transaction(b"%d" % number)]) for number in range(count)]


BLOCKS = blocks(30)


def pushed(number):
    payload = {"seq_num": number, "data": BLOCKS[number - 1].raw}
    content = {"payload": payload}
    return wrap_message(
        GossipMessage(tag=Tag.CHAN_AND_ORG, channel=CHANNEL.encode(), data_msg=content)
    )


def commit(number):
    return fx.Commit(CHANNEL, number, BLOCKS[number - 1].raw)


def published(effects):
    return [
        (effect.topic, decode_envelope(effect.envelope).content)
        for effect in effects
        if isinstance(effect, fx.Publish)
    ]


def sent(effects):
    return [
        (effect.peer, effect.protocol, decode_envelope(effect.envelope).content)
        for effect in effects
        if isinstance(effect, fx.SendEnvelope)
    ]


def test_who_is_not_in_a_channel_cannot_join_it():
    home = Joined().home
    with pytest.raises(ParamError, match="genesis"):
        JoinedChannel(home, config(), height=0)
    stranger = Home(EVE, "Org3MSP", V14, home.access, home.membership, ours, Random(1), home.moment)
    with pytest.raises(ParamError, match="Org3MSP is not in channel 'mychannel'"):
        JoinedChannel(stranger, config(), height=1)


# -- What is said of ledgers


def test_our_state_goes_to_our_organization_and_if_others_may_know_us_to_all():
    org, everyone = TOPICS.org_state("Org1MSP"), TOPICS.state
    done = published(Joined().at(4.0))
    assert done[:2] == [(org, Content.STATE_INFO), (everyone, Content.STATE_INFO)]
    assert published(Joined(external=False).at(4.0))[:1] == [(org, Content.STATE_INFO)]
    assert everyone not in [topic for topic, _ in published(Joined(external=False).at(4.0))]


def test_what_peers_say_tells_how_high_they_are_and_who_may_have_blocks():
    here = Joined()
    state, done = here.hears("ann", height=7)
    assert done == [fx.StateChanged(CHANNEL, state)]
    here.hears("bob", height=9)
    assert here.channel.heights() == {ANN: 7, BOB: 9}
    assert [each.member.peer for each in here.channel.peers] == [ANN, BOB]
    assert [here.channel.is_eligible(peer) for peer in (ANN, BOB, BEN)] == [True, True, False]
    assert [here.channel.may_pull(peer) for peer in (ANN, BOB, BEN)] == [True, False, False]
    assert here.channel.judge(state) is Verdict.OLD
    assert here.channel.state_of(ANN) == state
    assert here.channel.is_org_in_channel("Org2MSP")
    assert not here.channel.is_org_in_channel("Org3MSP")


def test_states_are_pulled_and_told():
    here = Joined(know=("ann",))
    asked = sent(here.at(4.0))
    assert (ANN, names.STATE_INFO, Content.STATE_INFO_REQUEST) in asked
    assert here.channel.awaits_snapshot(ANN)
    state = PeerState.of(signed(state_info("ann", channel=CHANNEL), "ann"))
    assert here.channel.on_snapshot(ANN, [state]) == [fx.StateChanged(CHANNEL, state)]
    answer = here.channel.on_state_request(ANN, state.mac)
    assert sent(answer) == [(ANN, names.STATE_INFO, Content.STATE_SNAPSHOT)]


def test_a_later_state_of_ours_shows_that_our_clock_went_back():
    later = PeerState.of(signed(state_info("us", inc=1 << 62, channel=CHANNEL), "us"))
    (warning,) = Joined().channel.on_state(later)
    assert warning.key == "channel.clock"


def test_chaincodes_are_told_with_the_next_state():
    here = Joined()
    here.at(4.0)
    here.channel.set_chaincodes([Chaincode("basic", "1.0")])
    (told,) = {each.envelope for each in here.at(8.0) if isinstance(each, fx.Publish)}
    message = decode_envelope(told).message
    assert [each.name for each in message.state_info.properties.chaincodes] == ["basic"]


# -- Leaders


def test_a_leader_that_is_set_leads_at_once_and_has_no_topic():
    here = Joined(STATIC)
    assert here.access.find(Kind.LEADER, CHANNEL) is None
    assert here.at(0.0) == [fx.LeaderChanged(CHANNEL, leading=True)]
    assert here.channel.leading
    assert here.channel.on_orderer_lost() == []


def test_leaders_are_elected_on_the_topic_of_our_organization():
    here = Joined(know=())
    topic = (TOPICS.leader("Org1MSP"), Content.LEADERSHIP)
    assert published(here.at(1.0)) == [topic]
    done = here.at(6.0)
    assert fx.LeaderChanged(CHANNEL, leading=True) in done
    assert topic in published(done)
    assert here.channel.on_orderer_lost() == [fx.LeaderChanged(CHANNEL, leading=False)]


def test_only_peers_of_our_organization_that_are_in_the_channel_have_a_say():
    here = Joined(know=("ann", "bob"))
    here.hears("ann")
    here.hears("bob")
    here.at(1.0)
    message = leadership("ann").leadership_msg
    message.is_declaration = True
    assert here.channel.is_fresh(ANN, message)
    assert here.channel.on_leadership(BOB, message) == []
    assert here.channel.is_fresh(ANN, message)
    here.channel.on_leadership(ANN, message)
    assert not here.channel.is_fresh(ANN, message)
    assert fx.LeaderChanged(CHANNEL, leading=True) not in here.at(6.0)


# -- Blocks


def test_blocks_that_are_pushed_are_committed_and_the_new_height_is_told():
    here = Joined()
    here.at(4.0)
    assert [here.channel.wants_block(number) for number in (0, 1, 20, 21)] == [
        False,
        True,
        True,
        False,
    ]
    assert here.channel.on_block(pushed(2)) == []
    assert here.channel.on_block(pushed(1)) == [commit(1)]
    assert here.channel.on_committed(1) == [commit(2)]
    assert here.channel.on_committed(2) == []
    assert (here.channel.height, here.channel.next_number) == (3, 3)
    told = [each.envelope for each in here.at(8.0) if isinstance(each, fx.Publish)]
    message = decode_envelope(told[0]).message
    assert message.state_info.properties.ledger_height == 3


def test_blocks_of_the_orderer_are_pushed_to_our_organization():
    here = Joined()
    done = here.channel.on_delivered(BLOCKS[0].raw)
    assert done == [fx.Publish(TOPICS.blocks("Org1MSP"), pushed(1).raw), commit(1)]
    assert here.channel.has_room
    assert here.channel.first_missing == 2
    quiet = Joined(V14.replaced(block_gossip_enabled=False))
    assert quiet.channel.on_delivered(BLOCKS[0].raw) == [commit(1)]


def test_blocks_are_pulled_within_our_organization():
    here = Joined()
    here.hears("ann")
    here.hears("bob")
    greeted = [one for one in sent(here.at(4.0)) if one[1] == names.PULL]
    assert greeted == [(ANN, names.PULL, Content.HELLO)]
    here.channel.on_block(pushed(1))
    hello = {"nonce": 7, "msg_type": PullMsgType.BLOCK_MSG}
    message = GossipMessage(tag=Tag.CHAN_AND_ORG, channel=CHANNEL.encode(), hello=hello)
    answer = here.channel.on_pull(ANN, message)
    assert sent(answer) == [(ANN, names.PULL, Content.DIGEST)]
    assert here.channel.on_pull(BOB, message) == []


def test_what_was_pulled_is_committed():
    here = Joined()
    here.hears("ann")
    greeted = next(e for e in here.at(4.0) if getattr(e, "protocol", "") == names.PULL)
    nonce = decode_envelope(greeted.envelope).message.hello.nonce
    kind, name = PullMsgType.BLOCK_MSG, CHANNEL.encode()
    digest = {"nonce": nonce, "digests": [b"1"], "msg_type": kind}
    here.channel.on_pull(ANN, GossipMessage(tag=Tag.CHAN_AND_ORG, channel=name, data_dig=digest))
    (asked,) = (e for e in here.at(5.0) if isinstance(e, fx.SendEnvelope))
    request = decode_envelope(asked.envelope).message.data_req
    update = {"nonce": request.nonce, "data": [pushed(1).raw], "msg_type": kind}
    message = GossipMessage(tag=Tag.CHAN_AND_ORG, channel=name, data_update=update)
    assert here.channel.on_pull(ANN, message) == [commit(1)]


def test_missing_blocks_are_fetched_from_those_who_are_higher():
    here = Joined()
    here.hears("bob", height=6)
    (asked,) = (e for e in here.at(10.0) if getattr(e, "protocol", "") == names.STATE_TRANSFER)
    message = decode_envelope(asked.envelope).message
    assert (asked.peer, message.state_request.end_seq_num) == (BOB, 5)
    payloads = [{"seq_num": n, "data": BLOCKS[n - 1].raw} for n in range(1, 6)]
    response = GossipMessage(
        nonce=message.nonce,
        tag=Tag.CHAN_OR_ORG,
        channel=CHANNEL.encode(),
        state_response={"payloads": payloads},
    )
    assert here.channel.on_blocks_response(BOB, response) == [commit(1)]
    assert here.channel.first_missing == 6


def test_fetched_blocks_that_are_not_genuine_are_its_senders_fault():
    here = Joined()
    here.hears("bob", height=3)
    (asked,) = (e for e in here.at(10.0) if getattr(e, "protocol", "") == names.STATE_TRANSFER)
    message = decode_envelope(asked.envelope).message
    response = GossipMessage(
        nonce=message.nonce,
        tag=Tag.CHAN_OR_ORG,
        channel=CHANNEL.encode(),
        state_response={"payloads": [{"seq_num": 1, "data": BLOCKS[1].raw}]},
    )
    with pytest.raises(RemoteError):
        here.channel.on_blocks_response(BOB, response)
    assert here.channel.first_missing == 1


def test_blocks_that_others_miss_are_read_from_the_ledger():
    here = Joined(height=3)
    ledger = MemoryLedger()
    for number, block in enumerate([genesis(), *BLOCKS[:2]]):
        ledger.append(number, block.raw)
    request = {"start_seq_num": 1, "end_seq_num": 5}
    message = GossipMessage(nonce=5, channel=CHANNEL.encode(), state_request=request)
    (asked,) = here.channel.on_blocks_request(BOB, message)
    answer = here.channel.answer(asked.request, ledger)
    assert (answer.peer, answer.protocol) == (BOB, names.STATE_TRANSFER)
    payloads = decode_envelope(answer.envelope).message.state_response.payloads
    assert [each.seq_num for each in payloads] == [1, 2]
    assert here.channel.on_answered() == []
    message.state_request.end_seq_num = 50
    assert here.channel.on_blocks_request(BOB, message) == []


def test_requests_for_blocks_wait_for_the_ledger():
    here = Joined(height=3)

    def asks(peer):
        request = {"start_seq_num": 1, "end_seq_num": 2}
        message = GossipMessage(channel=CHANNEL.encode(), state_request=request)
        return here.channel.on_blocks_request(peer, message)

    (first,) = asks(BOB)
    assert [asks(peer) for peer in (ANN, BOB, *[BEN] * 6)] == [[]] * 8
    waited = []
    while answers := here.channel.on_answered():
        waited += [answer.request.peer for answer in answers]
    assert first.request.peer == BOB
    # Of one peer no more than four wait.
    assert waited == [ANN, BOB, *[BEN] * 4]
    assert len(asks(ANN)) == 1
    asks(BOB)
    here.channel.leave()
    assert here.channel.on_answered() == []


def test_where_nothing_fetches_blocks_it_is_told_that_others_are_far_ahead():
    here = Joined(V14.replaced(state_enabled=False))
    state, done = here.hears("ann", height=200)
    text = "mychannel: at block 1, others at 199, and nothing fetches"
    assert done == [fx.StateChanged(CHANNEL, state), Warn("channel.straggling", text)]
    assert names.STATE_TRANSFER not in {protocol for _, protocol, _ in sent(here.at(10.0))}


def test_blocks_that_nobody_sends_are_given_up_until_the_next_check():
    here = Joined()
    here.hears("bob", height=3)
    here.at(10.0)
    for now in (13.0, 16.0, 19.0):
        assert (BOB, names.STATE_TRANSFER, Content.STATE_REQUEST) in sent(here.at(now))
    assert Warn("channel.gave_up", "mychannel: no peer sent blocks 1 to 2") in here.at(22.0)


def test_a_ledger_that_fails_is_told_of():
    here = Joined()
    here.channel.on_block(pushed(1))
    (warning,) = here.channel.on_commit_failed(1, "disk full")
    assert warning.key == "channel.commit"
    assert here.channel.next_deadline == 1.0
    assert commit(1) in here.at(1.0)


# -- A ledger that the user keeps


def test_where_the_user_keeps_the_ledger_nothing_is_fetched_and_its_height_is_told():
    here = Joined(height=3, keeps_ledger=False)
    assert not here.channel.keeps_ledger
    here.hears("bob", height=300)
    assert names.STATE_TRANSFER not in {protocol for _, protocol, _ in sent(here.at(10.0))}
    here.channel.set_height(9)
    told = [each.envelope for each in here.at(14.0) if isinstance(each, fx.Publish)]
    properties = decode_envelope(told[0]).message.state_info.properties
    assert (here.channel.height, properties.ledger_height) == (9, 9)
    with pytest.raises(ParamError, match="down to 8"):
        here.channel.set_height(8)


def test_a_configuration_that_the_user_has_counts_as_one_that_was_committed():
    here = Joined(keeps_ledger=False)
    here.hears("ann")
    here.hears("bob")
    changed = config_from_block(maker().next_config(profile(orgs=(1,)), when=WHEN))
    assert here.channel.configure(changed) == []
    assert here.channel.config is changed
    assert here.channel.heights() == {ANN: 1}
    text = "mychannel: configuration 0 comes after 1"
    assert here.channel.configure(config()) == [Warn("channel.config", text)]
    assert here.channel.config is changed


# -- Changes


def test_a_configuration_without_an_organization_ends_its_part():
    here = Joined()
    here.hears("ann")
    here.hears("bob")
    changed = maker().next_config(profile(orgs=(1,)), when=WHEN)
    assert fx.Commit(CHANNEL, 1, changed.raw) in here.channel.on_delivered(changed.raw)
    before = here.channel.config
    assert here.channel.on_committed(1) == []
    assert here.channel.config is not before
    assert here.channel.heights() == {ANN: 1}
    assert not here.channel.is_org_in_channel("Org2MSP")


def test_a_peer_that_is_dropped_may_have_nothing_until_it_speaks_again():
    here = Joined()
    here.hears("ann")
    here.channel.drop(ANN)
    assert not here.channel.may_pull(ANN)
    here.hears("ann", seq=2)
    assert here.channel.may_pull(ANN)


def test_who_leaves_says_so_and_takes_no_more_part():
    here = Joined(STATIC)
    here.hears("ann")
    here.at(4.0)
    here.channel.on_block(pushed(1))
    here.channel.on_block(pushed(2))
    assert here.channel.leave() == [fx.LeaderChanged(CHANNEL, leading=False)]
    assert here.channel.has_left
    done = here.at(8.0)
    told = [decode_envelope(e.envelope).message for e in done if isinstance(e, fx.Publish)]
    assert told
    assert all(each.state_info.properties.left_channel for each in told)
    assert {protocol for _, protocol, _ in sent(done)} <= {names.STATE_INFO}
    assert here.channel.on_delivered(BLOCKS[1].raw) == []
    assert not here.channel.may_pull(ANN)
    assert here.channel.peers == []
    # What was on its way is counted.
    assert here.channel.on_committed(1) == []
    assert here.channel.height == 2


def test_deadlines_are_those_of_the_machines():
    here = Joined()
    assert here.channel.next_deadline == 1.0
    here.at(1.0)
    assert here.channel.next_deadline == 4.0
    here.channel.leave()
    assert here.channel.next_deadline == 4.0
