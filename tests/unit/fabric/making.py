"""Gossip messages made in a line, and identities whose signatures cost nothing."""

from __future__ import annotations

import hashlib

from pubsub.errors import RemoteError
from pubsub.fabric.content import Content
from pubsub.pb.fabric import gossip_pb2

Tag = gossip_pb2.GossipMessage.Tag
GossipMessage = gossip_pb2.GossipMessage


def pki_id(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


class WrongSignatureError(RemoteError):
    """Not what this identity signs with."""


class ToySigner:
    """An identity whose signature is a hash: enough to tell whose it is and over what."""

    def __init__(self, name: str = "ann") -> None:
        self.identity = name.encode()
        self.pki_id = pki_id(name)

    def sign(self, data: bytes) -> bytes:
        return hashlib.sha256(self.identity + data).digest()

    def verify(self, data: bytes, signature: bytes) -> None:
        if signature != self.sign(data):
            raise WrongSignatureError("another signature")


def time(inc: int, seq: int) -> gossip_pb2.PeerTime:
    return gossip_pb2.PeerTime(inc_num=inc, seq_num=seq)


def alive(name: str = "ann", inc: int = 1, seq: int = 1, *, tag: int = Tag.EMPTY) -> GossipMessage:
    message = GossipMessage(tag=tag)
    message.alive_msg.membership.pki_id = pki_id(name)
    message.alive_msg.timestamp.CopyFrom(time(inc, seq))
    return message


def state_info(
    name: str = "ann", inc: int = 1, seq: int = 1, *, channel: str = "sales"
) -> GossipMessage:
    message = GossipMessage(tag=Tag.CHAN_OR_ORG)
    message.state_info.pki_id = pki_id(name)
    message.state_info.channel_mac = hashlib.sha256(pki_id(name) + channel.encode()).digest()
    message.state_info.timestamp.CopyFrom(time(inc, seq))
    message.state_info.properties.ledger_height = seq
    return message


def leadership(name: str = "ann", inc: int = 1, seq: int = 1) -> GossipMessage:
    message = GossipMessage(tag=Tag.CHAN_AND_ORG, channel=b"sales")
    message.leadership_msg.pki_id = pki_id(name)
    message.leadership_msg.timestamp.CopyFrom(time(inc, seq))
    return message


def identity(name: str = "ann") -> GossipMessage:
    message = GossipMessage(tag=Tag.ORG_ONLY)
    message.peer_identity.pki_id = pki_id(name)
    message.peer_identity.cert = name.encode()
    return message


def block(number: int, data: bytes = b"block") -> GossipMessage:
    message = GossipMessage(tag=Tag.CHAN_AND_ORG, channel=b"sales")
    message.data_msg.payload.seq_num = number
    message.data_msg.payload.data = data
    return message


def one_of_each() -> dict[Content, GossipMessage]:
    """A legal message of every content."""
    pull = {"msg_type": gossip_pb2.PullMsgType.BLOCK_MSG, "nonce": 7}
    return {
        Content.ALIVE: alive(),
        Content.STATE_INFO: state_info(),
        Content.LEADERSHIP: leadership(),
        Content.IDENTITY: identity(),
        Content.DATA: block(1),
        Content.CONNECTION: GossipMessage(
            tag=Tag.EMPTY, conn={"pki_id": pki_id("ann"), "identity": b"ann"}
        ),
        Content.MEMBERSHIP_REQUEST: GossipMessage(
            tag=Tag.EMPTY, mem_req={"self_information": b"envelope"}
        ),
        Content.MEMBERSHIP_RESPONSE: GossipMessage(tag=Tag.EMPTY, mem_res={}),
        Content.HELLO: GossipMessage(tag=Tag.CHAN_AND_ORG, hello=pull),
        Content.DIGEST: GossipMessage(tag=Tag.CHAN_AND_ORG, data_dig=pull),
        Content.DATA_REQUEST: GossipMessage(tag=Tag.CHAN_AND_ORG, data_req=pull),
        Content.DATA_UPDATE: GossipMessage(tag=Tag.CHAN_AND_ORG, data_update=pull),
        Content.EMPTY: GossipMessage(tag=Tag.EMPTY, empty={}),
        Content.STATE_SNAPSHOT: GossipMessage(tag=Tag.CHAN_OR_ORG, state_snapshot={}),
        Content.STATE_INFO_REQUEST: GossipMessage(
            tag=Tag.CHAN_OR_ORG, state_info_pull_req={"channel_mac": bytes(32)}
        ),
        Content.STATE_REQUEST: GossipMessage(tag=Tag.CHAN_OR_ORG, state_request={}),
        Content.STATE_RESPONSE: GossipMessage(tag=Tag.CHAN_OR_ORG, state_response={}),
        Content.ACK: GossipMessage(ack={"error": "no"}),
        Content.PRIVATE_REQUEST: GossipMessage(tag=Tag.CHAN_ONLY, private_req={}),
        Content.PRIVATE_RESPONSE: GossipMessage(tag=Tag.CHAN_ONLY, private_res={}),
        Content.PRIVATE_DATA: GossipMessage(tag=Tag.CHAN_ONLY, private_data={"payload": {}}),
    }
