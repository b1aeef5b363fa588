"""The host: this machine's presence on the network, and its connections to other peers.

    listen ──► inbound ───┐ gate,
    connect ─► outbound ──┴ handshake ─► connection ─► identify ─► listeners are told
                                             └─► inbound streams ─► handlers

What a peer does wrong ends its connection and is counted; it never ends the host.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import trio

from pubsub.errors import ClosedError, DialError, LocalError, ParamError, StreamError
from pubsub.host import identify, ping
from pubsub.host.connection import ConnectionInfo, HostConnection
from pubsub.host.gate import DeniedError, Gate
from pubsub.host.identify import Identity
from pubsub.host.identify_service import IdentifyService
from pubsub.host.inbound import Inbound
from pubsub.host.outbound import Outbound
from pubsub.host.params import HostParams
from pubsub.host.peer_store import PeerStore
from pubsub.host.registry import HostListener, Registry
from pubsub.host.signed_record import OwnRecord
from pubsub.host.stream import Stream
from pubsub.host.stream_table import Handler
from pubsub.host.trimmer import Trimmer
from pubsub.host.upgrade import Upgrader
from pubsub.host.worth import Worth
from pubsub.identity import Address, PeerId, PrivateKey, peer_id_of

DISTRIBUTION = "gossipsub-trio"
MAX_HANDLER_BYTES = 2048
"Names of our own protocols, together: they must fit in an identify message with the rest."


def _own_agent() -> str:
    try:
        return f"{DISTRIBUTION}/{metadata.version(DISTRIBUTION)}"
    except metadata.PackageNotFoundError:
        # Run from a checkout that was not installed.
        return DISTRIBUTION


class Host:
    """Sockets, connections and streams of one peer: us."""

    def __init__(
        self,
        key: PrivateKey,
        *,
        params: HostParams | None = None,
        gate: Gate | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        wall_clock: Callable[[], int] = time.time_ns,
        agent: str | None = None,
    ) -> None:
        self.key = key
        self.peer_id = peer_id_of(key.public_key)
        self.params = params = params or HostParams()
        self.agent = agent if agent is not None else _own_agent()
        self.gate = gate if gate is not None else Gate()
        "Whom we have to do with; change it at any time."
        self.peer_store = PeerStore(params.max_peers, params.max_addresses)
        self.counters: dict[str, int] = {}
        "How often each limit refused something and each kind of failure happened."
        self.trace: Callable[[str, dict[str, Any]], None] | None = None
        "Told about connections that begin, end or fail: a name and what is known."
        self._entropy = entropy
        self._record = OwnRecord(key, wall_clock)
        self._worth = Worth()
        self._connections = Registry(
            self.peer_id, params, self.peer_store, count=self._count, tell=self._tell
        )
        self._trimmer = Trimmer(params, self._connections, self._worth, self._count)
        self._nursery: trio.Nursery | None = None
        self._identify = self._identify_service()
        self._handlers: dict[str, Handler] = {
            identify.PROTOCOL: self._identify.answer,
            identify.PUSH: self._identify.take_push,
            ping.PROTOCOL: ping.PingService().answer,
        }
        self._upgrader = Upgrader(
            key,
            params,
            handlers=self._handlers,
            gate=self.gate,
            entropy=entropy,
            count=self._count,
        )
        self._inbound: Inbound | None = None
        self._outbound: Outbound | None = None
        "Both made by `run`."

    def __repr__(self) -> str:
        return f"<Host {self.peer_id!r}: {len(self._connections)} peers>"

    # -- what we offer

    @property
    def addresses(self) -> list[Address]:
        """Where we listen, each with our id."""
        found = self._inbound.addresses if self._inbound is not None else []
        return [address.with_peer(self.peer_id) for address in found]

    def signed_record(self) -> bytes | None:
        """Our own word on our addresses, for others to pass on; None if we tell of none."""
        return self._record.sealed(self._told_addresses)

    @property
    def _told_addresses(self) -> list[Address]:
        return self.addresses if self.params.tell_addresses else []

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
        self._connections.listeners.append(listener)

    def remove_listener(self, listener: HostListener) -> None:
        """Tell `listener` no more; it must have been added."""
        self._connections.listeners.remove(listener)

    async def listen(self, addresses: Sequence[Address]) -> list[Address]:
        """Accept connections on these addresses; return what was bound, ports filled in.

        Raises ParamError if an address is taken or not ours; none is bound then.
        """
        nursery, inbound, _ = self._running()
        bound = inbound.listen(nursery, addresses)
        self._identify.changed()
        await trio.lowlevel.checkpoint()
        return [address.with_peer(self.peer_id) for address in bound]

    # -- other peers

    async def connect(self, *addresses: Address, timeout: float | None = None) -> PeerId:
        """Connect to the peer that listens on these addresses, and return its id.

        Returns at once if it is connected already; joins a dial to it that is under way.
        Raises DialError, which names each address and why it failed.
        """
        nursery, _, outbound = self._running()
        return await outbound.connect(nursery, addresses, timeout)

    def dial_later(
        self, peer: PeerId, addresses: Sequence[Address] = (), *, source: PeerId | None = None
    ) -> bool:
        """Dial a peer that somebody told us of, when its turn comes; failures are only counted.

        Without addresses, those on record are tried. An address is dialled only if it is no
        nearer to us than `source`, the connected peer that told it: on the word of a peer on
        the internet no private address is dialled, on that of one in our network no loopback
        address. Of an unknown source, the farthest peer that we are connected to is assumed,
        and the internet if there is none. `HostParams(dial_private=True)` turns that off.
        False if the peer is not dialled: it is connected or denied, too many wait already, or
        there are enough connections.
        """
        nursery, _, outbound = self._running()
        addresses = addresses or self.peer_store.addresses(peer)
        return outbound.dial_later(nursery, peer, addresses, source)

    async def open_stream(
        self, peer: PeerId, protocols: Sequence[str], *, timeout: float = 10.0
    ) -> Stream:
        """Open a stream to a connected peer for the first of `protocols` that it speaks.

        Raises RemoteError if it speaks none, StreamError if it is not connected or does not
        answer in time.
        """
        connection = self._connections.best(peer)
        if connection is None:
            raise StreamError(f"not connected to {peer}")
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

    # -- what peers are worth

    def tag(self, peer: PeerId, name: str, value: float) -> None:
        """Set what `name` adds to the value of a connected peer; 0 takes it away.

        When there are too many connections, the peers of the lowest value are disconnected.
        A peer's tags end with its last connection, and of one that is not connected nothing
        is kept; `protect` has neither of these bounds.
        """
        if peer in self._connections:
            self._worth.tag(peer, name, value)

    def protect(self, peer: PeerId, tag: str) -> None:
        """Disconnect the peer last, until `unprotect` is called for each `tag`.

        May be said at any time, and holds for all connections to come.
        """
        self._worth.protect(peer, tag)

    def unprotect(self, peer: PeerId, tag: str) -> bool:
        """Take one protection away; True if the peer has others."""
        return self._worth.unprotect(peer, tag)

    # -- its life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Carry all connections until cancelled; then say goodbye and close every socket."""
        if self._inbound is not None:
            raise LocalError("a host runs only once: make another one")
        self._inbound = inbound = self._make_inbound()
        self._outbound = self._make_outbound()
        self.gate.watch(self._enforce_gate)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._identify.push_changes)
                nursery.start_soon(self._trimmer.run)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            self.gate.unwatch(self._enforce_gate)
            inbound.close()

    def _running(self) -> tuple[trio.Nursery, Inbound, Outbound]:
        if self._nursery is None or self._inbound is None or self._outbound is None:
            raise ClosedError("the host is not running: start Host.run first")
        return self._nursery, self._inbound, self._outbound

    def _make_inbound(self) -> Inbound:
        return Inbound(
            self.peer_id,
            self.params,
            gate=self.gate,
            registry=self._connections,
            upgrader=self._upgrader,
            live=self._live,
            count=self._count,
            tell=self._tell,
        )

    def _make_outbound(self) -> Outbound:
        return Outbound(
            self.peer_id,
            self.params,
            gate=self.gate,
            registry=self._connections,
            upgrader=self._upgrader,
            on_connection=self._on_dialled,
            crowded=lambda: self._trimmer.crowded,
            count=self._count,
        )

    # -- connections

    async def _on_dialled(self, connection: HostConnection) -> None:
        nursery = self._nursery
        if nursery is None:
            await connection.abandon()
            raise DialError("the host was stopped")
        if not self._permits(connection):
            await connection.abandon()
            raise DeniedError(f"{connection.peer} is denied by this host's gate")
        self._connections.enter(connection)
        nursery.start_soon(self._carry, connection)

    async def _live(self, connection: HostConnection) -> None:
        self._connections.enter(connection)
        await self._carry(connection)

    async def _carry(self, connection: HostConnection) -> None:
        self._trimmer.look()
        try:
            await connection.run(self._identify.ask)
        finally:
            self._identify.forget(connection)
            self._connections.leave(connection)
            if connection.peer not in self._connections:
                self._worth.left(connection.peer)

    def _permits(self, connection: HostConnection) -> bool:
        gate = self.gate
        return gate.permits_peer(connection.peer) and gate.permits_ip(connection.address.host)

    def _enforce_gate(self) -> None:
        for connection in self._connections.all():
            if not connection.why and not self._permits(connection):
                self._count("denied_connections")
                connection.close("denied by this host's gate")

    # -- identify

    def _identify_service(self) -> IdentifyService:
        return IdentifyService(
            self.params,
            message=self._identify_message,
            connections=self._connections.all,
            wants_push=lambda c: identify.PUSH in self.peer_store.protocols(c.peer),
            on_identity=self._on_identity,
            count=self._count,
        )

    def _identify_message(self, observed: Address) -> bytes:
        return identify.encode(
            key=self.key.public_key,
            addresses=self._told_addresses,
            protocols=self.protocols,
            agent=self.agent,
            observed=observed,
            record=self.signed_record(),
        )

    def _on_identity(self, connection: HostConnection, identity: Identity) -> None:
        peer = connection.peer
        record = self.peer_store.touch(peer)
        record.protocols = identity.protocols
        record.agent = identity.agent
        record.observed = identity.observed
        if identity.bad_record:
            self._count("bad_signed_records")
            self._tell("bad_signed_record", peer=peer, why=identity.bad_record)
        # Who signs for addresses need not be asked for others; go does the same.
        if identity.record is None or not self.peer_store.add_record(identity.record):
            self.peer_store.add_addresses(peer, identity.addresses)
        for listener in tuple(self._connections.listeners):
            listener.peer_identified(peer, identity.protocols)

    # -- what is told

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1

    def _tell(self, name: str, **fields: Any) -> None:
        if self.trace is not None:
            self.trace(name, fields)
