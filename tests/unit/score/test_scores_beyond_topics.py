"""P5 to P7, retention and inspection; test_scores.py has the rest."""

import math

import pytest

from pubsub.errors import ParamError
from pubsub.score import PeerScores, Rejection, ScoreParams, ScoreReport
from tests.unit.score.making import FAR, NO_P1, A, B, C, D, deliver, make, values

# P5


def test_v11_p5_is_asked_on_connecting_and_at_each_decay() -> None:
    answer = 2.0
    scores = PeerScores(ScoreParams(app_specific_weight=3.0), app_score=lambda _peer: answer)
    scores.connected(A, [], now=0.0)
    seen = [scores.score(A, now=0.0)]
    answer = -1.0
    seen.append(scores.score(A, now=0.5))
    scores.refresh(now=1.0)
    assert [*seen, scores.score(A, now=1.0)] == [6.0, 6.0, -3.0]


def test_feedback_adds_to_p5_at_once_and_decays_to_zero() -> None:
    scores = make(app_specific_weight=2.0, feedback_decay=0.5, decay_to_zero=0.6)
    scores.feedback(A, 5.0)
    scores.feedback(A, -1.0)
    scores.feedback(B, -2.0)
    assert values(scores, A, B) == [8.0, -4.0]
    scores.refresh(now=2.0)
    assert values(scores, A, B, now=2.0) == [2.0, 0.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e10])
