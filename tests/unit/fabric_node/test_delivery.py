from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.fabric.ledger import LedgerError
from pubsub.fabric_node.delivery import LARGE_FILE, Delivery, FileDelivery
from tests.unit.fabric.chains import chain

BLOCKS = chain(6)


def write(directory: Path, *numbers: int) -> None:
    for number in numbers:
        (directory / f"{number}.block").write_bytes(BLOCKS[number])


async def some(stream: AsyncIterator[bytes], count: int) -> list[bytes]:
    return [await anext(stream) for _ in range(count)]


async def test_blocks_are_given_in_order_from_a_number_on(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    write(tmp_path, *range(6))
    (tmp_path / "README").write_text("no block")
    delivery: Delivery = FileDelivery(tmp_path)
    assert await some(delivery.blocks(0), 6) == BLOCKS
    assert await some(delivery.blocks(4), 2) == BLOCKS[4:]


async def test_only_the_last_file_is_waited_for(tmp_path: Path, autojump_clock: MockClock) -> None:
    write(tmp_path, 0, 1, 2)
    stream = FileDelivery(tmp_path, interval=0.5).blocks(0)
    assert await some(stream, 2) == BLOCKS[:2]
    assert trio.current_time() == 0
    assert await some(stream, 1) == BLOCKS[2:3]
    assert trio.current_time() == 0.5


async def test_new_files_are_followed(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    write(tmp_path, 0)
    got: list[bytes] = []

    async def follow() -> None:
        stream = FileDelivery(tmp_path).blocks(0)
        while True:
            got.append(await anext(stream))

    nursery.start_soon(follow)
    await wait_all_tasks_blocked()
    assert got == []
    await trio.sleep(1)
    assert got == BLOCKS[:1]
    write(tmp_path, 1, 3)
    await trio.sleep(1)
    assert got == BLOCKS[:2]
    write(tmp_path, 2)
    await trio.sleep(1)
    assert got == BLOCKS[:4]


async def test_a_file_that_grows_is_read_when_it_is_whole(
    tmp_path: Path, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    got: list[bytes] = []

    async def one() -> None:
        got.append(await anext(FileDelivery(tmp_path, interval=0.5).blocks(0)))

    nursery.start_soon(one)
    with (tmp_path / "0.block").open("wb", buffering=0) as file:
        # Looks are at 0, 0.5, 1 ...; a byte is written between each two.
        for position in range(len(BLOCKS[0])):
            await trio.sleep_until(0.25 + 0.5 * position)
            file.write(BLOCKS[0][position : position + 1])
            assert not got
    await trio.sleep(2)
    assert got == BLOCKS[:1]


async def test_a_large_block_is_given_too(tmp_path: Path, autojump_clock: MockClock) -> None:
    large = chain(1, size=LARGE_FILE)[0]
    (tmp_path / "0.block").write_bytes(large)
    assert await anext(FileDelivery(tmp_path).blocks(0)) == large


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff", r"0\.block': malformed block"),
        (BLOCKS[3], r"0\.block' holds block 3"),
    ],
)
async def test_a_file_that_holds_something_else_is_named(
    tmp_path: Path, autojump_clock: MockClock, content: bytes, message: str
) -> None:
    (tmp_path / "0.block").write_bytes(content)
    with pytest.raises(LedgerError, match=message):
        await anext(FileDelivery(tmp_path).blocks(0))


async def test_an_empty_file_is_not_there_yet(tmp_path: Path, autojump_clock: MockClock) -> None:
    (tmp_path / "0.block").touch()
    with trio.move_on_after(5) as scope:
        await anext(FileDelivery(tmp_path).blocks(0))
    assert scope.cancelled_caught


async def test_a_directory_that_is_not_there_is_named(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    with pytest.raises(LedgerError, match=r"there is no directory .*nowhere"):
        await anext(FileDelivery(tmp_path / "nowhere").blocks(0))


async def test_what_cannot_be_read_is_named(tmp_path: Path, autojump_clock: MockClock) -> None:
    (tmp_path / "0.block").mkdir()
    (tmp_path / "0.block" / "x").touch()
    (tmp_path / "1.block").mkdir()
    with pytest.raises(LedgerError, match=r"cannot read .*0\.block.*directory"):
        await anext(FileDelivery(tmp_path).blocks(0))
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(LedgerError, match=r"cannot read .*not a directory"):
        await anext(FileDelivery(file).blocks(0))
