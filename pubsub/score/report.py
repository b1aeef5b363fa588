"""What a score is made of, as plain data for people and for `node.snapshot()`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pubsub.score.peer_record import TopicRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicReport:
    """One topic's share. P1 to P4 are what each adds to the score, weights included."""

    p1: float
    p2: float
    p3: float
    p3b: float
    p4: float

    in_mesh: bool
    time_in_mesh: float
    "Seconds, as of the last decay."

    first_deliveries: float
    mesh_deliveries: float
    mesh_failures: float
    invalid: float
    "The counters behind P2, P3, P3b and P4, as decayed so far."

    @property
    def total(self) -> float:
        return self.p1 + self.p2 + self.p3 + self.p3b + self.p4


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreReport:
    """`total` is `topic_total` + `p5` + `p6` + `p7`; all zero for a peer nobody knows."""

    total: float = 0.0

    topics: Mapping[str, TopicReport] = field(default_factory=dict)

    topic_total: float = 0.0
    "All topics together, after the cap."

    p5: float = 0.0
    p6: float = 0.0
    p7: float = 0.0
    "What the application, crowded addresses and bad behaviour add, weights included."

    app: float = 0.0
    feedback: float = 0.0
    behaviour: float = 0.0
    "The values behind P5 (its two parts) and P7."

    ips: tuple[str, ...] = ()
    connected: bool = False


def topic_report(record: TopicRecord) -> TopicReport:
    """What `record` says now."""
    parts = record.parts()
    return TopicReport(
        p1=parts.p1,
        p2=parts.p2,
        p3=parts.p3,
        p3b=parts.p3b,
        p4=parts.p4,
        in_mesh=record.in_mesh,
        time_in_mesh=record.mesh_time,
        first_deliveries=record.first,
        mesh_deliveries=record.near_first,
        mesh_failures=record.failures,
        invalid=record.invalid,
    )
