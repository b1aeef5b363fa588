from __future__ import annotations

import random
from collections import Counter

import pytest

from pubsub.errors import RemoteError
from pubsub.fabric.actions import Send
from pubsub.fabric.pull_requester import Pulled
from pubsub.fabric.pull_store import Mode, PullParams
from tests.unit.fabric.pull_dialogue import (
    A,
    B,
    C,
    D,
    Shelf,
    digest,
    engine,
    good,
    nonces,
    request,
    update,
)


def test_each_missing_item_is_asked_of_one_random_owner_in_one_request_to_each() -> None:
    wanted = [b"%d" % number for number in range(60)]
    ours = engine(Shelf(), B, C, D)
    sent = nonces(ours.tick(4.0))
    for peer in (B, C, D):
        ours.on_message(peer, digest(sent[peer], *wanted), 4.1)
    requests = ours.tick(5.0)
    assert nonces(requests) == sent
    asked = Counter[bytes]()
    for action in requests:
        assert isinstance(action, Send)
        asked.update(action.message.data_req.digests)
        # A third of 60 each: with this seed none is far from it.
        assert 12 <= len(action.message.data_req.digests) <= 28
    assert asked == Counter(wanted)


def test_a_request_has_so_many_items_and_not_the_same_each_time() -> None:
    ours = engine(Shelf(), B)
    limit = PullParams().max_asked
    told = [b"%d" % number for number in range(2 * limit)]
    asked = []
    for start in (4.0, 8.0):
        nonce = nonces(ours.tick(start))[B]
        ours.on_message(B, digest(nonce, *told), start + 0.1)
        (action,) = ours.tick(start + 1.0)
        assert isinstance(action, Send)
        asked.append(set(action.message.data_req.digests))
        ours.tick(start + 3.0)
    assert [len(each) for each in asked] == [limit, limit]
    assert asked[0] != asked[1]


def test_an_offer_is_followed_up_for_so_many_items() -> None:
    ours = engine(Shelf(), B, mode=Mode.PUSH)
    told = [b"%d" % number for number in range(PullParams().max_asked + 1)]
    (action,) = ours.on_message(B, digest(5, *told), 0.0)
    assert isinstance(action, Send)
    assert len(action.message.data_req.digests) == PullParams().max_asked


def test_an_item_that_only_one_has_is_asked_of_that_one() -> None:
    ours = engine(Shelf(b"1"), B, C)
    sent = nonces(ours.tick(4.0))
    ours.on_message(B, digest(sent[B], b"1", b"2"), 4.1)
    ours.on_message(C, digest(sent[C], b"3"), 4.1)
    assert ours.tick(5.0) == [
        Send(B, request(sent[B], b"2")),
        Send(C, request(sent[C], b"3")),
    ]


def test_what_came_another_way_is_not_asked_for() -> None:
    shelf = Shelf()
    ours = engine(shelf, B)
    nonce = nonces(ours.tick(4.0))[B]
    ours.on_message(B, digest(nonce, b"1"), 4.1)
    shelf.held[b"1"] = b"1=good"
    assert ours.tick(5.0) == []
    assert ours.next_deadline == 8.0


def test_the_stores_filter_is_heeded() -> None:
    shelf = Shelf()
    shelf.unwanted = {b"1", b"2"}
    ours = engine(shelf, B)
    nonce = nonces(ours.tick(4.0))[B]
    ours.on_message(B, digest(nonce, b"1", b"2", b"3", b"x" * 256, b"x" * 257), 4.1)
    assert ours.tick(5.0) == [Send(B, request(nonce, b"3", b"x" * 256))]


@pytest.mark.parametrize("when", [5.0, 5.5, 7.9])
def test_a_late_digest_is_ignored(when: float) -> None:
    ours = engine(Shelf(), B)
    nonce = nonces(ours.tick(4.0))[B]
    assert ours.on_message(B, digest(nonce, b"1"), when) == []
    assert ours.tick(when) == []
    assert ours.counters == {"digest late or unasked": 1}


def test_a_digest_with_another_nonce_or_from_another_peer_or_twice_is_ignored() -> None:
    ours = engine(Shelf(), B, C)
    sent = nonces(ours.tick(4.0))
    ours.on_message(B, digest(sent[B] ^ 1, b"1"), 4.1)
    ours.on_message(C, digest(sent[B], b"2"), 4.1)
    ours.on_message(B, digest(sent[B], b"3"), 4.1)
    ours.on_message(B, digest(sent[B], b"4"), 4.1)
    assert ours.tick(5.0) == [Send(B, request(sent[B], b"3"))]
    assert ours.counters == {"digest late or unasked": 3}


