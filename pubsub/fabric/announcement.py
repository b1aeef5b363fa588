"""Large blocks: they are announced to all, and sent to those who ask.

    data_dig   a block with this number and header hash is here     to all, on the blocks' topic
    data_req   send it                                              to one who has announced it
    data_msg   the block                                            back

The first two hold the same digests: the number in ASCII, then the hash. They are read only in
the one form in which they are written here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from pubsub.errors import ParamError, RemoteError
from pubsub.fabric.blocks import parse_block
from pubsub.fabric.content import MAX_CHANNEL_BYTES, Content
from pubsub.fabric.envelope import GossipEnvelope, decode_envelope, wrap_message
from pubsub.pb.fabric import gossip_pb2
from pubsub.pb.fabric.gossip_pb2 import (
    DataDigest,
    DataMessage,
    DataRequest,
    GossipMessage,
    Payload,
    PullMsgType,
)

HASH_BYTES = 32
LAST_NUMBER = (1 << 64) - 1
MAX_ANNOUNCEMENT = MAX_CHANNEL_BYTES + 128
"Bytes of an envelope with an announcement, or with a request for what it announces."


@dataclass(frozen=True, slots=True)
class Announcement:
    """A block that a peer has, as it says."""

    channel: str
    number: int
    header_hash: bytes = field(repr=False)

    @property
    def digests(self) -> list[bytes]:
        """The block as announcement and request name it."""
        return [b"%d" % self.number, self.header_hash]


def announce(envelope: bytes) -> bytes:
    """The envelope that announces the block in another. Raises ParamError if there is none."""
    try:
        decoded = decode_envelope(envelope)
        if decoded.content is not Content.DATA:
            raise ParamError(f"{decoded.content or 'nothing'} where a block is to be announced")
        message, payload = decoded.message, decoded.message.data_msg.payload
        found = Announcement(
            message.channel.decode(), payload.seq_num, parse_block(payload.data).hash
        )
    except (RemoteError, UnicodeDecodeError) as error:
        raise ParamError(f"no block to be announced: {error}") from error
    if message.tag != GossipMessage.CHAN_AND_ORG:
        raise ParamError(f"a block with tag {message.tag}: nobody would read its announcement")
    return _written(found, Content.DIGEST)


def read_announcement(raw: bytes) -> Announcement | None:
    """What an envelope announces; None if it is no announcement, or not as it should be."""
    return _read(raw, Content.DIGEST)


def request(announcement: Announcement) -> bytes:
    """The envelope that asks for an announced block."""
    return _written(announcement, Content.DATA_REQUEST)


def read_request(raw: bytes) -> Announcement | None:
    """What an envelope asks for; None if it is no such request, or not as it should be."""
    return _read(raw, Content.DATA_REQUEST)


def block_envelope(channel: str, number: int, raw: bytes) -> GossipEnvelope:
    """A block as it is pushed, and as it is sent to those who ask."""
    message = GossipMessage(
        channel=channel.encode(),
        tag=GossipMessage.CHAN_AND_ORG,
        data_msg=DataMessage(payload=Payload(seq_num=number, data=raw)),
    )
    return wrap_message(message)


def _read(raw: bytes, content: Content) -> Announcement | None:
    if len(raw) > MAX_ANNOUNCEMENT:
        return None
    try:
        message = GossipMessage.FromString(gossip_pb2.Envelope.FromString(raw).payload)
        if message.WhichOneof("content") != content:
            return None
        channel = message.channel.decode()
    except (DecodeError, UnicodeDecodeError):
        return None
    part = getattr(message, content)
    if len(part.digests) != 2:
        return None
    number, header_hash = part.digests
    if (
        not number.isdigit()
        or len(header_hash) != HASH_BYTES
        or not 0 < len(message.channel) <= MAX_CHANNEL_BYTES
    ):
        return None
    found = Announcement(channel, int(number), header_hash)
    return found if found.number <= LAST_NUMBER and _written(found, content) == raw else None


def _written(announcement: Announcement, content: Content) -> bytes:
    kind, digests = PullMsgType.BLOCK_MSG, announcement.digests
    message = GossipMessage(channel=announcement.channel.encode(), tag=GossipMessage.CHAN_AND_ORG)
    if content is Content.DIGEST:
        message.data_dig.CopyFrom(DataDigest(digests=digests, msg_type=kind))
    else:
        message.data_req.CopyFrom(DataRequest(digests=digests, msg_type=kind))
    return wrap_message(message).raw
