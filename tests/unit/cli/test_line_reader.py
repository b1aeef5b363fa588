"""Lines come whole, in order and bounded, from whatever standard input is."""

from __future__ import annotations

import errno
import os
import random
import termios
import time
import tracemalloc
from pathlib import Path

import pytest
import trio
import trio.testing

from pubsub.cli import line_reader
from pubsub.cli.line_reader import Line, LineReader, LineSplitter, TooLong

LIMIT = 10


def split(*chunks: bytes) -> list[Line | TooLong]:
    splitter = LineSplitter(LIMIT)
    lines = [line for chunk in chunks for line in splitter.receive_data(chunk)]
    return lines + splitter.end()


def contents(lines: list[Line | TooLong]) -> list[bytes | int]:
    return [line.content if isinstance(line, Line) else line.size for line in lines]


def test_lines_are_split_and_numbered() -> None:
    assert split(b"one\ntwo\r\n\nfour") == [
        *(Line(1, b"one"), Line(2, b"two"), Line(3, b""), Line(4, b"four"))
    ]
    assert split(b"one\n") == [Line(1, b"one")]
    assert split() == []


def test_the_limit_is_exact() -> None:
    assert contents(split(b"x" * 10 + b"\n")) == [b"x" * 10]
    assert contents(split(b"x" * 10 + b"\r\n")) == [b"x" * 10]
    assert split(b"ok\n" + b"x" * 11 + b"\nok") == [Line(1, b"ok"), TooLong(2, 11), Line(3, b"ok")]
    assert contents(split(b"x" * 11 + b"\r\n", b"y" * 500)) == [12, 500]


def test_chunks_make_no_difference() -> None:
    rng = random.Random(3)
    data = b"".join(bytes([rng.choice(b"ab\r")]) * rng.randrange(14) + b"\n" for _ in range(200))
    whole = split(data)
    assert split(*(data[i : i + 1] for i in range(len(data)))) == whole
    for _ in range(20):
        cut = rng.randrange(len(data))
        assert split(data[:cut], data[cut:]) == whole


def test_a_line_without_end_takes_no_memory() -> None:
    splitter = LineSplitter(1000)
    chunk = b"x" * 65536
    tracemalloc.start()
    for _ in range(500):
        splitter.receive_data(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert splitter.end() == [TooLong(1, 500 * 65536)]


async def read_all(descriptor: int) -> list[bytes | int]:
    reader = LineReader(descriptor, LIMIT)
    lines: list[Line | TooLong] = []
    while batch := await reader.receive():
        lines += batch
    assert await reader.receive() == []
    return contents(lines)


async def test_a_pipe_is_read_to_its_end() -> None:
    source, sink = os.pipe()
    os.write(sink, b"a\nb\nc")
    os.close(sink)
    assert await read_all(source) == [b"a", b"b", b"c"]
    os.close(source)


async def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"1\n2\n" * 50_000)
    descriptor = os.open(tmp_path / "f", os.O_RDONLY)
    assert len(await read_all(descriptor)) == 100_000
    os.close(descriptor)


async def test_a_closed_descriptor_is_an_end() -> None:
    source, sink = os.pipe()
    os.close(source)
    os.close(sink)
    assert await read_all(source) == []


async def test_a_non_blocking_pipe_works_too() -> None:
    source, sink = os.pipe()
    os.set_blocking(source, False)
    async with trio.open_nursery() as nursery:

        async def check() -> None:
            assert await read_all(source) == [b"late"]

        nursery.start_soon(check)
        await trio.testing.wait_all_tasks_blocked(0.01)
        os.write(sink, b"late\n")
        os.close(sink)
    os.close(source)


async def test_a_terminal_is_read_until_it_hangs_up() -> None:
    master, slave = os.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    reader = LineReader(slave, LIMIT)
    os.write(master, b"typed\n")
    assert contents(await reader.receive()) == [b"typed"]
    os.write(master, b"\x04")  # Ctrl-D
    assert await reader.receive() == []
    os.close(master)
    assert await LineReader(slave, LIMIT).receive() == []
    os.close(slave)


@pytest.mark.parametrize("use_terminal", [False, True])
async def test_a_blocked_read_holds_nothing_up(use_terminal: bool) -> None:
    source, sink = os.openpty()[::-1] if use_terminal else os.pipe()
    started = time.monotonic()
    with trio.move_on_after(0.01) as scope:
        await LineReader(source, LIMIT).receive()
    assert scope.cancelled_caught
    assert time.monotonic() - started < 0.5
    os.write(sink, b"\n")  # releases the thread
    os.close(sink)


async def test_another_job_has_the_terminal(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    autojump_clock.autojump_threshold = 0.02
    answers: list[bytes | OSError] = [
        *(OSError(errno.EIO, "in the background"), OSError(errno.EIO, "still"), b"hello\n"),
        OSError(errno.EIO, "hung up"),
    ]
    background = [True, True, False]

    def read(descriptor: int, size: int) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(line_reader.os, "read", read)
    monkeypatch.setattr(line_reader, "_in_background", lambda _: background.pop(0))
    assert await read_all(0) == [b"hello"]
    assert 1 <= trio.current_time() < 2
