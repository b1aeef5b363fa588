"""How the demonstration's steps look: in a file or pipe, and on a terminal."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pubsub.cli import fabric_demo_screen
from pubsub.cli.fabric_demo_screen import Screen


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(100))
    monkeypatch.setattr(fabric_demo_screen.time, "monotonic", lambda: float(next(moments)))


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The other side of a terminal that standard output is."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        yield ours
    os.close(ours)


def read_to(other_side: int, end: str) -> str:
    """What a terminal is shown, which comes in pieces."""
    shown = ""
    while not shown.endswith(end):
        shown += os.read(other_side, 10_000).decode()
    return shown


def show(screen: Screen) -> None:
    screen.say("It begins\x1b.")
    screen.begin("a step")
    screen.progress("half done")
    screen.end("what was found")
    screen.begin("another")
    screen.fail("nothing\nfound")
    screen.say("It ends.")


def test_a_pipe_gets_one_line_for_each_step(capfd: pytest.CaptureFixture[str]) -> None:
    show(Screen())
    assert capfd.readouterr().out.splitlines() == [
        "It begins\\x1b.",
        "  ok    a step                               1.0 s  what was found",
        "  FAIL  another                              1.0 s  nothing\\nfound",
        "It ends.",
    ]


def test_a_terminal_also_shows_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as other_side:
        screen = Screen()
        show(screen)
        shown = read_to(other_side, "It ends.\r\n")
        screen.begin("a third")
        screen.progress("x" * 500)
        screen.say("in between")
        *_, progress, said = read_to(other_side, "in between\r\n").split("\r\x1b[K")
    assert "\r\x1b[K  ..    a step                             half done\r\x1b[K  ok    a" in shown
    assert len(progress) < 80
    assert said == "in between\r\n"


def test_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    show(Screen())
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        show(Screen())
