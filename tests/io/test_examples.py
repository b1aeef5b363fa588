"""What examples/ promises, it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.io.cli_process import LineFeed

ROOT = Path(__file__).resolve().parents[2]


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


def test_two_runs_of_the_smallest_program_hear_each_other() -> None:
    # On loopback, so that the test says nothing to the network.
    program = (ROOT / "examples" / "publish_subscribe.py").read_text()
    assert "0.0.0.0" in program
    command = [sys.executable, "-c", program.replace("0.0.0.0", "127.0.0.1")]
    programs = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for program in programs:
            lines = LineFeed(program.stdout, "stdout")
            lines.until("listening on /ip4/127.0.0.1/tcp/")
            lines.until(" says b'sunny'")
    finally:
        for program in programs:
            program.terminate()
            program.wait()