def asked(*digests: bytes) -> tuple:
    """An engine that has asked B for `digests` at 5.0, its store, and the nonce."""
    shelf = Shelf()
    ours = engine(shelf, B)
    nonce = nonces(ours.tick(4.0))[B]
    ours.on_message(B, digest(nonce, *digests), 4.1)
    assert ours.tick(5.0) == [Send(B, request(nonce, *digests))]
    return ours, shelf, nonce


def test_an_update_is_taken_until_response_wait_is_over() -> None:
    ours, shelf, nonce = asked(b"1")
    assert ours.next_deadline == 7.0
    assert ours.on_message(B, update(nonce, b"1=good"), 7.0) == []
    assert not shelf.held
    ours.tick(7.0)
    assert ours.next_deadline == 8.0
    assert ours.counters == {"update late or unasked": 1, "request not answered": 1}
    ours, shelf, nonce = asked(b"1")
    assert ours.tick(6.8) == []
    assert ours.on_message(B, update(nonce, b"1=good"), 6.9) == [Pulled(B, good(b"1"))]
    assert ours.next_deadline == 8.0
    assert not ours.counters


def test_an_update_with_another_nonce_or_from_another_peer_or_twice_is_ignored() -> None:
    ours, shelf, nonce = asked(b"1")
    assert ours.on_message(B, update(nonce ^ 1, b"1=good"), 5.1) == []
    assert ours.on_message(C, update(nonce, b"1=good"), 5.1) == []
    assert ours.on_message(B, update(nonce, b"1=good"), 5.1) == [Pulled(B, good(b"1"))]
    del shelf.held[b"1"]
    assert ours.on_message(B, update(nonce, b"1=good"), 5.1) == []
    assert ours.counters == {"update late or unasked": 3}


def test_a_part_of_what_was_asked_for_is_an_answer() -> None:
    ours, shelf, nonce = asked(b"1", b"2", b"3")
    assert ours.on_message(B, update(nonce, b"2=good"), 5.1) == [Pulled(B, good(b"2"))]
    assert list(shelf.held) == [b"2"]
    nonce = nonces(ours.tick(8.0))[B]
    ours.on_message(B, digest(nonce, b"1", b"2", b"3"), 8.1)
    assert ours.tick(9.0) == [Send(B, request(nonce, b"1", b"3"))]


@pytest.mark.parametrize(
    "data",
    [
        [b"1=good", b"2=bad"],
        [b"1=good", b"3=good"],
        [b"1=good", b"1=good"],
        [b"1=good", b"2=good", b"3=good"],
    ],
    ids=["bad", "not asked for", "twice", "too many"],
)
def test_one_bad_item_rejects_the_whole_update(data: list[bytes]) -> None:
    ours, shelf, nonce = asked(b"1", b"2")
    with pytest.raises(RemoteError):
        ours.on_message(B, update(nonce, *data), 5.1)
    assert not shelf.held
    assert ours.counters == {"bad update": 1}
    # The nonce is spent.
    assert ours.on_message(B, update(nonce, b"1=good"), 5.2) == []
    assert not shelf.held


def test_items_that_came_another_way_meanwhile_are_not_told_again() -> None:
    ours, shelf, nonce = asked(b"1", b"2")
    shelf.held[b"1"] = b"1=good"
    assert ours.on_message(B, update(nonce, b"1=good", b"2=good"), 5.1) == [Pulled(B, good(b"2"))]
    ours, shelf, nonce = asked(b"1")
    shelf.held[b"1"] = b"1=good"
    assert ours.on_message(B, update(nonce, b"1=good"), 5.1) == []


def test_of_a_digest_that_is_too_long_the_first_part_is_read() -> None:
    ours = engine(Shelf(), B, max_digests=2)
    nonce = nonces(ours.tick(4.0))[B]
    ours.on_message(B, digest(nonce, b"1", b"2", b"3"), 4.1)
    assert ours.tick(5.0) == [Send(B, request(nonce, b"1", b"2"))]
    assert ours.counters == {"digest cut": 1}
    nonce = nonces(ours.tick(8.0))[B]
    ours.on_message(B, digest(nonce, b"4", b"5"), 8.1)
    assert ours.counters == {"digest cut": 1, "request not answered": 1}


def test_what_only_one_who_has_gone_had_is_not_asked_for() -> None:
    ours = engine(Shelf(), B, C)
    sent = nonces(ours.tick(4.0))
    ours.on_message(B, digest(sent[B], b"1", b"2"), 4.1)
    ours.on_message(C, digest(sent[C], b"2"), 4.1)
    ours.forget(B)
    assert ours.tick(5.0) == [Send(C, request(sent[C], b"2"))]


