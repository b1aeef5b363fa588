"""Copies of one id with different contents: whichever is right is found, whatever came first."""

from __future__ import annotations

import pytest

from pubsub.errors import LocalError
from pubsub.params import Params, Signing
from pubsub.pb import rpc_pb2
from pubsub.router.events import SetValidation, Subscribe, Validation
from pubsub.router.message import Message
from pubsub.router.rivals import MAX_RIVALS, Rivals
from pubsub.router.scoring import Scoring
from tests.unit.router.dialogue import CROWD, A, B, C, D, Dialogue

ID = b"1"


def copy(text: str) -> bytes:
    """An anonymous message whose id is its first byte."""
    return rpc_pb2.Message(data=text.encode(), topic="news").SerializeToString()


def with_validator(*, scoring: bool = False, **limits: int) -> Dialogue:
    dialogue = Dialogue(
        params=Params(signing=Signing.NONE, **limits),
        message_id=lambda message: message.data[:1],
        scoring=Scoring() if scoring else None,
    )
    dialogue.do(Subscribe("news"), SetValidation("news", validated=True))
    for peer in (A, B, C, D):
        dialogue.do(peer.connects("/meshsub/1.2.0"), peer.subscribes("news"))
    return dialogue


def test_a_right_copy_is_judged_after_a_wrong_one_that_was_quicker() -> None:
    dialogue = with_validator()
    dialogue >> A.sends(copy("1 wrong")) << "validate news: 1 wrong"
    dialogue >> B.sends(copy("1 right")) << []
    dialogue >> dialogue.validated(ID, Validation.REJECT) << "validate news: 1 right"
    done = dialogue.do(dialogue.validated(ID))
    assert "deliver news: 1 right" in done
    assert "C: MESSAGE anonymous news: 1 right" in done
    assert dialogue.router.snapshot()["faults"] == {
        str(A.id): 5,
        str(B.id): 0,
        str(C.id): 0,
        str(D.id): 0,
    }


def test_one_that_is_ignored_does_not_hide_another() -> None:
    dialogue = with_validator()
    dialogue.do(A.sends(copy("1 early")), B.sends(copy("1 right")))
    dialogue >> dialogue.validated(ID, Validation.IGNORE) << "validate news: 1 right"


def test_after_one_that_cannot_be_judged_yet_the_next_copy_is() -> None:
    dialogue = with_validator()
    dialogue.do(A.sends(copy("1 early")), dialogue.validated(ID, Validation.IGNORE))
    dialogue >> B.sends(copy("1 right")) << []
    dialogue = with_validator()
    dialogue.do(A.sends(copy("1 early")))
    dialogue >> dialogue.validated(ID, Validation.RETRY) << []
    assert dialogue.drops() == {"ignored_by_validator": 1}
    assert dialogue.router.snapshot()["faults"][str(A.id)] == 0
    dialogue >> B.sends(copy("1 right")) << "validate news: 1 right"


def test_what_says_the_same_shares_the_verdict() -> None:
    dialogue = with_validator()
    dialogue.do(A.sends(copy("1 wrong")), B.sends(copy("1 wrong")))
    dialogue >> dialogue.validated(ID, Validation.REJECT) << []
    assert dialogue.counters()["duplicate"] == 1
    # Its id is free, as one that binds nothing must be.
    dialogue >> C.sends(copy("1 right")) << "validate news: 1 right"


def test_when_one_is_right_the_others_are_forgotten() -> None:
    dialogue = with_validator()
    dialogue.do(A.sends(copy("1 right")), B.sends(copy("1 wrong")), dialogue.validated(ID))
    dialogue >> dialogue.validated(ID, Validation.REJECT) << []
    dialogue >> C.sends(copy("1 other")) << []
    assert len(dialogue.router._core.rivals) == 0


def test_what_is_published_here_does_not_wait_for_what_others_say_under_its_id() -> None:
    dialogue = with_validator()
    dialogue.do(A.sends(copy("1 wrong")), B.sends(copy("1 wronger")))
    done = dialogue.do(dialogue.publish(b"1 right"))
    assert [line for line in done if line.endswith("1 right")] == [
        f"{name}: MESSAGE anonymous news: 1 right" for name in "ABCD"
    ]
    dialogue >> dialogue.validated(ID, Validation.REJECT) << []
    dialogue >> C.sends(copy("1 wrong")) << []
    assert dialogue.router._core.validated == {"news": 0}
    with pytest.raises(LocalError, match="seen"):
        dialogue.do(dialogue.publish(b"1 more"))


def test_our_own_is_not_published_over_one_that_says_the_same() -> None:
    dialogue = with_validator()
    dialogue.do(A.sends(copy("1 right")))
    with pytest.raises(LocalError, match="seen"):
        dialogue.do(dialogue.publish(b"1 right"))


def test_copies_are_refused_when_one_is_known_to_be_right() -> None:
    dialogue = with_validator(idontwant_threshold=5)
    dialogue >> A.sends(copy("1 wrong")) << "validate news: 1 wrong"
    done = dialogue.do(B.sends(copy("1 right")), dialogue.validated(ID, Validation.REJECT))
    assert done == ["validate news: 1 right"]
    done = dialogue.do(dialogue.validated(ID))
    told = [line for line in done if "IDONTWANT" in line]
    assert sorted(line[0] for line in told) == ["A", "C", "D"]


def test_who_brings_the_right_one_shares_no_blame() -> None:
    dialogue = with_validator(scoring=True)
    dialogue.do(A.sends(copy("1 wrong")), B.sends(copy("1 right")))
    dialogue.do(dialogue.validated(ID, Validation.REJECT))
    # While the right one is judged, and after it.
    dialogue.do(C.sends(copy("1 right")), dialogue.validated(ID), D.sends(copy("1 right")))
    rates = {peer.name: dialogue.router._core.score(peer.id) for peer in (A, B, C, D)}
    assert rates.pop("A") < 0 <= min(rates.values())


# -- The store


def message(sender: int, data: bytes) -> Message:
    made = Message("news", data, b"", CROWD[sender].id, b"", b"")
    made.id = ID
    return made


def test_rivals_are_bounded_and_come_in_their_order() -> None:
    rivals, judged = Rivals(), message(0, b"0")
    assert not rivals.add(judged, message(1, b"0"))
    assert not rivals.add(judged, message(0, b"other"))
    for n in range(1, MAX_RIVALS + 1):
        assert rivals.add(judged, message(n, b"%d" % n))
        assert not rivals.add(judged, message(n, b"again"))
        assert not rivals.add(judged, message(n + 10, b"%d" % n))
    assert not rivals.add(judged, message(MAX_RIVALS + 1, b"one too many"))
    assert len(rivals) == MAX_RIVALS
    first = rivals.next(ID)
    assert first is not None
    assert first.data == b"1"
    rivals.forget(ID)
    assert (rivals.next(ID), len(rivals)) == (None, 0)
    rivals.forget(ID)
