"""The connections there are, by peer, and who is told when peers come and go.

A peer may have several connections: dials from both ends at once, or a peer that lost its
power and is back before we noticed. So when one more comes, the older ones must prove that
they live; those that cannot are closed, and what they carried moves over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from pubsub.host.connection import HostConnection
from pubsub.host.params import HostParams
from pubsub.host.peer_store import PeerStore
from pubsub.identity import PeerId


class HostListener(Protocol):
    """Who wants to know about peers. The methods must not wait."""

    def peer_connected(self, peer: PeerId, connection: HostConnection) -> None:
        """The first connection to a peer is secured."""

    def peer_identified(self, peer: PeerId, protocols: tuple[str, ...]) -> None:
        """The peer told what it speaks; again on each connection and when that changes."""

    def peer_disconnected(self, peer: PeerId) -> None:
        """The last connection to a peer ended."""


class Registry(Mapping[PeerId, list[HostConnection]]):
    """Connected peers in the order in which they came, each with its connections, oldest first."""

    def __init__(
        self,
        own_id: PeerId,
        params: HostParams,
        peer_store: PeerStore,
        *,
        count: Callable[[str], None],
        tell: Callable[..., None],
    ) -> None:
        self.listeners: list[HostListener] = []
        self._own_id = own_id
        self._params = params
        self._peer_store = peer_store
        self._count = count
        self._tell: Callable[..., Any] = tell
        self._by_peer: dict[PeerId, list[HostConnection]] = {}

    def __getitem__(self, peer: PeerId) -> list[HostConnection]:
        return self._by_peer[peer]

    def __iter__(self) -> Iterator[PeerId]:
        return iter(self._by_peer)

    def __len__(self) -> int:
        return len(self._by_peer)

    def all(self) -> list[HostConnection]:
        return [c for connections in self._by_peer.values() for c in connections]

    def best(self, peer: PeerId) -> HostConnection | None:
        """The connection for a new stream, None if there is no usable one."""
        usable = [c for c in self._by_peer.get(peer, ()) if c.usable]
        # Of several, both ends prefer the one that the smaller id dialled, then the older.
        smaller = self._own_id < peer
        return min(usable, key=lambda c: (c.in_doubt, smaller != c.outbound), default=None)

    def enter(self, connection: HostConnection) -> None:
        """A connection is secured and about to run."""
        peer = connection.peer
        record = self._peer_store.touch(peer)
        record.connected = True
        record.public_key = connection.public_key
        if connection.outbound:
            self._peer_store.add_addresses(peer, [connection.address])
        connections = self._by_peer.setdefault(peer, [])
        for older in connections:
            older.probe()
        connections.append(connection)
        self._tell("connected", peer=peer, address=connection.address, outbound=connection.outbound)
        if len(connections) > self._params.max_connections_per_peer:
            self._count("surplus_connections")
            connections[0].close("too many connections to one peer")
        if len(connections) == 1:
            for listener in tuple(self.listeners):
                listener.peer_connected(peer, connection)

    def leave(self, connection: HostConnection) -> None:
        """A connection has ended."""
        peer = connection.peer
        connections = self._by_peer[peer]
        connections.remove(connection)
        self._tell("disconnected", peer=peer, address=connection.address, why=connection.why)
        if not connections:
            del self._by_peer[peer]
            record = self._peer_store.get(peer)
            if record is not None:
                record.connected = False
            for listener in tuple(self.listeners):
                listener.peer_disconnected(peer)
