from __future__ import annotations

import random

import pytest

from pubsub.errors import ParamError
from pubsub.fabric.payload_buffer import PayloadBuffer, Pushed
from pubsub.pb.fabric.gossip_pb2 import Payload

HIGHEST = (1 << 64) - 1


def block(number: int, size: int = 10) -> Payload:
    return Payload(seq_num=number, data=bytes(size))


def numbers(buffer: PayloadBuffer) -> list[int]:
    popped = []
    while (payload := buffer.pop()) is not None:
        popped.append(payload.seq_num)
    return popped


@pytest.mark.parametrize("seed", range(5))
def test_blocks_in_any_order_are_popped_in_theirs(seed: int) -> None:
    buffer = PayloadBuffer(5)
    order = list(range(5, 35))
    random.Random(seed).shuffle(order)
    popped = []
    for number in order:
        assert buffer.push(block(number)) is Pushed.KEPT
        assert buffer.ready == (buffer.next in buffer)
        popped += numbers(buffer)
    assert popped == list(range(5, 35))
    assert buffer.next == 35
    assert len(buffer) == buffer.held_bytes == 0


def test_nothing_is_popped_over_a_gap() -> None:
    buffer = PayloadBuffer(1)
    buffer.push(block(2))
    assert not buffer.ready
    assert buffer.pop() is None
    assert buffer.next == 1
    buffer.push(block(1))
    assert buffer.ready
    assert numbers(buffer) == [1, 2]


def test_what_was_popped_or_is_here_is_known() -> None:
    buffer = PayloadBuffer(5)
    assert buffer.push(block(4)) is Pushed.KNOWN
    assert buffer.push(block(6)) is Pushed.KEPT
    assert buffer.push(block(6, 20)) is Pushed.KNOWN
    assert buffer.push(block(5)) is Pushed.KEPT
    assert numbers(buffer) == [5, 6]
    assert buffer.push(block(5)) is Pushed.KNOWN
    assert buffer.push_gossip(block(6), height=6) is Pushed.KNOWN


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, Pushed.TOO_FAR),
        (9, Pushed.TOO_FAR),
        (10, Pushed.KEPT),
        (29, Pushed.KEPT),
        (30, Pushed.TOO_FAR),
        (HIGHEST, Pushed.TOO_FAR),
    ],
)
def test_gossip_is_kept_from_the_height_to_one_buffer_above(number: int, expected: Pushed) -> None:
    buffer = PayloadBuffer(10, buffer_size=20)
    assert buffer.push_gossip(block(number), height=10) is expected
    assert (number in buffer) == (expected is Pushed.KEPT)


def test_blocks_that_were_popped_and_are_being_committed_are_known() -> None:
    buffer = PayloadBuffer(10)
    buffer.push(block(10))
    buffer.pop()
    assert buffer.push_gossip(block(10), height=10) is Pushed.KNOWN


def test_fetched_blocks_wait_while_there_are_twice_the_buffer_size_and_a_batch() -> None:
    buffer = PayloadBuffer(0, buffer_size=20, batch_size=10)
    for number in range(1, 51):
        assert buffer.has_room == (number <= 40)
        assert buffer.push(block(number)) is Pushed.KEPT
    assert len(buffer) == 50
    assert buffer.push(block(51)) is Pushed.NO_ROOM
    assert buffer.push_gossip(block(19), height=0) is Pushed.KNOWN
    # The one that all wait for is let in.
    assert buffer.push(block(0)) is Pushed.KEPT
    assert buffer.push(block(51)) is Pushed.NO_ROOM
    for _ in range(2):
        buffer.pop()
    assert buffer.push(block(51)) is Pushed.KEPT
    assert not buffer.has_room
    for _ in range(11):
        buffer.pop()
    assert buffer.has_room


def test_a_batch_fits_where_there_is_room() -> None:
    buffer = PayloadBuffer(0)
    number = 1
    while buffer.has_room:
        # One more than the batch size, as state transfer asks for.
        for _ in range(11):
            assert buffer.push(block(number)) is Pushed.KEPT
            number += 1
    assert len(buffer) <= 50


def test_the_first_that_is_missing_is_behind_what_waits_without_a_gap() -> None:
    buffer = PayloadBuffer(5)
    assert buffer.first_missing == 5
    buffer.push(block(7))
    assert buffer.first_missing == 5
    buffer.push(block(5))
    assert buffer.first_missing == 6
    buffer.push(block(6))
    assert buffer.first_missing == 8
    buffer.pop()
    assert buffer.first_missing == 8


def test_bytes_are_bounded_too() -> None:
    buffer = PayloadBuffer(0, max_bytes=1000)
    size = block(1, 400).ByteSize()
    assert buffer.push(block(1, 400)) is Pushed.KEPT
    assert buffer.push(block(2, 400)) is Pushed.KEPT
    assert buffer.held_bytes == 2 * size
    assert buffer.push(block(3, 400)) is Pushed.NO_ROOM
    assert buffer.push_gossip(block(3, 400), height=0) is Pushed.NO_ROOM
    assert buffer.push(block(0, 5000)) is Pushed.KEPT
    assert not buffer.has_room
    assert numbers(buffer) == [0, 1, 2]
    assert buffer.held_bytes == 0
    assert buffer.push(block(4, 400)) is Pushed.KEPT


def test_bytes_may_be_used_to_the_last() -> None:
    size = block(1, 400).ByteSize()
    buffer = PayloadBuffer(0, max_bytes=2 * size)
    buffer.push(block(1, 400))
    assert buffer.has_room
    assert buffer.push(block(2, 400)) is Pushed.KEPT
    assert not buffer.has_room
    assert PayloadBuffer(0, buffer_size=1, batch_size=1, max_bytes=1).has_room


def test_private_data_counts() -> None:
    buffer = PayloadBuffer(0, max_bytes=1000)
    payload = Payload(seq_num=1, data=b"x", private_data=[bytes(600)])
    assert buffer.push(payload) is Pushed.KEPT
    assert buffer.held_bytes > 600


def test_what_was_popped_can_be_put_back() -> None:
    buffer = PayloadBuffer(0)
    for number in (0, 1, 3):
        buffer.push(block(number))
    before = buffer.held_bytes
    payload = buffer.pop()
    assert payload is not None
    buffer.put_back(payload)
    assert (buffer.next, buffer.first_missing, buffer.held_bytes) == (0, 2, before)
    assert buffer.push(block(0)) is Pushed.KNOWN
    assert [buffer.pop(), buffer.pop()] == [block(0), block(1)]


@pytest.mark.parametrize("sizes", [{"buffer_size": 0}, {"batch_size": 0}, {"max_bytes": 0}])
def test_a_buffer_has_a_size(sizes: dict[str, int]) -> None:
    with pytest.raises(ParamError, match="must be 1 or more"):
        PayloadBuffer(0, **sizes)
