"""How the router is told what behaviour is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pubsub.identity.peer_id import PeerId
from pubsub.score import GaterParams, PeerScores, ScoreParams, ScoreThresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """The parameters of peer scores, and what follows from a score (v1.1 §Peer Scoring)."""

    params: ScoreParams = field(default_factory=ScoreParams)
    thresholds: ScoreThresholds = field(default_factory=ScoreThresholds)

    gater: GaterParams | None = None
    "The peer gater's numbers; None: no gater, whatever is thrown away (go: off)."

    app_score: Callable[[PeerId], float] | None = None
    "P5: the application's own opinion of a peer; asked on connect and once a second."

    def scores(self) -> PeerScores:
        """An empty book of scores that goes by these parameters."""
        return PeerScores(self.params, app_score=self.app_score)
