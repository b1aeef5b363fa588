"""The host: this machine's presence on the network, and its connections to other peers.

    listen ─► admission ─► handshake ─┐
    connect ─► dial ─────► handshake ─┴─► connection ─► identify ─► listeners are told
                                              └─► inbound streams ─► handlers

What a peer does wrong ends its connection and is counted; it never ends the host.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata
from typing import Any, Protocol

import trio

from pubsub.errors import ClosedError, DialError, LocalError, ParamError, RemoteError, StreamError
from pubsub.host import identify, ping
from pubsub.host.connection import ConnectionInfo, Handler, HostConnection
from pubsub.host.dial import Dialer
from pubsub.host.handshake import secure
from pubsub.host.identify import Identity
from pubsub.host.identify_service import IdentifyService
from pubsub.host.limits import Admission
from pubsub.host.listen import Listener, announced
from pubsub.host.params import HostParams
from pubsub.host.peer_store import PeerStore
from pubsub.host.pipe import SocketPipe
from pubsub.host.shared_dials import SharedDials
from pubsub.host.stream import Stream
from pubsub.identity import Address, PeerId, PrivateKey, peer_id_of
from pubsub.transport import Connection, YamuxLimits

DISTRIBUTION = "gossipsub-trio"
MAX_HANDLER_BYTES = 2048
"Names of our own protocols, together: they must fit in an identify message with the rest."


def _own_agent() -> str:
    try:
        return f"{DISTRIBUTION}/{metadata.version(DISTRIBUTION)}"
    except metadata.PackageNotFoundError:
        # Run from a checkout that was not installed.
        return DISTRIBUTION


class HostListener(Protocol):
    """Who wants to know about peers. The methods must not wait."""

    def peer_connected(self, peer: PeerId, connection: HostConnection) -> None:
        """The first connection to a peer is secured."""

    def peer_identified(self, peer: PeerId, protocols: tuple[str, ...]) -> None:
        """The peer told what it speaks; again on each connection and when that changes."""

    def peer_disconnected(self, peer: PeerId) -> None:
        """The last connection to a peer ended."""


class Host:
    """Sockets, connections and streams of one peer: us."""

    def __init__(
        self,
        key: PrivateKey,
        *,
        params: HostParams | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        agent: str | None = None,
    ) -> None:
        self.key = key
        self.peer_id = peer_id_of(key.public_key)
        self.params = params = params or HostParams()
        self.agent = agent if agent is not None else _own_agent()
        self.peer_store = PeerStore(params.max_peers, params.max_addresses)
        self.counters: dict[str, int] = {}
        "How often each limit refused something and each kind of failure happened."
        self.trace: Callable[[str, dict[str, Any]], None] | None = None
        "Told about connections that begin, end or fail: a name and what is known."
        self._entropy = entropy
        self._limits = YamuxLimits(inbound_streams=params.max_inbound_streams)
        self._listeners: list[HostListener] = []
        self._bound: list[Listener] = []
        self._connections: dict[PeerId, list[HostConnection]] = {}
        self._dialer = Dialer(params)
        self._dials = SharedDials(self._dial)
        self._admission: Admission | None = None
        self._nursery: trio.Nursery | None = None
        self._identify = IdentifyService(
            params,
            message=self._identify_message,
            connections=self._all_connections,
            wants_push=lambda c: identify.PUSH in self.peer_store.protocols(c.peer),
            on_identity=self._on_identity,
            count=self._count,
        )
        self._handlers: dict[str, Handler] = {
            identify.PROTOCOL: self._identify.answer,
            identify.PUSH: self._identify.take_push,
            ping.PROTOCOL: ping.PingService().answer,
        }

    def __repr__(self) -> str:
        return f"<Host {self.peer_id!r}: {len(self._connections)} peers>"

    # -- what we offer

    @property
    def addresses(self) -> list[Address]:
        """Where we listen, each with our id."""
        found = [address for bound in self._bound for address in announced(bound.address)]
        return [address.with_peer(self.peer_id) for address in dict.fromkeys(found)]

    @property
    def protocols(self) -> tuple[str, ...]:
        """What we accept on inbound streams."""
        return tuple(self._handlers)

    def set_handler(self, protocol: str, handler: Callable[[Stream], Any]) -> None:
        """Run `handler(stream)` for each inbound stream of `protocol`.

        Set handlers before listening: peers decide by the first identify. Those that are
        connected already are told of a change. A handler that returns without having closed
        the stream or given it a sink or source has it closed.
        """
        names = {*self._handlers, protocol}
        if sum(len(name.encode()) + 3 for name in names) > MAX_HANDLER_BYTES:
            raise ParamError(f"the names of all protocols take over {MAX_HANDLER_BYTES} bytes")
        self._handlers[protocol] = handler
        self._identify.changed()

    def remove_handler(self, protocol: str) -> None:
        """Refuse further streams of `protocol`."""
        if self._handlers.pop(protocol, None) is not None:
            self._identify.changed()

    def add_listener(self, listener: HostListener) -> None:
        self._listeners.append(listener)

    async def listen(self, addresses: Sequence[Address]) -> list[Address]:
        """Accept connections on these addresses; return what was bound, ports filled in.

        Raises ParamError if an address is taken or not ours; none is bound then.
        """
        nursery = self._running()
        bound: list[Listener] = []
        try:
            for address in addresses:
                if address.peer not in (None, self.peer_id):
                    raise ParamError(f"cannot listen on {address}: that is another peer's id")
                bound.append(Listener(address))
        except ParamError:
            for listener in bound:
                listener.close()
            raise
        for listener in bound:
            nursery.start_soon(listener.accept_all, self._on_accept, self._count)
        self._bound += bound
        self._identify.changed()
        await trio.lowlevel.checkpoint()
        return [listener.address.with_peer(self.peer_id) for listener in bound]

    # -- other peers

    async def connect(self, *addresses: Address, timeout: float | None = None) -> PeerId:
        """Connect to the peer that listens on these addresses, and return its id.

        Returns at once if it is connected already; joins a dial to it that is under way.
        Raises DialError, which names each address and why it failed.
        """
        nursery = self._running()
        peers = {address.peer for address in addresses} - {None}
        if not addresses or len(peers) > 1:
            raise ParamError("give one or more addresses, all of the same peer")
        peer = peers.pop() if peers else None
        if peer == self.peer_id:
            raise DialError("that is this host itself")
        limit = timeout if timeout is not None else self.params.dial_timeout
        with trio.move_on_after(limit):
            if peer is None:
                return await self._dial(addresses, None)
            if peer in self._connections:
                await trio.lowlevel.checkpoint()
            else:
                await self._dials.join(nursery, peer, addresses)
            return peer
        tried = ", ".join(map(str, addresses))
        raise DialError(f"could not connect within {limit:g} s: {tried}")

    async def open_stream(
        self, peer: PeerId, protocols: Sequence[str], *, timeout: float = 10.0
    ) -> Stream:
        """Open a stream to a connected peer for the first of `protocols` that it speaks.

        Raises RemoteError if it speaks none, StreamError if it is not connected or does not
        answer in time.
        """
        usable = [c for c in self._connections.get(peer, ()) if c.usable]
        if not usable:
            raise StreamError(f"not connected to {peer}")
        # Of several, both ends prefer the one that the smaller id dialled, then the older.
        connection = min(usable, key=lambda c: (self.peer_id < peer) != c.outbound)
        return await connection.open_stream(protocols, timeout)

    async def ping(self, peer: PeerId, *, timeout: float = 10.0) -> float:
        """The seconds that a message to `peer` and back takes."""
        stream = await self.open_stream(peer, [ping.PROTOCOL], timeout=timeout)
        try:
            with trio.fail_after(timeout):
                return await ping.measure(stream, self._entropy)
        except trio.TooSlowError as error:
            raise StreamError(f"no answer to a ping within {timeout:g} s") from error
        finally:
            stream.close()

    async def disconnect(self, peer: PeerId) -> None:
        """Close every connection to `peer`."""
        connections = list(self._connections.get(peer, ()))
        for connection in connections:
            connection.close("disconnected by this host")
        await trio.lowlevel.checkpoint()
        for connection in connections:
            await connection.closed.wait()

    def connected_peers(self) -> list[PeerId]:
        """The peers with at least one connection, in the order in which they came."""
        return list(self._connections)

    def is_connected(self, peer: PeerId) -> bool:
        return peer in self._connections

    def connection_info(self, peer: PeerId) -> ConnectionInfo | None:
        """A snapshot of the oldest connection to `peer`, None if there is none."""
        connections = self._connections.get(peer)
        return connections[0].info() if connections else None

    # -- its life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry all connections until cancelled; then say goodbye and close every socket."""
        if self._admission is not None:
            raise LocalError("a host runs only once: make another one")
        self._admission = Admission(self.params, trio.current_time())
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._identify.push_changes)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            for bound in self._bound:
                bound.close()

    def _running(self) -> trio.Nursery:
        if self._nursery is None:
            raise ClosedError("the host is not running: start Host.run first")
        return self._nursery

    # -- connections

    def _on_accept(self, pipe: SocketPipe, address: Address) -> None:
        admission, nursery = self._admission, self._nursery
        if admission is None or nursery is None:
            pipe.close()
            return
        outbound = sum(c.outbound for c in self._all_connections())
        refusal = admission.refusal(address.host, outbound, trio.current_time())
        if refusal is not None:
            pipe.close()
            self._count(refusal)
            return
        admission.entered(address.host)
        nursery.start_soon(self._serve, pipe, address, admission)

    async def _serve(self, pipe: SocketPipe, address: Address, admission: Admission) -> None:
        try:
            try:
                connection = await self._upgrade(pipe, address, initiator=False)
            finally:
                admission.secured()
            self._register(connection)
            await self._carry(connection)
        except (RemoteError, StreamError, DialError) as error:
            self._count("failed_handshakes")
            self._tell("handshake_failed", address=address, why=str(error))
        finally:
            admission.left(address.host)

    async def _dial(self, addresses: Sequence[Address], peer: PeerId | None) -> PeerId:
        upgrade = partial(self._upgrade, initiator=True, expected_peer=peer)
        connection = await self._dialer.dial(addresses, upgrade)
        nursery = self._nursery
        if nursery is None:
            await connection.abandon()
            raise DialError("the host was stopped")
        self._register(connection)
        nursery.start_soon(self._carry, connection)
        return connection.peer

    async def _upgrade(
        self,
        pipe: trio.abc.Stream,
        address: Address,
        *,
        initiator: bool,
        expected_peer: PeerId | None = None,
    ) -> HostConnection:
        machine = Connection(
            initiator=initiator,
            key=self.key,
            entropy=self._entropy,
            expected_peer=expected_peer,
            limits=self._limits,
        )
        early = await secure(pipe, machine, self.params.handshake_timeout)
        connection = HostConnection(
            pipe,
            machine,
            early,
            address=address,
            handlers=self._handlers,
            params=self.params,
            count=self._count,
        )
        if connection.peer == self.peer_id:
            await connection.abandon()
            raise DialError("that is this host itself")
        return connection

    def _register(self, connection: HostConnection) -> None:
        peer = connection.peer
        record = self.peer_store.touch(peer)
        record.connected = True
        record.public_key = connection.public_key
        if connection.outbound:
            self.peer_store.add_addresses(peer, [connection.address])
        connections = self._connections.setdefault(peer, [])
        connections.append(connection)
        self._tell("connected", peer=peer, address=connection.address, outbound=connection.outbound)
        if len(connections) > self.params.max_connections_per_peer:
            self._count("surplus_connections")
            connections[0].close("too many connections to one peer")
        if len(connections) == 1:
            for listener in self._listeners:
                listener.peer_connected(peer, connection)

    async def _carry(self, connection: HostConnection) -> None:
        peer = connection.peer
        try:
            await connection.run(self._identify.ask)
        finally:
            self._identify.forget(connection)
            connections = self._connections[peer]
            connections.remove(connection)
            self._tell("disconnected", peer=peer, address=connection.address, why=connection.why)
            if not connections:
                del self._connections[peer]
                record = self.peer_store.get(peer)
                if record is not None:
                    record.connected = False
                for listener in self._listeners:
                    listener.peer_disconnected(peer)

    def _all_connections(self) -> list[HostConnection]:
        return [c for connections in self._connections.values() for c in connections]

    # -- identify

    def _identify_message(self, observed: Address) -> bytes:
        return identify.encode(
            key=self.key.public_key,
            addresses=self.addresses,
            protocols=self.protocols,
            agent=self.agent,
            observed=observed,
        )

    def _on_identity(self, connection: HostConnection, identity: Identity) -> None:
        peer = connection.peer
        record = self.peer_store.touch(peer)
        record.protocols = identity.protocols
        record.agent = identity.agent
        record.observed = identity.observed
        self.peer_store.add_addresses(peer, identity.addresses)
        for listener in self._listeners:
            listener.peer_identified(peer, identity.protocols)

    # -- what is told

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1

    def _tell(self, name: str, **fields: Any) -> None:
        if self.trace is not None:
            self.trace(name, fields)
