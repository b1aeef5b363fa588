"""What examples/ promises, it does."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.io.cli_process import LineFeed

ROOT = Path(__file__).resolve().parents[2]


def on_loopback(program: str) -> list[str]:
    """The command that runs a program, changed so that it says nothing to the network."""
    assert "0.0.0.0" in program
    return [sys.executable, "-u", "-c", program.replace("0.0.0.0", "127.0.0.1")]


def readme_program() -> str:
    (program,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    return program


class Run:
    """A process, and the lines it prints."""

    def __init__(self, command: list[str]) -> None:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=ROOT, **pipes)
        self.out = LineFeed(self.process.stdout, "stdout")
        self.err = LineFeed(self.process.stderr, "stderr")

    def ends_quietly(self, status: int) -> None:
        """Ctrl-C ends it at once, with this status and without a word of complaint."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(10) == status
        assert self.err.rest() == []


@contextmanager
def running(command: list[str], count: int = 1) -> Iterator[list[Run]]:
    """Processes of one command, which are gone after the block."""
    runs = [Run(command) for _ in range(count)]
    try:
        yield runs
    finally:
        for run in runs:
            run.process.kill()
            run.process.wait()


@pytest.mark.slow
def test_the_demonstration_shows_every_arrival_and_mesh_and_ends() -> None:
    result = subprocess.run(
        [sys.executable, "examples/demo.py"], cwd=ROOT, capture_output=True, text=True, timeout=18
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    assert result.stdout.count(" heard by ") == 9
    for line in ("ann has bob and cy", "bob has ann and cy", "cy  has ann and bob"):
        assert line in result.stdout
    assert "9 messages, 18 arrivals, each just once" in result.stdout


@pytest.mark.slow
def test_a_demonstration_that_fails_says_so(tmp_path: Path) -> None:
    text = (ROOT / "examples" / "demo.py").read_text()
    broken = tmp_path / "demo.py"
    # The nodes cannot start: an impossible parameter.
    broken.write_text(
        text.replace('OPTIONS = ["--json",', 'OPTIONS = ["--json", "-p", "d=99",').replace(
            "Path(__file__).resolve().parents[1]", repr(str(ROOT))
        )
    )
    result = subprocess.run(
        [sys.executable, str(broken)], cwd=ROOT, capture_output=True, text=True, timeout=18
    )
    assert result.returncode == 1
    assert "FAILED: ann: the node ended before it was asked to" in result.stdout
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_direct_peers_get_large_films_without_a_mesh() -> None:
    result = subprocess.run(
        [sys.executable, "examples/direct_peers.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=18,
    )
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "sent to [1, 1] peers",
        "received 5000000 bytes",
        "received 1000000 bytes",
        "in ann's mesh: 0",
        "traced: 2 deliveries",
    ]


@pytest.mark.slow
def test_two_fabric_peers_gossip_a_block() -> None:
    result = subprocess.run(
        [sys.executable, "examples/fabric_gossip.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=18,
    )
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "both peers are in the channel, each with the genesis block",
        "accepted block 1",
        "the other peer's ledger has it",
    ]


@pytest.mark.slow
def test_two_runs_of_the_smallest_program_hear_each_other() -> None:
    command = on_loopback((ROOT / "examples" / "publish_subscribe.py").read_text())
    with running(command, 2) as runs:
        for run in runs:
            run.out.until("listening on /ip4/127.0.0.1/tcp/")
            run.out.until("sent to 12D3Koo")
            run.out.until(" says b'sunny'")
        for run in runs:
            run.ends_quietly(0)


def test_two_runs_of_the_readme_hear_each_other() -> None:
    with running(on_loopback(readme_program()), 2) as runs:
        for run in runs:
            run.out.until("sent to 12D3Koo")
            run.out.until(" b'sunny'")
        for run in runs:
            run.ends_quietly(0)


@pytest.mark.parametrize("name", ["README.md", "publish_subscribe.py"])
def test_what_ends_on_ctrl_c_still_shows_errors(name: str) -> None:
    example = ROOT / "examples" / name
    command = on_loopback(example.read_text() if example.exists() else readme_program())
    # An address that this machine does not have.
    command[-1] = command[-1].replace("127.0.0.1", "192.0.2.1")
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10)
    assert result.returncode == 1
    assert "ParamError: " in result.stderr.splitlines()[-1]


@pytest.mark.slow
def test_ctrl_c_ends_the_demonstration() -> None:
    with running([sys.executable, "-u", "examples/demo.py"]) as (demo,):
        demo.out.until("ann /ip4/127.0.0.1/tcp/")
        demo.ends_quietly(130)
        assert demo.out.rest()[-1] == "Interrupted."


@pytest.mark.slow
def test_ctrl_c_ends_a_simulation() -> None:
    command = [sys.executable, "-u", "examples/simulate.py", "--peers", "20", "--verbose"]
    with running([*command, "--seeds", "1-10000"]) as (simulation,):
        simulation.out.next()
        simulation.ends_quietly(130)
