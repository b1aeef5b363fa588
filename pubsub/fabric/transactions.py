"""What a transaction says about itself: kind, channel, who made it.

    envelope = payload, signature        payload = header, data
    header   = channel header, signature header (creator)

Whether a transaction is valid is for the ledger; here it is only read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from pubsub.errors import RemoteError
from pubsub.pb.fabric import block_pb2

CONFIG = block_pb2.CONFIG
"The kind of a transaction that holds a channel's configuration."


class TransactionError(RemoteError):
    """A transaction cannot be read, or not as the form that orderers write."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction's headers, and its data as bytes."""

    kind: int
    "A HeaderType."

    channel: str
    tx_id: str
    creator: bytes = field(repr=False)
    "A serialized identity; empty in a genesis block."

    data: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse_transaction(encoded: bytes) -> Transaction:
    """Decode a transaction of a block. Raises TransactionError."""
    try:
        envelope = block_pb2.Envelope.FromString(encoded)
        payload = block_pb2.Payload.FromString(envelope.payload)
        channel_header = block_pb2.ChannelHeader.FromString(payload.header.channel_header)
        signature_header = block_pb2.SignatureHeader.FromString(payload.header.signature_header)
    except DecodeError as error:
        raise TransactionError("malformed transaction") from error
    if not payload.HasField("header"):
        raise TransactionError("transaction without a header")
    return Transaction(
        channel_header.type,
        channel_header.channel_id,
        channel_header.tx_id,
        signature_header.creator,
        payload.data,
        envelope.signature,
    )


def check_well_formed(encoded: bytes) -> None:
    """Raise TransactionError unless `encoded` is exactly one signed envelope.

    The data hash is over the transactions put end to end, so without this the bytes could
    be cut into other transactions below the same header and signatures (CVE-2023-46132).
    """
    try:
        envelope = block_pb2.Envelope.FromString(encoded)
    except DecodeError as error:
        raise TransactionError("malformed transaction") from error
    if not envelope.payload:
        raise TransactionError("transaction without a payload")
    if not envelope.signature:
        raise TransactionError("transaction without a signature")
    again = envelope.SerializeToString(deterministic=True)
    if again != encoded:
        raise TransactionError(
            f"transaction of {len(encoded)} bytes; written anew it has {len(again)} or others"
        )
