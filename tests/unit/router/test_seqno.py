"""Each number of an author is accepted once, in whatever order they come."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.errors import ParamError
from pubsub.router.events import Validation
from pubsub.router.message import Message
from pubsub.router.seqno import MAX_WINDOW, SeqnoValidator
from tests.unit.router.dialogue import CROWD, A, B, C, Them

BASE = 1_754_300_000_000_000_000


def message(author: bytes, seqno: int | bytes) -> Message:
    number = seqno if isinstance(seqno, bytes) else seqno.to_bytes(8, "big")
    return Message("news", b"", b"", A.id, author, number)


def accepted(validator: SeqnoValidator, author: Them, *seqnos: int) -> list[int]:
    """Those of the numbers that are accepted, in this order."""
    return [seqno for seqno in seqnos if validator(message(author.id, seqno)) is Validation.ACCEPT]


def test_without_a_window_numbers_must_grow() -> None:
    validator = SeqnoValidator(window=0)
    assert accepted(validator, A, 5, 5, 6, 4, 0, 10, 9, 10, 2**64 - 1, 11) == [5, 6, 10, 2**64 - 1]


def test_authors_are_counted_apart() -> None:
    validator = SeqnoValidator(window=0)
    assert accepted(validator, A, 5) == [5]
    assert accepted(validator, B, 3, 5) == [3, 5]
    assert accepted(validator, A, 5) == []


def test_within_the_window_numbers_may_come_late_but_once() -> None:
    validator = SeqnoValidator(window=4)
    assert accepted(validator, A, 10, 7, 7, 5, 10) == [10, 7]
    assert accepted(validator, A, 12, 11, 12, 8, 7, 9, 9, 10) == [12, 11, 8, 9]
    # Far ahead, as after the author's restart.
    assert accepted(validator, A, BASE, 12, 13, BASE - 4, BASE - 5) == [BASE, BASE - 4]


def test_a_step_of_exactly_the_window_keeps_the_number_before_refused() -> None:
    for step in (3, 4, 5):
        validator = SeqnoValidator(window=4)
        assert accepted(validator, A, 10, 10 + step, 10) == [10, 10 + step]


def test_numbers_near_zero() -> None:
    validator = SeqnoValidator(window=4)
    assert accepted(validator, A, 2, 0, 1, 0, 3) == [2, 0, 1, 3]


def test_anonymous_messages_pass_and_leave_nothing_behind() -> None:
    validator = SeqnoValidator()
    for _ in range(2):
        assert validator(message(b"", b"")) is Validation.ACCEPT
    assert validator.snapshot() == {}


@pytest.mark.parametrize("seqno", [b"", b"\x01" + bytes(8), b"\xff" * (1 << 16)])
def test_an_author_without_a_proper_number_is_ignored(seqno: bytes) -> None:
    validator = SeqnoValidator()
    assert validator(message(A.id, seqno)) is Validation.IGNORE
    assert validator.snapshot() == {}


def test_who_was_heard_least_recently_is_forgotten() -> None:
    validator = SeqnoValidator(max_authors=2, window=0)
    assert accepted(validator, A, 5) == accepted(validator, B, 5) == [5]
    # A replay, too, keeps its author in mind.
    assert accepted(validator, A, 5) == []
    assert accepted(validator, C, 5) == [5]
    assert validator.forgotten == 1
    assert accepted(validator, A, 5) == []
    assert accepted(validator, B, 5) == [5]


def test_an_author_takes_a_bounded_amount_of_memory() -> None:
    validator = SeqnoValidator(max_authors=1000)
    tracemalloc.start()
    try:
        for number in range(3000):
            author = b"\x12\x20" + number.to_bytes(32, "big")
            for ahead in (0, 2):
                validator(message(author, BASE + number + ahead))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(validator.snapshot()) == 1000
    assert validator.forgotten == 2000
    assert used < 1000 * 800


numbers = st.one_of(
    st.integers(0, 40), st.integers(BASE - 20, BASE + 20), st.integers(2**64 - 20, 2**64 - 1)
)
arrivals = st.lists(st.tuples(st.sampled_from(CROWD[:3]), numbers), max_size=80)


@given(arrivals, st.integers(0, 12))
def test_no_number_is_accepted_twice(order: list[tuple[Them, int]], window: int) -> None:
    validator = SeqnoValidator(window=window)
    taken = [(who.name, n) for who, n in order if accepted(validator, who, n)]
    assert len(taken) == len(set(taken))


@given(arrivals, st.integers(0, 12))
def test_new_numbers_are_accepted_if_they_are_not_below_the_window(
    order: list[tuple[Them, int]], window: int
) -> None:
    validator = SeqnoValidator(window=window)
    taken: dict[str, set[int]] = {}
    for who, number in order:
        mine = taken.setdefault(who.name, set())
        new = number not in mine and number >= max(mine, default=0) - window
        assert bool(accepted(validator, who, number)) == new
        if new:
            mine.add(number)


@given(arrivals, arrivals, st.integers(0, 12), st.integers(0, 12))
def test_no_number_is_accepted_again_after_a_restart(
    before: list[tuple[Them, int]], after: list[tuple[Them, int]], window: int, later: int
) -> None:
    """Not with another window either; with the same, nothing changes at all."""
    first = SeqnoValidator(window=window)
    taken = {(who.name, n) for who, n in before if accepted(first, who, n)}
    saved = json.loads(json.dumps(first.snapshot()))
    second = SeqnoValidator(window=later, known=saved)
    again = [(who.name, n) for who, n in before + after if accepted(second, who, n)]
    assert not taken & set(again)
    if later == window:
        assert again == [(who.name, n) for who, n in before + after if accepted(first, who, n)]


def test_a_snapshot_is_plain_data_in_the_order_of_use() -> None:
    validator = SeqnoValidator(window=3)
    accepted(validator, A, 7)
    accepted(validator, B, 5, 7)
    accepted(validator, A, 6)
    assert validator.snapshot() == {str(B.id): [7, 0b101], str(A.id): [7, 0b110]}
    fewer = SeqnoValidator(max_authors=1, known=validator.snapshot())
    assert list(fewer.snapshot()) == [str(A.id)]
    assert fewer.forgotten == 1


@pytest.mark.parametrize(
    "known",
    [
        {"nobody": [1, 0]},
        {str(A.id): 5},
        {str(A.id): [5]},
        {str(A.id): [5, 0, 0]},
        {str(A.id): ["5", 0]},
        {str(A.id): "50"},
        {str(A.id): [5, 0.0]},
        {str(A.id): [-1, 0]},
        {str(A.id): [2**64, 0]},
        {str(A.id): [5, -1]},
    ],
)
def test_what_is_no_snapshot(known: dict[str, list[int]]) -> None:
    with pytest.raises(ParamError, match=r"is not a peer id|is not two whole numbers"):
        SeqnoValidator(known=known)


def test_what_cannot_be_asked_for() -> None:
    with pytest.raises(ParamError, match="max_authors must be at least 1, not 0"):
        SeqnoValidator(max_authors=0)
    for window in (-1, MAX_WINDOW + 1):
        with pytest.raises(ParamError, match="window must be between 0 and 65536"):
            SeqnoValidator(window=window)
