"""examples/simulate.py and the programs of docs/simulator.md do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def simulate(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "examples/simulate.py", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=18,
    )


def test_a_row_for_each_seed_and_success_where_all_arrived() -> None:
    small = ("--peers", "12", "--degree", "6", "--messages", "5", "--seeds", "1-3")
    result = simulate(*small, "--loss", "0.01", "--sybils", "0.2")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["seed", "peers", "bad", "messages"]
    assert [line.split()[:4] for line in lines[1:4]] == [
        [str(seed), "10", "2", "5"] for seed in (1, 2, 3)
    ]
    assert "100 %" in lines[1]
    assert lines[4].startswith("ceil(log6 N) + 2 is 4 hops;")


def test_missing_messages_are_told_by_the_exit_status() -> None:
    small = ("--peers", "6", "--messages", "3", "--loss", "1", "--verbose")
    result = simulate(*small)
    assert result.returncode == 1, result.stderr
    assert "0 of 15 (0.000 %)" in result.stdout


@pytest.mark.slow
def test_impossible_figures_are_one_line() -> None:
    for wrong in (("--sybils", "1"), ("-p", "d=99"), ("-p", "nonsense=1"), ("--loss", "2")):
        result = simulate("--peers", "4", *wrong)
        assert result.returncode == 2
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_programs_of_the_manual_run(capsys) -> None:
    text = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    expected = ["arrived", "arrived", "ledgers equal"]
    for program, word in zip(programs, expected, strict=True):
        exec(program, {})
        assert word in capsys.readouterr().out
