from __future__ import annotations

import pytest

from pubsub.identity import PeerId
from pubsub.params import Params
from pubsub.router.events import Feedback, Subscribe, Unsubscribe
from pubsub.router.policy import Policy
from pubsub.router.protocols import GOSSIPSUB_V10
from pubsub.router.scoring import Scoring
from pubsub.score import ScoreThresholds
from tests.unit.router.dialogue import CROWD, US, A, B, C, D, Dialogue, rpc

EXCHANGE = Params(peer_exchange=True)
NOBODY = PeerId(b"\0\4none")


def of(name: str) -> bytes:
    return f"{name}'s record".encode()


RECORDS = {A.id: of("A"), B.id: of("B"), C.id: of("C")}
POLICY = Policy(signed_record=RECORDS.get)


def in_topic(params: Params = EXCHANGE) -> Dialogue:
    dialogue = Dialogue(params=params, policy=POLICY)
    dialogue.do(Subscribe("news"))
    for peer in (A, B, C):
        dialogue.do(peer.connects(), peer.subscribes("news"))
    return dialogue


def test_who_is_pruned_hears_of_others() -> None:
    dialogue = in_topic()
    told = dialogue.do(Unsubscribe("news"))
    assert "A: PRUNE news 10 and try B, C" in told or "A: PRUNE news 10 and try C, B" in told


def test_records_go_along() -> None:
    dialogue = in_topic()
    dialogue.router.handle(Unsubscribe("news"), dialogue.now)
    sent = dialogue.router.take(A.id, 1 << 20)
    assert of("B") in sent
    assert of("C") in sent
    assert of("A") not in sent


def test_by_default_nobody_is_named() -> None:
    assert "A: PRUNE news 10" in in_topic(Params()).do(Unsubscribe("news"))


def test_peers_of_the_first_version_hear_of_nobody() -> None:
    dialogue = in_topic()
    dialogue.do(D.connects(GOSSIPSUB_V10), D.subscribes("news"))
    assert "D: PRUNE news" in dialogue.do(Unsubscribe("news"))


def test_peers_with_a_negative_score_are_not_named_and_told_nothing() -> None:
    dialogue = in_topic()
    dialogue.do(Feedback(C.id, -1.0))
    assert "A: PRUNE news 10 and try B" in dialogue.do(Unsubscribe("news"))
    dialogue = in_topic()
    dialogue.do(Feedback(C.id, -1.0))
    assert "C: PRUNE news 60" in dialogue.beats(1)


def test_a_graft_into_a_full_mesh_is_answered_with_others_but_an_early_one_is_not() -> None:
    dialogue = in_topic(EXCHANGE.replaced(d=2, d_low=1, d_high=3, d_score=2))
    dialogue.do(A.grafts("news"), B.grafts("news"), C.grafts("news"))
    dialogue.do(D.connects(), D.subscribes("news"))
    (answer,) = dialogue.do(D.grafts("news"))
    assert answer.startswith("D: PRUNE news 60 and try ")
    assert sorted(answer.removeprefix("D: PRUNE news 60 and try ").split(", ")) == ["A", "B", "C"]
    dialogue >> D.grafts("news") << "D: PRUNE news 60"


def test_what_is_named_fits_a_budget() -> None:
    room = len(A.id) + len(of("A")) + 5
    dialogue = in_topic(EXCHANGE.replaced(prune_peers_bytes=room))
    told = dialogue.do(Unsubscribe("news"))
    (line,) = [line for line in told if line.startswith("A: PRUNE")]
    assert line in ("A: PRUNE news 10 and try B", "A: PRUNE news 10 and try C")


def test_no_more_are_named_than_the_parameter_says() -> None:
    dialogue = Dialogue(params=EXCHANGE.replaced(prune_peers=5, d_high=30))
    dialogue.do(Subscribe("news"))
    for peer in CROWD[:20]:
        dialogue.do(peer.connects(), peer.subscribes("news"), peer.grafts("news"))
    lines = [line for line in dialogue.do(Unsubscribe("news")) if "PRUNE" in line]
    assert len(lines) == 20
    assert all(line.count(",") == 4 for line in lines)


# What others name to us

TRUSTING = Scoring(thresholds=ScoreThresholds(accept_px=0.0))


def pruned_by_a(dialogue: Dialogue, *px: tuple[PeerId, bytes]) -> list[str]:
    return dialogue.do(A.says(rpc(prune=[("news", 60)], px=px)))


def test_whoever_a_trusted_peer_names_is_dialled() -> None:
    dialogue = Dialogue(scoring=TRUSTING)
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    lines = pruned_by_a(dialogue, (B.id, of("B")), (C.id, b""))
    assert sorted(lines) == ["dial B with B's record, says A", "dial C, says A"]
    assert dialogue.counters()["px_taken"] == 2


def test_whoever_does_not_reach_the_threshold_is_not_believed() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    assert pruned_by_a(dialogue, (B.id, of("B"))) == []
    assert dialogue.drops()["px_below_threshold"] == 1
    dialogue.do(Feedback(A.id, 1.0))
    assert pruned_by_a(dialogue, (B.id, of("B"))) == ["dial B with B's record, says A"]


def test_we_are_not_dialled_nor_who_is_here_already() -> None:
    dialogue = Dialogue(scoring=TRUSTING)
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"), B.connects())
    assert pruned_by_a(dialogue, (US.id, b""), (B.id, b"")) == []


def test_nonsense_is_passed_over() -> None:
    dialogue = Dialogue(scoring=TRUSTING)
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    lines = pruned_by_a(dialogue, (PeerId(b""), b""), (PeerId(b"what"), b""), (C.id, bytes(9000)))
    assert lines == []
    assert dialogue.drops()["px_malformed"] == 3


@pytest.mark.parametrize("rpcs", [1, 3])
def test_of_many_that_are_named_a_few_are_dialled_between_heartbeats(rpcs: int) -> None:
    dialogue = Dialogue(scoring=TRUSTING, params=Params(prune_peers=4))
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    named = [(peer.id, b"") for peer in CROWD]
    lines = dialogue.do(*[A.says(rpc(prune=[("news", 60)], px=named))] * rpcs)
    assert len(lines) == 4
    assert dialogue.drops().get("px_flood", 0) == (rpcs - 1) * len(CROWD)
    dialogue.beats(1)
    assert len(pruned_by_a(dialogue, *named)) == 4


def test_a_prune_of_a_topic_that_is_not_ours_dials_nobody() -> None:
    dialogue = Dialogue(scoring=TRUSTING)
    dialogue.do(A.connects(), A.subscribes("news"))
    assert pruned_by_a(dialogue, (B.id, b"")) == []
