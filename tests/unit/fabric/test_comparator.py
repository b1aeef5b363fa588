"""Which of two messages makes the other worthless."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.errors import ParamError
from pubsub.fabric.comparator import BY_AUTHOR, Verdict, compare, compare_numbers, stamp_of
from pubsub.fabric.content import Content
from tests.unit.fabric.making import (
    GossipMessage,
    alive,
    block,
    identity,
    leadership,
    one_of_each,
    state_info,
)

NO_ACTION, INVALIDATES, INVALIDATED = Verdict
TIMED = [alive, state_info, leadership]
LAST = 2**64 - 1


@pytest.mark.parametrize("make", TIMED)
@pytest.mark.parametrize(
    ("new", "old", "verdict"),
    [
        ((1, 2), (1, 1), INVALIDATES),
        ((1, 1), (1, 1), INVALIDATED),
        ((1, 1), (1, 2), INVALIDATED),
        ((2, 1), (1, 9), INVALIDATES),
        ((1, 9), (2, 1), INVALIDATED),
        ((LAST, LAST), (LAST, LAST - 1), INVALIDATES),
    ],
)
def test_of_one_author_the_later_wins(
    make: Callable[..., GossipMessage],
    new: tuple[int, int],
    old: tuple[int, int],
    verdict: Verdict,
) -> None:
    assert compare(make("ann", *new), make("ann", *old)) is verdict
    assert compare(make("ann", *new), make("ben", *old)) is NO_ACTION


def test_of_one_authors_identities_the_first_stays() -> None:
    assert compare(identity("ann"), identity("ann")) is INVALIDATED
    assert compare(identity("ann"), identity("ben")) is NO_ACTION


@pytest.mark.parametrize(
    ("new", "old", "window", "verdict"),
    [
        (5, 5, 10, INVALIDATED),
        (15, 5, 10, NO_ACTION),
        (5, 15, 10, NO_ACTION),
        (16, 5, 10, INVALIDATES),
        (5, 16, 10, INVALIDATED),
        (6, 5, 0, INVALIDATES),
        (5, 6, 0, INVALIDATED),
        (LAST, 0, 10, INVALIDATES),
        (0, LAST, 10, INVALIDATED),
    ],
)
def test_blocks_leave_each_other_be_within_the_window(
    new: int, old: int, window: int, verdict: Verdict
) -> None:
    assert compare_numbers(new, old, window) is verdict
    assert compare(block(new), block(old), window=window) is verdict


def test_different_contents_leave_each_other_be() -> None:
    messages = one_of_each()
    for content, new in messages.items():
        for other, old in messages.items():
            alike = content is other and content in BY_AUTHOR | {Content.DATA}
            assert (compare(new, old) is NO_ACTION) is not alike


def test_only_what_is_compared_by_time_has_one() -> None:
    messages = one_of_each()
    for content, message in messages.items():
        if content in BY_AUTHOR:
            assert stamp_of(message) == ((0, 0) if content is Content.IDENTITY else (1, 1))
        else:
            with pytest.raises(ParamError, match=content):
                stamp_of(message)


stamps = st.tuples(st.integers(0, 3), st.integers(0, 3))


@given(stamps, stamps, st.sampled_from(TIMED))
def test_of_two_messages_exactly_one_survives(
    one: tuple[int, int], other: tuple[int, int], make: Callable[..., GossipMessage]
) -> None:
    forth = compare(make("ann", *one), make("ann", *other))
    back = compare(make("ann", *other), make("ann", *one))
    if one == other:
        assert forth is back is INVALIDATED
    else:
        assert {forth, back} == {INVALIDATES, INVALIDATED}
