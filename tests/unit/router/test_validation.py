"""Validators: accept, reject, ignore, and how many messages may wait for them."""

from __future__ import annotations

from pubsub.params import Params, Signing
from pubsub.pb import rpc_pb2
from pubsub.router.events import (
    SetValidation,
    Subscribe,
    Unsubscribe,
    Validation,
    ValidationFinished,
)
from tests.unit.router.dialogue import A, B, C, Dialogue


def with_validator(**limits: int) -> Dialogue:
    dialogue = Dialogue(params=Params(**limits))
    dialogue.do(Subscribe("news"), Subscribe("sport"), SetValidation("news", validated=True))
    for peer in (A, B):
        dialogue.do(peer.connects(), peer.subscribes("news", "sport"))
    return dialogue


def test_what_is_accepted_is_delivered_and_forwarded() -> None:
    dialogue = with_validator()
    dialogue >> A.sends(C.message(1)) << "validate news: hello"
    (
        dialogue
        >> dialogue.validated(C.id_of(1))
        << [
            "B: MESSAGE C1 news: hello",
            "deliver news: hello",
        ]
    )


def test_what_is_rejected_costs_its_sender() -> None:
    dialogue = with_validator()
    dialogue.do(A.sends(C.message(1)))
    dialogue >> dialogue.validated(C.id_of(1), Validation.REJECT) << []
    assert dialogue.drops() == {"rejected_by_validator": 1}
    assert dialogue.router.snapshot()["faults"][str(A.id)] == 5
    dialogue >> B.sends(C.message(1)) << []
    assert dialogue.counters()["duplicate"] == 1


def test_what_is_ignored_costs_nobody() -> None:
    dialogue = with_validator()
    dialogue.do(A.sends(C.message(1)))
    dialogue >> dialogue.validated(C.id_of(1), Validation.IGNORE) << []
    assert dialogue.drops() == {"ignored_by_validator": 1}
    assert dialogue.router.snapshot()["faults"][str(A.id)] == 0
    dialogue >> B.sends(C.message(1)) << []


def test_a_verdict_counts_once() -> None:
    dialogue = with_validator()
    dialogue.do(A.sends(C.message(1)), dialogue.validated(C.id_of(1)))
    dialogue >> dialogue.validated(C.id_of(1)) << []
    dialogue >> ValidationFinished(b"never seen", Validation.ACCEPT) << []


def test_other_topics_pass_without() -> None:
    dialogue = with_validator()
    (
        dialogue
        >> A.sends(C.message(1, topic="sport"))
        << [
            "B: MESSAGE C1 sport: hello",
            "deliver sport: hello",
        ]
    )


def test_our_own_messages_do_not_wait() -> None:
    dialogue = with_validator()
    assert "published to A, B" in dialogue.do(dialogue.publish())


def test_messages_that_wait_for_one_topic_are_bounded_and_come_again() -> None:
    dialogue = with_validator(validate_pending_topic=2)
    dialogue >> A.sends(*[C.message(n) for n in (1, 2, 3)]) << ["validate news: hello"] * 2
    assert dialogue.drops() == {"validation_queue_full": 1}
    dialogue.do(dialogue.validated(C.id_of(1)))
    dialogue >> B.sends(C.message(3)) << "validate news: hello"


def test_messages_that_wait_altogether_are_bounded() -> None:
    dialogue = with_validator(validate_pending=1)
    dialogue.do(SetValidation("sport", validated=True))
    dialogue >> A.sends(C.message(1)) << "validate news: hello"
    dialogue >> A.sends(C.message(2, topic="sport")) << []
    dialogue.do(dialogue.validated(C.id_of(1)))
    dialogue >> A.sends(C.message(2, topic="sport")) << "validate sport: hello"


def test_messages_without_room_leave_nothing_behind() -> None:
    dialogue = with_validator(validate_pending_topic=1)
    dialogue.do(A.sends(C.message(1)))
    for _ in range(50):
        dialogue.do(A.sends(C.message(2)))
    assert len(dialogue.router._core.seen) == len(dialogue.router._core.seen._newest) == 1


def test_validators_taken_away_and_set_again_keep_the_count() -> None:
    dialogue = with_validator(validate_pending_topic=1)
    dialogue.do(A.sends(C.message(1)))
    dialogue.do(SetValidation("news", validated=False), SetValidation("news", validated=True))
    dialogue >> A.sends(C.message(2)) << []
    dialogue.do(SetValidation("news", validated=True), dialogue.validated(C.id_of(1)))
    dialogue >> A.sends(C.message(2)) << "validate news: hello"
    dialogue.do(SetValidation("news", validated=False))
    dialogue >> A.sends(C.message(3)) << ["B: MESSAGE C3 news: hello", "deliver news: hello"]
    assert "deliver news: hello" in dialogue.do(dialogue.validated(C.id_of(2)))


def test_a_topic_left_meanwhile() -> None:
    dialogue = with_validator()
    dialogue.do(A.sends(C.message(1)), Unsubscribe("news"))
    dialogue >> dialogue.validated(C.id_of(1)) << []
    assert dialogue.drops() == {"not_subscribed": 1}


def test_a_rejected_anonymous_message_does_not_suppress_another_with_its_id() -> None:
    dialogue = Dialogue(params=Params(signing=Signing.NONE), message_id=lambda m: m.data[:1])
    dialogue.do(Subscribe("news"), SetValidation("news", validated=True))
    dialogue.do(A.connects(), B.connects())
    bad, good = (
        rpc_pb2.Message(data=data, topic="news").SerializeToString() for data in (b"1x", b"1y")
    )
    dialogue >> A.sends(bad) << "validate news: 1x"
    dialogue.do(dialogue.validated(b"1", Validation.REJECT))
    dialogue >> B.sends(good) << "validate news: 1y"
    dialogue >> dialogue.validated(b"1") << "deliver news: 1y"
    dialogue >> A.sends(good) << []
