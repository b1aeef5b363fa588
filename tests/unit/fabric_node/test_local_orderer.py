from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.errors import ParamError
from pubsub.fabric.block_verification import verify_block
from pubsub.fabric.blocks import Block, BlockHeader, LinkError, data_hash, parse_block
from pubsub.fabric.make_blocks import sign_block
from pubsub.fabric_node.delivery import Delivery
from pubsub.fabric_node.local_orderer import BatchParams, LocalOrderer
from tests.unit.fabric import network
from tests.unit.fabric.chains import chain

GENESIS = chain(1)[0]


class Unsigned:
    """Makes blocks that nobody signs."""

    def __init__(self) -> None:
        self.last = parse_block(GENESIS)

    def next_block(self, transactions: Sequence[bytes]) -> Block:
        number = self.last.number + 1
        header = BlockHeader(number, self.last.hash, data_hash(transactions))
        self.last = sign_block(header, transactions, last_config=0, entropy=bytes)
        return self.last


def ordering(**params: Any) -> LocalOrderer:
    return LocalOrderer(Unsigned(), GENESIS, params=BatchParams(**params))


async def made(orderer: LocalOrderer) -> list[tuple[bytes, ...]]:
    """The transactions of each block after the genesis block."""
    stream = orderer.blocks(1)
    return [parse_block(await anext(stream)).transactions for _ in range(1, orderer.height)]


async def test_a_block_is_cut_at_so_many_transactions() -> None:
    orderer = ordering(max_messages=2)
    for number in range(5):
        await orderer.order(b"%d" % number)
    assert await made(orderer) == [(b"0", b"1"), (b"2", b"3")]
    orderer.cut()
    orderer.cut()
    assert await made(orderer) == [(b"0", b"1"), (b"2", b"3"), (b"4",)]


async def test_a_block_is_cut_before_it_gets_too_large() -> None:
    orderer = ordering(preferred_bytes=10, max_bytes=20)
    for transaction in (b"a" * 4, b"b" * 4, b"c" * 4, b"d" * 20, b"e" * 4, b"f" * 6, b"g"):
        await orderer.order(transaction)
    assert await made(orderer) == [
        (b"a" * 4, b"b" * 4),
        (b"c" * 4,),
        (b"d" * 20,),
        (b"e" * 4, b"f" * 6),
    ]
    with pytest.raises(ParamError, match="at most 20 bytes, not 21"):
        await orderer.order(bytes(21))


async def test_a_block_is_cut_when_its_oldest_transaction_has_waited_long_enough(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    orderer = ordering(timeout=2.0)
    nursery.start_soon(orderer.run)
    await trio.sleep(5)
    assert orderer.height == 1
    await orderer.order(b"1")
    await trio.sleep(1.5)
    await orderer.order(b"2")
    await trio.sleep(0.4)
    assert orderer.height == 1
    await trio.sleep(0.2)
    assert await made(orderer) == [(b"1", b"2")]
    await trio.sleep(10)
    assert orderer.height == 2


async def test_a_block_that_was_full_starts_the_wait_anew(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    orderer = ordering(timeout=2.0, max_messages=2)
    nursery.start_soon(orderer.run)
    await orderer.order(b"1")
    await trio.sleep(1.5)
    for transaction in (b"2", b"3"):
        await orderer.order(transaction)
    await trio.sleep(1.0)
    assert await made(orderer) == [(b"1", b"2")]
    await trio.sleep(1.1)
    assert await made(orderer) == [(b"1", b"2"), (b"3",)]


async def test_readers_wait_for_blocks_and_each_gets_all(nursery: trio.Nursery) -> None:
    orderer = ordering(max_messages=1)
    delivery: Delivery = orderer
    got: dict[int, list[int]] = {0: [], 2: []}

    async def read(start: int) -> None:
        async for raw in delivery.blocks(start):
            got[start].append(parse_block(raw).number)

    for start in got:
        nursery.start_soon(read, start)
    await wait_all_tasks_blocked()
    assert got == {0: [0], 2: []}
    for number in range(3):
        await orderer.order(b"%d" % number)
    await wait_all_tasks_blocked()
    assert got == {0: [0, 1, 2, 3], 2: [2, 3]}


async def test_blocks_made_elsewhere_wake_those_who_wait(nursery: trio.Nursery) -> None:
    blocks = chain(2)
    orderer = LocalOrderer(None, blocks[0])
    got: list[bytes] = []

    async def read() -> None:
        got.append(await anext(orderer.blocks(1)))

    nursery.start_soon(read)
    await wait_all_tasks_blocked()
    orderer.add_block(blocks[1])
    await wait_all_tasks_blocked()
    assert got == blocks[1:]


async def test_blocks_made_elsewhere_are_delivered() -> None:
    blocks = chain(3)
    orderer = LocalOrderer(None, *blocks[:2])
    with pytest.raises(LinkError):
        orderer.add_block(blocks[1])
    orderer.add_block(blocks[2])
    stream = orderer.blocks(0)
    assert [await anext(stream) for _ in range(3)] == blocks
    with pytest.raises(ParamError, match="takes blocks only"):
        await orderer.order(b"1")


async def test_blocks_of_a_channels_orderers_are_genuine_and_a_configuration_stands_alone() -> None:
    maker, genesis = network.maker(), network.genesis()
    orderer = LocalOrderer(maker, genesis.raw)
    first, second, third = (network.transaction(seed=seed) for seed in (1, 2, 3))
    for transaction in (first, second, genesis.transactions[0], third):
        await orderer.order(transaction)
    orderer.cut()
    assert await made(orderer) == [(first, second), genesis.transactions, (third,)]
    stream = orderer.blocks(1)
    for number in range(1, 4):
        assert verify_block(await anext(stream), number, network.config()).number == number


@pytest.mark.parametrize("name", ["timeout", "max_messages", "preferred_bytes", "max_bytes"])
def test_params_are_checked(name: str) -> None:
    with pytest.raises(ParamError, match="must be above 0"):
        BatchParams(**{name: 0})  # type: ignore[arg-type]
