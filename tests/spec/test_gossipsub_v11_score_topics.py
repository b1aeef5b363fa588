"""gossipsub v1.1 §Topic Parameter Calculation and Decay: P1 to P4."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pubsub.score import PeerScores, Rejection, ScoreParams, score_parameter_decay
from tests.spec.scoring import P1, P2, P3, P3B, P4, P, Q, R, course, delivers, scores_of

# P1


def test_p1_is_the_time_since_the_graft_in_quanta() -> None:
    scores = scores_of(replace(P1, time_in_mesh_quantum=3.0))
    scores.grafted(P, "t", now=0.0)
    assert course(scores, 1.0, 2.0, 3.0, 5.0, 6.0, 60.0) == [0.0, 0.0, 1.0, 1.0, 2.0, 20.0]


def test_p1_is_brought_up_to_date_by_the_decay() -> None:
    scores = scores_of(P1, decay_interval=10.0)
    scores.grafted(P, "t", now=0.0)
    assert course(scores, 5.0, 9.9, 10.0, 19.0, 20.0) == [0.0, 0.0, 10.0, 10.0, 20.0]


def test_p1_is_capped() -> None:
    scores = scores_of(replace(P1, time_in_mesh_cap=3.5))
    scores.grafted(P, "t", now=0.0)
    assert course(scores, 3.0, 4.0, 5.0) == [3.0, 3.5, 3.5]


def test_p1_begins_again_with_each_graft() -> None:
    scores = scores_of(P1)
    scores.grafted(P, "t", now=0.0)
    assert course(scores, 5.0) == [5.0]
    scores.pruned(P, "t", now=5.0)
    assert course(scores, 6.0) == [0.0]
    scores.grafted(P, "t", now=6.0)
    assert course(scores, 8.0) == [2.0]


def test_p1_is_small_by_default() -> None:
    """A point a second, at most 20 of them, at half a point of score each."""
    scores = PeerScores(ScoreParams())
    scores.connected(P, [], now=0.0)
    scores.grafted(P, "t", now=0.0)
    assert course(scores, 1.0, 10.0, 20.0, 3600.0) == [0.5, 5.0, 10.0, 10.0]


# P2


def test_p2_counts_first_deliveries_of_good_messages() -> None:
    scores = scores_of(P2)
    scores.arrived(b"m", now=0.0)
    scores.duplicate(Q, "t", b"m", now=0.0)
    assert scores.score(P, now=0.0) == 0.0
    scores.delivered(P, "t", b"m", now=0.0)
    scores.duplicate(R, "t", b"m", now=0.0)
    assert [scores.score(peer, now=0.0) for peer in (P, Q, R)] == [1.0, 0.0, 0.0]


def test_p2_is_capped_when_it_is_incremented() -> None:
    scores = scores_of(replace(P2, first_message_deliveries_cap=10.0))
    delivers(scores, P, 25)
    assert scores.score(P, now=0.0) == 10.0
    assert course(scores, 1.0) == [5.0]


# P3 and P3b


def test_p3_is_the_squared_deficit_below_the_threshold_and_0_above() -> None:
    scores = scores_of(P3)
    scores.grafted(P, "t", now=0.0)
    scores.refresh(now=6.0)
    seen = []
    for number in range(6):
        seen.append(scores.score(P, now=6.0))
        scores.delivered(P, "t", b"%d" % number, now=6.0)
    assert seen == [-16.0, -9.0, -4.0, -1.0, 0.0, 0.0]


def test_p3_counts_near_first_deliveries_during_validation_and_in_the_window_after() -> None:
    window = replace(P3, mesh_message_deliveries_window=0.5)
    scores = scores_of(window)
    for peer in (P, Q, R):
        scores.grafted(peer, "t", now=0.0)
    scores.refresh(now=6.0)
    scores.arrived(b"1", now=6.0)
    scores.duplicate(P, "t", b"1", now=6.1)
    scores.delivered(Q, "t", b"1", now=9.0)
    assert [scores.score(peer, now=9.0) for peer in (P, Q, R)] == [-9.0, -9.0, -16.0]
    scores.duplicate(R, "t", b"1", now=9.5)
    assert scores.score(R, now=9.5) == -9.0
    scores.delivered(Q, "t", b"2", now=10.0)
    scores.duplicate(R, "t", b"2", now=10.501)
    assert scores.score(R, now=10.501) == -9.0


def test_p3_counts_a_message_once_for_each_peer() -> None:
    """Else a member could earn by repeating what we sent it."""
    scores = scores_of(P3)
    scores.grafted(P, "t", now=0.0)
    scores.refresh(now=6.0)
    scores.arrived(b"m", now=6.0)
    for _ in range(4):
        scores.duplicate(P, "t", b"m", now=6.0)
    scores.delivered(Q, "t", b"m", now=6.0)
    for _ in range(4):
        scores.duplicate(P, "t", b"m", now=6.0)
    assert scores.score(P, now=6.0) == -9.0


def test_p3_is_for_members_only() -> None:
    scores = scores_of(P3)
    delivers(scores, P, 3)
    scores.grafted(P, "t", now=0.0)
    assert course(scores, 6.0) == [-16.0]
    scores.pruned(P, "t", now=6.0)
    assert scores.score(P, now=6.0) == 0.0


def test_p3_is_capped_when_it_is_incremented() -> None:
    params = {"mesh_message_deliveries_cap": 8.0, "mesh_message_deliveries_threshold": 8.0}
    scores = scores_of(replace(P3, **params))
    scores.grafted(P, "t", now=0.0)
    scores.refresh(now=6.0)
    for number in range(50):
        scores.delivered(P, "t", b"%d" % number, now=6.0)
    assert scores.score(P, now=6.0) == 0.0
    assert course(scores, 7.0) == [-16.0]


def test_p3_waits_until_the_activation_is_over() -> None:
    scores = scores_of(P3)
    scores.grafted(P, "t", now=0.0)
    assert course(scores, 4.0, 5.0, 6.0) == [0.0, 0.0, -16.0]


def test_p3_and_p3b_are_off_by_default() -> None:
    """We choose so: the rate of a topic is the application's knowledge."""
    scores = PeerScores(ScoreParams())
    scores.connected(P, [], now=0.0)
    scores.grafted(P, "t", now=0.0)
    scores.refresh(now=60.0)
    scores.pruned(P, "t", now=60.0)
    assert scores.score(P, now=60.0) == 0.0


