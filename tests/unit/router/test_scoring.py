"""Scores in the router: what is counted against whom, and what follows (v1.1 §Peer Scoring)."""

from __future__ import annotations

import pytest

from pubsub.identity import PeerId
from pubsub.params import Params
from pubsub.pb import rpc_pb2
from pubsub.router.events import PeerConnected, SetValidation, Subscribe, Validation
from pubsub.router.router import Router
from pubsub.router.scoring import Scoring
from pubsub.score import ScoreParams, ScoreThresholds
from tests.unit.router.dialogue import CROWD, US, A, B, Beat, C, D, Dialogue, Them, rpc, signed

SMALL = Params(d=1, d_low=1, d_high=1)


def in_news(*peers: Them, params: Params | None = None) -> Dialogue:
    dialogue = Dialogue(params=params)
    dialogue.do(Subscribe("news"))
    for peer in peers:
        dialogue.do(peer.connects(), peer.subscribes("news"))
    return dialogue


def score(dialogue: Dialogue, peer: Them) -> float:
    value = dialogue.router.snapshot()["scores"][str(peer.id)]
    assert isinstance(value, float)
    return value


def lower(dialogue: Dialogue, peer: Them, amount: float) -> None:
    """Give a peer a score below zero, by breaches of the protocol."""
    scores = dialogue.router._core.scores
    assert scores is not None
    scores.behaviour(peer.id, amount)
    assert score(dialogue, peer) < 0


def behaviour(dialogue: Dialogue, peer: Them) -> float:
    """The peer's breaches of the protocol, as remembered."""
    scores = dialogue.router._core.scores
    assert scores is not None
    return scores.inspect(peer.id, now=dialogue.now).behaviour


def forged(seqno: int) -> bytes:
    fields = {"author": bytes(C.id), "seqno": seqno.to_bytes(8, "big"), "topic": "news"}
    return signed(D, data=b"forged", **fields)


def test_first_deliveries_are_worth_something() -> None:
    dialogue = in_news(A, B)
    dialogue.do(A.sends(C.message(1)), B.sends(C.message(1)))
    assert score(dialogue, A) == 0.5
    assert score(dialogue, B) == 0.0


def test_time_in_the_mesh_is_worth_something() -> None:
    dialogue = in_news(A)
    dialogue.beats(4)
    assert score(dialogue, A) >= 1.0
    dialogue.do(A.prunes("news"))
    assert score(dialogue, A) == 0.0


def test_a_forgery_costs_its_sender_and_nobody_who_sends_the_true_message() -> None:
    dialogue = in_news(A, B)
    dialogue.do(A.sends(forged(1)), B.sends(C.message(1)))
    assert score(dialogue, A) == -0.5
    assert score(dialogue, B) == 0.5


def test_what_validators_reject_costs_all_who_sent_it() -> None:
    dialogue = in_news(A, B)
    dialogue.do(SetValidation("news", validated=True))
    dialogue.do(A.sends(C.message(1)), B.sends(C.message(1)))
    dialogue.do(dialogue.validated(C.id_of(1), Validation.REJECT))
    assert (score(dialogue, A), score(dialogue, B)) == (-0.5, -0.5)


def test_what_validators_ignore_costs_nobody() -> None:
    dialogue = in_news(A, B)
    dialogue.do(SetValidation("news", validated=True))
    dialogue.do(A.sends(C.message(1)), B.sends(C.message(1)))
    dialogue.do(dialogue.validated(C.id_of(1), Validation.IGNORE))
    assert (score(dialogue, A), score(dialogue, B)) == (0.0, 0.0)


def test_a_spammer_is_put_out_then_ignored_and_costs_others_nothing() -> None:
    dialogue = in_news(A, B)
    dialogue.do(*[A.sends(forged(number)) for number in range(13)])
    assert score(dialogue, A) < -80
    drops = dialogue.drops()["bad_signature"]
    dialogue >> A.sends(C.message(1)) << []
    assert dialogue.drops() == {"bad_signature": drops, "graylisted": 1}
    # It can still leave its topics.
    dialogue >> A.unsubscribes("news") << "A left news"
    dialogue >> B.sends(C.message(2)) << ["deliver news: hello"]


