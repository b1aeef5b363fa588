"""Where a channel's blocks are kept: numbered from 0, each the successor of the one before.

A peer brings its own ledger, or takes the one in `pubsub.fabric_node.sqlite_ledger`.
"""

from __future__ import annotations

from typing import Protocol

from pubsub.errors import LocalError
from pubsub.fabric.blocks import BlockHeader, LinkError, parse_block


class LedgerError(LocalError):
    """A ledger cannot be used so, or not at all; the message says why."""


class Ledger(Protocol):
    """The blocks of one channel."""

    @property
    def height(self) -> int:
        """How many blocks there are: the number of the next one."""

    @property
    def last_hash(self) -> bytes:
        """The hash of the last block's header; empty if there is none."""

    def block(self, number: int) -> bytes | None:
        """A block as it was appended; None if it is not here (yet)."""

    def append(self, number: int, raw: bytes) -> None:
        """Keep a block for good. Who calls has verified it.

        Raises LedgerError if it is not its turn, BlockError if it is no block or not the
        successor of the last.
        """


def check_successor(number: int, raw: bytes, height: int, last_hash: bytes) -> BlockHeader:
    """The header of a block that may be appended; raises as `Ledger.append` does."""
    if number != height:
        raise LedgerError(f"block {number} was appended where block {height} is next")
    header = parse_block(raw).header
    if header.number != number:
        raise LinkError(f"block {header.number} was appended as block {number}")
    if header.previous_hash != last_hash:
        hint = ": is ours the channel's genesis block?" if number == 1 else ""
        raise LinkError(f"block {number} points back to another block than ours{hint}")
    return header


class MemoryLedger:
    """A ledger that ends with the process; for tests and examples."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._last_hash = b""

    @property
    def height(self) -> int:
        return len(self._blocks)

    @property
    def last_hash(self) -> bytes:
        return self._last_hash

    def block(self, number: int) -> bytes | None:
        return self._blocks[number] if 0 <= number < len(self._blocks) else None

    def append(self, number: int, raw: bytes) -> None:
        header = check_successor(number, raw, len(self._blocks), self._last_hash)
        self._blocks.append(raw)
        self._last_hash = header.hash