def test_p3b_adds_the_squared_deficit_at_each_prune() -> None:
    """And it is not capped."""
    scores = scores_of(replace(P3B, mesh_failure_penalty_decay=0.999999))
    for round_ in range(100):
        start = round_ * 10.0
        scores.grafted(P, "t", now=start)
        scores.refresh(now=start + 6.0)
        scores.pruned(P, "t", now=start + 6.0)
    assert scores.score(P, now=1000.0) == pytest.approx(-1600.0, rel=1e-3)


def test_p3b_stays_when_the_peer_is_grafted_again() -> None:
    scores = scores_of(P3B)
    scores.grafted(P, "t", now=0.0)
    scores.refresh(now=6.0)
    assert scores.score(P, now=6.0) == 0.0
    scores.pruned(P, "t", now=6.0)
    assert scores.score(P, now=6.0) == -16.0
    scores.grafted(P, "t", now=6.0)
    assert course(scores, 7.0) == [-8.0]


@pytest.mark.parametrize(("seconds", "deliveries"), [(5.0, 0), (6.0, 4)])
def test_p3b_needs_an_active_deficit(seconds: float, deliveries: int) -> None:
    """Not before the activation, not with enough deliveries."""
    scores = scores_of(P3B)
    scores.grafted(P, "t", now=0.0)
    scores.refresh(now=seconds)
    for number in range(deliveries):
        scores.delivered(P, "t", b"%d" % number, now=seconds)
    scores.pruned(P, "t", now=seconds)
    assert scores.score(P, now=seconds) == 0.0


# P4


def test_p4_is_the_squared_number_of_invalid_messages_uncapped() -> None:
    scores = scores_of(P4)
    for number in range(1000):
        scores.rejected(P, "t", b"%d" % number, Rejection.INVALID, now=0.0)
    assert scores.score(P, now=0.0) == -1_000_000.0


# Decay


def test_decay_each_counter_has_its_own_factor() -> None:
    """Multiplied once for each interval: P2, P3, P3b and P4."""
    p2 = replace(P2, first_message_deliveries_decay=0.97)
    scores = scores_of(p2)
    delivers(scores, P, 120)
    assert course(scores, 1.0, 2.0) == pytest.approx([120 * 0.97, 120 * 0.97**2])

    p4 = replace(P4, invalid_message_deliveries_decay=0.9)
    scores = scores_of(p4)
    scores.rejected(P, "t", b"m", Rejection.INVALID, now=0.0)
    assert course(scores, 1.0, 2.0) == pytest.approx([-(0.9**2), -(0.9**4)])

    p3 = replace(P3, mesh_message_deliveries_decay=0.75)
    scores = scores_of(p3)
    scores.grafted(P, "t", now=0.0)
    scores.refresh(now=6.0)
    delivers(scores, P, 4)
    assert course(scores, 7.0, 8.0) == pytest.approx([-1.0, -((4 - 2.25) ** 2)])

    p3b = replace(P3B, mesh_failure_penalty_decay=0.25)
    scores = scores_of(p3b)
    scores.grafted(P, "t", now=0.0)
    scores.refresh(now=6.0)
    scores.pruned(P, "t", now=6.0)
    assert course(scores, 7.0, 8.0) == pytest.approx([-4.0, -1.0])


def test_decay_below_the_threshold_a_counter_is_zero() -> None:
    scores = scores_of(replace(P2, first_message_deliveries_decay=0.5), decay_to_zero=0.2)
    delivers(scores, P, 1)
    assert course(scores, 1.0, 2.0, 3.0, 4.0) == [0.5, 0.25, 0.0, 0.0]


def test_decay_interval_is_the_applications_choice() -> None:
    scores = scores_of(replace(P2, first_message_deliveries_decay=0.5), decay_interval=10.0)
    delivers(scores, P, 8)
    assert course(scores, 5.0, 10.0, 15.0, 20.0) == [8.0, 4.0, 4.0, 2.0]


def test_decay_of_intervals_that_were_missed_is_made_up_for() -> None:
    """Ours: a machine that slept does not keep old grudges."""
    scores = scores_of(replace(P2, first_message_deliveries_decay=0.5))
    delivers(scores, P, 8)
    assert course(scores, 3.0) == [1.0]


def test_decay_factor_for_a_lifetime() -> None:
    """Ours, as in go: the factor with which a counter of 1 is zero after so many seconds."""
    factor = score_parameter_decay(60.0, decay_interval=2.0, decay_to_zero=0.05)
    assert factor**30 == pytest.approx(0.05)
