from __future__ import annotations

from dataclasses import replace

from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.own_state import OwnState
from pubsub.fabric.peer_state import Chaincode, PeerState
from pubsub.pb.fabric import gossip_pb2
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, StateInfo
from tests.unit.fabric.gossiping import START_NS, sign
from tests.unit.fabric.making import pki_id

ME = pki_id("me")


def own_state() -> OwnState:
    return OwnState("mychannel", ME, sign=sign, joined_ns=START_NS)


def test_a_channel_just_joined_is_news_with_one_block() -> None:
    own = own_state()
    assert own.has_news
    envelope = own.make()
    assert not own.has_news
    assert envelope.secret is None
    assert envelope.message == GossipMessage(
        tag=GossipMessage.CHAN_OR_ORG,
        state_info=StateInfo(
            timestamp=gossip_pb2.PeerTime(inc_num=START_NS, seq_num=START_NS),
            pki_id=ME,
            channel_mac=channel_mac(ME, "mychannel"),
            properties=gossip_pb2.Properties(ledger_height=1),
        ),
    )


def test_what_changes_is_news_and_what_stays_is_none() -> None:
    own = own_state()
    own.make()
    own.update(height=1, chaincodes=None, wall_ns=START_NS + 5)
    own.update(height=None, chaincodes=[], wall_ns=START_NS + 5)
    assert not own.has_news
    own.update(height=2, chaincodes=None, wall_ns=START_NS + 6)
    assert own.has_news
    own.update(height=None, chaincodes=[Chaincode("cc", "1")], wall_ns=START_NS + 7)
    state = PeerState.of(own.make())
    assert (state.height, state.chaincodes) == (2, (Chaincode("cc", "1"),))
    assert state.time == (START_NS, START_NS + 7)


def test_leaving_is_news_once() -> None:
    own = own_state()
    own.make()
    own.leave(START_NS + 5)
    state = PeerState.of(own.make())
    assert (state.has_left, state.time) == (True, (START_NS, START_NS + 5))
    own.leave(START_NS + 6)
    assert not own.has_news


def test_numbers_grow_though_the_clock_goes_back() -> None:
    own = own_state()
    own.update(height=2, chaincodes=None, wall_ns=START_NS - 10**12)
    assert PeerState.of(own.make()).time == (START_NS, START_NS + 1)
    own.update(height=3, chaincodes=None, wall_ns=START_NS + 1)
    assert PeerState.of(own.make()).time == (START_NS, START_NS + 2)


def test_a_later_life_of_ours_is_surpassed() -> None:
    own = own_state()
    ours = PeerState.of(own.make())
    assert own.hear_of_us(ours) == []
    assert own.hear_of_us(replace(ours, time=(START_NS - 5, 2**63))) == []
    assert own.hear_of_us(replace(ours, time=(2**64 - 1, 1))) == []
    assert not own.has_news
    (warning,) = own.hear_of_us(replace(ours, time=(START_NS + 9, 1)))
    assert warning.key == "channel.clock"
    assert own.has_news
    assert PeerState.of(own.make()).time == (START_NS + 10, START_NS)
