"""What each peer's behaviour is worth: scores, thresholds and the peer gater. Pure."""

from pubsub.score.gater import GaterParams, PeerGater
from pubsub.score.params import (
    ScoreParams,
    ScoreThresholds,
    TopicScoreParams,
    score_parameter_decay,
)
from pubsub.score.report import ScoreReport, TopicReport
from pubsub.score.scores import PeerScores, Rejection

__all__ = [
    "GaterParams",
    "PeerGater",
    "PeerScores",
    "Rejection",
    "ScoreParams",
    "ScoreReport",
    "ScoreThresholds",
    "TopicReport",
    "TopicScoreParams",
    "score_parameter_decay",
]
