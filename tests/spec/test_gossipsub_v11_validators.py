"""gossipsub v1.1 §Extended Validators: accept, reject, ignore."""

from __future__ import annotations

import pytest

import pubsub
from pubsub.router.events import SetValidation, Subscribe, Validation
from tests.io.nodes import TOPIC, drops, know, open_pair, take
from tests.spec.scenes import knowing, score, told
from tests.unit.router.dialogue import A, B, C, Dialogue


def waiting_message() -> Dialogue:
    """C's message came from A and is before the validators; B is in the mesh as well."""
    dialogue = knowing(A, B)
    dialogue.do(SetValidation("news", validated=True))
    dialogue >> A.sends(C.message(1)) << "validate news: hello"
    return dialogue


def judged(verdict: Validation) -> tuple[Dialogue, list[str]]:
    dialogue = waiting_message()
    return dialogue, dialogue.do(dialogue.validated(C.id_of(1), verdict))


def test_extended_validators_accept_delivers_and_forwards() -> None:
    dialogue, lines = judged(Validation.ACCEPT)
    assert sorted(lines) == ["B: MESSAGE C1 news: hello", "deliver news: hello"]
    assert score(dialogue, A) > 0.0


def test_extended_validators_reject_triggers_p4() -> None:
    """Neither delivered nor forwarded, and the sender loses P4: -1, by the topic's weight."""
    dialogue, lines = judged(Validation.REJECT)
    assert lines == []
    assert score(dialogue, A) == -0.5
    assert score(dialogue, B) == 0.0


def test_extended_validators_reject_costs_all_who_sent_it_and_will_send_it() -> None:
    dialogue = waiting_message()
    dialogue.do(B.sends(C.message(1)))
    dialogue.do(dialogue.validated(C.id_of(1), Validation.REJECT))
    assert score(dialogue, A) == score(dialogue, B) == -0.5
    dialogue >> B.sends(C.message(1)) << []
    assert score(dialogue, B) == -2.0


def test_extended_validators_ignore_costs_nothing() -> None:
    """Neither delivered nor forwarded, and no score moves."""
    dialogue, lines = judged(Validation.IGNORE)
    assert lines == []
    assert score(dialogue, A) == score(dialogue, B) == 0.0


@pytest.mark.parametrize("verdict", [Validation.REJECT, Validation.IGNORE])
def test_extended_validators_what_is_not_accepted_is_not_gossiped(verdict: Validation) -> None:
    dialogue, _ = judged(verdict)
    dialogue.do(B.prunes("news"))
    assert told(dialogue.beats(3), "IHAVE") == []
    dialogue >> B.wants(C.id_of(1)) << []


def test_extended_validators_are_per_topic() -> None:
    dialogue = waiting_message()
    dialogue.do(Subscribe("sport"))
    dialogue >> A.sends(C.message(2, topic="sport")) << "deliver sport: hello"


async def test_extended_validators_must_be_supported() -> None:
    """An enumerated decision: one of the three, beside one that is ours for odd message ids."""
    three = [Validation.ACCEPT, Validation.REJECT, Validation.IGNORE]
    async with open_pair() as (author, node), node.subscribe(TOPIC) as messages:
        node.set_validator(TOPIC, lambda message: Validation[message.data.decode()])
        await know(author, TOPIC)
        for decision in three:
            await author.publish(TOPIC, decision.name.encode())
        await author.publish(TOPIC, b"ACCEPT")
        assert await take(messages, 2) == [b"ACCEPT", b"ACCEPT"]
        assert drops(node, "rejected_by_validator") == 1
        assert drops(node, "ignored_by_validator") == 1
    assert pubsub.Validation is Validation
    assert [*Validation] == [*three, Validation.RETRY]
