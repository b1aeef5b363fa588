"""A reader that is slow, stuck or gone costs lines, counted, and never the writer's time."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from pubsub.cli.line_writer import LineWriter, shared_lock, watch_reader


@pytest.fixture
def pipe() -> tuple[int, int]:
    return os.pipe()


def read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def test_lines_arrive_in_order(pipe: tuple[int, int]) -> None:
    source, sink = pipe
    writer = LineWriter(sink)
    for n in range(100):
        writer.write(f"line {n} é")
    assert writer.finish(1, at_most=5)
    os.close(sink)
    assert read_all(source).decode() == "".join(f"line {n} é\n" for n in range(100))
    assert writer.lost == 0


def test_nothing_written_is_finished_at_once(pipe: tuple[int, int]) -> None:
    assert LineWriter(pipe[1]).finish(1, at_most=5)
    for descriptor in pipe:
        os.close(descriptor)


def test_a_stuck_reader_costs_lines_and_no_time(pipe: tuple[int, int]) -> None:
    source, sink = pipe
    writer = LineWriter(sink, max_lines=100)
    started = time.monotonic()
    for _ in range(1000):
        writer.write("x" * 1000)
    assert not writer.finish(0.05, at_most=0.2)
    assert time.monotonic() - started < 1
    assert 100 <= writer.unwritten < 200
    # 64 KiB in the pipe, as much in the writer's hands, and the queue.
    assert 600 < writer.lost < 900
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(read_all(source)))
    reader.start()
    assert writer.finish(1, at_most=5)
    os.close(sink)
    reader.join()
    assert received[0].count(b"\n") == 1000 - writer.lost
    assert writer.unwritten == 0


def test_bytes_are_bounded_too_but_one_line_always_fits(pipe: tuple[int, int]) -> None:
    source, sink = pipe
    writer = LineWriter(sink, max_bytes=1000)
    for _ in range(3):
        writer.write("x" * 200_000)
    assert writer.lost >= 1
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(read_all(source)))
    reader.start()
    assert writer.finish(1, at_most=5)
    os.close(sink)
    reader.join()
    assert len(received[0]) == 200_001 * (3 - writer.lost)


def test_a_reader_that_takes_small_bites_gets_everything(pipe: tuple[int, int]) -> None:
    source, sink = pipe
    writer = LineWriter(sink)
    for _ in range(300):
        writer.write("x" * 999)
    received = bytearray()

    def read_bites() -> None:
        while data := os.read(source, 1000):
            received.extend(data)

    reader = threading.Thread(target=read_bites)
    reader.start()
    assert writer.finish(0.1, at_most=5)
    os.close(sink)
    reader.join()
    os.close(source)
    assert len(received) == 300_000


def test_a_closed_reader_is_noticed_once(pipe: tuple[int, int]) -> None:
    source, sink = pipe
    broken = threading.Event()
    writer = LineWriter(sink, on_broken=broken.set)
    os.close(source)
    writer.write("x")
    assert broken.wait(5)
    assert writer.broken
    writer.write("y")
    assert writer.lost == 0, "what nobody reads is not lost"
    assert writer.fault is None
    assert not writer.finish(1, at_most=5)
    os.close(sink)


def test_a_non_blocking_descriptor_works_and_stays_so(pipe: tuple[int, int]) -> None:
    source, sink = pipe
    os.set_blocking(sink, False)
    writer = LineWriter(sink)
    for _ in range(300):
        writer.write("x" * 999)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(read_all(source)))
    reader.start()
    assert writer.finish(1, at_most=5)
    assert not os.get_blocking(sink)
    os.close(sink)
    reader.join()
    assert len(received[0]) == 300_000


def test_text_that_cannot_be_encoded_is_escaped(pipe: tuple[int, int]) -> None:
    source, sink = pipe
    writer = LineWriter(sink)
    writer.write("a\ud800b")
    assert writer.finish(1, at_most=5)
    os.close(sink)
    assert read_all(source) == b"a\\ud800b\n"


def test_a_vanished_reader_is_noticed_without_writing(pipe: tuple[int, int]) -> None:
    source, sink = pipe
    gone = threading.Event()
    watch_reader(sink, gone.set)
    assert not gone.wait(0.02)
    os.close(source)
    assert gone.wait(5)
    os.close(sink)


def test_files_are_not_watched(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb") as file:
        before = threading.active_count()
        watch_reader(file.fileno(), lambda: None)
        assert threading.active_count() == before


def test_writers_of_one_place_share_a_lock(pipe: tuple[int, int], tmp_path: Path) -> None:
    source, sink = pipe
    other = os.dup(sink)
    assert shared_lock(sink, other) is not None
    with (tmp_path / "f").open("wb") as file:
        assert shared_lock(sink, file.fileno()) is None
    for descriptor in (source, sink, other):
        os.close(descriptor)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")
def test_a_full_disk_is_a_fault() -> None:
    with open("/dev/full", "wb") as full:
        broken = threading.Event()
        writer = LineWriter(full.fileno(), on_broken=broken.set)
        writer.write("x")
        assert broken.wait(5)
        assert writer.fault == "No space left on device"
        assert writer.unwritten == 0
