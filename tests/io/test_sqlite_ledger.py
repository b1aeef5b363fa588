"""A ledger whose process is killed while it writes, and one that another process holds."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from pubsub.fabric.ledger import LedgerError
from pubsub.fabric_node.sqlite_ledger import SqliteLedger
from tests.unit.fabric.chains import make_block

ROOT = Path(__file__).resolve().parents[2]


def writer(path: Path, size: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.io.kill_ledger", str(path), str(size)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def killed(path: Path, size: int, *, blocks: int, delay: float) -> tuple[int, int]:
    """The height that a writer began at, and the last that it spoke of before it was killed."""
    with writer(path, size) as process:
        assert process.stdout
        first = int(process.stdout.readline())
        for _ in range(blocks):
            process.stdout.readline()
        time.sleep(delay)
        process.kill()
        said = [int(line) for line in process.stdout if line.endswith("\n")]
    return first, max(said, default=first + blocks)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("size", "times"), [(2_000, 6), (3_000_000, 4)])
def test_a_ledger_whose_process_is_killed_while_it_writes_lacks_nothing(
    tmp_path: Path, size: int, times: int
) -> None:
    path = tmp_path / "killed.ledger"
    height = 0
    for round_ in range(times):
        # Killed at another moment of a write each time.
        first, said = killed(path, size, blocks=3, delay=0.0007 * round_)
        assert first >= height, "a block that append had returned for is lost"
        height = said
    with SqliteLedger.open(path, "mychannel") as ledger:
        # What was being written when the process died is there whole, or not at all.
        assert height <= ledger.height <= height + 1
        ledger.check()
        ledger.append(ledger.height, make_block(ledger.height, ledger.last_hash, [b"x"]))
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.timeout(60)
def test_a_second_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "held.ledger"
    with writer(path, 100) as process:
        assert process.stdout
        for _ in range(3):
            process.stdout.readline()
        with pytest.raises(LedgerError, match="in use by another process"):
            SqliteLedger.open(path, "mychannel")
        process.kill()
    with SqliteLedger.open(path, "mychannel") as ledger:
        assert ledger.height >= 2


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_block_of_99_megabytes_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "large.ledger"
    large = make_block(0, b"", [bytes(99_000_000)])
    with SqliteLedger.open(path, "mychannel") as ledger:
        ledger.append(0, large)
    with SqliteLedger.open(path, "mychannel") as ledger:
        assert ledger.block(0) == large
