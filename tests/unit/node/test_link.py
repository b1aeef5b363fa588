"""A link knows how far what was queued has got, and what a broken stream took with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio.testing import wait_all_tasks_blocked

from pubsub.identity import PrivateKey, peer_id_of
from pubsub.node.link import MAX_GAPS, Link

if TYPE_CHECKING:
    import trio

ANN = peer_id_of(PrivateKey(bytes(32)).public_key)


def test_what_was_pulled_is_sent_when_the_socket_says_so():
    link = Link(ANN)
    link.pulled = 5
    assert link.sent == 0
    assert not link.has_sent(1)
    link.on_sent()
    assert link.sent == 5
    assert link.has_sent(5)
    assert not link.has_sent(6)


def test_what_went_into_a_broken_stream_was_not_sent():
    link = Link(ANN)
    link.pulled = 3
    link.on_sent()
    link.pulled = 6
    link.reopened(7)  # the seventh had been cut in the middle
    link.pulled = 9
    link.on_sent()
    assert [mark for mark in range(1, 10) if not link.has_sent(mark)] == [4, 5, 6, 7]


def test_a_stream_that_lost_nothing_leaves_no_gap():
    link = Link(ANN)
    link.reopened(0)
    link.pulled = 3
    link.on_sent()
    link.reopened(3)
    assert not link.gaps


def test_few_gaps_are_kept():
    link = Link(ANN)
    for number in range(1, 3 * MAX_GAPS):
        link.reopened(number)
    assert len(link.gaps) == MAX_GAPS


async def test_progress_and_the_end_wake_those_who_wait(nursery: trio.Nursery):
    link = Link(ANN)
    woken = 0

    async def wait() -> None:
        nonlocal woken
        await link.changed.park()
        woken += 1

    for expected, change in enumerate((link.on_sent, lambda: link.reopened(1), link.close), 1):
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        change()
        await wait_all_tasks_blocked()
        assert woken == expected
    assert link.closed
