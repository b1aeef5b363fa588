"""Peers that we go to.

    connect ─────► one dial at a time for each peer ─┐
    dial_later ──► queue ──► a few dials at a time ──┴─► gate ─► dialler ─► secured connection

What others ask us to dial is kept apart from what the user asks for: it has dialling slots of
its own, and nobody who wants a peer waits for a dial to addresses that a stranger told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from pubsub.errors import DialError, ParamError
from pubsub.host.connection import HostConnection
from pubsub.host.dial import Dialer
from pubsub.host.dial_queue import DialQueue
from pubsub.host.gate import DeniedError, Gate
from pubsub.host.params import HostParams
from pubsub.host.registry import Registry
from pubsub.host.shared_dials import SharedDials
from pubsub.host.upgrade import Upgrader
from pubsub.identity import Address, PeerId
from pubsub.identity.networks import Reach, farthest, parse_ip, reach_of


class Outbound:
    """The dials of one host."""

    def __init__(
        self,
        own_id: PeerId,
        params: HostParams,
        *,
        gate: Gate,
        registry: Registry,
        upgrader: Upgrader,
        on_connection: Callable[[HostConnection], Awaitable[None]],
        crowded: Callable[[], bool],
        count: Callable[[str], None],
    ) -> None:
        self._own_id = own_id
        self._params = params
        self._gate = gate
        self._registry = registry
        self._upgrader = upgrader
        self._on_connection = on_connection
        "Takes a secured connection over, or abandons it and raises DialError."
        self._crowded = crowded
        self._count = count
        self._dialer = Dialer(params)
        self._background_dialer = Dialer(params)
        self._shared = SharedDials(self._dial)
        self._queue = DialQueue(params, wanted=self._wanted, count=count)

    async def connect(
        self, nursery: trio.Nursery, addresses: Sequence[Address], timeout: float | None
    ) -> PeerId:
        """See `Host.connect`."""
        peers = {address.peer for address in addresses} - {None}
        if not addresses or len(peers) > 1:
            raise ParamError("give one or more addresses, all of the same peer")
        peer = peers.pop() if peers else None
        if peer == self._own_id:
            raise DialError("that is this host itself")
        limit = timeout if timeout is not None else self._params.dial_timeout
        with trio.move_on_after(limit):
            if peer is None:
                return await self._dial(addresses, None)
            if peer in self._registry:
                await trio.lowlevel.checkpoint()
                return peer
            if not self._gate.permits_peer(peer):
                self._count("denied_dials")
                raise DeniedError(f"{peer} is denied by this host's gate")
            await self._shared.join(nursery, peer, addresses)
            return peer
        tried = ", ".join(map(str, addresses))
        raise DialError(f"could not connect within {limit:g} s: {tried}")

    def dial_later(
        self,
        nursery: trio.Nursery,
        peer: PeerId,
        addresses: Sequence[Address],
        source: PeerId | None,
    ) -> bool:
        """See `Host.dial_later`."""
        usable = [address for address in addresses if address.peer in (None, peer)]
        usable = usable[: self._params.max_dial_addresses]
        if not usable or not self._wanted(peer):
            return False
        if not self._gate.permits_peer(peer):
            self._count("denied_dials")
            return False
        nearest = Reach.LOOPBACK if self._params.dial_private else self._distance(source)
        dial = partial(self._dial_in_background, usable, peer, nearest)
        return self._queue.add(nursery, peer, dial)

    def _wanted(self, peer: PeerId) -> bool:
        if peer == self._own_id or peer in self._registry:
            return False
        if self._crowded():
            self._count("dropped_dials")
            return False
        return True

    def _distance(self, source: PeerId | None) -> Reach:
        """How far away whoever told an address is; not knowing who, the farthest peer."""
        if source is not None and source in self._registry:
            told_by = self._registry[source]
        else:
            told_by = self._registry.all()
        return farthest(parse_ip(connection.address.host) for connection in told_by)

    async def _dial(self, addresses: Sequence[Address], peer: PeerId | None) -> PeerId:
        upgrade = partial(self._upgrader.upgrade, initiator=True, expected_peer=peer)
        connection = await self._dialer.dial(addresses, upgrade, self._refusal)
        await self._on_connection(connection)
        return connection.peer

    async def _dial_in_background(
        self, addresses: Sequence[Address], peer: PeerId, nearest: Reach
    ) -> None:
        def refusal(address: Address) -> str | None:
            if reach_of(parse_ip(address.host)) < nearest:
                self._count("skipped_addresses")
                return "nearer to us than who told it"
            return self._refusal(address)

        upgrade = partial(self._upgrader.upgrade, initiator=True, expected_peer=peer)
        limit = self._params.background_dial_timeout
        with trio.move_on_after(limit):
            connection = await self._background_dialer.dial(addresses, upgrade, refusal)
            await self._on_connection(connection)
            return
        raise DialError(f"could not connect within {limit:g} s")

    def _refusal(self, address: Address) -> str | None:
        if self._gate.permits_ip(address.host):
            return None
        self._count("denied_dials")
        return "denied by this host's gate"
