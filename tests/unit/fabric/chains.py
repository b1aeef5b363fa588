"""Chains of small blocks, signed by nobody."""

from __future__ import annotations

from collections.abc import Sequence

from pubsub.fabric.blocks import BlockHeader, data_hash, parse_block
from pubsub.fabric.make_blocks import sign_block


def make_block(number: int, previous_hash: bytes, transactions: Sequence[bytes]) -> bytes:
    header = BlockHeader(number, previous_hash, data_hash(transactions))
    return sign_block(header, transactions, last_config=0, entropy=bytes).raw


def chain(count: int, *, size: int = 10, salt: bytes = b"") -> list[bytes]:
    """Blocks 0 to `count` - 1, each with one transaction of about `size` bytes."""
    blocks: list[bytes] = []
    last = b""
    for number in range(count):
        blocks.append(make_block(number, last, [salt + b"%d" % number + bytes(size)]))
        last = parse_block(blocks[-1]).hash
    return blocks
