"""Where a ledger stands when its channel is joined."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from pubsub.errors import ParamError
from pubsub.fabric.blocks import Block, parse_block
from pubsub.fabric.config import ChannelConfig, config_from_block
from pubsub.fabric.ledger import Ledger, LedgerError
from pubsub.fabric.ledger_config import newest_config


@dataclass(frozen=True, slots=True)
class Opened:
    """A channel as its ledger has it."""

    config: ChannelConfig
    genesis_hash: bytes
    height: int


async def open_ledger(genesis: bytes, ledger: Ledger | None) -> Opened:
    """What the ledger of a genesis block says; an empty one is given that block.

    Raises ParamError, LedgerError, BlockError or ConfigError.
    """
    block = parse_block(genesis)
    config = config_from_block(block)
    if block.number:
        raise ParamError(f"block {block.number} is no genesis block: join with block 0")
    if ledger is None:
        await trio.lowlevel.checkpoint()
        return Opened(config, block.hash, 1)
    return await trio.to_thread.run_sync(_read, block, config, ledger)


def _read(genesis: Block, config: ChannelConfig, ledger: Ledger) -> Opened:
    if not ledger.height:
        ledger.append(0, genesis.raw)
        return Opened(config, genesis.hash, ledger.height)
    newest, genesis_hash = newest_config(ledger)
    if genesis_hash != genesis.hash:
        raise LedgerError(
            f"the ledger begins with another genesis block than the one of {config.channel!r}"
        )
    return Opened(newest, genesis_hash, ledger.height)
