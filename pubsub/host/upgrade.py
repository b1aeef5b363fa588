"""Making connections of sockets: handshake, and whether this peer may be here at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pubsub.errors import DialError
from pubsub.host.connection import HostConnection
from pubsub.host.gate import DeniedError, Gate
from pubsub.host.handshake import secure
from pubsub.host.params import HostParams
from pubsub.host.stream_table import Handler
from pubsub.identity import Address, PeerId, PrivateKey, peer_id_of
from pubsub.transport import Connection, YamuxLimits

if TYPE_CHECKING:
    import trio


class Upgrader:
    """Secures the connections of one host."""

    def __init__(
        self,
        key: PrivateKey,
        params: HostParams,
        *,
        handlers: Mapping[str, Handler],
        gate: Gate,
        entropy: Callable[[int], bytes],
        count: Callable[[str], None],
    ) -> None:
        self._key = key
        self._own_id = peer_id_of(key.public_key)
        self._params = params
        self._limits = YamuxLimits(inbound_streams=params.max_inbound_streams)
        self._handlers = handlers
        self._gate = gate
        self._entropy = entropy
        self._count = count

    async def upgrade(
        self,
        pipe: trio.abc.Stream,
        address: Address,
        *,
        initiator: bool,
        expected_peer: PeerId | None = None,
    ) -> HostConnection:
        """Run the handshake and return the connection, which is not run yet.

        Raises RemoteError, StreamError or DialError; the pipe is closed then.
        """
        machine = Connection(
            initiator=initiator,
            key=self._key,
            entropy=self._entropy,
            expected_peer=expected_peer,
            limits=self._limits,
        )
        early = await secure(pipe, machine, self._params.handshake_timeout)
        connection = HostConnection(
            pipe,
            machine,
            early,
            address=address,
            handlers=self._handlers,
            params=self._params,
            count=self._count,
        )
        if connection.peer == self._own_id:
            await connection.abandon()
            raise DialError("that is this host itself")
        if not self._gate.permits_peer(connection.peer):
            self._count("denied_peers")
            await connection.abandon()
            raise DeniedError(f"{connection.peer} is denied by this host's gate")
        return connection
