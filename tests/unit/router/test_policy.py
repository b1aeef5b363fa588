from __future__ import annotations

import pytest

from pubsub.errors import ParamError
from pubsub.router.events import SetBarred, Subscribe
from pubsub.router.policy import Policy
from tests.unit.router.dialogue import A, B, C, Dialogue


def test_by_default_everything_is_allowed() -> None:
    policy = Policy()
    assert policy.may_know(A.id, "news")
    assert policy.topics("news")
    assert policy.signed_record(A.id) is None
    assert not policy.guarded
    assert Policy(may_know=lambda peer, topic: True).guarded


def test_topics_that_a_filter_keeps_out_are_nothing_to_us() -> None:
    dialogue = Dialogue(policy=Policy(topics=lambda topic: topic == "news"))
    with pytest.raises(ParamError, match="filter"):
        dialogue.do(Subscribe("sport"))
    with pytest.raises(ParamError, match="filter"):
        dialogue.do(dialogue.publish(topic="sport"))
    assert dialogue.do(A.connects(), A.subscribes("sport", "news")) == ["A joined news"]
    assert dialogue.drops() == {"subscription_refused": 1}


def test_a_barred_author_is_not_heard_whoever_brings_his_messages() -> None:
    dialogue = Dialogue()
    dialogue.do(SetBarred([C.id]), Subscribe("news"), A.connects(), A.subscribes("news"))
    dialogue >> A.sends(C.message(1), B.message(1)) << "deliver news: hello"
    assert dialogue.drops() == {"author_barred": 1}
    assert dialogue.router.snapshot()["faults"][str(A.id)] == 0


def test_who_may_not_know_a_topic_cannot_write_to_it() -> None:
    dialogue = Dialogue(may_know=lambda peer, topic: peer == A.id)
    dialogue.do(Subscribe("news"), A.connects(), B.connects())
    dialogue >> B.sends(C.message(1)) << []
    dialogue >> A.sends(C.message(1)) << "deliver news: hello"
    assert dialogue.drops() == {"may_not_know": 1}
