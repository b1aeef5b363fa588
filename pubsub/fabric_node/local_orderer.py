"""An ordering service of one, in process: for examples and tests.

    orderer = LocalOrderer(block_maker(genesis, orderers, entropy=os.urandom), genesis.raw)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(orderer.run)
        await orderer.order(transaction)
        async for raw in orderer.blocks(0): ...

Blocks are cut as Fabric's orderers cut them: at so many transactions, at so many bytes, or
when the oldest transaction has waited long enough. What makes and signs them is given.
All blocks stay in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from pubsub.errors import ParamError
from pubsub.fabric.blocks import Block
from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric.transactions import CONFIG, TransactionError, parse_transaction


class Maker(Protocol):
    """Makes the channel's blocks: `pubsub.fabric.make_blocks.BlockMaker`, or one of one's own."""

    def next_block(self, transactions: Sequence[bytes]) -> Block:
        """The block after the last, signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchParams:
    """When a block is cut; defaults are those of Fabric's sample `configtx.yaml`."""

    timeout: float = 2.0
    max_messages: int = 500
    preferred_bytes: int = 2 << 20
    "A block is cut before it gets larger, if it has a transaction already."

    max_bytes: int = 10 << 20
    "A larger transaction is refused."

    def __post_init__(self) -> None:
        if min(self.timeout, self.max_messages, self.preferred_bytes, self.max_bytes) <= 0:
            raise ParamError("what says when a block is cut must be above 0")


class LocalOrderer:
    """A `Delivery` that makes its blocks itself, or is given them."""

    def __init__(
        self, maker: Maker | None = None, *blocks: bytes, params: BatchParams | None = None
    ) -> None:
        """`blocks` are those that there are already, from the genesis block on.

        Without a maker blocks come by `add_block` only. Raises BlockError.
        """
        self._maker = maker
        self._params = params or BatchParams()
        self._ledger = MemoryLedger()
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._oldest = 0.0
        self._changed = trio.Event()
        for raw in blocks:
            self.add_block(raw)

    @property
    def height(self) -> int:
        return self._ledger.height

    def add_block(self, raw: bytes) -> None:
        """Deliver a block that was made elsewhere. Raises BlockError if it is not the next."""
        self._ledger.append(self._ledger.height, raw)
        self._wake()

    async def order(self, transaction: bytes) -> None:
        """Take a transaction into one of the next blocks. Raises ParamError if it is too large."""
        await trio.lowlevel.checkpoint()
        if self._maker is None:
            raise ParamError("an orderer without a maker of blocks takes blocks only")
        if len(transaction) > self._params.max_bytes:
            raise ParamError(
                f"a transaction has at most {self._params.max_bytes} bytes, not {len(transaction)}"
            )
        if _is_config(transaction):
            # A configuration has a block for itself, so that what follows is judged by it.
            self.cut()
            self._add(transaction)
            self.cut()
            return
        if self._pending_bytes + len(transaction) > self._params.preferred_bytes:
            self.cut()
        self._add(transaction)
        if (
            len(self._pending) >= self._params.max_messages
            or self._pending_bytes >= self._params.preferred_bytes
        ):
            self.cut()

    def _add(self, transaction: bytes) -> None:
        if not self._pending:
            self._oldest = trio.current_time()
            self._wake()
        self._pending.append(transaction)
        self._pending_bytes += len(transaction)

    def cut(self) -> None:
        """Make a block of what waits, if anything does."""
        if not self._pending or self._maker is None:
            return
        block = self._maker.next_block(self._pending)
        self._pending, self._pending_bytes = [], 0
        self.add_block(block.raw)

    async def run(self) -> None:
        """Cut blocks when their time has come, until cancelled."""
        while True:
            changed = self._changed
            if not self._pending:
                await changed.wait()
                continue
            with trio.move_on_at(self._oldest + self._params.timeout):
                await changed.wait()
                continue
            self.cut()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def blocks(self, start: int) -> AsyncIterator[bytes]:
        return _Blocks(self, start)

    async def _wait_for(self, number: int) -> bytes:
        await trio.lowlevel.checkpoint()
        while (raw := self._ledger.block(number)) is None:
            await self._changed.wait()
        return raw


class _Blocks:
    def __init__(self, orderer: LocalOrderer, number: int) -> None:
        self._orderer = orderer
        self._number = number

    def __aiter__(self) -> _Blocks:
        return self

    async def __anext__(self) -> bytes:
        raw = await self._orderer._wait_for(self._number)
        self._number += 1
        return raw


def _is_config(transaction: bytes) -> bool:
    try:
        return parse_transaction(transaction).kind == CONFIG
    except TransactionError:
        return False
