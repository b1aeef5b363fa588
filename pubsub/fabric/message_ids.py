"""Ids of messages on Fabric's topics, where no libp2p peer signs.

    block            SHA-256 over topic, number and header hash; so has its announcement
    anything else    SHA-256 over topic and data

The bytes around a block's header differ between orderers, peers and ledgers; two peers that
push the same block must give it one id. So the id does not bind what is below the header: who
judges blocks has the id of a rejected copy forgotten.
"""

from __future__ import annotations

from hashlib import sha256

from pubsub.errors import RemoteError
from pubsub.fabric.announcement import read_announcement
from pubsub.fabric.blocks import parse_block
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import decode_envelope
from pubsub.fabric.topics import is_blocks_topic


def message_id(topic: str, data: bytes) -> bytes:
    """The id of what was, or is to be, published to `topic`. It is never refused: what is
    malformed has an id as well."""
    if is_blocks_topic(topic):
        try:
            return _block_id(topic, data)
        except RemoteError:
            pass
    return _digest(b"data", topic, data)


def block_id(topic: str, number: int, header_hash: bytes) -> bytes:
    """The id of the block with this header."""
    return _digest(b"block", topic, number.to_bytes(8, "big") + header_hash)


def _block_id(topic: str, data: bytes) -> bytes:
    """Raises RemoteError if there is no block in it."""
    announced = read_announcement(data)
    if announced is not None:
        return block_id(topic, announced.number, announced.header_hash)
    envelope = decode_envelope(data)
    payload = envelope.message.data_msg.payload
    if envelope.content is not Content.DATA:
        return _digest(b"data", topic, data)
    return block_id(topic, payload.seq_num, parse_block(payload.data).hash)


def _digest(kind: bytes, topic: str, content: bytes) -> bytes:
    name = topic.encode()
    return sha256(kind + len(name).to_bytes(8, "big") + name + content).digest()
