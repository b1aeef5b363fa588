from __future__ import annotations

from pubsub.fabric.peer_state import Chaincode, PeerState
from pubsub.pb.fabric import gossip_pb2
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, StateInfo
from tests.unit.fabric.gossiping import sign


def test_a_state_info_is_read_by_its_parts() -> None:
    message = StateInfo(
        timestamp=gossip_pb2.PeerTime(inc_num=2**64 - 1, seq_num=7),
        pki_id=b"p" * 32,
        channel_mac=b"m" * 32,
        properties=gossip_pb2.Properties(
            ledger_height=2**64 - 1,
            left_channel=True,
            chaincodes=[gossip_pb2.Chaincode(name="cc", version="1.0", metadata=b"policy")],
        ),
    )
    envelope = sign(GossipMessage(tag=GossipMessage.CHAN_OR_ORG, state_info=message), "")
    state = PeerState.of(envelope)
    assert state == PeerState(
        peer=b"p" * 32,
        time=(2**64 - 1, 7),
        mac=b"m" * 32,
        height=2**64 - 1,
        has_left=True,
        chaincodes=(Chaincode("cc", "1.0", b"policy"),),
        envelope=envelope.raw,
    )
    assert repr(state) == f"PeerState(70707070, ({2**64 - 1}, 7), height={2**64 - 1})"
