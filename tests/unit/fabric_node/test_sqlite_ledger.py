from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pubsub.errors import ClosedError
from pubsub.fabric.blocks import LinkError, parse_block
from pubsub.fabric.ledger import Ledger, LedgerError
from pubsub.fabric.make_blocks import sign_block
from pubsub.fabric_node.sqlite_ledger import SqliteLedger
from tests.unit.fabric.chains import chain, make_block

BLOCKS = chain(5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mychannel.ledger"


def fill(path: Path, blocks: list[bytes]) -> None:
    with SqliteLedger.open(path, "mychannel") as ledger:
        for raw in blocks:
            ledger.append(ledger.height, raw)


def damage(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_blocks_outlive_the_process(path: Path) -> None:
    with SqliteLedger.open(path, "mychannel") as opened:
        ledger: Ledger = opened
        assert ledger.height == 0
        assert ledger.last_hash == b""
        assert ledger.block(0) is None
        for number, raw in enumerate(BLOCKS):
            ledger.append(number, raw)
        assert ledger.height == 5
        assert ledger.last_hash == parse_block(BLOCKS[-1]).hash
    with SqliteLedger.open(path, "mychannel") as ledger:
        assert ledger.height == 5
        assert ledger.last_hash == parse_block(BLOCKS[-1]).hash
        assert [ledger.block(number) for number in range(5)] == BLOCKS
        assert ledger.block(5) is None
        assert ledger.block(-1) is None
        assert ledger.block(1 << 64) is None
        assert repr(ledger) == f"SqliteLedger({str(path)!r}, height=5)"
        ledger.check()


def test_a_closed_ledger_is_one_file_that_only_its_owner_reads(path: Path) -> None:
    fill(path, BLOCKS)
    assert os.listdir(path.parent) == [path.name]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_closed_ledger_says_so(path: Path) -> None:
    with SqliteLedger.open(path, "mychannel") as ledger:
        ledger.append(0, BLOCKS[0])
    ledger.close()
    for use in (
        lambda: ledger.block(0),
        lambda: ledger.append(1, BLOCKS[1]),
        lambda: ledger.check(),
    ):
        with pytest.raises(ClosedError, match="is closed"):
            use()


def test_what_is_no_successor_is_refused_and_leaves_nothing(path: Path) -> None:
    with SqliteLedger.open(path, "mychannel") as ledger:
        ledger.append(0, BLOCKS[0])
        with pytest.raises(LedgerError, match="block 2 was appended where block 1 is next"):
            ledger.append(2, BLOCKS[2])
        with pytest.raises(LinkError, match="points back"):
            ledger.append(1, make_block(1, bytes(32), [b"x"]))
        assert ledger.height == 1
        ledger.append(1, BLOCKS[1])
    with SqliteLedger.open(path, "mychannel") as ledger:
        assert ledger.height == 2


def test_one_ledger_is_open_once(path: Path) -> None:
    with SqliteLedger.open(path, "mychannel") as ledger:
        with pytest.raises(LedgerError, match="in use by another process"):
            SqliteLedger.open(path, "mychannel")
        ledger.append(0, BLOCKS[0])
        with pytest.raises(LedgerError, match="in use by another process"):
            SqliteLedger.open(path, "mychannel")
    with SqliteLedger.open(path, "mychannel") as ledger:
        assert ledger.height == 1


def test_a_ledger_that_is_only_read_is_open_once_too(path: Path) -> None:
    fill(path, BLOCKS)
    with (
        SqliteLedger.open(path, "mychannel"),
        pytest.raises(LedgerError, match="in use by another process"),
    ):
        SqliteLedger.open(path, "mychannel")


def test_what_is_appended_is_on_the_disk_before_append_returns(path: Path) -> None:
    with SqliteLedger.open(path, "mychannel") as ledger:
        connection = ledger._connection
        assert connection
        settings = ("journal_mode", "synchronous", "locking_mode", "journal_size_limit")
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in settings]
        assert found == ["wal", 2, "exclusive", 1 << 20]


def test_nothing_is_left_open(path: Path, tmp_path: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    fill(path, BLOCKS)
    with pytest.raises(LedgerError):
        SqliteLedger.open(path, "second")
    assert len(os.listdir("/dev/fd")) == before


def test_a_write_that_fails_half_way_leaves_nothing(path: Path) -> None:
    with SqliteLedger.open(path, "mychannel") as ledger:
        ledger.append(0, BLOCKS[0])
        connection = ledger._connection
        assert connection
        connection.execute("INSERT INTO block VALUES (1, x'00')")
        with pytest.raises(LedgerError, match="UNIQUE"):
            ledger.append(1, BLOCKS[1])
        assert ledger.height == 1
        connection.execute("DELETE FROM block WHERE number = 1")
        ledger.append(1, BLOCKS[1])
        assert ledger.block(1) == BLOCKS[1]


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM block WHERE number = 1", "UPDATE block SET raw = 'text' WHERE number = 1"],
)
def test_a_block_that_is_lost_while_the_ledger_is_open_is_named(path: Path, statement: str) -> None:
    with SqliteLedger.open(path, "mychannel") as ledger:
        for number in range(3):
            ledger.append(number, BLOCKS[number])
        connection = ledger._connection
        assert connection
        connection.execute(statement)
        with pytest.raises(LedgerError, match="is damaged: block 1 is missing"):
            ledger.block(1)


def test_a_ledger_is_of_one_channel(path: Path) -> None:
    fill(path, BLOCKS)
    with pytest.raises(LedgerError, match="is of channel 'mychannel', not 'second'"):
        SqliteLedger.open(path, "second")
    # It was let go of.
    fill(path, [])


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["DELETE FROM header WHERE number = 2"], "is damaged: block 2 is missing"),
        (["DELETE FROM header WHERE number = 0"], "is damaged: block 0 is missing"),
        (["DELETE FROM header WHERE number = 4"], "5 blocks for 4 headers"),
        (["DELETE FROM block WHERE number = 2"], "4 blocks for 5 headers"),
        (["UPDATE block SET number = 9 WHERE number = 4"], "5 blocks for 5 headers, or other"),
        (
            ["UPDATE header SET data_hash = zeroblob(32) WHERE number = 2"],
            "block 3 does not follow block 2",
        ),
        (
            ["UPDATE header SET previous_hash = zeroblob(32) WHERE number = 2"],
            "block 2 does not follow block 1",
        ),
        (["UPDATE header SET previous_hash = x'01' WHERE number = 0"], "block 0 does not follow"),
        (
            ["UPDATE header SET data_hash = zeroblob(32) WHERE number = 4"],
            "block 4 is not the one of its header",
        ),
        (["UPDATE block SET raw = x'ff' WHERE number = 4"], "block 4: malformed block"),
        (["UPDATE block SET raw = '' WHERE number = 4"], "block 4: "),
        (["DROP TABLE header"], "no such table"),
        (["PRAGMA application_id = 5"], "is a database, but not a ledger"),
        (["DELETE FROM channel"], "names no channel"),
    ],
)
def test_a_damaged_ledger_is_not_opened(path: Path, statements: list[str], message: str) -> None:
    fill(path, BLOCKS)
    damage(path, *statements)
    with pytest.raises(LedgerError, match=message) as caught:
        SqliteLedger.open(path, "mychannel")
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_last_block_with_other_transactions_below_its_header_is_found(path: Path) -> None:
    fill(path, BLOCKS)
    header = parse_block(BLOCKS[4]).header
    other = sign_block(header, [b"other"], last_config=0, entropy=bytes).raw
    damage(path, f"UPDATE block SET raw = x'{other.hex()}' WHERE number = 4")
    with pytest.raises(LedgerError, match="block 4 is not the one of its header"):
        SqliteLedger.open(path, "mychannel")


