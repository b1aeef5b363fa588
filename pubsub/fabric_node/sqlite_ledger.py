"""A ledger in one SQLite file, for one process at a time.

    with SqliteLedger.open("mychannel.ledger", "mychannel") as ledger:
        ledger.append(ledger.height, raw)

What `append` has returned for is on the disk: a process that is killed, or a machine that
loses power, loses at most the block that was being written. Beside the file stand
`-wal` (and for a moment `-journal`) while it is open; they belong to it.

Headers lie apart from blocks, so that opening reads all headers and checks their chain
without reading gigabytes; of the blocks only the last is read. `check` reads all.

Calls block for as long as the disk takes. Any thread may make them, one at a time.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from pubsub.errors import ClosedError
from pubsub.fabric.blocks import BlockError, BlockHeader, parse_block
from pubsub.fabric.ledger import LedgerError, check_successor

APPLICATION_ID = 0x46676C31  # "Fgl1"
_SCHEMA = """
    CREATE TABLE channel (name TEXT NOT NULL);
    CREATE TABLE header (
        number INTEGER PRIMARY KEY, previous_hash BLOB NOT NULL, data_hash BLOB NOT NULL
    );
    CREATE TABLE block (number INTEGER PRIMARY KEY, raw BLOB NOT NULL);
    -- Counting blocks reads this, not the blocks.
    CREATE INDEX block_number ON block (number);
"""
# A file that was tampered with can hold texts where blobs belong.
_HEADERS = "SELECT number, CAST(previous_hash AS BLOB), CAST(data_hash AS BLOB) FROM header"
_WAL_LIMIT = 1 << 20
"Bytes that the -wal file is cut to, when a large block made it long."


class SqliteLedger:
    """The blocks of one channel on disk. Made by `open`, used in one `with`."""

    def __init__(self, path: str, connection: sqlite3.Connection, height: int, last: bytes) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = connection
        self._height = height
        self._last_hash = last
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: str | os.PathLike[str], channel: str) -> SqliteLedger:
        """Open the ledger of `channel` in `path`; a new one, if there is no such file.

        Raises LedgerError, in one line, if the file is in use, is not a ledger of this
        channel, has a gap or a wrong chain, or cannot be read and written.
        """
        name = os.fspath(path)
        with _errors_of(name):
            connection = _connect(name)
            try:
                _prepare(connection, name, channel)
                height, last = _checked(connection, name)
            except BaseException:
                connection.close()
                raise
        return cls(name, connection, height, last)

    @property
    def height(self) -> int:
        return self._height

    @property
    def last_hash(self) -> bytes:
        return self._last_hash

    def block(self, number: int) -> bytes | None:
        """A block as it was appended; None if it is not here. Raises LedgerError, ClosedError."""
        with self._lock, _errors_of(self._path):
            connection = self._open_connection()
            if not 0 <= number < self._height:
                return None
            row = connection.execute("SELECT raw FROM block WHERE number = ?", (number,)).fetchone()
        if row is None or not isinstance(row[0], bytes):
            raise _damaged(self._path, f"block {number} is missing")
        return row[0]

    def append(self, number: int, raw: bytes) -> None:
        """Keep a block for good; see `Ledger`. Raises LedgerError, BlockError, ClosedError."""
        with self._lock, _errors_of(self._path):
            connection = self._open_connection()
            header = check_successor(number, raw, self._height, self._last_hash)
            with _transaction(connection):
                connection.execute(
                    "INSERT INTO header VALUES (?, ?, ?)",
                    (number, header.previous_hash, header.data_hash),
                )
                connection.execute("INSERT INTO block VALUES (?, ?)", (number, raw))
            self._height = number + 1
            self._last_hash = header.hash

    def check(self) -> None:
        """Read every block and compare it with its header. Raises LedgerError, ClosedError."""
        for number in range(self._height):
            with self._lock, _errors_of(self._path):
                connection = self._open_connection()
                row = connection.execute(f"{_HEADERS} WHERE number = ?", (number,)).fetchone()
                header = BlockHeader(*row)
                _check_content(connection, self._path, header)

    def close(self) -> None:
        """Write everything into the one file and let go of it. May be called twice."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SqliteLedger({self._path!r}, height={self._height})"

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ClosedError(f"ledger {self._path!r} is closed")
        return self._connection


def _connect(path: str) -> sqlite3.Connection:
    if not Path(path).exists():
        # SQLite would make it readable for all.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


def _prepare(connection: sqlite3.Connection, path: str, channel: str) -> None:
    """Take hold of the file, and make its tables if it is new."""
    # Before anything is read: in this mode the first lock is kept until the file is closed.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    (kind,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and kind != APPLICATION_ID:
        raise LedgerError(f"{path!r} is a database, but not a ledger")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
    if not tables:
        with _transaction(connection):
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute("INSERT INTO channel VALUES (?)", (channel,))
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        _sync_directory(path)
    row = connection.execute("SELECT name FROM channel").fetchone()
    if row is None:
        raise _damaged(path, "it names no channel")
    if row[0] != channel:
        raise LedgerError(f"ledger {path!r} is of channel {row[0]!r}, not {channel!r}")


def _sync_directory(path: str) -> None:
    """Make the file's name as durable as its content."""
    directory = os.open(Path(path).absolute().parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _checked(connection: sqlite3.Connection, path: str) -> tuple[int, bytes]:
    """The height and the last hash of a ledger whose chain holds."""
    height, last, header = 0, b"", None
    for number, previous_hash, data_hash in connection.execute(f"{_HEADERS} ORDER BY number"):
        if number != height:
            raise _damaged(path, f"block {height} is missing")
        if previous_hash != last:
            raise _damaged(path, f"block {number} does not follow block {number - 1}")
        header = BlockHeader(number, previous_hash, data_hash)
        height, last = number + 1, header.hash
    counted = connection.execute("SELECT count(*), min(number), max(number) FROM block").fetchone()
    if counted != (height, 0 if height else None, height - 1 if height else None):
        raise _damaged(path, f"{counted[0]} blocks for {height} headers, or other numbers")
    if header is not None:
        _check_content(connection, path, header)
    return height, last


def _check_content(connection: sqlite3.Connection, path: str, header: BlockHeader) -> None:
    number = header.number
    query = "SELECT CAST(raw AS BLOB) FROM block WHERE number = ?"
    (raw,) = connection.execute(query, (number,)).fetchone()
    try:
        block = parse_block(raw)
    except BlockError as error:
        raise _damaged(path, f"block {number}: {error}") from error
    if block.header != header or block.data_hash != header.data_hash:
        raise _damaged(path, f"block {number} is not the one of its header")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself when, for example, the disk is full.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _damaged(path: str, what: str) -> LedgerError:
    return LedgerError(f"ledger {path!r} is damaged: {what}")


@contextmanager
def _errors_of(path: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LedgerError(f"ledger {path!r} is in use by another process") from error
        raise LedgerError(f"ledger {path!r}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"ledger {path!r} is damaged or no ledger: {error}") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise LedgerError(f"cannot open ledger {path!r}: {reason}") from error
