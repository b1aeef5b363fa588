"""The peer gater in the router: who is heard while validation is overloaded."""

from __future__ import annotations

import pytest

from pubsub.params import Params
from pubsub.router.events import (
    Event,
    PeerConnected,
    SetDirect,
    SetValidation,
    StreamOpened,
    Subscribe,
    Validation,
)
from pubsub.router.protocols import GOSSIPSUB_V11
from pubsub.router.scoring import Scoring
from pubsub.score import GaterParams
from tests.unit.router.dialogue import A, B, C, D, Dialogue, Them, rpc

GATED = Scoring(gater=GaterParams())
SMALL = Params(validate_pending_topic=1)
RUBBISH, GOOD = 20, 10


def connects(peer: Them, ip: str) -> list[Event]:
    return [
        PeerConnected(peer.id, GOSSIPSUB_V11, outbound=True, ip=ip),
        StreamOpened(peer.id, GOSSIPSUB_V11),
    ]


def overloaded(scoring: Scoring = GATED) -> Dialogue:
    """A, a source of rubbish, and B, a good one; one message waits, and many found no room."""
    dialogue = Dialogue(params=SMALL, scoring=scoring)
    dialogue.do(Subscribe("news"), SetValidation("news", True))
    dialogue.do(*connects(A, "192.0.2.1"), *connects(B, "192.0.2.2"))
    dialogue.do(A.subscribes("news"), B.subscribes("news"))
    for number in range(RUBBISH):
        dialogue.do(A.sends(C.message(number)))
        dialogue.do(dialogue.validated(C.id_of(number), Validation.IGNORE))
    for number in range(GOOD):
        dialogue.do(B.sends(D.message(number)))
        dialogue.do(dialogue.validated(D.id_of(number), Validation.ACCEPT))
    dialogue.do(B.sends(*(D.message(number) for number in range(GOOD, GOOD + 40))))
    assert dialogue.drops()["validation_queue_full"] == 39
    return dialogue


def flood(dialogue: Dialogue, peer: Them, author: Them, *, first: int = 1000) -> None:
    """A hundred messages, one by one."""
    for number in range(first, first + 100):
        dialogue.do(peer.sends(author.message(number)))


def test_a_source_of_rubbish_is_mostly_not_heard_and_a_good_one_is() -> None:
    dialogue = overloaded()
    flood(dialogue, A, C)
    # 1 in 21 is let through, so that it can become better.
    assert 85 <= dialogue.drops()["gated"] < 100
    assert dialogue.drops()["gated"] + dialogue.drops()["validation_queue_full"] == 139
    before = dialogue.drops()["gated"]
    flood(dialogue, B, D)
    assert dialogue.drops()["gated"] == before


def test_all_peers_at_one_address_are_one_source() -> None:
    dialogue = overloaded()
    dialogue.do(*connects(C, "192.0.2.1"), *connects(D, "192.0.2.3"))
    flood(dialogue, D, D)
    assert "gated" not in dialogue.drops()
    flood(dialogue, C, C)
    assert dialogue.drops()["gated"] >= 85


def test_its_control_still_counts() -> None:
    dialogue = overloaded()
    wanted = D.id_of(1)
    answers = 0
    for number in range(1000, 1003):
        asked = rpc(publish=[C.message(number)], iwant=[wanted], subscribe=[f"{number}"])
        answers += dialogue.do(A.says(asked)).count("A: MESSAGE D1 news: hello")
    assert dialogue.drops()["gated"] == 3
    assert answers == 3
    dialogue >> A.prunes("news") << []
    assert dialogue.mesh() == ["B"]


def test_a_direct_peer_is_not_gated() -> None:
    dialogue = overloaded()
    dialogue.do(SetDirect(A.id, True))
    flood(dialogue, A, C)
    assert "gated" not in dialogue.drops()


def test_the_gater_rests_once_nothing_is_thrown_away() -> None:
    dialogue = overloaded()
    dialogue.do(dialogue.validated(D.id_of(GOOD), Validation.ACCEPT))
    dialogue.passes(GaterParams().quiet + 1.0)
    dialogue >> A.sends(C.message(1000)) << "validate news: hello"


@pytest.mark.parametrize("scoring", [Scoring(), GATED])
def test_without_overload_or_without_a_gater_nobody_is_gated(scoring: Scoring) -> None:
    if scoring.gater is None:
        dialogue = overloaded(scoring)
    else:
        dialogue = Dialogue(scoring=scoring)
        dialogue.do(Subscribe("news"), *connects(A, "192.0.2.1"))
    flood(dialogue, A, C)
    assert "gated" not in dialogue.drops()
