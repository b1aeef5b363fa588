"""Blocks as an orderer writes them: the genesis block, and signed ones after it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import final

from pubsub.fabric.blocks import Block, BlockHeader, data_hash, parse_block
from pubsub.fabric.identities import Signer
from pubsub.fabric.make_certificates import Entropy
from pubsub.fabric.make_config import ChannelProfile, channel_group
from pubsub.pb.fabric import block_pb2, configtx_pb2

NONCE_BYTES = 24
METADATA_ENTRIES = 5


def genesis_block(profile: ChannelProfile, *, entropy: Entropy, when: datetime) -> Block:
    """The first block of a channel, which nobody signs."""
    config = configtx_pb2.Config(channel_group=channel_group(profile))
    transaction = _config_transaction(profile.channel, config, None, entropy, when)
    metadata = block_pb2.Metadata(value=_orderer_value(0, b""))
    return _assembled(0, b"", [transaction], metadata)


def make_transaction(
    signer: Signer,
    channel: str,
    data: bytes,
    *,
    entropy: Entropy,
    when: datetime,
    kind: int = block_pb2.ENDORSER_TRANSACTION,
) -> bytes:
    """A signed transaction with any `data` in it."""
    nonce = entropy(NONCE_BYTES)
    payload = block_pb2.Payload(
        header=_header(kind, channel, signer.identity, nonce, when), data=data
    ).SerializeToString()
    return block_pb2.Envelope(payload=payload, signature=signer.sign(payload)).SerializeToString()


@final
class BlockMaker:
    """Makes the blocks of one channel, one after another, signed by its orderers.

    With consenter numbers (`by_number`) signatures are those of BFT orderers, else each
    signature names its signer.
    """

    def __init__(
        self,
        last: Block,
        signers: Sequence[Signer] = (),
        *,
        by_number: Mapping[int, Signer] | None = None,
        entropy: Entropy,
        sequence: int = 0,
    ) -> None:
        self.last = last
        self.sequence = sequence
        "Of the channel's configuration."
        self._signers = tuple(signers)
        self._by_number = dict(by_number or {})
        self._entropy = entropy
        self._last_config = last.last_config()

    def next_block(self, transactions: Sequence[bytes]) -> Block:
        """The next block, with these transactions."""
        number = self.last.number + 1
        self.last = sign_block(
            BlockHeader(number, self.last.hash, data_hash(transactions)),
            transactions,
            self._signers,
            by_number=self._by_number,
            last_config=self._last_config,
            entropy=self._entropy,
        )
        return self.last

    def next_config(self, profile: ChannelProfile, *, when: datetime) -> Block:
        """The next block, with a new configuration, whose sequence is one higher."""
        self.sequence += 1
        self._last_config = self.last.number + 1
        config = configtx_pb2.Config(sequence=self.sequence, channel_group=channel_group(profile))
        creator = (*self._signers, *self._by_number.values())[0]
        transaction = _config_transaction(profile.channel, config, creator, self._entropy, when)
        return self.next_block([transaction])


def sign_block(
    header: BlockHeader,
    transactions: Sequence[bytes],
    signers: Sequence[Signer] = (),
    *,
    by_number: Mapping[int, Signer] | None = None,
    last_config: int,
    entropy: Entropy,
    consenter_metadata: bytes = b"",
) -> Block:
    """A block with this header, signed, whether or not the header fits the transactions."""
    metadata = block_pb2.Metadata(value=_orderer_value(last_config, consenter_metadata))
    for signer in signers:
        nonce = entropy(NONCE_BYTES)
        encoded = block_pb2.SignatureHeader(creator=signer.identity, nonce=nonce)
        signature_header = encoded.SerializeToString()
        signature = signer.sign(metadata.value + signature_header + header.encoded)
        metadata.signatures.add(signature_header=signature_header, signature=signature)
    for number, signer in (by_number or {}).items():
        nonce = entropy(NONCE_BYTES)
        named = block_pb2.IdentifierHeader(identifier=number, nonce=nonce).SerializeToString()
        signature = signer.sign(metadata.value + named + header.encoded)
        metadata.signatures.add(identifier_header=named, signature=signature)
    return _assembled(header.number, header.previous_hash, transactions, metadata, header.data_hash)


def _assembled(
    number: int,
    previous_hash: bytes,
    transactions: Sequence[bytes],
    metadata: block_pb2.Metadata,
    claimed_hash: bytes | None = None,
) -> Block:
    message = block_pb2.Block()
    message.header.number = number
    message.header.previous_hash = previous_hash
    message.header.data_hash = data_hash(transactions) if claimed_hash is None else claimed_hash
    message.data.data.extend(transactions)
    entries = [metadata.SerializeToString(), *[b""] * (METADATA_ENTRIES - 1)]
    message.metadata.metadata.extend(entries)
    return parse_block(message.SerializeToString())


def _orderer_value(last_config: int, consenter_metadata: bytes) -> bytes:
    return block_pb2.OrdererBlockMetadata(
        last_config=block_pb2.LastConfig(index=last_config), consenter_metadata=consenter_metadata
    ).SerializeToString()


def _config_transaction(
    channel: str,
    config: configtx_pb2.Config,
    creator: Signer | None,
    entropy: Entropy,
    when: datetime,
) -> bytes:
    nonce = entropy(NONCE_BYTES)
    identity = creator.identity if creator else b""
    header = _header(block_pb2.CONFIG, channel, identity, nonce, when)
    envelope = configtx_pb2.ConfigEnvelope(config=config)
    payload = block_pb2.Payload(
        header=header, data=envelope.SerializeToString(deterministic=True)
    ).SerializeToString()
    signature = creator.sign(payload) if creator else b""
    return block_pb2.Envelope(payload=payload, signature=signature).SerializeToString()


def _header(
    kind: int, channel: str, creator: bytes, nonce: bytes, when: datetime
) -> block_pb2.Header:
    channel_header = block_pb2.ChannelHeader(
        type=kind,
        version=1,
        timestamp=block_pb2.Timestamp(seconds=int(when.timestamp())),
        channel_id=channel,
        tx_id=hashlib.sha256(nonce + creator).hexdigest(),
    )
    return block_pb2.Header(
        channel_header=channel_header.SerializeToString(),
        signature_header=block_pb2.SignatureHeader(
            creator=creator, nonce=nonce
        ).SerializeToString(),
    )
