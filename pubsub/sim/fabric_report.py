"""What a run of a Fabric city came to: plain data, and runs beside each other as a table.

A block's latency at a peer is the time from the orderer's cutting it to its being in the peer's
ledger, if the peer ran all that time; once for all blocks, and once for those that a leader of
the organization got at once: when a leader is lost, a new one is elected only after a while. What
a peer missed while it was away is told by how long after its start it had caught up with its
organization.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pubsub.fabric.topics import PULL, STATE_TRANSFER
from pubsub.sim.fabric_city import City
from pubsub.sim.fabric_record import CityRecord
from pubsub.sim.report import Spread

PUSHED, OTHER = "pushed on topics", "other streams"
WAYS = {PULL: "pulled", STATE_TRANSFER: "state transfer"}
MB = 1e6


@dataclass(frozen=True, slots=True)
class CityReport:
    """A whole run."""

    carrier: str
    seed: int
    peers: int
    blocks: int
    chain_bytes: int
    "What a ledger gained."
    seconds: float

    alike: bool
    "Every ledger is the orderer's chain, block by block."
    in_order: bool
    "Every peer's blocks went into its ledger one after another."
    behind: int
    "Blocks that ledgers lack, all together."

    checks: int
    "Blocks verified, by all peers together."
    repeated: int
    "Of these, how many of a block that the peer had verified before, in the same life."
    repeated_later: int
    "The same, but in an earlier life."

    latency: Spread
    led: Spread
    "Of blocks that came to an organization while it had a leader."
    caught_up: Spread
    "For each restart."

    sent: Spread
    "Bytes that a peer sent to others."
    by_way: Mapping[str, float]
    "The same by the way they went, on average."
    from_orderer: float
    "Bytes that all peers together got from the orderer."
    lost: int
    "RPCs and messages of streams that were dropped."

    tenures: int
    "How often somebody began to lead."
    refusals: Mapping[str, int]
    warnings: Mapping[str, int]
    trace: str

    @property
    def holds(self) -> bool:
        """Whether all ledgers are equal and in order, and no peer verified a block twice."""
        return self.alike and self.in_order and not self.repeated

    @property
    def restarts(self) -> int:
        return self.caught_up.count

    def rows(self) -> Iterator[tuple[str, str]]:
        """Each figure and its name."""
        yield "carrier", self.carrier
        yield "ledgers equal, in order", f"{_yes(self.alike)}, {_yes(self.in_order)}"
        yield "blocks lacking", f"{self.behind:,}"
        yield "blocks verified", f"{self.checks:,}"
        yield "verified twice", f"{self.repeated:,}"
        yield "again after a restart", f"{self.repeated_later:,}"
        for name, figures in (("latency", self.latency), ("while led", self.led)):
            yield f"{name} p50", f"{figures.p50:.3f} s"
            yield f"{name} p99", f"{figures.p99:.3f} s"
            yield f"{name} max", f"{figures.max:.3f} s"
        yield "restarts", str(self.restarts)
        yield "caught up p50, max", f"{self.caught_up.p50:.1f}, {self.caught_up.max:.1f} s"
        yield "a ledger", f"{self.chain_bytes / MB:.1f} MB"
        yield "sent by a peer, mean", f"{self.sent.mean / MB:.1f} MB"
        yield "sent by a peer, max", f"{self.sent.max / MB:.1f} MB"
        for way, size in self.by_way.items():
            yield f"  {way}", f"{size / MB:.1f} MB"
        yield "from the orderer, all", f"{self.from_orderer / MB:.1f} MB"
        yield "dropped", f"{self.lost:,}"
        yield "tenures", str(self.tenures)
        yield "virtual time", f"{self.seconds:.0f} s"
        yield "trace", self.trace


def city_table(reports: Sequence[CityReport]) -> str:
    """Runs beside each other, one column for each."""
    columns = [dict(report.rows()) for report in reports]
    names = list(dict.fromkeys(name for column in columns for name in column))
    cells = [[name, *(column.get(name, "") for column in columns)] for name in names]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells
    )


def make_city_report(city: City, carrier: str) -> CityReport:
    """The report on all that happened so far."""
    record = city.diary
    chain = city.chain
    lives = Counter((peer, number) for peer, _, number in record.checks)
    firsts = {org: _firsts(record, members) for org, members in _orgs(city).items()}
    refusals: Counter[str] = Counter()
    for resident in city.residents.values():
        refusals.update(resident.core.refusals)
    by_way = _by_way(city)
    return CityReport(
        carrier=carrier,
        seed=city.seed,
        peers=len(city.residents),
        blocks=len(chain) - 1,
        chain_bytes=sum(len(block.raw) for block in chain[1:]),
        seconds=city.now,
        alike=city.alike(),
        in_order=all(
            list(found) == list(range(1, len(found) + 1)) for found in record.commits.values()
        ),
        behind=sum(len(chain) - each.ledger.height for each in city.residents.values()),
        checks=record.checks.total(),
        repeated=sum(count - 1 for count in record.checks.values()),
        repeated_later=sum(count - 1 for count in lives.values()),
        latency=Spread.of(_waits(city, {org: set() for org in firsts})),
        led=Spread.of(_waits(city, {org: _unled(city, org, firsts[org]) for org in firsts})),
        caught_up=Spread.of(_caught_up(city, firsts)),
        sent=Spread.of(node.bytes_out + record.sent[node.number].total() for node in city.nodes),
        by_way={way: size / len(city.residents) for way, size in by_way.items()},
        from_orderer=record.delivered.total(),
        lost=record.lost.total() + city.rpcs_lost,
        tenures=len(record.tenures),
        refusals=dict(sorted(refusals.items())),
        warnings=dict(sorted(record.warnings.items())),
        trace=city.trace.hexdigest(),
    )


def _orgs(city: City) -> dict[str, list[int]]:
    orgs: dict[str, list[int]] = {}
    for number, resident in city.residents.items():
        orgs.setdefault(resident.plan.org, []).append(number)
    return orgs


def _firsts(record: CityRecord, members: Sequence[int]) -> dict[int, float]:
    """When each block was in the first ledger of an organization."""
    found: dict[int, float] = {}
    for peer in members:
        for number, when in record.commits.get(peer, {}).items():
            found[number] = min(when, found.get(number, when))
    return found


def _unled(city: City, org: str, first: Mapping[int, float]) -> set[int]:
    """Blocks that no one leader got from the orderer and put into its ledger."""
    record = city.diary
    tenures = [each for each in record.tenures if city.residents[each.peer].plan.org == org]

    def is_led(number: int, when: float) -> bool:
        return any(
            each.since <= record.ordered[number] and (each.until is None or when <= each.until)
            for each in tenures
        )

    return {number for number, when in first.items() if not is_led(number, when)}


def _waits(city: City, without: Mapping[str, Container[int]]) -> Iterator[float]:
    """From the orderer to each ledger of a peer that ran all the time."""
    record = city.diary
    for peer, found in record.commits.items():
        left_out = without[city.residents[peer].plan.org]
        for number, when in found.items():
            begin = record.ordered[number]
            if number not in left_out and record.was_up(peer, begin, when):
                yield when - begin


def _caught_up(city: City, firsts: Mapping[str, Mapping[int, float]]) -> Iterator[float]:
    """After each restart, how long it took until the peer had what its organization had."""
    record = city.diary
    for peer, downs in record.downs.items():
        first = firsts[city.residents[peer].plan.org]
        # Blocks come to an organization in order, or nearly so.
        times = sorted(first.values())
        for stop, start in downs:
            missed = bisect_right(times, start) - sum(
                when <= stop for when in record.commits.get(peer, {}).values()
            )
            if not missed:
                yield 0.0
                continue
            for number, when in record.commits.get(peer, {}).items():
                if when > start and number >= bisect_right(times, when):
                    yield when - start
                    break
            else:
                yield city.now - start


def _by_way(city: City) -> Counter[str]:
    found: Counter[str] = Counter({PUSHED: 0})
    for node in city.nodes:
        found[PUSHED] += node.bytes_out
    for sent in city.diary.sent.values():
        for protocol, size in sent.items():
            if protocol.startswith("/"):
                found[WAYS.get(protocol, OTHER)] += size
            else:
                found[PUSHED] += size
    return found


def _yes(truth: bool) -> str:
    return "yes" if truth else "NO"
