"""gossipsub v1.1: prune backoff and spam protection, where both sides count."""

from __future__ import annotations

from pubsub.router.events import Subscribe, Unsubscribe
from tests.unit.router.dialogue import A, B, C, Dialogue, rpc


def test_prune_backoff_must_not_regraft_before_it_is_over() -> None:
    """A pruned peer MUST NOT try to regraft during backoff, by JOIN, heartbeat or eager GRAFT."""
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"), B.prunes("news", 20))
    dialogue.do(Unsubscribe("news"))
    dialogue >> Subscribe("news") << "B: SUBSCRIBE news"
    dialogue >> B.says(rpc(unsubscribe=["news"])) << "B left news"
    dialogue >> B.subscribes("news") << "B joined news"
    assert dialogue.beats(20) == []
    assert "B: GRAFT news" in dialogue.beats(3)


def test_prune_backoff_refreshed_by_an_early_graft() -> None:
    """A peer that grafts during backoff is penalised, and its backoff starts again."""
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.grafts("news"), Unsubscribe("news"))
    dialogue.do(Subscribe("news"))
    dialogue.passes(9)
    dialogue >> B.grafts("news") << "B: PRUNE news 60"
    dialogue.passes(59)
    dialogue >> B.grafts("news") << "B: PRUNE news 60"
    dialogue.passes(60)
    dialogue >> B.grafts("news") << []


def test_graft_to_an_unknown_topic_is_not_answered() -> None:
    """Spam protection: a router that answers would let anybody list its topics."""
    dialogue = Dialogue()
    dialogue.do(A.connects())
    dialogue >> A.grafts("guess 1", "guess 2") << []


def test_iwant_spam_a_message_is_not_sent_without_end() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), A.connects(), A.sends(C.message(1)))
    lines = dialogue.do(*[A.wants(C.id_of(1))] * 20)
    assert lines == ["A: MESSAGE C1 news: hello"] * 3
