"""Frames: whole, byte by byte, cut anywhere, too long."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.errors import RemoteError
from pubsub.wire.framing import (
    CRUMBS,
    PATIENCE,
    PROGRESS,
    FrameReader,
    FrameReaders,
    frame,
)
from pubsub.wire.varint import encode_varint
from tests.fuzz import COUNT, hostile_bytes

PAYLOADS = [b"", b"a", bytes(127), bytes(128), b"b" * 300, bytes(20_000)]
STREAM = b"".join(map(frame, PAYLOADS))


def test_whole() -> None:
    reader = FrameReader(20_000)
    assert reader.feed(STREAM) == PAYLOADS
    assert reader.feed(b"") == []
    assert reader.buffered == 0


def test_byte_by_byte() -> None:
    reader = FrameReader(20_000)
    found = [payload for byte in STREAM for payload in reader.feed(bytes((byte,)))]
    assert found == PAYLOADS
    assert reader.buffered == 0


@pytest.mark.parametrize("step", [2, 7, 127, 128, 129, 4096])
def test_in_pieces(step: int) -> None:
    reader = FrameReader(20_000)
    pieces = [STREAM[start : start + step] for start in range(0, len(STREAM), step)]
    assert [payload for piece in pieces for payload in reader.feed(piece)] == PAYLOADS


@given(st.lists(st.binary(max_size=300), max_size=8), st.data())
def test_cut_anywhere(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(frame, payloads))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader = FrameReader(300)
    found: list[bytes] = []
    fed = 0
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:stop])
        fed += stop - start
        complete = sum(len(frame(payload)) for payload in found)
        assert reader.buffered == fed - complete
    assert found == payloads


def test_a_frame_that_never_ends_is_kept_and_no_more() -> None:
    reader = FrameReader(1000)
    assert reader.feed(frame(bytes(1000))[:-1]) == []
    assert reader.buffered == 1001


@pytest.mark.parametrize("length", [1001, 2**20, 2**62])
def test_a_promise_over_the_limit_is_refused_before_anything_is_allocated(length: int) -> None:
    reader = FrameReader(1000)
    prefix = encode_varint(length)
    tracemalloc.start()
    try:
        for byte in prefix[:-1]:
            assert reader.feed(bytes((byte,))) == []
        with pytest.raises(RemoteError, match=f"a frame of {length} bytes; the limit is 1000"):
            reader.feed(prefix[-1:])
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert reader.buffered == 0


def test_a_promise_within_the_limit_allocates_nothing_either() -> None:
    reader = FrameReader(64 << 20)
    tracemalloc.start()
    try:
        assert reader.feed(encode_varint(64 << 20) + b"x") == []
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert reader.buffered == 5


def test_a_prefix_without_end() -> None:
    reader = FrameReader(1000)
    with pytest.raises(RemoteError):
        reader.feed(b"\x80" * 20)
    reader = FrameReader(1000)
    for _ in range(8):
        assert reader.feed(b"\x80") == []
    with pytest.raises(RemoteError):
        reader.feed(b"\x80")


def test_a_frame_in_crumbs_costs_little_more_than_its_bytes() -> None:
    size = 200_000
    stream = frame(bytes(range(1, 201)) * (size // 200))
    reader = FrameReader(size)
    tracemalloc.start()
    try:
        found: list[bytes] = []
        for start in range(0, len(stream), 2):
            found += reader.feed(stream[start : start + 2])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [stream[3:]]
    assert len(reader._parts) == 0
    assert peak < 4 * size
    assert size > 50 * CRUMBS


def test_hostile_bytes_raise_only_the_declared_error() -> None:
    rng = random.Random(2)
    valid = [b"".join(map(frame, [b"", b"a", bytes(30), b"bc"])), frame(bytes(150))]
    reader, refused = FrameReader(200), 0
    for data in hostile_bytes(rng, valid, COUNT):
        try:
            assert all(len(payload) <= 200 for payload in reader.feed(data))
        except RemoteError:
            refused += 1
            reader = FrameReader(200)
        assert reader.buffered <= 210
    assert 0 < refused < COUNT


# -- many readers


def readers(budget: int = 1000, limit: int = 1000) -> FrameReaders[str]:
    found = FrameReaders[str](limit, budget)
    for key in "abcd":
        found.open(key)
    return found


def unfinished(size: int) -> bytes:
    """What makes a reader hold so many bytes, of a frame of 1000."""
    return frame(bytes(1000))[:size]


def test_each_stream_has_its_own_frames() -> None:
    many = readers()
    assert many.feed("a", frame(b"one")[:2]) == []
    assert many.feed("b", frame(b"two") + b"\x01") == [b"two"]
    assert many.held == 3
    assert many.feed("a", frame(b"one")[2:]) == [b"one"]
    assert many.feed("b", b"x" + frame(b"y")) == [b"x", b"y"]
    assert many.held == 0


def test_a_closed_stream_is_forgotten_and_what_it_still_brings_is_thrown_away() -> None:
    many = readers()
    many.feed("a", unfinished(600))
    many.close("a")
    assert many.held == 0
    assert many.feed("a", frame(b"late")) == []
    many.close("a")
    many.open("a")
    assert many.feed("a", frame(b"anew")) == [b"anew"]


def test_a_stream_that_announces_too_much_is_closed() -> None:
    many = readers(limit=100)
    many.feed("a", encode_varint(2000)[:1])
    with pytest.raises(RemoteError, match="a frame of 2000 bytes; the limit is 100"):
        many.feed("a", encode_varint(2000)[1:])
    assert many.held == 0
    assert many.feed("a", frame(b"more")) == []


def test_within_the_budget_nobody_is_too_greedy() -> None:
    many = readers(budget=1000)
    many.feed("a", unfinished(900))
    many.feed("b", unfinished(100))
    assert many.greediest() is None
    many.feed("b", b"x")
    assert many.greediest() == "a"


def test_over_the_budget_the_oldest_of_those_who_hold_their_share_goes() -> None:
    many = readers(budget=1000)
    for key, size in (("a", 100), ("b", 400), ("c", 500), ("d", 450)):
        many.feed(key, unfinished(size))
    assert many.held == 1450
    assert many.greediest() == "b"
    many.close("b")
    assert many.greediest() == "c"
    many.close("c")
    assert many.greediest() is None


def test_who_sends_crumbs_of_an_old_frame_does_not_become_younger() -> None:
    many = readers(budget=1000)
    many.feed("a", unfinished(600))
    many.feed("b", unfinished(600))
    many.feed("a", b"x")
    assert many.greediest() == "a"


def test_whose_frames_are_finished_again_and_again_is_young() -> None:
    many = readers(budget=1000)
    many.feed("a", unfinished(600))
    many.feed("b", unfinished(600))
    assert len(many.feed("a", unfinished(1002)[600:] + unfinished(600))) == 1
    assert many.greediest() == "b"


def test_equal_shares_are_told_apart_by_age() -> None:
    many = readers(budget=0)
    for key in "bacd":
        many.feed(key, unfinished(333))
    assert many.greediest() == "b"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 700)), max_size=30))
def test_the_budget_is_kept_whatever_comes(moves: list[tuple[str, int]]) -> None:
    many = readers(budget=1000)
    stream = dict.fromkeys("abcd", b"")
    for key, size in moves:
        stream[key] = stream[key] or frame(bytes(1000))
        data, stream[key] = stream[key][:size], stream[key][size:]
        many.feed(key, data)
        while (greediest := many.greediest()) is not None:
            many.close(greediest)
        assert many.held == sum(reader.buffered for reader in many._readers.values()) <= 1000
        assert list(many._unfinished) == [
            key for key in many._unfinished if many._readers[key].buffered
        ]


def test_a_frame_that_does_not_go_on_is_found() -> None:
    many = readers(limit=1000)
    many.feed("a", unfinished(500))
    many.feed("b", unfinished(500))
    assert many.stalled(10) == []
    many.feed("b", unfinished(1002)[500:] + unfinished(500))
    assert many.stalled(10 + PATIENCE - 1) == []
    many.feed("a", b"x")
    assert many.stalled(10 + PATIENCE) == ["a"]
    many.close("a")
    # The other one has a new frame, first seen a second before.
    assert many.stalled(10 + PATIENCE + PATIENCE - 1.5) == []
    assert many.stalled(10 + PATIENCE + PATIENCE - 1) == ["b"]


def test_a_large_frame_may_take_its_time_but_must_go_on() -> None:
    many = readers(limit=4 * PROGRESS, budget=8 * PROGRESS)
    many.feed("a", encode_varint(4 * PROGRESS))
    now = 0.0
    assert many.stalled(now) == []
    for _ in range(3):
        now += PATIENCE
        many.feed("a", bytes(PROGRESS))
        assert many.stalled(now) == []
    now += PATIENCE
    many.feed("a", bytes(PROGRESS - 1))
    assert many.stalled(now) == ["a"]
