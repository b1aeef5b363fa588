"""Staying connected to a list of known peers.

    dial ──► connected ──► lost ──► dial at once
      └── failed ──► wait ──► dial, each wait about twice the last, up to a minute

A connection that ends soon after it was made counts as a failure: a peer that
accepts us and hangs up must not be dialled in a tight loop. Waits are random
within their upper half, so that the nodes which lost one peer together do not
return to it together.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import trio

from pubsub.errors import PubSubError
from pubsub.identity import Address, PeerId

SHORTEST_WAIT = 1.0
LONGEST_WAIT = 60.0
SETTLED_AFTER = 10.0
"A connection that lasted this long was a good one (ours: guess)."

OnFailure = Callable[[Address, str], None]


class Dialer(Protocol):
    """What is needed of a host."""

    @property
    def peer_id(self) -> PeerId: ...

    async def connect(self, *addresses: Address) -> PeerId: ...

    def connected_peers(self) -> list[PeerId]: ...

    def add_listener(self, listener: Any) -> None: ...


async def keep_connected(
    host: Dialer,
    addresses: Sequence[Address],
    *,
    rng: random.Random,
    on_failure: OnFailure | None = None,
) -> None:
    """Dial the peers at `addresses` again and again, until cancelled.

    Several addresses with one peer id are one peer, dialled by all of them.
    Our own addresses are passed over, so that all nodes may share one list.
    """
    watch = _ConnectionWatch()
    host.add_listener(watch)
    async with trio.open_nursery() as nursery:
        for group in grouped_by_peer(addresses):
            if group[0].peer != host.peer_id:
                nursery.start_soon(_keep_one, host, group, watch, rng, on_failure)


def grouped_by_peer(addresses: Sequence[Address]) -> list[list[Address]]:
    """Addresses of one peer together; those that name no peer each alone."""
    groups: list[list[Address]] = []
    by_peer: dict[PeerId, list[Address]] = {}
    for address in dict.fromkeys(addresses):
        if address.peer is not None and address.peer in by_peer:
            by_peer[address.peer].append(address)
            continue
        groups.append([address])
        if address.peer is not None:
            by_peer[address.peer] = groups[-1]
    return groups


def wait_before_dial(failures: int, rng: random.Random) -> float:
    """How long to wait after so many failures in a row."""
    # Beyond 2 ** 6 the ceiling no longer moves, and a large power would overflow.
    ceiling = min(LONGEST_WAIT, 2 * SHORTEST_WAIT * 2 ** min(failures - 1, 6))
    return rng.uniform(ceiling / 2, ceiling)


async def _keep_one(
    host: Dialer,
    addresses: list[Address],
    watch: _ConnectionWatch,
    rng: random.Random,
    on_failure: OnFailure | None,
) -> None:
    peer = addresses[0].peer
    failures = 0
    while True:
        if peer is None or peer not in host.connected_peers():
            try:
                peer = await host.connect(*addresses)
            except PubSubError as error:
                failures += 1
                if on_failure is not None:
                    on_failure(addresses[0], str(error))
                await watch.connected(peer, wait_before_dial(failures, rng))
                continue
        since = trio.current_time()
        while peer in host.connected_peers():
            await watch.disconnected(peer)
        if trio.current_time() - since >= SETTLED_AFTER:
            failures = 0
        else:
            failures += 1
            await watch.connected(peer, wait_before_dial(failures, rng))


class _ConnectionWatch:
    """Listens to the host and wakes whoever waits for a peer to come or go."""

    def __init__(self) -> None:
        self._changes: dict[PeerId, trio.Event] = {}

    def peer_connected(self, peer: PeerId, connection: object) -> None:
        self._wake(peer)

    def peer_identified(self, peer: PeerId, protocols: tuple[str, ...]) -> None:
        pass

    def peer_disconnected(self, peer: PeerId) -> None:
        self._wake(peer)

    async def disconnected(self, peer: PeerId) -> None:
        """Wait for the next change of `peer`, which is connected now."""
        await self._changes.setdefault(peer, trio.Event()).wait()

    async def connected(self, peer: PeerId | None, timeout: float) -> None:
        """Wait for the next change of `peer`, which is not connected now, or for the timeout."""
        with trio.move_on_after(timeout):
            if peer is None:
                await trio.sleep_forever()
            else:
                await self._changes.setdefault(peer, trio.Event()).wait()

    def _wake(self, peer: PeerId) -> None:
        event = self._changes.pop(peer, None)
        if event is not None:
            event.set()
