"""What a run of a Fabric city remembers: blocks, checks of them, and traffic."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tenure:
    """A time for which a peer led."""

    peer: int
    since: float
    until: float | None = None


@dataclass(slots=True)
class CityRecord:
    """Filled while the city runs. Peers are numbers, times virtual seconds."""

    ordered: dict[int, float] = field(default_factory=dict)
    "When the orderer had each block."

    commits: dict[int, dict[int, float]] = field(default_factory=dict)
    "For each peer, when each block was in its ledger, in that order."

    checks: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    "How often a peer verified a block: by peer, its life, and number."

    tenures: list[Tenure] = field(default_factory=list)
    downs: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    "For each restarted peer, when it stopped and when it started again."

    sent: dict[int, Counter[str]] = field(default_factory=dict)
    "Bytes that a peer sent by streams, by protocol."

    delivered: Counter[int] = field(default_factory=Counter)
    "Bytes that a peer got from the orderer."

    lost: Counter[str] = field(default_factory=Counter)
    "Messages of streams that were dropped before they left, by protocol."

    warnings: Counter[str] = field(default_factory=Counter)
    "What operators would be told, by its kind."

    blamed: Counter[str] = field(default_factory=Counter)
    "What peers held against others."

    def verified(self, peer: int, life: int, number: int) -> None:
        """A peer checks a block."""
        self.checks[peer, life, number] += 1

    def committed(self, peer: int, number: int, now: float) -> None:
        """A block is in a peer's ledger."""
        self.commits.setdefault(peer, {})[number] = now

    def led(self, peer: int, leading: bool, now: float) -> None:
        """A peer leads from now on, or no longer."""
        if leading:
            self.tenures.append(Tenure(peer, now))
            return
        for tenure in self.tenures:
            if tenure.peer == peer and tenure.until is None:
                tenure.until = now

    def stopped(self, peer: int, now: float, until: float) -> None:
        """A peer stops, and starts again at `until`."""
        self.downs.setdefault(peer, []).append((now, until))
        self.led(peer, False, now)

    def was_up(self, peer: int, since: float, until: float) -> bool:
        """Whether a peer ran for all of that time."""
        return all(start <= since or down >= until for down, start in self.downs.get(peer, ()))
