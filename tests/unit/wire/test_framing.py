"""Frames: whole, byte by byte, cut anywhere, too long."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.errors import RemoteError
from pubsub.wire.framing import CRUMBS, FrameReader, frame
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
