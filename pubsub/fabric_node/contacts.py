"""Reaching peers: from Fabric's endpoints to connections whose peers have proved who they are."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import final

import trio

from pubsub.errors import DialError, ParamError, PubSubError
from pubsub.fabric.proof import Proven
from pubsub.fabric_node.directory import Directory
from pubsub.host.host import Host
from pubsub.identity import Address, PeerId, parse_address

_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/\[\]]+)):([0-9]{1,5})", re.ASCII)
HINT = "an endpoint looks like peer0.org1.example.com:7051, or /ip4/127.0.0.1/tcp/7051"


def endpoint_address(endpoint: str) -> Address:
    """Where to dial: Fabric's `host:port`, or a multiaddr. Raises ParamError."""
    if endpoint.startswith("/"):
        return parse_address(endpoint)
    found = _HOST_AND_PORT.fullmatch(endpoint)
    if found is None:
        raise ParamError(f"bad endpoint {endpoint[:100]!r}: {HINT}")
    host, port = found[1] or found[2], found[3]
    try:
        family = f"ip{ipaddress.ip_address(host).version}"
    except ValueError:
        family = "dns"
    if found[1] and family != "ip6":
        raise ParamError(f"bad endpoint {endpoint[:100]!r}: only IPv6 addresses are in brackets")
    try:
        return parse_address(f"/{family}/{host}/tcp/{port}")
    except ParamError as error:
        raise ParamError(f"bad endpoint {endpoint[:100]!r}: {HINT}") from error


@final
class Contacts:
    """Dials endpoints. `dial_timeout` is for connecting, `proof_timeout` for the proofs.

    `called` is told whom we have dialled, since who dials proves first.
    """

    def __init__(
        self,
        host: Host,
        directory: Directory,
        called: Callable[[PeerId], None],
        *,
        dial_timeout: float,
        proof_timeout: float,
    ) -> None:
        self._host = host
        self._directory = directory
        self._called = called
        self._dial_timeout = dial_timeout
        self._proof_timeout = proof_timeout
        self._turns: dict[Hashable, trio.Lock] = {}

    async def dial(self, endpoint: str) -> Proven:
        """Connect, and return who is there. Raises ParamError, DialError or another PubSubError."""
        address = endpoint_address(endpoint)
        if address in [one.with_peer(None) for one in self._host.addresses]:
            raise DialError("that is our own address")
        peer = await self._host.connect(address, timeout=self._dial_timeout)
        self._called(peer)
        proven = await self._directory.wait_for(
            peer, 2 * self._proof_timeout, unless=lambda: not self._host.is_connected(peer)
        )
        if proven is None:
            raise DialError("whoever is there has not proved who it is")
        return proven

    async def reach(self, pki_id: bytes, endpoints: list[str]) -> bool:
        """Be connected to a peer that may be at one of these endpoints."""
        # Several who want the same peer are content with one connection.
        async with self._turn(pki_id):
            if self._directory.peer(pki_id) is not None:
                return True
            for endpoint in endpoints:
                try:
                    await self.dial(endpoint)
                except PubSubError:
                    continue
                if self._directory.peer(pki_id) is not None:
                    return True
        return False

    @asynccontextmanager
    async def _turn(self, key: Hashable) -> AsyncIterator[None]:
        """Wait until nobody else is at what `key` stands for."""
        lock = self._turns.setdefault(key, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and self._turns.get(key) is lock:
                del self._turns[key]
