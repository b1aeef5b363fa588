from __future__ import annotations

from pubsub.fabric.actions import Send
from pubsub.fabric.pull_store import Mode
from tests.unit.fabric.pull_dialogue import (
    A,
    B,
    C,
    Shelf,
    digest,
    engine,
    hello,
    nonces,
    request,
    update,
)


def test_one_who_has_nothing_to_show_does_not_answer() -> None:
    assert engine(Shelf()).on_message(A, hello(7), 1.0) == []


def test_the_filter_for_a_peer_holds_for_digest_and_answer() -> None:
    shelf = Shelf(b"1", hidden_from=[B])
    ours = engine(shelf)
    assert ours.on_message(B, hello(7), 1.0) == []
    assert ours.on_message(A, hello(7), 1.0) == [Send(A, digest(7, b"1"))]
    # It may have become one that must not know.
    shelf.hidden_from = [A]
    assert ours.on_message(A, request(7, b"1"), 1.1) == []


def test_a_request_needs_the_nonce_of_a_hello_of_the_same_peer() -> None:
    ours = engine(Shelf(b"1"))
    ours.on_message(A, hello(7), 1.0)
    assert ours.on_message(A, request(8, b"1"), 1.1) == []
    assert ours.on_message(B, request(7, b"1"), 1.1) == []
    assert ours.counters == {"request without a digest of ours": 2}
    assert ours.on_message(A, request(7, b"1"), 1.1) == [Send(A, update(7, b"1=good"))]


def test_a_request_is_answered_once() -> None:
    ours = engine(Shelf(b"1"))
    ours.on_message(A, hello(7), 1.0)
    ours.on_message(A, request(7, b"1"), 1.1)
    assert ours.on_message(A, request(7, b"1"), 1.2) == []
    assert ours.on_message(A, hello(7), 1.3) == []
    assert ours.counters == {"request without a digest of ours": 1, "nonce used twice": 1}


def test_a_late_request_is_ignored() -> None:
    ours = engine(Shelf(b"1"))
    ours.on_message(A, hello(7), 1.0)
    ours.on_message(B, hello(7), 1.2)
    assert ours.on_message(A, request(7, b"1"), 2.5) == []
    assert ours.on_message(B, request(7, b"1"), 2.6) == [Send(B, update(7, b"1=good"))]


def test_what_is_not_held_is_left_out_and_nothing_is_no_answer() -> None:
    ours = engine(Shelf(b"1", b"2"))
    ours.on_message(A, hello(7), 1.0)
    asked = request(7, b"2", b"9", b"2", b"")
    assert ours.on_message(A, asked, 1.1) == [Send(A, update(7, b"2=good"))]
    ours.on_message(A, hello(8), 1.2)
    assert ours.on_message(A, request(8, b"9"), 1.3) == []


def test_an_answer_is_cut_by_bytes_and_its_first_item_is_always_sent() -> None:
    shelf = Shelf(b"1", b"2", b"3")
    ours = engine(shelf, max_response_bytes=12)
    ours.on_message(A, hello(7), 1.0)
    assert ours.on_message(A, request(7, b"1", b"2", b"3"), 1.1) == [
        Send(A, update(7, b"1=good", b"2=good"))
    ]
    assert ours.counters == {"answer cut": 1}
    shelf.held[b"1"] = b"1=good and long"
    ours.on_message(A, hello(8), 1.2)
    assert ours.on_message(A, request(8, b"1", b"2"), 1.3) == [
        Send(A, update(8, b"1=good and long"))
    ]


def test_of_more_items_than_a_digest_holds_some_are_drawn() -> None:
    held = [b"%d" % number for number in range(100)]
    ours = engine(Shelf(*held), max_digests=10, max_promises_to_peer=100)
    shown: set[bytes] = set()
    for nonce in range(60):
        (action,) = ours.on_message(A, hello(nonce), 1.0)
        assert isinstance(action, Send)
        digests = action.message.data_dig.digests
        assert len(set(digests)) == 10
        shown.update(digests)
    # In time, each is shown.
    assert len(shown) > 95


def test_of_a_request_that_is_too_long_the_first_part_is_read() -> None:
    ours = engine(Shelf(b"1", b"2", b"3"), max_digests=2)
    ours.on_message(A, hello(7), 1.0)
    assert ours.on_message(A, request(7, b"1", b"2", b"3"), 1.1) == [
        Send(A, update(7, b"1=good", b"2=good"))
    ]


def test_hellos_are_bounded_for_each_peer_and_in_all() -> None:
    ours = engine(Shelf(b"1"), max_promises=3, max_promises_to_peer=2)
    assert len(ours.on_message(A, hello(1), 1.0)) == 1
    assert len(ours.on_message(A, hello(2), 1.0)) == 1
    # Answered or not, they count until request_wait is over.
    ours.on_message(A, request(2, b"1"), 1.0)
    assert ours.on_message(A, hello(3), 1.1) == []
    assert len(ours.on_message(B, hello(1), 1.2)) == 1
    assert ours.on_message(C, hello(1), 1.3) == []
    assert ours.counters == {"too many hellos": 2}
    assert len(ours.on_message(A, hello(4), 2.5)) == 1
    assert len(ours.on_message(C, hello(1), 2.6)) == 1


def test_each_hello_counts_until_its_own_end() -> None:
    ours = engine(Shelf(b"1"), max_promises_to_peer=2)
    assert len(ours.on_message(A, hello(1), 1.0)) == 1
    assert len(ours.on_message(A, hello(2), 2.0)) == 1
    assert ours.on_message(A, hello(3), 2.4) == []
    assert len(ours.on_message(A, hello(4), 2.5)) == 1
    assert ours.on_message(A, hello(5), 2.6) == []


def test_nothing_is_kept_of_peers_whose_hellos_have_ended_or_who_have_gone() -> None:
    ours = engine(Shelf(b"1"), max_promises_to_peer=2)
    for nonce in (1, 2):
        ours.on_message(A, hello(nonce), 1.0)
    ours.on_message(B, hello(1), 1.0)
    ours.forget(A)
    assert list(ours._responder._to_peer) == [B]
    assert ours.on_message(A, request(1, b"1"), 1.1) == []
    assert len(ours.on_message(A, hello(3), 1.1)) == 1
    ours.tick(2.6)
    assert not ours._responder._to_peer
    assert not ours._responder._promises


def test_as_many_items_as_a_digest_holds_are_shown_in_their_order() -> None:
    held = [b"%d" % number for number in range(10)]
    ours = engine(Shelf(*held), max_digests=10)
    assert ours.on_message(A, hello(7), 1.0) == [Send(A, digest(7, *held))]


def test_in_push_mode_the_digest_goes_unasked_and_a_request_follows() -> None:
    ours = engine(Shelf(b"1"), B, mode=Mode.PUSH)
    offers = ours.tick(4.0)
    nonce = nonces(offers)[B]
    assert offers == [Send(B, digest(nonce, b"1"))]
    assert ours.on_message(B, request(nonce, b"1"), 4.1) == [Send(B, update(nonce, b"1=good"))]
    assert engine(Shelf(), B, mode=Mode.PUSH).tick(4.0) == []
