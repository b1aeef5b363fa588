"""Scores for the rules of gossipsub v1.1: three peers, and topics in which one thing counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pubsub.identity import PeerId
from pubsub.score import PeerScores, ScoreParams, TopicScoreParams

P, Q, R = (PeerId(name) for name in (b"p", b"q", b"r"))

# Every weight is 1 or -1, nothing is capped, counters halve with each decay.
TOPIC = TopicScoreParams(
    topic_weight=1.0,
    time_in_mesh_quantum=1.0,
    time_in_mesh_cap=1e6,
    first_message_deliveries_cap=1e6,
    mesh_message_deliveries_weight=-1.0,
    mesh_message_deliveries_cap=20.0,
    mesh_message_deliveries_threshold=4.0,
    mesh_message_deliveries_activation=5.0,
    mesh_failure_penalty_weight=-1.0,
    invalid_message_deliveries_decay=0.5,
)
NOTHING = replace(
    TOPIC,
    time_in_mesh_weight=0.0,
    first_message_deliveries_weight=0.0,
    mesh_message_deliveries_weight=0.0,
    mesh_failure_penalty_weight=0.0,
    invalid_message_deliveries_weight=0.0,
)
P1 = replace(NOTHING, time_in_mesh_weight=1.0)
P2 = replace(NOTHING, first_message_deliveries_weight=1.0)
P3 = replace(NOTHING, mesh_message_deliveries_weight=-1.0)
P3B = replace(NOTHING, mesh_failure_penalty_weight=-1.0)
P4 = replace(NOTHING, invalid_message_deliveries_weight=-1.0)


def scores_of(topic: TopicScoreParams = TOPIC, **params: Any) -> PeerScores:
    """P, Q and R are connected, from addresses of their own."""
    params = {"default_topic": topic, "topic_score_cap": 0.0, "decay_to_zero": 0.01, **params}
    scores = PeerScores(ScoreParams(**params))
    for number, peer in enumerate((P, Q, R)):
        scores.connected(peer, [f"198.51.100.{number}"], now=0.0)
    return scores


def delivers(scores: PeerScores, peer: PeerId, count: int, topic: str = "t") -> None:
    """The peer is the first to bring so many good messages."""
    for number in range(count):
        scores.delivered(peer, topic, b"%b %d" % (peer, number), now=0.0)


def course(scores: PeerScores, *times: float) -> list[float]:
    """P's score after the refreshes at these times."""
    seen = []
    for now in times:
        scores.refresh(now=now)
        seen.append(scores.score(P, now=now))
    return seen
