"""What a peer keeps on disk: found again, locked while it runs, readable while it does not."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from pubsub.cli.fabric_data import InUseError, PeerData, stored_height
from pubsub.errors import ParamError
from pubsub.fabric.ledger import LedgerError
from pubsub.fabric_node.sqlite_ledger import SqliteLedger
from tests.unit.fabric.chains import make_block


def fill(ledger: SqliteLedger, blocks: int) -> None:
    for _ in range(blocks):
        ledger.append(ledger.height, make_block(ledger.height, ledger.last_hash, [b"x"]))


def test_channels_are_those_that_have_a_ledger(tmp_path: Path) -> None:
    data = PeerData(tmp_path / "data")
    assert data.channels == []
    data.make()
    assert stat.S_IMODE(data.path.stat().st_mode) == 0o700
    for name in ("sales", "a.b-c"):
        SqliteLedger.open(data.make_place(name), name).close()
    (data.path / "channels" / "empty").mkdir()
    (data.path / "channels" / "NoChannel").mkdir()
    (data.path / "channels" / "NoChannel" / "ledger").touch()
    assert data.channels == ["a.b-c", "sales"]
    assert data.key.parent == data.socket.parent == data.path


def test_the_longest_name_has_a_place(tmp_path: Path) -> None:
    place = PeerData(tmp_path).make_place("a" * 249)
    with SqliteLedger.open(place, "a" * 249) as ledger:
        fill(ledger, 1)


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a" * 250, "a\0"])
def test_what_is_no_channels_name_has_no_place(tmp_path: Path, name: str) -> None:
    with pytest.raises(ParamError, match="is not a channel's name"):
        PeerData(tmp_path).make_place(name)


def test_one_peer_runs_at_a_time(tmp_path: Path) -> None:
    data = PeerData(tmp_path)
    said = f"runs already with the data in {tmp_path}"
    with data.locked(), pytest.raises(InUseError, match=said), data.locked():
        pass
    with data.locked():
        pass


def test_places_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    data = PeerData(tmp_path / "file" / "data")
    with pytest.raises(ParamError, match="cannot make directory"):
        data.make()
    with pytest.raises(ParamError, match="cannot make directory"):
        data.make_place("sales")
    with pytest.raises(ParamError, match="cannot open"), data.locked():
        pass


def test_the_height_of_a_ledger_that_was_closed(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with SqliteLedger.open(path, "sales") as ledger:
        fill(ledger, 3)
    before = path.read_bytes()
    assert stored_height(path) == 3
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["ledger"]


def test_the_height_of_a_ledger_whose_peer_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with SqliteLedger.open(path, "sales") as ledger:
        fill(ledger, 3)
        (tmp_path / "copy").mkdir()
        # As a process that ends now would leave it.
        for each in (path, tmp_path / "ledger-wal"):
            shutil.copy(each, tmp_path / "copy")
        with pytest.raises(LedgerError, match="is in use, and its peer does not answer"):
            stored_height(path)
    left = tmp_path / "copy" / "ledger"
    before = (left.read_bytes(), left.with_name("ledger-wal").read_bytes())
    assert stored_height(left) == 3
    assert (left.read_bytes(), left.with_name("ledger-wal").read_bytes()) == before
    with SqliteLedger.open(left, "sales") as ledger:
        assert ledger.height == 3


def test_files_that_are_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot read ledger"):
        stored_height(tmp_path / "nowhere")
    (tmp_path / "text").write_text("nothing of the kind" * 100)
    with pytest.raises(LedgerError, match="damaged or no ledger"):
        stored_height(tmp_path / "text")
    connection = sqlite3.connect(tmp_path / "other")
    connection.execute("CREATE TABLE header (number)")
    connection.close()
    with pytest.raises(LedgerError, match="is not a ledger"):
        stored_height(tmp_path / "other")
