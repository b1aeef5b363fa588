from __future__ import annotations

import pytest

from pubsub.fabric.blocks import BlockError, LinkError, parse_block
from pubsub.fabric.ledger import Ledger, LedgerError, MemoryLedger
from tests.unit.fabric.chains import chain, make_block


def test_blocks_are_kept_in_their_order() -> None:
    ledger: Ledger = MemoryLedger()
    assert ledger.height == 0
    assert ledger.last_hash == b""
    blocks = chain(3)
    for number, raw in enumerate(blocks):
        assert ledger.block(number) is None
        ledger.append(number, raw)
        assert ledger.height == number + 1
        assert ledger.last_hash == parse_block(raw).hash
    assert [ledger.block(number) for number in range(3)] == blocks
    assert ledger.block(3) is None
    assert ledger.block(-1) is None


def test_a_block_out_of_turn_is_refused() -> None:
    ledger = MemoryLedger()
    blocks = chain(3)
    with pytest.raises(LedgerError, match="block 1 was appended where block 0 is next"):
        ledger.append(1, blocks[1])
    ledger.append(0, blocks[0])
    with pytest.raises(LedgerError, match="block 0 was appended where block 1 is next"):
        ledger.append(0, blocks[0])
    assert ledger.height == 1


@pytest.mark.parametrize(
    ("raw", "error", "message"),
    [
        (chain(3)[2], LinkError, "block 2 was appended as block 1"),
        (make_block(1, bytes(32), [b"x"]), LinkError, "block 1 points back to another block"),
        (make_block(1, b"", [b"x"]), LinkError, "block 1 points back to another block"),
        (b"\xff", BlockError, "malformed block"),
        (b"", BlockError, "without a header"),
    ],
)
def test_a_block_that_is_not_the_successor_is_refused(
    raw: bytes, error: type[Exception], message: str
) -> None:
    ledger = MemoryLedger()
    ledger.append(0, chain(1)[0])
    last = ledger.last_hash
    with pytest.raises(error, match=message):
        ledger.append(1, raw)
    assert ledger.height == 1
    assert ledger.last_hash == last


def test_a_first_block_that_points_back_is_refused() -> None:
    with pytest.raises(LinkError, match="block 0 points back"):
        MemoryLedger().append(0, make_block(0, bytes(32), [b"x"]))
