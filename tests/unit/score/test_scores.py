from dataclasses import replace

import pytest

from pubsub.identity import PeerId
from pubsub.score import PeerScores, Rejection, ScoreReport
from tests.unit.score.making import FAR, NO_P1, NO_P3, PLAIN, A, B, C, D, deliver, make, values

# The score function


def test_v11_the_score_function_is_the_weighted_sum() -> None:
    scores = make(
        replace(PLAIN, topic_weight=0.5),
        topics={"double": replace(PLAIN, topic_weight=2.0)},
        app_specific_weight=3.0,
        behaviour_penalty_weight=-2.0,
        feedback_decay=0.5,
    )
    scores.grafted(A, "t", now=0.0)
    scores.refresh(now=3.0)
    deliver(scores, A, 4, now=3.0)
    deliver(scores, A, 7, now=3.0, topic="double")
    scores.rejected(A, "double", None, Rejection.INVALID, now=3.0)
    scores.feedback(A, 2.0)
    scores.behaviour(A, 3.0)
    # t: (3 + 4) / 2; double: (7 - 1) x 2; P5: 2 x 3; P7: 9 x -2
    assert scores.score(A, now=3.0) == 3.5 + 12.0 + 6.0 - 18.0


def test_v11_topic_cap_limits_what_topics_add_and_nothing_else() -> None:
    scores = make(topic_score_cap=5.0, app_specific_weight=1.0)
    deliver(scores, A, 4, now=0.0)
    deliver(scores, A, 4, now=0.0, topic="u")
    scores.feedback(A, 2.0)
    assert scores.score(A, now=0.0) == 7.0
    for _ in range(10):
        scores.rejected(A, "u", None, Rejection.INVALID, now=0.0)
    assert scores.score(A, now=0.0) == 4 + 4 - 100 + 2


def test_v11_a_topic_not_configured_does_not_contribute() -> None:
    scores = make(None, topics={"scored": PLAIN})
    for topic in ("scored", "other"):
        scores.grafted(A, topic, now=0.0)
        scores.arrived(b"m", now=0.0)
        scores.duplicate(B, topic, b"m", now=0.0)
        deliver(scores, A, 2, now=0.0, topic=topic)
        scores.pruned(A, topic, now=0.0)
    scores.rejected(A, "other", b"m", Rejection.INVALID, now=0.0)
    assert values(scores, A, B) == [2.0, 0.0]
    assert list(scores.inspect(A, now=0.0).topics) == ["scored"]


def test_peers_that_are_not_known_score_zero_and_leave_nothing() -> None:
    scores = make()
    scores.grafted(D, "t", now=0.0)
    scores.pruned(D, "t", now=0.0)
    deliver(scores, D, 1, now=0.0)
    scores.rejected(D, "t", b"m", Rejection.INVALID, now=0.0)
    scores.duplicate(D, "t", b"m", now=0.0)
    scores.behaviour(D, 1.0)
    scores.feedback(D, 1.0)
    scores.set_ips(D, [FAR])
    scores.disconnected(D, now=0.0)
    scores.forget(D)
    assert scores.score(D, now=0.0) == 0.0
    assert scores.inspect(D, now=0.0) == ScoreReport()


# P1 and the mesh


def test_v11_p1_grows_with_each_refresh_and_ends_with_the_prune() -> None:
    scores = make(NO_P3)
    scores.grafted(A, "t", now=0.0)
    seen = []
    for now in (0.0, 1.0, 2.0, 9.0, 30.0):
        scores.refresh(now=now)
        seen.append(scores.score(A, now=now))
    scores.pruned(A, "t", now=30.0)
    assert [*seen, scores.score(A, now=30.0)] == [0.0, 1.0, 2.0, 9.0, 10.0, 0.0]


def test_v11_p1_moves_with_the_decay_and_not_between() -> None:
    scores = make(NO_P3, decay_interval=5.0)
    scores.grafted(A, "t", now=0.0)
    scores.refresh(now=4.9)
    assert scores.score(A, now=4.9) == 0.0
    scores.refresh(now=5.0)
    assert scores.score(A, now=7.0) == 5.0


# P2


def test_v11_p2_goes_to_the_first_only() -> None:
    scores = make(NO_P3)
    scores.arrived(b"m", now=0.0)
    scores.duplicate(B, "t", b"m", now=0.0)
    scores.delivered(A, "t", b"m", now=0.0)
    scores.duplicate(C, "t", b"m", now=0.0)
    assert values(scores, A, B, C) == [1.0, 0.0, 0.0]


def test_v11_p2_decays_to_zero() -> None:
    scores = make(NO_P3, decay_to_zero=0.2)
    deliver(scores, A, 2, now=0.0)
    seen = []
    for now in range(1, 6):
        scores.refresh(now=float(now))
        seen.append(scores.score(A, now=float(now)))
    assert seen == [1.0, 0.5, 0.25, 0.0, 0.0]
    assert scores.inspect(A, now=5.0).topics == {}


# P3 and P3b


def p3_counts(scores: PeerScores, *peers: PeerId) -> list[float]:
    return [scores.inspect(peer, now=0.0).topics["t"].mesh_deliveries for peer in peers]