def test_a_block_that_is_damaged_in_the_middle_is_found_by_check(path: Path) -> None:
    fill(path, BLOCKS)
    other = make_block(2, parse_block(BLOCKS[1]).hash, [b"other"])
    damage(path, f"UPDATE block SET raw = x'{other.hex()}' WHERE number = 2")
    with (
        SqliteLedger.open(path, "mychannel") as ledger,
        pytest.raises(LedgerError, match="block 2 is not the one of its header"),
    ):
        ledger.check()


def a_text(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)


def a_folder(path: Path) -> None:
    path.mkdir()


def another_database(path: Path) -> None:
    damage(path, "CREATE TABLE x (y)")


def a_torn_file(path: Path) -> None:
    fill(path, chain(5, size=20_000))
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (a_text, "is damaged or no ledger"),
        (a_folder, "unable to open"),
        (another_database, "is a database, but not a ledger"),
        (a_torn_file, "malformed"),
    ],
)
def test_what_is_no_ledger_is_not_opened(
    path: Path, make: Callable[[Path], None], message: str
) -> None:
    make(path)
    with pytest.raises(LedgerError, match=message):
        SqliteLedger.open(path, "mychannel")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"cannot open ledger .*nowhere.*no such file"):
        SqliteLedger.open(tmp_path / "nowhere" / "x.ledger", "mychannel")


def test_an_empty_file_becomes_a_ledger(path: Path) -> None:
    path.touch()
    fill(path, BLOCKS)
    with SqliteLedger.open(path, "mychannel") as ledger:
        assert ledger.height == 5


def test_a_block_larger_than_a_page_cache_is_kept(path: Path) -> None:
    large = make_block(0, b"", [bytes(5 << 20)])
    fill(path, [large, make_block(1, parse_block(large).hash, [b"x"])])
    with SqliteLedger.open(path, "mychannel") as ledger:
        assert ledger.block(0) == large
        assert ledger.height == 2


def test_threads_may_share_a_ledger(path: Path) -> None:
    with SqliteLedger.open(path, "mychannel") as ledger:
        ledger.append(0, BLOCKS[0])
        found: list[bytes | None] = []
        thread = threading.Thread(target=lambda: found.append(ledger.block(0)))
        thread.start()
        thread.join()
        assert found == [BLOCKS[0]]


def test_a_full_disk_leaves_the_ledger_as_it_was(path: Path) -> None:
    with SqliteLedger.open(path, "mychannel") as ledger:
        ledger.append(0, BLOCKS[0])
        connection = ledger._connection
        assert connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        large = make_block(1, ledger.last_hash, [bytes(1 << 20)])
        with pytest.raises(LedgerError, match="full"):
            ledger.append(1, large)
        assert ledger.height == 1
        assert ledger.block(1) is None
        connection.execute("PRAGMA max_page_count = 1000000")
        ledger.append(1, large)
        assert ledger.height == 2
