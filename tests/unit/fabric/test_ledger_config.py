from __future__ import annotations

import pytest

from pubsub.fabric.ledger import LedgerError, MemoryLedger
from pubsub.fabric.ledger_config import newest_config
from tests.unit.fabric.network import config, genesis, maker, transaction


def test_without_another_it_is_that_of_the_genesis_block() -> None:
    ledger = MemoryLedger()
    ledger.append(0, genesis().raw)
    ledger.append(1, maker().next_block([transaction()]).raw)
    found, genesis_hash = newest_config(ledger)
    assert (found.channel, found.sequence) == ("mychannel", config().sequence)
    assert genesis_hash == genesis().hash


def test_an_empty_ledger_has_none() -> None:
    with pytest.raises(LedgerError, match="without a genesis block"):
        newest_config(MemoryLedger())
