"""Varints: against a plain loop, at their borders, cut off, too long."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.errors import RemoteError
from pubsub.wire.varint import decode_varint, encode_varint
from tests.fuzz import COUNT, hostile_bytes

BORDERS = [
    (0, "00"),
    (1, "01"),
    (127, "7f"),
    (128, "8001"),
    (300, "ac02"),
    (16383, "ff7f"),
    (16384, "808001"),
    (2**32, "8080808010"),
    (2**63 - 1, "ffffffffffffffff7f"),
]


@pytest.mark.parametrize(("value", "encoded"), BORDERS)
def test_borders(value: int, encoded: str) -> None:
    data = bytes.fromhex(encoded)
    assert encode_varint(value) == data
    assert decode_varint(data) == (value, len(data))
    assert decode_varint(b"xx" + data + b"yy", 2) == (value, 2 + len(data))


@given(st.integers(0, 2**63 - 1))
def test_what_is_written_is_read(value: int) -> None:
    data = encode_varint(value)
    assert decode_varint(data) == (value, len(data))
    for cut in range(len(data)):
        assert decode_varint(data[:cut]) is None


def test_longer_than_nine_bytes() -> None:
    assert decode_varint(b"\x80" * 8) is None
    with pytest.raises(RemoteError):
        decode_varint(b"\x80" * 9)
    with pytest.raises(RemoteError):
        decode_varint(b"\xff" * 1000)


def test_hostile_bytes_raise_only_the_declared_error() -> None:
    rng = random.Random(1)
    valid = [encode_varint(value) for value, _ in BORDERS] + [b"\x80" * 9]
    for data in hostile_bytes(rng, valid, COUNT):
        try:
            found = decode_varint(data)
        except RemoteError:
            continue
        assert found is None or 0 < found[1] <= len(data)
