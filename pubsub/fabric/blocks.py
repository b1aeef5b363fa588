"""Blocks as orderers make them: header, transactions, metadata.

    header hash = SHA-256 of DER{number, previous hash, data hash}
    data hash   = SHA-256 of all transactions, end to end

A block is identified by its header: metadata differs between orderers, peers and
ledgers, so its bytes differ too. Nothing here says that a block is genuine; see
`pubsub.fabric.block_verification`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from pubsub.errors import RemoteError
from pubsub.fabric.bounds import Levels, check_entries
from pubsub.fabric.content import MalformedMessageError
from pubsub.fabric.der import OCTET_STRING, SEQUENCE, der_element, der_integer
from pubsub.fabric.transactions import CONFIG, Transaction, TransactionError, parse_transaction
from pubsub.pb.fabric import block_pb2

MAX_BLOCK_BYTES = 100 * 1024 * 1024
"Fabric's bound for a message; a block has none of its own."
MAX_TRANSACTIONS = 100_000
"Fabric's orderers close a block at 500 by default (ours)."
MAX_SIGNATURES = 1024
"Of orderers on one block; the largest ordering services have a few dozen (ours)."
LISTS: Levels = {2: {}, 3: {}}
"Where a block has its transactions and its metadata."


class BlockError(RemoteError):
    """A block is not one that we accept."""

    def __init__(self, message: str, *, penalty: float = 10.0) -> None:
        super().__init__(message, penalty=penalty)


class MalformedBlockError(BlockError):
    """The bytes are no block, or a part of it that is needed cannot be read."""


class NoHeaderError(BlockError):
    """The block has no header."""


class EmptyBlockError(BlockError):
    """The block has no transactions."""


class LinkError(BlockError):
    """The block is not the successor of the block before it."""


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """Number, link and content of a block: what its hash is over."""

    number: int
    previous_hash: bytes = field(repr=False)
    data_hash: bytes = field(repr=False)

    @property
    def encoded(self) -> bytes:
        """The bytes that are hashed, and that orderers sign."""
        return der_element(
            SEQUENCE,
            der_integer(self.number)
            + der_element(OCTET_STRING, self.previous_hash)
            + der_element(OCTET_STRING, self.data_hash),
        )

    @property
    def hash(self) -> bytes:
        """What identifies the block, and what its successor points back to."""
        return hashlib.sha256(self.encoded).digest()


@dataclass(frozen=True, slots=True)
class Block:
    """A block, decoded; `raw` is what is passed on."""

    raw: bytes = field(repr=False)
    header: BlockHeader
    transactions: tuple[bytes, ...] = field(repr=False)
    metadata: tuple[bytes, ...] = field(repr=False)

    @property
    def number(self) -> int:
        return self.header.number

    @property
    def hash(self) -> bytes:
        """The header's hash: the block's identity."""
        return self.header.hash

    @property
    def data_hash(self) -> bytes:
        """The hash of the transactions as they are; the header may claim another."""
        return data_hash(self.transactions)

    def first_transaction(self) -> Transaction:
        """The transaction that names the channel. Raises BlockError."""
        if not self.transactions:
            raise EmptyBlockError(f"block {self.number} has no transactions")
        try:
            return parse_transaction(self.transactions[0])
        except TransactionError as error:
            raise MalformedBlockError(f"block {self.number}: {error}") from error

    def is_config(self) -> bool:
        """True if the block's one transaction is a channel's configuration."""
        try:
            return len(self.transactions) == 1 and self.first_transaction().kind == CONFIG
        except BlockError:
            return False

    def orderer_metadata(self) -> block_pb2.Metadata:
        """The orderers' signatures and what they are over. Raises BlockError."""
        return _metadata(self, block_pb2.SIGNATURES)

    def last_config(self) -> int:
        """The number of the latest configuration block, as the orderers say. Raises BlockError."""
        value = self.orderer_metadata().value
        try:
            if value:
                return block_pb2.OrdererBlockMetadata.FromString(value).last_config.index
            # Blocks of orderers before 1.4.1.
            value = _metadata(self, block_pb2.LAST_CONFIG).value
            return block_pb2.LastConfig.FromString(value).index
        except DecodeError as error:
            raise MalformedBlockError(f"block {self.number}: malformed metadata") from error

    def check_follows(self, previous: BlockHeader) -> None:
        """Raise LinkError unless this block comes right after `previous`."""
        if self.number != previous.number + 1:
            raise LinkError(f"block {self.number} does not follow block {previous.number}")
        if self.header.previous_hash != previous.hash:
            raise LinkError(f"block {self.number} points back to another block than ours")


def parse_block(raw: bytes) -> Block:
    """Decode a block. Raises MalformedBlockError or NoHeaderError."""
    if len(raw) > MAX_BLOCK_BYTES:
        raise MalformedBlockError(f"block of {len(raw)} bytes, at most {MAX_BLOCK_BYTES}")
    try:
        check_entries(raw, LISTS, most=MAX_TRANSACTIONS)
        message = block_pb2.Block.FromString(raw)
    except (DecodeError, MalformedMessageError) as error:
        raise MalformedBlockError("malformed block") from error
    if not message.HasField("header"):
        raise NoHeaderError("block without a header")
    header = message.header
    return Block(
        raw=raw,
        header=BlockHeader(header.number, header.previous_hash, header.data_hash),
        transactions=tuple(message.data.data),
        metadata=tuple(message.metadata.metadata),
    )


def data_hash(transactions: Iterable[bytes]) -> bytes:
    """The hash over a block's transactions."""
    return hashlib.sha256(b"".join(transactions)).digest()


def _metadata(block: Block, index: int) -> block_pb2.Metadata:
    if len(block.metadata) <= index:
        raise MalformedBlockError(f"block {block.number} has no metadata at {index}")
    try:
        check_entries(block.metadata[index], {}, most=MAX_SIGNATURES)
        return block_pb2.Metadata.FromString(block.metadata[index])
    except (DecodeError, MalformedMessageError) as error:
        raise MalformedBlockError(f"block {block.number}: malformed metadata") from error
