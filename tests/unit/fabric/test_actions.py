from __future__ import annotations

from pubsub.fabric.actions import Broadcast, CloseConnection, Publish, Send, SendSigned
from pubsub.fabric.envelope import sign_message
from pubsub.pb.fabric.gossip_pb2 import DataMessage, GossipHello, GossipMessage, Payload
from tests.unit.fabric.making import ToySigner, alive

PEER = bytes(range(0xA0, 0xC0))


def test_a_repr_tells_kind_nonce_and_size_and_no_payload() -> None:
    data = DataMessage(payload=Payload(seq_num=1, data=b"secret" * 100))
    message = GossipMessage(nonce=7, data_msg=data)
    assert repr(Send(PEER, message)) == "Send(a0a1a2a3, data_msg nonce=7 <613b>)"
    assert repr(SendSigned(PEER, message)) == "SendSigned(a0a1a2a3, data_msg nonce=7 <613b>)"
    assert repr(Broadcast(message)) == "Broadcast(data_msg nonce=7 <613b>)"
    assert repr(Broadcast(GossipMessage())) == "Broadcast(nothing nonce=0 <0b>)"


def test_actions_are_equal_by_what_they_say() -> None:
    one, same, other = (GossipMessage(hello=GossipHello(nonce=nonce)) for nonce in (7, 7, 8))
    assert Send(PEER, one) == Send(PEER, same)
    assert Send(PEER, one) != Send(PEER, other)
    assert Send(PEER, one) != SendSigned(PEER, one)


def test_an_envelope_and_a_peer_are_told_shortly() -> None:
    envelope = sign_message(alive("ann"), ToySigner("ann"))
    assert repr(Publish(envelope)) == f"Publish(alive_msg <{len(envelope.raw)}b>)"
    assert repr(CloseConnection(PEER)) == "CloseConnection(a0a1a2a3)"