def test_an_application_score_must_be_a_number(bad: float) -> None:
    scores = PeerScores(ScoreParams(), app_score=lambda _peer: bad)
    with pytest.raises(ParamError, match="app_score must return a number"):
        scores.connected(A, [], now=0.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_feedback_and_penalties_must_be_numbers(bad: float) -> None:
    with pytest.raises(ParamError, match="feedback must be a finite number"):
        make().feedback(A, bad)
    with pytest.raises(ParamError, match="behaviour penalty must be"):
        make().behaviour(A, bad)


def test_enormous_counters_keep_the_score_a_number() -> None:
    scores = make()
    for _ in range(3):
        scores.feedback(A, 1e308)
        scores.behaviour(A, 1e308)
    assert math.isfinite(scores.score(A, now=0.0))


# P6


def test_v11_p6_costs_all_peers_of_a_crowded_address() -> None:
    scores = make(peers=(), ip_colocation_threshold=2, ip_colocation_weight=-3.0)
    for peer in (A, B, C, D):
        scores.connected(peer, [FAR], now=0.0)
    assert values(scores, A, B, C, D) == [-12.0] * 4
    scores.set_ips(D, ["198.51.100.4"])
    assert values(scores, A, B, C, D) == [-3.0, -3.0, -3.0, 0.0]
    scores.forget(C)
    assert values(scores, A, B, C, D) == [0.0] * 4


def test_a_crowd_that_went_with_negative_scores_still_counts() -> None:
    scores = make(peers=(), ip_colocation_threshold=1, retain_score=10.0)
    for peer in (A, B):
        scores.connected(peer, [FAR], now=0.0)
        scores.behaviour(peer, 1.0)
        scores.disconnected(peer, now=0.0)
    scores.connected(C, [FAR], now=0.0)
    assert scores.score(C, now=0.0) == -5.0 * 4
    scores.refresh(now=11.0)
    assert scores.score(C, now=11.0) == 0.0


# P7


@pytest.mark.parametrize(("amount", "p7"), [(1.0, 0.0), (2.0, 0.0), (3.0, -10.0), (5.5, -122.5)])
def test_v11_p7_is_squared_above_the_threshold(amount: float, p7: float) -> None:
    scores = make(behaviour_penalty_threshold=2.0, behaviour_penalty_weight=-10.0)
    scores.behaviour(A, amount)
    assert scores.score(A, now=0.0) == p7


def test_v11_p7_adds_up_and_decays_to_zero() -> None:
    scores = make(behaviour_penalty_decay=0.5, behaviour_penalty_weight=-1.0, decay_to_zero=0.9)
    scores.behaviour(A, 1.0)
    scores.behaviour(A, 3.0)
    seen = [scores.score(A, now=0.0)]
    for now in (1.0, 2.0, 3.0):
        scores.refresh(now=now)
        seen.append(scores.score(A, now=now))
    assert seen == [-16.0, -4.0, -1.0, 0.0]


def test_penalties_do_not_heal() -> None:
    with pytest.raises(ParamError, match="at least 0"):
        make().behaviour(A, -1.0)


# Retention


def test_v11_a_negative_score_is_retained_and_comes_back() -> None:
    scores = make(retain_score=100.0, behaviour_penalty_decay=0.5, behaviour_penalty_weight=-1.0)
    scores.behaviour(A, 4.0)
    scores.disconnected(A, now=0.0)
    for now in range(1, 61):
        scores.refresh(now=float(now))
        assert scores.score(A, now=float(now)) == -16.0
    assert not scores.inspect(A, now=60.0).connected
    scores.connected(A, ["198.51.100.9"], now=60.0)
    assert scores.score(A, now=60.0) == -16.0
    scores.refresh(now=61.0)
    assert scores.score(A, now=61.0) == -4.0


def test_a_score_that_is_not_negative_is_forgotten_at_once() -> None:
    scores = make()
    deliver(scores, A, 10, now=0.0)
    scores.behaviour(A, 1.0)
    scores.disconnected(A, now=0.0)
    scores.disconnected(B, now=0.0)
    for peer in (A, B):
        scores.connected(peer, [], now=0.0)
    assert values(scores, A, B) == [0.0, 0.0]


def test_retention_ends() -> None:
    scores = make(retain_score=10.0)
    scores.behaviour(A, 1.0)
    scores.disconnected(A, now=0.0)
    assert values(scores, A, now=10.0) == [-10.0]
    assert values(scores, A, now=10.1) == [0.0]
    assert scores.inspect(A, now=10.1) == ScoreReport()
    scores.connected(A, [], now=10.1)
    assert values(scores, A, now=10.1) == [0.0]


def test_retention_of_zero_keeps_nothing() -> None:
    scores = make(retain_score=0.0)
    scores.behaviour(A, 1.0)
    scores.disconnected(A, now=0.0)
    assert scores.score(A, now=0.0) == 0.0


def test_a_retained_peer_loses_p2_and_its_mesh_deficit_becomes_p3b() -> None:
    scores = make(NO_P1, behaviour_penalty_weight=-1.0)
    scores.grafted(A, "t", now=0.0)
    scores.refresh(now=6.0)
    deliver(scores, A, 1, now=6.0)
    scores.behaviour(A, 1.0)
    assert scores.score(A, now=6.0) == 1.0 - 9.0 - 1.0
    scores.disconnected(A, now=6.0)
    assert scores.score(A, now=6.0) == -9.0 - 1.0
    report = scores.inspect(A, now=6.0).topics["t"]
    assert (report.p2, report.p3, report.p3b, report.in_mesh) == (0.0, 0.0, -9.0, False)


def test_p4_reaches_a_forwarder_that_has_gone_with_a_negative_score() -> None:
    scores = make()
    scores.behaviour(B, 1.0)
    scores.arrived(b"m", now=0.0)
    scores.duplicate(B, "t", b"m", now=0.0)
    scores.disconnected(B, now=0.0)
    scores.rejected(A, "t", b"m", Rejection.INVALID, now=0.0)
    assert scores.score(B, now=0.0) == -10.0 - 1.0


def test_retained_peers_are_bounded() -> None:
    scores = make(retain_limit=2)
    for peer in (A, B, C):
        scores.behaviour(peer, 1.0)
        scores.disconnected(peer, now=0.0)
    assert values(scores, A, B, C) == [0.0, -10.0, -10.0]


def test_coming_back_leaves_the_queue_of_the_retained() -> None:
    scores = make(retain_limit=1, retain_score=10.0)
    for peer in (A, B):
        scores.behaviour(peer, 1.0)
    scores.disconnected(A, now=0.0)
    scores.connected(A, [], now=1.0)
    scores.disconnected(B, now=1.0)
    scores.disconnected(B, now=2.0)
    assert scores.score(A, now=1.0) == -10.0
    scores.refresh(now=11.5)
    assert scores.inspect(A, now=11.5).connected
    assert not scores.inspect(B, now=11.5).connected


def test_nothing_is_left_of_a_peer_that_is_forgotten() -> None:
    scores = make(peers=(A,))
    scores.behaviour(A, 1.0)
    scores.disconnected(A, now=0.0)
    scores.forget(A)
    assert not scores._peers
    assert not scores._retained
    assert not scores._ips


# Inspection


def test_the_parts_of_a_report_add_up() -> None:
    scores = make(peers=(), topic_score_cap=2.5, app_specific_weight=1.5)
    scores.connected(A, [FAR], now=0.0)
    for topic in ("t", "u"):
        scores.grafted(A, topic, now=0.0)
        deliver(scores, A, 3, now=0.0, topic=topic)
    scores.rejected(A, "u", None, Rejection.INVALID, now=0.0)
    scores.feedback(A, 4.0)
    scores.behaviour(A, 0.5)
    report = scores.inspect(A, now=0.0)
    assert report.total == scores.score(A, now=0.0) == 2.5 + 6.0 - 2.5
    assert report.total == report.topic_total + report.p5 + report.p6 + report.p7
    assert (report.app, report.feedback, report.behaviour) == (0.0, 4.0, 0.5)
    assert [report.topics[t].total for t in ("t", "u")] == [3.0, 2.0]
    assert report.ips == (FAR,)
    assert report.connected


def test_defaults_leave_the_peers_of_a_quiet_topic_alone() -> None:
    scores = PeerScores(ScoreParams())
    scores.connected(A, [FAR], now=0.0)
    scores.grafted(A, "quiet", now=0.0)
    for now in range(1, 600):
        scores.refresh(now=float(now))
        assert scores.score(A, now=float(now)) >= 0.0
    scores.pruned(A, "quiet", now=600.0)
    assert scores.score(A, now=600.0) == 0.0
