"""gossipsub v1.1 §Peer Scoring, §The Score Function: the sum, P5 to P7, and retention."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pubsub.router.events import Subscribe
from pubsub.score import PeerScores, Rejection, ScoreParams, TopicScoreParams
from tests.spec.scenes import dials_us, knowing, score
from tests.spec.scoring import NOTHING, P2, P4, TOPIC, P, Q, R, course, delivers, scores_of
from tests.unit.router.dialogue import CROWD, A, B, C, D, Dialogue, signed

# The Score Function


def test_score_function_is_the_sum_of_weighted_topics_and_p5_p6_p7() -> None:
    a = replace(
        TOPIC,
        topic_weight=0.5,
        time_in_mesh_weight=0.1,
        first_message_deliveries_weight=2.0,
        mesh_message_deliveries_weight=-0.25,
        mesh_failure_penalty_weight=-0.75,
        invalid_message_deliveries_weight=-3.0,
    )
    b = replace(NOTHING, topic_weight=4.0, first_message_deliveries_weight=1.0)
    slow = {"mesh_failure_penalty_decay": 0.999999, "mesh_message_deliveries_decay": 0.999999}
    scores = scores_of(
        topics={"a": replace(a, **slow), "b": b},
        app_specific_weight=5.0,
        behaviour_penalty_weight=-6.0,
        ip_colocation_weight=-7.0,
        ip_colocation_threshold=1,
    )
    scores.grafted(P, "a", now=0.0)
    scores.refresh(now=6.0)
    scores.pruned(P, "a", now=6.0)  # P3b: 4 squared
    scores.grafted(P, "a", now=6.0)
    scores.refresh(now=12.0)  # P1: 6, P3: active
    delivers(scores, P, 3, "a")  # P2: 3, P3: a deficit of 1
    delivers(scores, P, 5, "b")
    for number in range(2):
        scores.rejected(P, "a", b"bad %d" % number, Rejection.INVALID, now=12.0)  # P4: 4
    scores.feedback(P, 1.5)
    scores.behaviour(P, 2.0)
    scores.set_ips(P, ["198.51.100.1"])  # where Q is
    topic_a = 0.5 * (0.1 * 6 + 2.0 * 3 - 0.25 * 1 - 0.75 * 16 - 3.0 * 4)
    expected = topic_a + 4.0 * 5 + 5.0 * 1.5 - 7.0 * 1 - 6.0 * 4
    assert scores.score(P, now=12.0) == pytest.approx(expected, rel=1e-4)


def test_score_function_topic_cap_bounds_what_topics_contribute() -> None:
    """From above only, and P5 to P7 come on top; 0 is no cap."""
    for cap, total in ((10.0, 10.0), (0.0, 30.0)):
        scores = scores_of(P2, topic_score_cap=cap, app_specific_weight=1.0)
        delivers(scores, P, 20, "t")
        delivers(scores, P, 10, "u")
        assert scores.score(P, now=0.0) == total
        scores.feedback(P, 5.0)
        assert scores.score(P, now=0.0) == total + 5.0
    scores = scores_of(P4, topic_score_cap=10.0)
    for number in range(9):
        scores.rejected(P, "t", b"%d" % number, Rejection.INVALID, now=0.0)
    assert scores.score(P, now=0.0) == -81.0


def test_score_function_faults_in_one_topic_percolate_to_others() -> None:
    """A peer that sends invalid news leaves the mesh of sport as well."""
    dialogue = knowing(A)
    dialogue.do(Subscribe("sport"), A.grafts("sport"))
    fields = {"author": bytes(C.id), "seqno": bytes(8), "topic": "news"}
    dialogue.do(*[A.sends(signed(D, data=b"%d" % number, **fields)) for number in range(5)])
    assert "A: PRUNE sport 60" in dialogue.beats(1)


def test_score_function_topics_are_configured_by_name() -> None:
    """One that is not configured contributes nothing where there is no default."""
    scores = scores_of(topics={"a": P2, "b": replace(P2, topic_weight=3.0)}, default_topic=None)
    for topic, total in (("a", 1.0), ("b", 4.0), ("c", 4.0)):
        delivers(scores, P, 1, topic)
        assert scores.score(P, now=0.0) == total


def test_score_function_topics_not_configured_count_by_default() -> None:
    """We deviate: a network need not know its topics in advance to be protected in them."""
    assert ScoreParams().for_topic("any") == TopicScoreParams()
    scores = PeerScores(ScoreParams())
    scores.connected(P, [], now=0.0)
    scores.rejected(P, "any", b"m", Rejection.INVALID, now=0.0)
    assert scores.score(P, now=0.0) == -0.5


# P5


def test_p5_is_any_number_of_the_applications() -> None:
    opinions = {P: 2.5, Q: -4.0}
    params = ScoreParams(app_specific_weight=10.0)
    scores = PeerScores(params, app_score=lambda peer: opinions.get(peer, 0.0))
    for peer in (P, Q, R):
        scores.connected(peer, [], now=0.0)
    assert [scores.score(peer, now=0.0) for peer in (P, Q, R)] == [25.0, -40.0, 0.0]
    opinions[P] = -1.0
    assert course(scores, 1.0) == [-10.0]


# P6


@pytest.mark.parametrize(("peers", "value"), [(10, 0.0), (11, -5.0), (14, -80.0)])
def test_p6_is_the_squared_surplus_of_peers_at_one_address(peers: int, value: float) -> None:
    dialogue = Dialogue()
    for peer in CROWD[:peers]:
        dialogue.do(dials_us(peer, ip="203.0.113.9"))
    dialogue.do(dials_us(A, ip="203.0.113.10"))
    assert {score(dialogue, peer) for peer in CROWD[:peers]} == {value}
    assert score(dialogue, A) == 0.0


def test_p6_leaving_with_a_negative_score_does_not_thin_the_crowd() -> None:
    dialogue = Dialogue()
    for peer in CROWD[:12]:
        dialogue.do(dials_us(peer, ip="203.0.113.9"))
    dialogue.do(CROWD[0].disconnects(), CROWD[1].disconnects())
    assert score(dialogue, CROWD[2]) == -20.0


def test_p6_private_addresses_are_not_counted_by_default() -> None:
    """We deviate: a test network, or many behind one router, is no attack."""
    for ip, value in (("127.0.0.1", 0.0), ("10.1.2.3", 0.0), ("8.8.8.8", -20.0)):
        dialogue = Dialogue()
        for peer in CROWD[:12]:
            dialogue.do(dials_us(peer, ip=ip))
        assert score(dialogue, CROWD[0]) == value
    params = ScoreParams(count_private_ips=True)
    scores = PeerScores(params)
    for peer in CROWD[:12]:
        scores.connected(peer.id, ["10.1.2.3"], now=0.0)
    assert scores.score(CROWD[0].id, now=0.0) == -20.0


# P7


def test_p7_is_the_square_of_a_counter_that_decays() -> None:
    scores = scores_of(behaviour_penalty_weight=-2.0, behaviour_penalty_decay=0.5)
    scores.behaviour(P, 1.0)
    scores.behaviour(P, 3.0)
    assert [scores.score(P, now=0.0), *course(scores, 1.0, 2.0)] == [-32.0, -8.0, -2.0]


# Retention


def test_retention_a_negative_score_comes_back_with_its_peer() -> None:
    scores = scores_of(P4, retain_score=60.0)
    for number in range(3):
        scores.rejected(P, "t", b"%d" % number, Rejection.INVALID, now=0.0)
    scores.disconnected(P, now=0.0)
    assert course(scores, 59.0) == [-9.0]
    scores.connected(P, [], now=60.0)
    assert scores.score(P, now=60.0) == -9.0


def test_retention_ends() -> None:
    scores = scores_of(P4, retain_score=60.0)
    scores.rejected(P, "t", b"m", Rejection.INVALID, now=0.0)
    scores.disconnected(P, now=0.0)
    scores.connected(P, [], now=60.1)
    assert scores.score(P, now=60.1) == 0.0


def test_retention_is_an_hour_by_default() -> None:
    dialogue = knowing(A, B)
    dialogue.do(A.prunes("news", 60), A.grafts("news"), A.disconnects())
    dialogue.passes(3600)
    dialogue.do(A.connects())
    assert score(dialogue, A) == -10.0


def test_retention_a_good_score_is_not_kept() -> None:
    """We deviate, as go does: a score that is stored up can be spent on an attack."""
    scores = scores_of(P2, retain_score=60.0)
    delivers(scores, P, 5)
    scores.disconnected(P, now=0.0)
    scores.connected(P, [], now=1.0)
    assert scores.score(P, now=1.0) == 0.0
