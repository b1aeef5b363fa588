"""Staying connected to one peer, for as long as somebody wants that.

    dial ──► connected ──► lost ──► dial at once
      └── failed ──► wait ──► dial, each wait about twice the last, up to a minute

A connection that ends soon after it was made counts as a failure: a peer that
accepts us and hangs up must not be dialled in a tight loop. Waits are random
within their upper half, so that the nodes which lost one peer together do not
return to it together. While the peer is connected, by whoever's dial, it is not dialled.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import trio

from pubsub.errors import ParamError, PubSubError
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

    def remove_listener(self, listener: Any) -> None: ...


async def keep_peer(
    host: Dialer,
    peer: PeerId,
    addresses: Sequence[Address],
    *,
    rng: random.Random,
    on_failure: OnFailure | None = None,
) -> None:
    """Dial `peer` at once and whenever it is lost, until cancelled; a connection stays then.

    `on_failure` is told of each dial that failed, by the first address. Does nothing if the
    peer is ourselves. Raises ParamError without addresses, or for one of another peer.
    """
    if not addresses or any(address.peer not in (None, peer) for address in addresses):
        given = ", ".join(map(str, addresses)) or "none"
        raise ParamError(f"give one or more addresses of {peer}, not {given}")
    if peer == host.peer_id:
        await trio.lowlevel.checkpoint()
        return
    named = list(dict.fromkeys(address.with_peer(peer) for address in addresses))
    await _keep(host, peer, named, rng, on_failure)


async def keep_address(
    host: Dialer,
    address: Address,
    *,
    rng: random.Random,
    on_failure: OnFailure | None = None,
) -> None:
    """The same for whoever listens on an address that names no peer."""
    await _keep(host, None, [address], rng, on_failure)


def wait_before_dial(failures: int, rng: random.Random) -> float:
    """How long to wait after so many failures in a row."""
    # Beyond 2 ** 6 the ceiling no longer moves, and a large power would overflow.
    ceiling = min(LONGEST_WAIT, 2 * SHORTEST_WAIT * 2 ** min(failures - 1, 6))
    return rng.uniform(ceiling / 2, ceiling)


async def _keep(
    host: Dialer,
    peer: PeerId | None,
    addresses: Sequence[Address],
    rng: random.Random,
    on_failure: OnFailure | None,
) -> None:
    watch = _Watch(peer)
    host.add_listener(watch)
    failures = 0
    try:
        while True:
            if watch.peer is None or watch.peer not in host.connected_peers():
                try:
                    watch.peer = await host.connect(*addresses)
                except PubSubError as error:
                    failures += 1
                    if on_failure is not None:
                        on_failure(addresses[0], str(error))
                    await watch.change(wait_before_dial(failures, rng))
                    continue
            since = trio.current_time()
            while watch.peer in host.connected_peers():
                await watch.change()
            if trio.current_time() - since >= SETTLED_AFTER:
                failures = 0
            else:
                failures += 1
                await watch.change(wait_before_dial(failures, rng))
    finally:
        host.remove_listener(watch)


class _Watch:
    """Listens to the host, and wakes its task when the peer comes or goes."""

    def __init__(self, peer: PeerId | None) -> None:
        self.peer = peer
        "None until an address without an id has led to somebody."
        self._news = trio.Event()

    def peer_connected(self, peer: PeerId, connection: object) -> None:
        self._wake(peer)

    def peer_identified(self, peer: PeerId, protocols: tuple[str, ...]) -> None:
        pass

    def peer_disconnected(self, peer: PeerId) -> None:
        self._wake(peer)

    async def change(self, timeout: float = math.inf) -> None:
        """Wait for the peer to come or go, or for the timeout."""
        with trio.move_on_after(timeout):
            await self._news.wait()

    def _wake(self, peer: PeerId) -> None:
        if peer == self.peer:
            self._news.set()
            self._news = trio.Event()
