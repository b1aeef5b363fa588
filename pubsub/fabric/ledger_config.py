"""Where a peer begins again: the configuration that is in force at the end of a ledger."""

from __future__ import annotations

from pubsub.fabric.blocks import Block, BlockError, parse_block
from pubsub.fabric.config import ChannelConfig, ConfigError, config_from_block
from pubsub.fabric.ledger import Ledger, LedgerError


def newest_config(ledger: Ledger) -> tuple[ChannelConfig, bytes]:
    """The newest configuration in a ledger, and the hash of its genesis block's header.

    The last block says where it is; if there is none, the blocks before it are searched. Raises
    LedgerError if blocks are missing or cannot be read, ConfigError if there is no configuration.
    """
    if ledger.height == 0:
        raise LedgerError("the ledger is empty: it has no genesis block")
    genesis = _block(ledger, 0)
    last = _block(ledger, ledger.height - 1)
    newest = _named(ledger, last) or _searched(ledger)
    config = config_from_block(newest)
    name = config_from_block(genesis).channel
    if config.channel != name:
        text = f"block {newest.number} configures channel {config.channel!r}, not {name!r}"
        raise ConfigError(text)
    return config, genesis.hash


def _named(ledger: Ledger, last: Block) -> Block | None:
    """The configuration block that the last block names, if it is one."""
    try:
        number = last.last_config()
    except BlockError:
        return None
    if number > last.number:
        return None
    block = _block(ledger, number)
    return block if block.is_config() else None


def _searched(ledger: Ledger) -> Block:
    for number in range(ledger.height - 1, -1, -1):
        block = _block(ledger, number)
        if block.is_config():
            return block
    raise ConfigError(f"none of the {ledger.height} blocks of the ledger has a configuration")


def _block(ledger: Ledger, number: int) -> Block:
    raw = ledger.block(number)
    if raw is None:
        raise LedgerError(f"block {number} is missing in a ledger of height {ledger.height}")
    try:
        block = parse_block(raw)
    except BlockError as error:
        raise LedgerError(f"block {number} of the ledger cannot be read: {error}") from error
    if block.number != number:
        raise LedgerError(f"the ledger has block {block.number} in the place of block {number}")
    return block
