"""What a run came to: plain data, and the same as text.

Latency and hops are those of the first copy, over the subscribers that were there
when the message was published. Later copies are the duplicates, counted by the routers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pubsub.sim.nodes import Node
from pubsub.sim.record import Arrival, Farewell, Journey, Record


@dataclass(frozen=True, slots=True)
class Spread:
    """How a set of figures is distributed; all zero if there are none."""

    count: int
    mean: float
    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread:
        ordered = sorted(figures)
        if not ordered:
            return cls(0, 0.0, 0.0, 0.0, 0.0)
        count = len(ordered)

        def rank(share: float) -> float:
            return ordered[max(0, math.ceil(share * count) - 1)]

        return cls(count, sum(ordered) / count, rank(0.5), rank(0.99), ordered[-1])


@dataclass(frozen=True, slots=True)
class MessageReport:
    """One message."""

    id: str
    topic: str
    publisher: int
    at: float
    expected: int
    arrived: int
    missed: tuple[int, ...]
    "Subscribers at the time of publishing that never got it."
    extra: int
    "Others that got it: who came later, or forgot it and got it once more."
    latency: Spread
    last_hop: int
    "Hops to the subscriber that is farthest away."


@dataclass(frozen=True, slots=True)
class NodeReport:
    """One honest node."""

    number: int
    arrived: int
    missed: int
    duplicates: int
    bytes_in: int
    bytes_out: int
    rpcs_in: int


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run. Nodes that are not honest count only where it says so."""

    seed: int
    peers: int
    adversaries: int
    seconds: float
    messages: tuple[MessageReport, ...]
    nodes: tuple[NodeReport, ...]
    latency: Spread
    "Seconds from publishing to the first copy, over all arrivals."
    hops: Spread
    last_hops: Spread
    "Over messages: how far the last subscriber is."
    repeated: int
    "Messages handed to an application a second time; a fault of the router."
    invented: int
    "Messages handed to an application that no honest node had published."
    rpcs_lost: int
    counters: dict[str, int]
    drops: dict[str, int]
    farewells: tuple[Farewell, ...]
    trace: str

    @property
    def expected(self) -> int:
        return sum(message.expected for message in self.messages)

    @property
    def arrived(self) -> int:
        return sum(message.arrived for message in self.messages)

    @property
    def missed(self) -> int:
        return self.expected - self.arrived

    @property
    def delivery(self) -> float:
        """The share of expected arrivals that came about."""
        return self.arrived / self.expected if self.expected else 1.0

    @property
    def duplicates(self) -> int:
        return sum(node.duplicates for node in self.nodes)

    @property
    def redundancy(self) -> float:
        """Duplicates for each message that arrived."""
        return self.duplicates / self.arrived if self.arrived else 0.0

    def text(self) -> str:
        """The report as lines of text."""
        traffic = Spread.of(node.bytes_out for node in self.nodes)
        rows = [
            ("peers", f"{self.peers} and {self.adversaries} adversaries"),
            ("seed, virtual time", f"{self.seed}, {self.seconds:g} s"),
            ("messages", f"{len(self.messages):,}"),
            ("arrived", f"{self.arrived:,} of {self.expected:,} ({_percent(self.delivery)})"),
            ("missed", f"{self.missed:,}"),
            ("got by others as well", f"{sum(message.extra for message in self.messages):,}"),
            ("repeated, invented", f"{self.repeated:,}, {self.invented:,}"),
            ("latency (s)", _line(self.latency, ".3f")),
            ("hops", _line(self.hops, ".0f")),
            ("duplicates", f"{self.duplicates:,}, {self.redundancy:.2f} for each arrival"),
            ("bytes sent by a peer", _line(traffic, ",.0f")),
            ("RPCs lost", f"{self.rpcs_lost:,}"),
            ("connections given up", f"{len(self.farewells):,}"),
            *((f"dropped: {reason}", f"{count:,}") for reason, count in self.drops.items()),
            ("trace", self.trace),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


HEADINGS = (
    *("seed", "peers", "bad", "messages", "arrived", "missed"),
    *("p50 s", "p99 s", "max s", "hops p99", "max", "dup", "kB/peer"),
)


def table(reports: Sequence[Report]) -> str:
    """Runs beside each other, one row for each."""
    rows = [HEADINGS, *(_row(report) for report in reports)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )


def _row(report: Report) -> tuple[str, ...]:
    latency, hops = report.latency, report.hops
    sent = sum(node.bytes_out for node in report.nodes) / max(1, report.peers)
    return (
        str(report.seed),
        str(report.peers),
        str(report.adversaries),
        str(len(report.messages)),
        _percent(report.delivery),
        str(report.missed),
        f"{latency.p50:.3f}",
        f"{latency.p99:.3f}",
        f"{latency.max:.3f}",
        f"{hops.p99:.0f}",
        f"{hops.max:.0f}",
        f"{report.redundancy:.2f}",
        f"{sent / 1000:,.0f}",
    )


def _percent(share: float) -> str:
    # What is nearly everything must not look like everything.
    return "100 %" if share == 1 else f"{math.floor(share * 100_000) / 1000:.3f} %"


def _line(spread: Spread, style: str) -> str:
    return f"p50 {spread.p50:{style}}   p99 {spread.p99:{style}}   max {spread.max:{style}}"


def make_report(
    record: Record, nodes: Sequence[Node], *, seed: int, now: float, rpcs_lost: int, trace: str
) -> Report:
    """The report on all that `record` and the nodes know at `now`."""
    honest = [node for node in nodes if node.honest]
    counters: Counter[str] = Counter()
    drops: Counter[str] = Counter()
    duplicates: dict[int, int] = {}
    for node in honest:
        own_counters, own_drops = node.tallies()
        counters += own_counters
        drops += own_drops
        duplicates[node.number] = own_counters["duplicate"]
    arrived: Counter[int] = Counter()
    missed: Counter[int] = Counter()
    messages = []
    latencies: list[float] = []
    hops: list[int] = []
    for message_id, journey in record.journeys.items():
        message = _message_report(message_id, journey)
        messages.append(message)
        expected = _expected_arrivals(journey)
        arrived.update(expected.keys())
        missed.update(message.missed)
        latencies += [arrival.at - journey.at for arrival in expected.values()]
        hops += [arrival.hops for arrival in expected.values()]
    return Report(
        seed=seed,
        peers=len(honest),
        adversaries=len(nodes) - len(honest),
        seconds=now,
        messages=tuple(messages),
        nodes=tuple(
            NodeReport(
                node.number,
                arrived[node.number],
                missed[node.number],
                duplicates[node.number],
                node.bytes_in,
                node.bytes_out,
                node.rpcs_in,
            )
            for node in honest
        ),
        latency=Spread.of(latencies),
        hops=Spread.of(hops),
        last_hops=Spread.of(message.last_hop for message in messages),
        repeated=record.repeated.total(),
        invented=record.invented.total(),
        rpcs_lost=rpcs_lost,
        counters=dict(sorted(counters.items())),
        drops=dict(sorted(drops.items())),
        farewells=tuple(record.farewells),
        trace=trace,
    )


def _expected_arrivals(journey: Journey) -> dict[int, Arrival]:
    arrivals = journey.arrivals
    return {number: arrivals[number] for number in journey.expected if number in arrivals}


def _message_report(message_id: bytes, journey: Journey) -> MessageReport:
    arrivals = _expected_arrivals(journey)
    return MessageReport(
        id=message_id.hex(),
        topic=journey.topic,
        publisher=journey.publisher,
        at=journey.at,
        expected=len(journey.expected),
        arrived=len(arrivals),
        missed=tuple(number for number in journey.expected if number not in arrivals),
        extra=len(journey.arrivals) - len(arrivals) + len(journey.later_lives),
        latency=Spread.of(arrival.at - journey.at for arrival in arrivals.values()),
        last_hop=max((arrival.hops for arrival in arrivals.values()), default=0),
    )
