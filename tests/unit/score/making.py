"""Peers and parameters for the tests of scores, and what is done with them over and over."""

from dataclasses import replace
from typing import Any

from pubsub.identity import PeerId
from pubsub.score import PeerScores, ScoreParams, TopicScoreParams

A, B, C, D = (PeerId(name) for name in (b"a", b"b", b"c", b"d"))
FAR = "203.0.113.7"

# Every parameter counts one point, decays halve, a quantum is a second.
PLAIN = TopicScoreParams(
    topic_weight=1.0,
    time_in_mesh_weight=1.0,
    time_in_mesh_quantum=1.0,
    time_in_mesh_cap=10.0,
    first_message_deliveries_weight=1.0,
    first_message_deliveries_decay=0.5,
    first_message_deliveries_cap=100.0,
    mesh_message_deliveries_weight=-1.0,
    mesh_message_deliveries_decay=0.5,
    mesh_message_deliveries_cap=20.0,
    mesh_message_deliveries_threshold=4.0,
    mesh_message_deliveries_window=0.01,
    mesh_message_deliveries_activation=5.0,
    mesh_failure_penalty_weight=-1.0,
    mesh_failure_penalty_decay=0.5,
    invalid_message_deliveries_weight=-1.0,
    invalid_message_deliveries_decay=0.5,
)
NO_P1 = replace(PLAIN, time_in_mesh_weight=0.0)
NO_P3 = replace(PLAIN, mesh_message_deliveries_weight=0.0, mesh_failure_penalty_weight=0.0)


def make(
    default: TopicScoreParams | None = PLAIN, *, peers: tuple[PeerId, ...] = (A, B, C), **kw: Any
) -> PeerScores:
    params = {"topic_score_cap": 0.0, "decay_to_zero": 0.01, **kw}
    scores = PeerScores(ScoreParams(default_topic=default, **params))
    for i, peer in enumerate(peers):
        scores.connected(peer, [f"198.51.100.{i}"], now=0.0)
    return scores


def values(scores: PeerScores, *peers: PeerId, now: float = 0.0) -> list[float]:
    return [scores.score(peer, now=now) for peer in peers]


def deliver(scores: PeerScores, peer: PeerId, count: int, *, now: float, topic: str = "t") -> None:
    for i in range(count):
        scores.delivered(peer, topic, b"%b %d %f" % (peer, i, now), now=now)
