"""Dials that nobody waits for: peers that others told us of, a few at a time.

The queue is bounded, a peer is in it once, and what is full or wanted no longer is left out and
counted: there will be other peers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from pubsub.errors import DialError
from pubsub.host.params import HostParams
from pubsub.identity import PeerId

if TYPE_CHECKING:
    import trio

Dial = Callable[[], Awaitable[object]]


class DialQueue:
    """Runs dials in their order, at most `max_background_dials` at one time."""

    def __init__(
        self, params: HostParams, *, wanted: Callable[[PeerId], bool], count: Callable[[str], None]
    ) -> None:
        self._params = params
        self._wanted = wanted
        self._count = count
        self._pending: dict[PeerId, Dial] = {}
        self._under_way: dict[PeerId, None] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, nursery: trio.Nursery, peer: PeerId, dial: Dial) -> bool:
        """Have `dial()` run in `nursery` when its turn comes; False if the queue is full."""
        if peer in self._pending or peer in self._under_way:
            return True
        if len(self._pending) >= self._params.max_pending_dials:
            self._count("dropped_dials")
            return False
        self._pending[peer] = dial
        if len(self._under_way) < self._params.max_background_dials:
            nursery.start_soon(self._work)
        return True

    async def _work(self) -> None:
        # More workers than there is room for may have been started in one turn.
        while self._pending and len(self._under_way) < self._params.max_background_dials:
            peer = next(iter(self._pending))
            dial = self._pending.pop(peer)
            if not self._wanted(peer):
                continue
            self._under_way[peer] = None
            try:
                await dial()
            except DialError:
                self._count("failed_background_dials")
            finally:
                del self._under_way[peer]
