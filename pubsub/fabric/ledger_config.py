"""The configuration in force at the end of a ledger."""

from __future__ import annotations

from pubsub.fabric.blocks import parse_block
from pubsub.fabric.config import ChannelConfig, config_from_block, updated
from pubsub.fabric.ledger import Ledger, LedgerError


def newest_config(ledger: Ledger) -> tuple[ChannelConfig, bytes]:
    """The configuration, and the hash of the genesis block's header. Raises LedgerError."""
    first = ledger.block(0)
    if first is None:
        raise LedgerError("a ledger without a genesis block")
    genesis = parse_block(first)
    config = config_from_block(genesis)
    for number in range(1, ledger.height):
        raw = ledger.block(number)
        if raw is not None and (block := parse_block(raw)).is_config():
            config = updated(config, block) or config
    return config, genesis.hash