def test_below_zero_there_is_no_place_in_the_mesh() -> None:
    dialogue = in_news(A, B)
    lower(dialogue, A, 10)
    assert "A: PRUNE news 60" in dialogue.do(Beat)
    assert dialogue.mesh() == ["B"]
    dialogue.do(B.prunes("news", 1))
    dialogue.passes(1)
    lower(dialogue, B, 1)
    dialogue >> B.grafts("news") << "B: PRUNE news 60"


def test_below_the_gossip_threshold_nothing_is_told_asked_or_answered() -> None:
    dialogue = in_news(A, B, params=SMALL)
    dialogue.do(dialogue.publish())
    message_id = dialogue.published[0].message.id
    lower(dialogue, B, 1.2)  # -14.4
    dialogue >> B.wants(message_id) << []
    dialogue >> B.has("news", C.id_of(1)) << []
    assert dialogue.drops() == {"gossip_below_threshold": 2}
    assert not any("IHAVE" in line for line in dialogue.do(Beat))


def test_below_the_publish_threshold_nothing_is_published_to() -> None:
    dialogue = Dialogue()
    dialogue.do(A.connects(), A.subscribes("news"), B.connects(), B.subscribes("news"))
    lower(dialogue, B, 2.5)  # -62.5
    assert dialogue.do(dialogue.publish())[-1] == "published to A"


def test_flood_publishing_reaches_every_subscriber_in_good_standing() -> None:
    dialogue = in_news(*CROWD[:20], params=Params(flood_publish=True))
    lower(dialogue, CROWD[19], 3)
    dialogue.do(dialogue.publish())
    assert len(dialogue.published[0].peers) == 19
    lines = dialogue.do(CROWD[0].sends(C.message(1)))
    assert sum("MESSAGE" in line for line in lines) <= 6


@pytest.mark.parametrize("kept", [True, False])
def test_promises_are_kept_or_cost(kept: bool) -> None:
    dialogue = in_news(A, B, params=SMALL)
    dialogue.do(B.has("news", C.id_of(1)))
    if kept:
        dialogue.do(B.sends(C.message(1)))
    dialogue.beats(4)
    assert (score(dialogue, B) < 0) is not kept
    assert dialogue.counters().get("broken_promises", 0) == (not kept)


@pytest.mark.parametrize(("beats", "broken"), [(25, 0), (32, 1)])
def test_a_promise_may_take_longer_where_other_messages_come(beats: int, broken: int) -> None:
    dialogue = in_news(A, B, params=SMALL)
    dialogue.do(B.has("news", C.id_of(1)))
    for number in range(beats):
        dialogue.do(B.sends(D.message(number)), Beat)
    dialogue.do(B.sends(C.message(1)))
    dialogue.beats(4)
    assert dialogue.counters().get("broken_promises", 0) == broken


def test_a_liar_once_a_second_sinks_below_the_graylist_threshold() -> None:
    dialogue = in_news(A, B, params=SMALL)
    scores = []
    for number in range(20):
        dialogue.do(B.has("news", *[C.id_of(100 * number + each) for each in range(100)]), Beat)
        scores.append(score(dialogue, B))
    assert sum(value < -80 for value in scores) >= 5
    assert score(dialogue, A) >= 0


def odd_number(author: Them) -> tuple[bytes, bytes]:
    """A message numbered as go alone allows, and its id."""
    fields = {"author": bytes(author.id), "seqno": b"7", "topic": "news"}
    return signed(author, data=b"odd", **fields), bytes(author.id) + b"7"


@pytest.mark.parametrize("raw", [odd_number(C), (US.message(1), US.id_of(1))], ids=["odd", "own"])
def test_a_promise_of_a_message_that_we_do_not_want_is_kept(raw: tuple[bytes, bytes]) -> None:
    message, message_id = raw
    dialogue = in_news(A, B, params=SMALL)
    dialogue.do(B.has("news", message_id), B.sends(message))
    dialogue.beats(4)
    assert dialogue.counters()["iwant_sent"] == 1
    assert dialogue.counters().get("broken_promises", 0) == 0


