"""Keeps the number of connections between the watermarks (`worth.py` says who goes)."""

from __future__ import annotations

from collections.abc import Callable

import trio

from pubsub.host.params import HostParams
from pubsub.host.registry import Registry
from pubsub.host.worth import Standing, Worth, to_trim
from pubsub.identity import PeerId

PAUSE = 1.0
"Between two looks while there are too many connections, all of them new or protected (ours)."


class Trimmer:
    """Disconnects the least valued peers when there are too many connections."""

    def __init__(
        self, params: HostParams, registry: Registry, worth: Worth, count: Callable[[str], None]
    ) -> None:
        self._low, self._high = params.watermarks
        self._grace = params.grace_period
        self._registry = registry
        self._worth = worth
        self._count = count
        self._wanted = trio.Event()

    @property
    def crowded(self) -> bool:
        """True if further connections would only be closed again."""
        return sum(c.usable for c in self._registry.all()) >= self._high

    def look(self) -> None:
        """There is one more connection."""
        self._wanted.set()

    async def run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            if self.trim(trio.current_time()):
                self._wanted.set()
                await trio.sleep(PAUSE)

    def trim(self, now: float) -> bool:
        """Disconnect whoever must go now; True if there are still too many connections."""
        standings = [self._standing(peer) for peer in self._registry]
        for peer in to_trim(standings, low=self._low, high=self._high, grace=self._grace, now=now):
            for connection in self._registry[peer]:
                if not connection.why:
                    self._count("trimmed_connections")
                    connection.close("too many connections")
        return sum(not c.why for c in self._registry.all()) > self._high

    def _standing(self, peer: PeerId) -> Standing:
        connections = self._registry[peer]
        return Standing(
            peer,
            connections=sum(not c.why for c in connections),
            since=connections[0].opened_at,
            outbound=any(c.outbound for c in connections),
            value=self._worth.value(peer),
            protected=self._worth.is_protected(peer),
        )
