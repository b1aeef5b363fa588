"""Noise frames: sizes, pieces, order, tampering, and the end of the nonces."""

import random

import pytest

from pubsub.errors import LocalError, RemoteError
from pubsub.transport.noise_session import MAX_NONCE, MAX_PLAINTEXT, NoiseSession

ONE, OTHER = b"1" * 32, b"2" * 32


def pair() -> tuple[NoiseSession, NoiseSession]:
    return (
        NoiseSession(send_key=ONE, receive_key=OTHER),
        NoiseSession(send_key=OTHER, receive_key=ONE),
    )


@pytest.mark.parametrize("size", [1, 1000, MAX_PLAINTEXT, MAX_PLAINTEXT + 1, 3 * MAX_PLAINTEXT])
def test_round_trip_in_as_few_frames_as_possible(size: int) -> None:
    one, other = pair()
    text = random.Random(size).randbytes(size)
    wire = one.encrypt(text)
    count = -(-size // MAX_PLAINTEXT)
    assert len(wire) == size + 18 * count
    plaintexts = other.receive_data(wire)
    assert len(plaintexts) == count
    assert b"".join(plaintexts) == text


def test_nothing_is_sent_for_nothing() -> None:
    assert pair()[0].encrypt(b"") == b""


def test_empty_frame_is_taken_and_tells_nothing() -> None:
    one, other = pair()
    wire = b"\x00\x10" + one._encrypt(bytes(12), b"", None)
    assert other.receive_data(wire) == []


@pytest.mark.parametrize("piece", [1, 2, 3, 17, 19, 1000, 65536, 70000, 200000])
def test_pieces_of_any_size(piece: int) -> None:
    one, other = pair()
    rng = random.Random(piece)
    texts = [rng.randbytes(size) for size in (1, 2, 300, 5, 65519, 1, 40)]
    if piece < 10:
        texts = [text[:500] for text in texts]
    wire = b"".join(map(one.encrypt, texts))
    received = []
    for start in range(0, len(wire), piece):
        received += other.receive_data(wire[start : start + piece])
    assert received == texts


def test_pieces_of_random_size() -> None:
    one, other = pair()
    rng = random.Random(5)
    text = rng.randbytes(1_000_000)
    wire, received = one.encrypt(text), []
    while wire:
        size = rng.choice((1, 2, 5, 100, 5000, 70_000, 150_000))
        received += other.receive_data(wire[:size])
        wire = wire[size:]
    assert b"".join(received) == text


@pytest.mark.parametrize("position", [0, 2, 10, -1])
def test_changed_frame_is_refused(position: int) -> None:
    one, other = pair()
    wire = bytearray(one.encrypt(b"text" * 10))
    wire[position] ^= 1 if position else 0xFF
    with pytest.raises(RemoteError):
        other.receive_data(bytes(wire) + bytes(70_000))


def test_repeated_and_reordered_frames_are_refused() -> None:
    one, other = pair()
    first, second = one.encrypt(b"first"), one.encrypt(b"second")
    with pytest.raises(RemoteError):
        pair()[1].receive_data(second)
    assert other.receive_data(first) == [b"first"]
    with pytest.raises(RemoteError):
        other.receive_data(first)


@pytest.mark.parametrize("size", [0, 1, 15, 16])
def test_frame_without_room_for_a_tag_is_refused(size: int) -> None:
    with pytest.raises(RemoteError):
        pair()[1].receive_data(size.to_bytes(2, "big") + bytes(size))


def test_session_ends_with_its_nonces() -> None:
    one, other = pair()
    one._send_nonce = other._receive_nonce = MAX_NONCE
    wire = one.encrypt(b"the last")
    assert other.receive_data(wire) == [b"the last"]
    with pytest.raises(LocalError, match="nonces"):
        one.encrypt(b"one too many")
    with pytest.raises(RemoteError, match="nonces"):
        other.receive_data(wire)


def test_a_batch_that_would_outrun_the_nonces_is_refused_whole() -> None:
    one, _ = pair()
    one._send_nonce = MAX_NONCE
    with pytest.raises(LocalError):
        one.encrypt(bytes(2 * MAX_PLAINTEXT))
