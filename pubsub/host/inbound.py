"""Peers that come to us.

socket ─► gate: the address ─► admission: rates and counts ─► upgrade ─► live
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio

from pubsub.errors import DialError, ParamError, RemoteError, StreamError
from pubsub.host.connection import HostConnection
from pubsub.host.gate import DeniedError, Gate
from pubsub.host.limits import Admission
from pubsub.host.listen import Listener, announced
from pubsub.host.params import HostParams
from pubsub.host.pipe import SocketPipe
from pubsub.host.registry import Registry
from pubsub.host.upgrade import Upgrader
from pubsub.identity import Address, PeerId


class Inbound:
    """The listening sockets of one running host, and what comes in by them."""

    def __init__(
        self,
        own_id: PeerId,
        params: HostParams,
        *,
        gate: Gate,
        registry: Registry,
        upgrader: Upgrader,
        live: Callable[[HostConnection], Awaitable[None]],
        count: Callable[[str], None],
        tell: Callable[..., Any],
    ) -> None:
        self.admission = Admission(params, trio.current_time())
        self._own_id = own_id
        self._gate = gate
        self._registry = registry
        self._upgrader = upgrader
        self._live = live
        "Carries a secured connection until it ends."
        self._count = count
        self._tell = tell
        self._bound: list[Listener] = []
        self._nursery: trio.Nursery | None = None

    @property
    def addresses(self) -> list[Address]:
        """Where others may reach us, without our id."""
        found = [address for bound in self._bound for address in announced(bound.address)]
        return list(dict.fromkeys(found))

    def listen(self, nursery: trio.Nursery, addresses: Sequence[Address]) -> list[Address]:
        """Bind all addresses, or none and raise ParamError."""
        bound: list[Listener] = []
        try:
            for address in addresses:
                if address.peer not in (None, self._own_id):
                    raise ParamError(f"cannot listen on {address}: that is another peer's id")
                bound.append(Listener(address))
        except ParamError:
            for listener in bound:
                listener.close()
            raise
        self._nursery = nursery
        for listener in bound:
            nursery.start_soon(listener.accept_all, self._on_accept, self._count)
        self._bound += bound
        return [listener.address for listener in bound]

    def close(self) -> None:
        self._nursery = None
        for bound in self._bound:
            bound.close()

    def _on_accept(self, pipe: SocketPipe, address: Address) -> None:
        if self._nursery is None:
            pipe.close()
            return
        refusal = self._refusal(address)
        if refusal is not None:
            pipe.close()
            self._count(refusal)
            return
        self.admission.entered(address.host)
        self._nursery.start_soon(self._serve, pipe, address)

    def _refusal(self, address: Address) -> str | None:
        # First, so that whom we deny anyway cannot use up the rate at which others come.
        if not self._gate.permits_ip(address.host):
            return "denied_addresses"
        outbound = sum(c.outbound for c in self._registry.all())
        return self.admission.refusal(address.host, outbound, trio.current_time())

    async def _serve(self, pipe: SocketPipe, address: Address) -> None:
        try:
            try:
                connection = await self._upgrader.upgrade(pipe, address, initiator=False)
            finally:
                self.admission.secured(address.host)
            await self._live(connection)
        except DeniedError as error:
            self._tell("denied", address=address, why=str(error))
        except (RemoteError, StreamError, DialError) as error:
            self._count("failed_handshakes")
            self._tell("handshake_failed", address=address, why=str(error))
        finally:
            self.admission.left(address.host)
