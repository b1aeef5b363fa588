"""Is a block genuine? Fabric's checks, in Fabric's order, each with its own error.

The number is the one claimed, the channel ours; there is metadata; each transaction
is exactly one envelope; the header's data hash is that of the transactions; and the
orderers who signed satisfy /Channel/Orderer/BlockValidation.

A block is checked against the configuration before it, also if it brings another.
The genesis block is signed by nobody: whoever joins a channel brings it along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from google.protobuf.message import DecodeError

from pubsub.fabric.blocks import MAX_SIGNATURES, Block, BlockError, EmptyBlockError, parse_block
from pubsub.fabric.config import ORDERER, ChannelConfig
from pubsub.fabric.identities import serialize_identity
from pubsub.fabric.policies import PolicyError, SignedData, signers
from pubsub.fabric.transactions import TransactionError, check_well_formed
from pubsub.pb.fabric import block_pb2

BLOCK_VALIDATION = "BlockValidation"
MAX_BESIDE = 1 << 20
"Bytes of a block that are not its transactions: room for a thousand signatures (ours)."
BESIDE_EACH = 16
"The same for each transaction: its length, and a byte that says whether it is valid (ours)."

VerifyBlock: TypeAlias = Callable[[bytes, int, ChannelConfig], Block]
"What `verify_block` does, or something around it."


class WrongNumberError(BlockError):
    """The block's number is not the one under which it was sent."""


class WrongChannelError(BlockError):
    """The block belongs to another channel."""


class NoMetadataError(BlockError):
    """The block has no metadata, so nobody signed it."""


class IllFormedTransactionError(BlockError):
    """A transaction is not exactly one envelope: the block could be read in two ways."""


class DataHashError(BlockError):
    """The header was made for other transactions."""


class BallastError(BlockError):
    """There is more around the transactions than orderers and ledgers put there."""


class BlockSignatureError(BlockError):
    """The orderers who signed are not those whom the channel asks for."""


def verify_block(raw: bytes, number: int, config: ChannelConfig) -> Block:
    """The block, if it is block `number` of the channel that `config` is of.

    Raises BlockError, or the subclass that says what is wrong.
    """
    block = parse_block(raw)
    if block.number != number:
        raise WrongNumberError(f"block {block.number} was sent as block {number}")
    channel = block.first_transaction().channel
    if channel != config.channel:
        raise WrongChannelError(f"block of channel {channel[:100]!r}, not {config.channel!r}")
    if not block.metadata:
        raise NoMetadataError(f"block {number} has no metadata")
    check_transactions(block)
    if block.data_hash != block.header.data_hash:
        raise DataHashError(f"block {number}: the header is not of these transactions")
    _check_ballast(block)
    check_signatures(block, config)
    return block


def _check_ballast(block: Block) -> None:
    """No hash and no signature is over a block's metadata, nor over fields that are not known:
    anybody who passes a block on could make it as long as blocks may be, in all ledgers."""
    beside = len(block.raw) - sum(map(len, block.transactions))
    if beside > MAX_BESIDE + BESIDE_EACH * len(block.transactions):
        text = f"block {block.number}: {beside} bytes beside its transactions"
        raise BallastError(f"{text}, at most {MAX_BESIDE}")


def check_transactions(block: Block) -> None:
    """Raise EmptyBlockError or IllFormedTransactionError unless each transaction is sound.

    As in Fabric, a configuration is excepted, because it is alone in its block.
    """
    if not block.transactions:
        raise EmptyBlockError(f"block {block.number} has no transactions")
    if block.is_config():
        return
    for position, transaction in enumerate(block.transactions):
        try:
            check_well_formed(transaction)
        except TransactionError as error:
            raise IllFormedTransactionError(
                f"block {block.number}, transaction {position}: {error}"
            ) from error


def check_signatures(block: Block, config: ChannelConfig) -> None:
    """Raise BlockSignatureError unless the channel's orderers signed header and metadata."""
    by = signers(_claims(block, config), config.msps)
    try:
        config.policies.group(ORDERER).check(BLOCK_VALIDATION, by, config.msps)
    except PolicyError as error:
        raise BlockSignatureError(f"block {block.number}: {error}") from error


def _claims(block: Block, config: ChannelConfig) -> list[SignedData]:
    metadata = block.orderer_metadata()
    if len(metadata.signatures) > MAX_SIGNATURES:
        raise BlockSignatureError(f"block {block.number} has {len(metadata.signatures)} signatures")
    claims = []
    for entry in metadata.signatures:
        if config.is_bft and not entry.signature_header and entry.identifier_header:
            header, identity = entry.identifier_header, _consenter(entry, block, config)
        else:
            header, identity = entry.signature_header, _creator(entry, block)
        if identity:
            data = metadata.value + header + block.header.encoded
            claims.append(SignedData(identity, data, entry.signature))
    return claims


def _consenter(
    entry: block_pb2.MetadataSignature, block: Block, config: ChannelConfig
) -> bytes | None:
    """The identity of the orderer whose number the entry gives; None if there is none."""
    try:
        number = block_pb2.IdentifierHeader.FromString(entry.identifier_header).identifier
    except DecodeError as error:
        raise BlockSignatureError(f"block {block.number}: malformed identifier header") from error
    for consenter in config.consenters:
        if consenter.number == number:
            return serialize_identity(consenter.msp_id, consenter.identity)
    return None


def _creator(entry: block_pb2.MetadataSignature, block: Block) -> bytes:
    try:
        return block_pb2.SignatureHeader.FromString(entry.signature_header).creator
    except DecodeError as error:
        raise BlockSignatureError(f"block {block.number}: malformed signature header") from error