IDS = [b"x"] * 40_000


@pytest.mark.parametrize(
    ("flood", "costs"),
    [
        ([rpc(iwant=IDS)] * 2, 0.0),
        ([rpc(iwant=IDS)] * 3, 2.0),
        ([rpc(idontwant=IDS)] * 4, 6.0),
        ([rpc(ihave=[("news", IDS)])] * 4, 6.0),
        ([rpc(graft=["guess"])] * 190, 0.0),
        ([rpc(graft=["guess"])] * 230, 1.96),
        ([rpc(prune=[("guess", 1)] * 5000)], 0.0),
        ([rpc(subscribe=["news"] * 5000)] * 4, 0.0),
        ([rpc(subscribe=["news"] * 5000)] * 5, 2.5),
        ([rpc(unsubscribe=["news"] * 2000)], 0.0),
        ([rpc(unsubscribe=["news"] * 2500)], 2.5),
    ],
)
def test_control_beyond_anybodys_need_costs(flood: list[rpc_pb2.RPC], costs: float) -> None:
    dialogue = in_news(A, B)
    dialogue.do(*[A.says(one) for one in flood])
    assert behaviour(dialogue, A) == pytest.approx(costs, abs=0.01)
    assert behaviour(dialogue, B) == 0.0


def test_what_may_be_said_is_counted_anew_at_each_heartbeat() -> None:
    dialogue = in_news(A)
    for _ in range(5):
        dialogue.do(A.says(rpc(iwant=IDS)), A.says(rpc(iwant=IDS)), Beat)
    assert behaviour(dialogue, A) == 0.0


def test_a_promise_kept_by_another_is_kept() -> None:
    dialogue = in_news(A, B, params=SMALL)
    dialogue.do(B.has("news", C.id_of(1)), A.sends(C.message(1)))
    dialogue.beats(4)
    assert score(dialogue, B) == 0.0


def test_a_bad_score_outlives_the_connection() -> None:
    dialogue = in_news(A)
    lower(dialogue, A, 10)
    dialogue.do(A.disconnects())
    dialogue.do(A.connects())
    assert score(dialogue, A) < 0


def many_at(ip: str) -> Dialogue:
    dialogue = Dialogue()
    for peer in CROWD[:12]:
        dialogue.do(PeerConnected(peer.id, "/meshsub/1.1.0", outbound=False, ip=ip))
    return dialogue


def test_a_crowd_at_one_address_is_suspicious_unless_it_is_ours() -> None:
    assert score(many_at("9.9.9.9"), CROWD[0]) == -20.0
    assert score(many_at("127.0.0.1"), CROWD[0]) == 0.0
    assert score(many_at(""), CROWD[0]) == 0.0


def test_poor_meshes_take_in_better_peers_now_and_then() -> None:
    params = Params(opportunistic_graft_ticks=3, d=4, d_low=4, d_high=8)
    dialogue = in_news(*CROWD[:10], params=params)
    outsiders = [peer for peer in CROWD[:10] if peer.name not in dialogue.mesh()]
    for number, peer in enumerate(outsiders):
        dialogue.do(*[peer.sends(C.message(100 * number + one)) for one in range(60)])
    grafts = [sum("GRAFT" in line for line in dialogue.do(Beat)) for _ in range(3)]
    assert grafts == [0, 0, 2]


def test_scoring_can_be_off() -> None:
    dialogue = in_news(A, params=Params(scoring=False))
    dialogue.do(A.sends(forged(1)))
    assert score(dialogue, A) == 0.0


def test_the_application_has_a_say() -> None:
    def opinion(peer: PeerId) -> float:
        return -9.0 if peer == B.id else 0.0

    scoring = Scoring(params=ScoreParams(), thresholds=ScoreThresholds(), app_score=opinion)
    dialogue = Dialogue()
    dialogue.router = Router(
        A.key, rng=dialogue.router._core.rng, now=dialogue.now, first_seqno=1, scoring=scoring
    )
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"), C.connects())
    assert score(dialogue, B) == -90.0
    assert dialogue.mesh() == []
