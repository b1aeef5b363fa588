"""Tags: how far each message may travel, and which one its content must carry.

    content                                          tag
    data_msg, leadership_msg, pull of blocks         CHAN_AND_ORG
    alive_msg, mem_req, mem_res, pull of identities  EMPTY
    peer_identity                                    ORG_ONLY
    state_info and its requests, state_request, -response  CHAN_OR_ORG

Contents that are not in the table answer to rules of their own and are read
before tags are: conn in the handshake, ack by its nonce, private data by its
collection. A peer_identity inside a data_update has the tag EMPTY and is not
looked at either: it goes where the update goes.
"""

from __future__ import annotations

from pubsub.errors import RemoteError
from pubsub.fabric.content import PULL, Content, content_of
from pubsub.pb.fabric import gossip_pb2

UNDEFINED = gossip_pb2.GossipMessage.Tag.UNDEFINED
EMPTY = gossip_pb2.GossipMessage.Tag.EMPTY
ORG_ONLY = gossip_pb2.GossipMessage.Tag.ORG_ONLY
CHAN_ONLY = gossip_pb2.GossipMessage.Tag.CHAN_ONLY
CHAN_AND_ORG = gossip_pb2.GossipMessage.Tag.CHAN_AND_ORG
CHAN_OR_ORG = gossip_pb2.GossipMessage.Tag.CHAN_OR_ORG

TAG_OF: dict[Content, gossip_pb2.GossipMessage.Tag] = {
    Content.DATA: CHAN_AND_ORG,
    Content.LEADERSHIP: CHAN_AND_ORG,
    Content.ALIVE: EMPTY,
    Content.MEMBERSHIP_REQUEST: EMPTY,
    Content.MEMBERSHIP_RESPONSE: EMPTY,
    Content.IDENTITY: ORG_ONLY,
    Content.STATE_INFO: CHAN_OR_ORG,
    Content.STATE_SNAPSHOT: CHAN_OR_ORG,
    Content.STATE_INFO_REQUEST: CHAN_OR_ORG,
    Content.STATE_REQUEST: CHAN_OR_ORG,
    Content.STATE_RESPONSE: CHAN_OR_ORG,
}
TAG_OF_PULL: dict[int, gossip_pb2.GossipMessage.Tag] = {
    gossip_pb2.PullMsgType.BLOCK_MSG: CHAN_AND_ORG,
    gossip_pb2.PullMsgType.IDENTITY_MSG: EMPTY,
}

CHANNEL_RESTRICTED = frozenset((CHAN_AND_ORG, CHAN_ONLY, CHAN_OR_ORG))
ORG_RESTRICTED = frozenset((CHAN_AND_ORG, ORG_ONLY))


class IllegalTagError(RemoteError):
    """A message with another tag than its content must carry, or of a content without a tag."""


def check_tag(message: gossip_pb2.GossipMessage) -> None:
    """Raise IllegalTagError unless the message carries the tag of its content."""
    if message.tag == UNDEFINED:
        raise IllegalTagError("undefined tag")
    wanted = legal_tag(message)
    if message.tag != wanted:
        raise IllegalTagError(
            f"{content_of(message)} with tag {_name(message.tag)} instead of {_name(wanted)}"
        )


def legal_tag(message: gossip_pb2.GossipMessage) -> gossip_pb2.GossipMessage.Tag:
    """The tag that a message must carry; raises IllegalTagError if none is legal."""
    content = content_of(message)
    if content in PULL:
        kind = getattr(message, content).msg_type
        tag = TAG_OF_PULL.get(kind)
        if tag is None:
            raise IllegalTagError(f"{content} of type {kind}, which is no pull")
        return tag
    if content not in TAG_OF:
        raise IllegalTagError(f"{content or 'unknown content'} is not routed by a tag")
    return TAG_OF[content]


def is_channel_restricted(message: gossip_pb2.GossipMessage) -> bool:
    """True if the message belongs to one channel."""
    return message.tag in CHANNEL_RESTRICTED


def is_org_restricted(message: gossip_pb2.GossipMessage) -> bool:
    """True if the message must not leave its author's organization."""
    return message.tag in ORG_RESTRICTED


def _name(tag: int) -> str:
    names = gossip_pb2.GossipMessage.Tag.DESCRIPTOR.values_by_number
    return names[tag].name if tag in names else str(tag)
