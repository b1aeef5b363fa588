from __future__ import annotations

from dataclasses import replace

import pytest

from pubsub.errors import ParamError
from pubsub.fabric.blocks import BlockError, parse_block
from pubsub.fabric.config import ConfigError
from pubsub.fabric.ledger import LedgerError, MemoryLedger
from pubsub.fabric.make_blocks import sign_block
from pubsub.fabric_node.ledgers import open_ledger
from tests.unit.fabric.chains import chain
from tests.unit.fabric.network import entropy, genesis, maker, transaction

GENESIS = genesis()


def filled(count: int) -> MemoryLedger:
    ledger = MemoryLedger()
    ledger.append(0, GENESIS.raw)
    blocks = maker()
    for number in range(1, count):
        ledger.append(number, blocks.next_block([transaction()]).raw)
    return ledger


async def test_an_empty_ledger_is_given_the_genesis_block():
    ledger = MemoryLedger()
    opened = await open_ledger(GENESIS.raw, ledger)
    assert ledger.block(0) == GENESIS.raw
    assert (opened.config.channel, opened.genesis_hash, opened.height) == (
        "mychannel",
        GENESIS.hash,
        1,
    )


async def test_a_ledger_is_taken_up_where_it_ends():
    ledger = filled(4)
    opened = await open_ledger(GENESIS.raw, ledger)
    assert (opened.height, opened.genesis_hash, ledger.height) == (4, GENESIS.hash, 4)


async def test_without_a_ledger_the_channel_is_at_its_genesis_block():
    opened = await open_ledger(GENESIS.raw, None)
    assert (opened.config.channel, opened.height) == ("mychannel", 1)


async def test_the_ledger_of_another_channel_is_refused_and_stays_as_it_is():
    ledger = filled(2)
    with pytest.raises(LedgerError, match=r"begins with another genesis block .* 'otherchannel'"):
        await open_ledger(genesis("otherchannel").raw, ledger)
    assert ledger.height == 2


async def test_what_is_no_genesis_block_is_refused():
    with pytest.raises(BlockError):
        await open_ledger(b"no block", MemoryLedger())
    with pytest.raises(ConfigError):
        await open_ledger(chain(2)[1], MemoryLedger())


async def test_a_later_configuration_block_is_no_genesis_block():
    parsed = parse_block(GENESIS.raw)
    header = replace(parsed.header, number=1)
    later = sign_block(header, parsed.transactions, last_config=0, entropy=entropy(1))
    ledger = MemoryLedger()
    with pytest.raises(ParamError, match="block 1 is no genesis block"):
        await open_ledger(later.raw, ledger)
    assert not ledger.height


class BrokenLedger(MemoryLedger):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def append(self, number: int, raw: bytes) -> None:
        raise self.error


@pytest.mark.parametrize("error", [LedgerError("the disk is full"), OSError("broken")])
async def test_what_a_ledger_raises_comes_out_as_it_is(error: Exception):
    with pytest.raises(type(error)) as caught:
        await open_ledger(GENESIS.raw, BrokenLedger(error))
    assert caught.value is error
