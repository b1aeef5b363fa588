"""What is kept about one peer: its counters, and the score that they last made.

`fresh` says that the stored value still holds. Whoever changes a counter takes
it back, so that asking for the score of a peer that did nothing costs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from pubsub.score.decay import decayed
from pubsub.score.params import TopicScoreParams


class Parts(NamedTuple):
    """What each parameter of a topic adds to the score, weights and topic weight included."""

    p1: float
    p2: float
    p3: float
    p3b: float
    p4: float


@dataclass(slots=True)
class TopicRecord:
    """A peer's behaviour in one topic (v1.1 §Topic Parameter Calculation and Decay)."""

    params: TopicScoreParams

    in_mesh: bool = False
    grafted_at: float = 0.0

    mesh_time: float = 0.0
    "Time in the mesh as of the last decay, as the specification has it."

    active: bool = False
    "In the mesh for longer than the activation time, so P3 applies."

    first: float = 0.0
    "P2: messages that the peer delivered before anyone else."

    near_first: float = 0.0
    "P3: messages that it delivered, first or near-first, while in the mesh."

    failures: float = 0.0
    "P3b: squared deficits with which it left the mesh."

    invalid: float = 0.0
    "P4: invalid messages."

    value: float = 0.0
    fresh: bool = True

    def parts(self) -> Parts:
        """The contributions to the score, as of now."""
        params, weight = self.params, self.params.topic_weight
        p1 = p3 = 0.0
        if self.in_mesh:
            p1 = self.points * params.time_in_mesh_weight * weight
            deficit = self.deficit
            p3 = deficit * deficit * params.mesh_message_deliveries_weight * weight
        return Parts(
            p1,
            self.first * params.first_message_deliveries_weight * weight,
            p3,
            self.failures * params.mesh_failure_penalty_weight * weight,
            self.invalid * self.invalid * params.invalid_message_deliveries_weight * weight,
        )

    @property
    def points(self) -> float:
        """P1: whole quanta in the mesh; the hair of slack undoes the rounding of the division."""
        quanta = math.floor(self.mesh_time / self.params.time_in_mesh_quantum + 1e-6)
        return min(float(quanta), self.params.time_in_mesh_cap)

    @property
    def deficit(self) -> float:
        """How far the peer's deliveries are below what the mesh expects, once that applies."""
        if not self.active:
            return 0.0
        return max(0.0, self.params.mesh_message_deliveries_threshold - self.near_first)

    def grafted(self, *, now: float) -> None:
        """Start the time in the mesh. A GRAFT by a member must not start it again."""
        if not self.in_mesh:
            self.in_mesh, self.grafted_at, self.mesh_time = True, now, 0.0
            self.fresh = False

    def left_mesh(self) -> None:
        """End P1 and P3; a deficit stays behind as P3b."""
        if self.in_mesh:
            if self.params.mesh_failure_penalty_weight:
                self.failures += self.deficit * self.deficit
            self.in_mesh = self.active = self.fresh = False
            self.mesh_time = 0.0

    def delivered_first(self) -> None:
        self.first = min(self.first + 1.0, self.params.first_message_deliveries_cap)
        self.fresh = False

    def delivered_near_first(self) -> None:
        """Count a first or near-first delivery for P3, which only members have."""
        if self.in_mesh:
            cap = self.params.mesh_message_deliveries_cap
            self.near_first = min(self.near_first + 1.0, cap)
            self.fresh = False

    def decay(self, ticks: int, zero: float, *, now: float) -> bool:
        """Decay `ticks` times and bring the time in the mesh up to date; True on a change."""
        params = self.params
        changed = False
        if self.first or self.near_first or self.failures or self.invalid:
            changed = True
            self.first = decayed(self.first, params.first_message_deliveries_decay**ticks, zero)
            self.near_first = decayed(
                self.near_first, params.mesh_message_deliveries_decay**ticks, zero
            )
            self.failures = decayed(self.failures, params.mesh_failure_penalty_decay**ticks, zero)
            self.invalid = decayed(
                self.invalid, params.invalid_message_deliveries_decay**ticks, zero
            )
        if self.in_mesh:
            before = self.points, self.active
            self.mesh_time = now - self.grafted_at
            self.active = self.mesh_time > params.mesh_message_deliveries_activation
            changed = changed or before != (self.points, self.active)
        if changed:
            self.fresh = False
        return changed

    @property
    def idle(self) -> bool:
        """True when the record says no more than its absence would."""
        return not (self.in_mesh or self.first or self.near_first or self.failures or self.invalid)


@dataclass(slots=True)
class PeerRecord:
    """Everything that is held for or against one peer."""

    topics: dict[str, TopicRecord] = field(default_factory=dict)

    connected: bool = True

    expires: float = math.inf
    "When a disconnected peer's record is thrown away."

    app: float = 0.0
    "The application's score, as of the last time it was asked."

    feedback: float = 0.0
    "What the application added to that since."

    behaviour: float = 0.0
    "P7: penalties for breaking the protocol."

    score: float = 0.0
    fresh: bool = False
