from __future__ import annotations

import json

import pytest

from pubsub.fabric import events as ev
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.envelope import sign_message
from pubsub.fabric.identities import Signer
from pubsub.fabric.peer_state import Chaincode
from pubsub.fabric_node.views import (
    MembershipInfo,
    PeerInfo,
    dead_members,
    leavers_of_channel,
    members,
    peers_of_channel,
    self_info,
    snapshot,
)
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.unit.fabric.peering import ANN, BOB, CHANNEL, NETWORK, TOPICS, US, Desk, alive

HOME = NETWORK.org_alive("Org1MSP")


def tells(desk: Desk, author: Signer, *, height: int, seq: int = 1, left: bool = False) -> None:
    content = {
        "pki_id": author.pki_id,
        "channel_mac": channel_mac(author.pki_id, CHANNEL),
        "timestamp": {"inc_num": 1, "seq_num": seq},
        "properties": {
            "ledger_height": height,
            "left_channel": left,
            "chaincodes": [{"name": "asset", "version": "1.0"}],
        },
    }
    message = GossipMessage(tag=GossipMessage.CHAN_OR_ORG, state_info=content)
    desk.hears(TOPICS.state, sign_message(message, author), author)


@pytest.fixture
def desk() -> Desk:
    """ANN and BOB are alive; BOB has told of a ledger of 5 blocks, ours has 2."""
    desk = Desk()
    desk.on(ev.Started())
    desk.joins(2)
    desk.meets(ANN, BOB)
    desk.hears(HOME, alive(ANN, endpoint="ann:1"), ANN)
    desk.hears(TOPICS.alive, alive(BOB, endpoint="bob:1"), BOB)
    tells(desk, BOB, height=5)
    return desk


def ann(*, is_alive: bool = True) -> PeerInfo:
    return PeerInfo(
        pki_id=ANN.pki_id,
        org="Org1MSP",
        endpoint="ann:1",
        internal_endpoint="",
        metadata=b"",
        is_alive=is_alive,
    )


def test_we_are_what_our_heartbeats_say(desk: Desk):
    desk.on(ev.SetMetadata(b"rack 3"))
    assert self_info(desk.core) == MembershipInfo(
        pki_id=US.pki_id,
        org="Org1MSP",
        endpoint="us:1",
        internal_endpoint="us:2",
        metadata=b"rack 3",
    )


def test_the_living_and_the_dead_are_told_apart(desk: Desk):
    assert [each.pki_id for each in members(desk.core)] == [ANN.pki_id, BOB.pki_id]
    assert members(desk.core)[0] == ann()
    assert dead_members(desk.core) == []
    desk.on(ev.PeerUnreachable(ANN.pki_id))
    assert [each.pki_id for each in members(desk.core)] == [BOB.pki_id]
    assert dead_members(desk.core) == [ann(is_alive=False)]


def test_peers_of_a_channel_are_those_that_told_of_their_ledger(desk: Desk):
    assert peers_of_channel(desk.core, CHANNEL) == [
        PeerInfo(
            pki_id=BOB.pki_id,
            org="Org2MSP",
            endpoint="bob:1",
            internal_endpoint="",
            metadata=b"",
            is_alive=True,
            height=5,
            chaincodes=(Chaincode("asset", "1.0"),),
        )
    ]
    assert leavers_of_channel(desk.core, CHANNEL) == []


def test_one_that_has_left_is_told_of_apart(desk: Desk):
    tells(desk, BOB, height=6, seq=2, left=True)
    assert peers_of_channel(desk.core, CHANNEL) == []
    (bob,) = leavers_of_channel(desk.core, CHANNEL)
    assert (bob.pki_id, bob.height, bob.has_left) == (BOB.pki_id, 6, True)


def test_a_channel_that_we_are_not_in_has_no_peers(desk: Desk):
    assert peers_of_channel(desk.core, "another") == []
    assert leavers_of_channel(desk.core, "another") == []
    desk.on(ev.LeaveChannel(CHANNEL))
    assert peers_of_channel(desk.core, CHANNEL) == []


def test_a_snapshot_is_plain_data(desk: Desk):
    desk.hears("elsewhere", alive(ANN, seq=2), ANN)
    desk.on(ev.PeerUnreachable(ANN.pki_id))
    desk.gets("/nowhere", GossipMessage(), BOB)
    shot = snapshot(desk.core, [CHANNEL, "another"])
    assert json.loads(json.dumps(shot)) == shot
    assert shot == {
        "pki_id": US.pki_id.hex(),
        "org": "Org1MSP",
        "endpoint": "us:1",
        "internal_endpoint": "us:2",
        "members": [
            {
                "pki_id": BOB.pki_id.hex(),
                "org": "Org2MSP",
                "endpoint": "bob:1",
                "internal_endpoint": "",
                "is_alive": True,
            },
            {
                "pki_id": ANN.pki_id.hex(),
                "org": "Org1MSP",
                "endpoint": "ann:1",
                "internal_endpoint": "",
                "is_alive": False,
            },
        ],
        "channels": {
            CHANNEL: {
                "height": 2,
                "missing": 3,
                "is_leader": False,
                "has_left": False,
                "peers": [
                    {
                        "pki_id": BOB.pki_id.hex(),
                        "org": "Org2MSP",
                        "height": 5,
                        "chaincodes": ["asset:1.0"],
                    }
                ],
                "left": [],
            }
        },
        "refusals": {"topic or protocol that is not ours": 2},
        "ignored": {},
    }


def test_nothing_is_missing_where_nobody_is_higher(desk: Desk):
    tells(desk, BOB, height=1, seq=2)
    assert snapshot(desk.core, [CHANNEL])["channels"][CHANNEL]["missing"] == 0
    desk.on(ev.LeaveChannel(CHANNEL))
    channel = snapshot(desk.core, [CHANNEL])["channels"][CHANNEL]
    assert (channel["has_left"], channel["peers"], channel["missing"]) == (True, [], 0)