def test_the_digest_of_one_who_has_gone_is_ignored() -> None:
    ours = engine(Shelf(), B, C)
    sent = nonces(ours.tick(4.0))
    ours.forget(B)
    ours.on_message(B, digest(sent[B], b"1"), 4.1)
    ours.on_message(C, digest(sent[C], b"2"), 4.1)
    assert ours.tick(5.0) == [Send(C, request(sent[C], b"2"))]


def test_an_offer_is_followed_up_at_once_in_push_mode_only() -> None:
    assert engine(Shelf()).on_message(B, digest(7, b"1"), 1.0) == []
    shelf = Shelf(b"1")
    ours = engine(shelf, mode=Mode.PUSH)
    assert ours.on_message(B, digest(6, b"1"), 1.0) == []
    assert ours.on_message(B, digest(7, b"1", b"2"), 1.0) == [Send(B, request(7, b"2"))]
    assert ours.next_deadline == 3.0
    assert ours.on_message(B, update(7, b"2=good"), 1.1) == [Pulled(B, good(b"2"))]
    assert not ours.counters


def test_offers_of_what_is_on_its_way_are_declined_and_their_number_is_bounded() -> None:
    ours = engine(Shelf(), mode=Mode.PUSH, max_offers=2)
    assert ours.on_message(B, digest(7, b"1"), 1.0) == [Send(B, request(7, b"1"))]
    assert ours.on_message(C, digest(8, b"1"), 1.0) == []
    assert ours.on_message(C, digest(9, b"1", b"2"), 1.0) == [Send(C, request(9, b"2"))]
    assert ours.on_message(A, digest(10, b"3"), 1.0) == []
    assert ours.on_message(D, digest(11, b"3"), 1.0) == []
    assert ours.counters == {"too many offers": 2}
    ours.tick(3.0)
    assert ours.on_message(D, digest(11, b"1"), 3.0) == [Send(D, request(11, b"1"))]


def test_a_peer_has_one_offer_followed_up_at_a_time() -> None:
    ours = engine(Shelf(), mode=Mode.PUSH)
    assert ours.on_message(B, digest(7, b"1"), 1.0) == [Send(B, request(7, b"1"))]
    assert ours.on_message(B, digest(8, b"2"), 1.1) == []
    assert ours.counters == {"too many offers": 1}
    ours.on_message(B, update(7, b"1=good"), 1.2)
    assert ours.on_message(B, digest(8, b"2"), 1.3) == [Send(B, request(8, b"2"))]


def test_an_offer_under_the_nonce_of_our_own_hello_leaves_nothing_behind() -> None:
    ours = engine(Shelf(), B, mode=Mode.PUSH_PULL)
    nonce = next(
        action.message.hello.nonce
        for action in ours.tick(4.0)
        if isinstance(action, Send) and action.message.WhichOneof("content") == "hello"
    )
    ours.on_message(B, digest(nonce, b"1"), 4.1)
    assert ours.on_message(B, digest(nonce, b"2"), 4.9) == [Send(B, request(nonce, b"2"))]
    assert ours.tick(5.0) == [Send(B, request(nonce, b"1"))]
    assert ours.on_message(B, update(nonce, b"1=good"), 5.1) == [Pulled(B, good(b"1"))]
    assert ours.on_message(C, digest(9, b"2"), 5.2) == [Send(C, request(9, b"2"))]


def test_whatever_comes_the_books_stay_small_and_are_emptied() -> None:
    rng = random.Random(5)
    ours = engine(Shelf(b"0"), A, B, C, mode=Mode.PUSH_PULL, max_offers=4, max_promises=8)
    now = 0.0
    seen = [0, 1]
    for _ in range(3000):
        now += rng.random() * 0.3
        for action in ours.tick(now):
            assert isinstance(action, Send)
            seen.append(action.message.hello.nonce or action.message.data_dig.nonce)
        peer = rng.choice([A, B, C, D])
        nonce = rng.choice(seen[-6:])
        some = [b"%d" % rng.randrange(9) for _ in range(rng.randrange(4))]
        make = rng.choice([digest, request, update])
        data = [one + b"=good" for one in some] if make is update else some
        try:
            actions = ours.on_message(peer, make(nonce, *data), now)
        except RemoteError:
            continue
        seen += [action.message.data_req.nonce for action in actions if isinstance(action, Send)]
        requester, responder = ours._requester, ours._responder
        assert len(requester._requests) <= 4 + 3
        assert len(responder._promises) <= 8
        in_flight = {one for kept in requester._requests.values() for one in kept.digests}
        assert requester._in_flight == in_flight
        ends = [kept.until for kept in requester._requests.values()]
        assert ends == sorted(ends)
    ours.tick(now + 10)
    ours.tick(now + 12)
    assert not ours._requester._requests
    assert not ours._requester._in_flight
