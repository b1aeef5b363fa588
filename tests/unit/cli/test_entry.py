"""How the commands start, and how they say no."""

from __future__ import annotations

import sys

import click
import pytest

from pubsub.cli import entry
from pubsub.errors import LocalError, ParamError


def command_that(raises: BaseException) -> click.Command:
    def run() -> int:
        raise raises

    return click.Command("it", callback=run)


def test_the_status_is_what_the_command_returns() -> None:
    assert entry.run_click(click.Command("it", callback=lambda: 7), "it", []) == 7
    assert entry.run_click(click.Command("it", callback=lambda: None), "it", []) == 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ParamError("no such\nfile\x1b"), 2),
        (LocalError("no such file\x1b"), 1),
        (click.UsageError("no such file\x1b"), 2),
    ],
)
def test_what_cannot_be_done_is_one_line(
    error: Exception, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert entry.run_click(command_that(error), "it", []) == status
    assert capfd.readouterr() == ("", "it: no such file\\x1b\n")


def test_an_abort_is_an_interruption() -> None:
    assert entry.run_click(command_that(click.Abort()), "it", []) == 130


def test_ctrl_c_ends_with_its_status() -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as excinfo:
        entry.run_to_exit(interrupted)
    assert excinfo.value.code == 130


def test_a_complaint_that_nobody_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    entry.complain("it", "x")


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "DISTRIBUTION", "no-such-distribution")
    assert entry.version() == "(not installed)"
