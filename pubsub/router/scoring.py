"""How the router is told what behaviour is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pubsub.identity.peer_id import PeerId
from pubsub.score import ScoreParams, ScoreThresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """The parameters of peer scores, and what follows from a score (v1.1 §Peer Scoring)."""

    params: ScoreParams = field(default_factory=ScoreParams)
    thresholds: ScoreThresholds = field(default_factory=ScoreThresholds)

    app_score: Callable[[PeerId], float] | None = None
    "P5: the application's own opinion of a peer; asked on connect and once a second."
