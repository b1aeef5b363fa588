"""What peers are worth to us, and whom to disconnect when there are too many connections.

Above the high watermark, unprotected peers are disconnected down to the low one, and then
protected ones only as far as the high one. New peers are spared for a grace period. The order:
lowest value first; of equals those who came to us before those whom we dialled, for anybody can
come; then the newest first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pubsub.errors import ParamError
from pubsub.identity import PeerId


class Worth:
    """Tags with values, and protections; each is taken away by whoever gave it."""

    def __init__(self) -> None:
        self._tags: dict[PeerId, dict[str, float]] = {}
        self._protections: dict[PeerId, dict[str, None]] = {}

    def tag(self, peer: PeerId, name: str, value: float) -> None:
        """Set what `name` adds to the peer's value until it leaves; 0 takes it away."""
        # NaN, the sum of two infinities, would make the order of trimming a matter of chance.
        if not math.isfinite(value):
            raise ParamError(f"the value of {name!r} must be a finite number, not {value}")
        tags = self._tags.setdefault(peer, {})
        if value:
            tags[name] = value
        else:
            tags.pop(name, None)
        if not tags:
            del self._tags[peer]

    def value(self, peer: PeerId) -> float:
        """The sum of the peer's tags."""
        return sum(self._tags.get(peer, {}).values())

    def protect(self, peer: PeerId, tag: str) -> None:
        """Trim the peer last, until `unprotect` has been called for each `tag`."""
        self._protections.setdefault(peer, {})[tag] = None

    def unprotect(self, peer: PeerId, tag: str) -> bool:
        """Take one protection away; True if the peer has others."""
        tags = self._protections.get(peer, {})
        tags.pop(tag, None)
        if not tags:
            self._protections.pop(peer, None)
        return bool(tags)

    def is_protected(self, peer: PeerId) -> bool:
        return peer in self._protections

    def left(self, peer: PeerId) -> None:
        """The peer is gone: its tags go; protections await its return."""
        self._tags.pop(peer, None)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a connected peer stands when there are too many."""

    peer: PeerId
    connections: int
    since: float
    "When its oldest connection was opened."
    outbound: bool
    "We dialled it."
    value: float
    protected: bool


def to_trim(
    standings: Sequence[Standing], *, low: int, high: int, grace: float, now: float
) -> list[PeerId]:
    """The peers to disconnect, the least valued one first; none below the high watermark."""
    total = sum(standing.connections for standing in standings)
    if total <= high:
        return []
    known = [standing for standing in standings if now - standing.since >= grace]
    known.sort(key=lambda s: (s.protected, s.value, s.outbound, -s.since))
    chosen: list[PeerId] = []
    for standing in known:
        if total <= (high if standing.protected else low):
            break
        total -= standing.connections
        chosen.append(standing.peer)
    return chosen
