"""What a peer keeps in its fileSystemPath, and who may touch it.

    libp2p.key              the node's key, and with it its peer id
    peer.lock               locked for as long as the peer runs
    peer.sock               where the running peer answers `pubsub-fabric channel`
    channels/NAME/ledger    the blocks of a channel; its being there says that we joined

Without a running peer the ledgers are read as they are, and left as they are.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pubsub.errors import LocalError, ParamError
from pubsub.fabric.config import CHANNEL_NAME, MAX_CHANNEL_NAME
from pubsub.fabric.ledger import LedgerError
from pubsub.fabric_node.sqlite_ledger import APPLICATION_ID


class InUseError(LocalError):
    """Another peer runs with the same data."""


@dataclass(frozen=True, slots=True)
class PeerData:
    """One peer's fileSystemPath."""

    path: Path

    @property
    def key(self) -> Path:
        return self.path / "libp2p.key"

    @property
    def socket(self) -> Path:
        return self.path / "peer.sock"

    @property
    def is_used(self) -> bool:
        """Whether a peer has ever run with it."""
        return self.key.exists() or (self.path / "channels").is_dir()

    def ledger(self, channel: str) -> Path:
        """Raises ParamError for what cannot be a channel's name."""
        if len(channel) > MAX_CHANNEL_NAME or not CHANNEL_NAME.fullmatch(channel):
            raise ParamError(f"{channel!r} is not a channel's name")
        return self.path / "channels" / channel / "ledger"

    @property
    def channels(self) -> list[str]:
        """Those that were joined, in order of their names."""
        folder = self.path / "channels"
        if not folder.is_dir():
            return []
        return sorted(
            each.name
            for each in folder.iterdir()
            if CHANNEL_NAME.fullmatch(each.name) and (each / "ledger").is_file()
        )

    def make(self) -> None:
        """Make the directory, if it is not there. Raises ParamError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable("make directory", self.path, error) from error

    def make_place(self, channel: str) -> Path:
        """Where the ledger of a channel is to be opened. Raises ParamError."""
        ledger = self.ledger(channel)
        try:
            ledger.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable("make directory", ledger.parent, error) from error
        return ledger

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one peer that runs here. Raises InUseError, ParamError."""
        path = self.path / "peer.lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable("open", path, error) from error
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InUseError(f"a peer runs already with the data in {self.path}") from error
            yield
        finally:
            os.close(handle)


def stored_height(path: Path) -> int:
    """How many blocks are in a ledger that no peer has open. Raises LedgerError.

    It is not changed: what a killed peer left beside the file is read, and stays for the
    peer that comes next.
    """
    name = str(path)
    try:
        with closing(sqlite3.connect(_read_only(path), uri=True, timeout=0)) as connection:
            (kind,) = connection.execute("PRAGMA application_id").fetchone()
            if kind != APPLICATION_ID:
                raise LedgerError(f"{name!r} is not a ledger")
            (height,) = connection.execute("SELECT count(*) FROM header").fetchone()
            return int(height)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LedgerError(f"ledger {name!r} is in use, and its peer does not answer") from error
        raise LedgerError(f"cannot read ledger {name!r}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"ledger {name!r} is damaged or no ledger: {error}") from error


def _read_only(path: Path) -> str:
    wal = path.with_name(f"{path.name}-wal")
    # With nothing beside the file nobody writes to it, and no index of that has to be made.
    how = "mode=ro" if wal.exists() and wal.stat().st_size else "mode=ro&immutable=1"
    return f"{path.absolute().as_uri()}?{how}"


def _unusable(verb: str, path: Path, error: OSError) -> ParamError:
    reason = (error.strerror or str(error)).lower()
    return ParamError(f"cannot {verb} {str(path)!r}: {reason}")
