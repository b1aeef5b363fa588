"""What a gossip message is: its content, its author, and the parts it cannot do without.

Fabric's `GossipMessage` holds one of 21 contents. Five of them are their author's
word and carry the author's signature; the others count only on the connection
they come by.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from pubsub.errors import RemoteError
from pubsub.pb.fabric import gossip_pb2

PKI_ID_BYTES = 32
MAC_BYTES = 32
MAX_CHANNEL_BYTES = 249
"The longest name that Fabric gives a channel (common/configtx/validator.go)."


class MalformedMessageError(RemoteError):
    """Bytes that are no gossip message, or one that lacks what its content needs."""

    def __init__(self, message: str, *, penalty: float = 10.0) -> None:
        super().__init__(message, penalty=penalty)


class Content(StrEnum):
    """What a gossip message holds; the values are the names of the schema's fields."""

    ALIVE = "alive_msg"
    MEMBERSHIP_REQUEST = "mem_req"
    MEMBERSHIP_RESPONSE = "mem_res"
    DATA = "data_msg"
    HELLO = "hello"
    DIGEST = "data_dig"
    DATA_REQUEST = "data_req"
    DATA_UPDATE = "data_update"
    EMPTY = "empty"
    CONNECTION = "conn"
    STATE_INFO = "state_info"
    STATE_SNAPSHOT = "state_snapshot"
    STATE_INFO_REQUEST = "state_info_pull_req"
    STATE_REQUEST = "state_request"
    STATE_RESPONSE = "state_response"
    LEADERSHIP = "leadership_msg"
    IDENTITY = "peer_identity"
    ACK = "ack"
    PRIVATE_REQUEST = "private_req"
    PRIVATE_RESPONSE = "private_res"
    PRIVATE_DATA = "private_data"
    UNKNOWN = ""
    "None, or one that a later Fabric added."


SIGNED = frozenset(
    (
        Content.CONNECTION,
        Content.ALIVE,
        Content.STATE_INFO,
        Content.LEADERSHIP,
        Content.IDENTITY,
    )
)
"Contents that their author signs; the signature of any other is empty and means nothing."

PULL = frozenset((Content.HELLO, Content.DIGEST, Content.DATA_REQUEST, Content.DATA_UPDATE))
"The four steps of a pull."

CONTENTS = {str(content): content for content in Content}


def content_of(message: gossip_pb2.GossipMessage) -> Content:
    """Which content a message holds."""
    return CONTENTS[message.WhichOneof("content") or ""]


def author_of(message: gossip_pb2.GossipMessage) -> bytes:
    """The PKI-ID of the author of a signed content; empty for any other.

    A claim, until the signature is checked with that author's certificate.
    """
    match content_of(message):
        case Content.ALIVE:
            return message.alive_msg.membership.pki_id
        case Content.STATE_INFO:
            return message.state_info.pki_id
        case Content.LEADERSHIP:
            return message.leadership_msg.pki_id
        case Content.IDENTITY:
            return message.peer_identity.pki_id
        case Content.CONNECTION:
            return message.conn.pki_id
    return b""


def check_shape(message: gossip_pb2.GossipMessage) -> Content:
    """The content of a message that has all it cannot do without.

    Raises MalformedMessageError for any other. Fabric checks these where it uses
    them, some not at all.
    """
    if len(message.channel) > MAX_CHANNEL_BYTES:
        raise MalformedMessageError(f"channel name of {len(message.channel)} bytes")
    content = content_of(message)
    if content in SIGNED and len(author := author_of(message)) != PKI_ID_BYTES:
        raise MalformedMessageError(f"{content}: PKI-ID of {len(author)} bytes")
    for is_complete, missing in NEEDS.get(content, ()):
        if not is_complete(message):
            raise MalformedMessageError(f"{content}: no {missing}")
    return content


NEEDS: dict[Content, tuple[tuple[Callable[[gossip_pb2.GossipMessage], bool], str], ...]] = {
    Content.ALIVE: ((lambda m: m.alive_msg.HasField("timestamp"), "timestamp"),),
    Content.STATE_INFO: (
        (lambda m: m.state_info.HasField("timestamp"), "timestamp"),
        (lambda m: m.state_info.HasField("properties"), "properties"),
        (lambda m: len(m.state_info.channel_mac) == MAC_BYTES, "channel MAC of 32 bytes"),
    ),
    Content.STATE_INFO_REQUEST: (
        (lambda m: len(m.state_info_pull_req.channel_mac) == MAC_BYTES, "channel MAC of 32 bytes"),
    ),
    Content.LEADERSHIP: ((lambda m: m.leadership_msg.HasField("timestamp"), "timestamp"),),
    Content.IDENTITY: ((lambda m: bool(m.peer_identity.cert), "identity"),),
    Content.CONNECTION: ((lambda m: bool(m.conn.identity), "identity"),),
    Content.MEMBERSHIP_REQUEST: ((lambda m: bool(m.mem_req.self_information), "own information"),),
    Content.DATA: ((lambda m: m.data_msg.HasField("payload"), "payload"),),
    Content.PRIVATE_DATA: ((lambda m: m.private_data.HasField("payload"), "payload"),),
}
"What each content must have: a test, and the name of what is missing where it fails."