def test_v11_p3_counts_first_and_near_first_deliveries_of_members_once() -> None:
    scores = make(peers=(A, B, C, D))
    for peer in (A, B, C):
        scores.grafted(peer, "t", now=0.0)
    scores.arrived(b"m", now=0.0)
    for peer in (B, B, A, D):
        scores.duplicate(peer, "t", b"m", now=0.1)
    assert p3_counts(scores, B) == [0.0]
    scores.delivered(A, "t", b"m", now=1.0)
    for now in (1.0, 1.01):
        for peer in (A, B, C, D):
            scores.duplicate(peer, "t", b"m", now=now)
    assert p3_counts(scores, A, B, C, D) == [1.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize(("now", "count"), [(1.0, 1.0), (1.01, 1.0), (1.011, 0.0), (9.0, 0.0)])
def test_v11_p3_window(now: float, count: float) -> None:
    scores = make()
    scores.grafted(B, "t", now=0.0)
    scores.delivered(A, "t", b"m", now=1.0)
    scores.duplicate(B, "t", b"m", now=now)
    assert p3_counts(scores, B) == [count]


def test_v11_p3_window_of_nothing_still_counts_copies_before_the_verdict() -> None:
    scores = make(replace(PLAIN, mesh_message_deliveries_window=0.0))
    for peer in (B, C):
        scores.grafted(peer, "t", now=0.0)
    scores.arrived(b"m", now=0.0)
    scores.duplicate(B, "t", b"m", now=0.5)
    scores.delivered(A, "t", b"m", now=1.0)
    scores.duplicate(C, "t", b"m", now=1.001)
    assert p3_counts(scores, B, C) == [1.0, 0.0]


@pytest.mark.parametrize("rejection", [Rejection.IGNORED, Rejection.THROTTLED])
def test_v11_extended_validators_ignored_messages_earn_and_cost_nothing(
    rejection: Rejection,
) -> None:
    scores = make()
    for peer in (A, B, C):
        scores.grafted(peer, "t", now=0.0)
    scores.arrived(b"m", now=0.0)
    scores.duplicate(B, "t", b"m", now=0.0)
    scores.rejected(A, "t", b"m", rejection, now=0.0)
    scores.duplicate(C, "t", b"m", now=0.0)
    scores.rejected(A, "t", None, rejection, now=0.0)
    assert values(scores, A, B, C) == [0.0, 0.0, 0.0]
    assert p3_counts(scores, A, B, C) == [0.0, 0.0, 0.0]


def test_v11_p3_activation_waits_until_the_time_in_mesh_exceeds_it() -> None:
    scores = make(NO_P1)
    scores.grafted(A, "t", now=0.0)
    seen = []
    for now in (5.0, 6.0):
        scores.refresh(now=now)
        seen.append(scores.score(A, now=now))
    deliver(scores, A, 3, now=6.0)
    # deficit 1 squared, and 3 for P2
    assert [*seen, scores.score(A, now=6.0)] == [0.0, -16.0, 3.0 - 1.0]


def test_v11_p3b_sticks_after_the_prune_and_decays() -> None:
    scores = make(NO_P1)
    scores.grafted(A, "t", now=0.0)
    scores.refresh(now=6.0)
    scores.pruned(A, "t", now=6.0)
    seen = [scores.score(A, now=6.0)]
    for now in (7.0, 8.0):
        scores.refresh(now=now)
        seen.append(scores.score(A, now=now))
    assert seen == [-16.0, -8.0, -4.0]
    scores.grafted(A, "t", now=8.0)
    assert scores.score(A, now=8.0) == -4.0


# P4


def test_v11_p4_hits_everyone_who_forwarded_the_message() -> None:
    scores = make(peers=(A, B, C, D))
    scores.arrived(b"m", now=0.0)
    for peer in (B, A, B):
        scores.duplicate(peer, "t", b"m", now=0.0)
    scores.rejected(A, "t", b"m", Rejection.INVALID, now=0.0)
    assert values(scores, A, B, C, D) == [-1.0, -1.0, 0.0, 0.0]
    scores.duplicate(C, "t", b"m", now=1.0)
    scores.duplicate(C, "t", b"m", now=1.0)
    assert values(scores, A, B, C, D) == [-1.0, -1.0, -4.0, 0.0]


def test_a_bad_copy_costs_its_sender_only() -> None:
    scores = make()
    scores.arrived(b"m", now=0.0)
    scores.duplicate(B, "t", b"m", now=0.0)
    scores.rejected(A, "t", None, Rejection.INVALID, now=0.0)
    scores.delivered(C, "t", b"m", now=0.0)
    assert values(scores, A, B, C) == [-1.0, 0.0, 1.0]


def test_v11_p4_is_squared_and_decays() -> None:
    scores = make()
    for i in range(10):
        scores.rejected(A, "t", b"%d" % i, Rejection.INVALID, now=0.0)
    seen = [scores.score(A, now=0.0)]
    for now in (1.0, 2.0):
        scores.refresh(now=now)
        seen.append(scores.score(A, now=now))
    assert seen == [-100.0, -25.0, -6.25]


def test_an_invalid_message_is_remembered_for_a_while_only() -> None:
    scores = make(record_ttl=10.0)
    scores.rejected(A, "t", b"m", Rejection.INVALID, now=0.0)
    scores.refresh(now=10.5)
    scores.duplicate(B, "t", b"m", now=10.5)
    assert scores.score(B, now=10.5) == 0.0


def test_floods_evict_records_and_are_counted() -> None:
    scores = make(record_limit=3)
    for i in range(10):
        scores.rejected(A, "t", b"%d" % i, Rejection.INVALID, now=0.0)
    assert scores.records_evicted == 7
    scores.duplicate(B, "t", b"0", now=0.0)
    scores.duplicate(C, "t", b"9", now=0.0)
    assert values(scores, B, C) == [0.0, -1.0]
