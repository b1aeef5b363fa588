"""TCP addresses in multiaddr form: `/ip4/1.2.3.4/tcp/4001/p2p/12D3…`.

The one place where the multiaddr library is called: lengths are bounded and
whatever it raises becomes ParamError (a person's text) or RemoteError (a
peer's bytes). Names (`/dns4/…`) are resolved by the shell, never here.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from functools import lru_cache

from pubsub.errors import ParamError, RemoteError
from pubsub.identity.peer_id import PeerId, parse_peer_id

MAX_ADDRESS_BYTES = 1024
MAX_PORT = 65535
HOST_PROTOCOLS = ("ip4", "ip6", "dns", "dns4", "dns6")
# A peer chooses the name: a slash would change the address when it is written,
# a line feed or a colour code what a person reads.
HOST_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}", re.ASCII)
# Everything the library is known to raise on bad input; TypeError and the
# lookups come from its varint reader on truncated bytes.
LIBRARY_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a peer listens on TCP: a host, a port, and the peer's id where it is known."""

    family: str
    "ip4, ip6, dns, dns4 or dns6"
    host: str
    port: int
    peer: PeerId | None = None

    def __str__(self) -> str:
        text = f"/{self.family}/{self.host}/tcp/{self.port}"
        return f"{text}/p2p/{self.peer}" if self.peer is not None else text

    def with_peer(self, peer: PeerId | None) -> Address:
        return replace(self, peer=peer)

    @property
    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The numeric address, or None for a name."""
        return ipaddress.ip_address(self.host) if self.family.startswith("ip") else None

    def to_bytes(self) -> bytes:
        """The binary multiaddr.

        Raises ParamError if the host or port is none.
        """
        return _encode(str(self))


@lru_cache(maxsize=1024)
def _encode(text: str) -> bytes:
    from multiaddr import Multiaddr

    try:
        return bytes(Multiaddr(text).to_bytes())
    except LIBRARY_ERRORS as error:
        raise ParamError(f"{text!r} has no binary form") from error


def parse_address(text: str) -> Address:
    """Read an address typed by a person.

    Raises ParamError, saying what is wrong and what an address looks like.
    """
    from multiaddr import Multiaddr

    hint = "an address looks like /ip4/127.0.0.1/tcp/4001 or /dns4/example.org/tcp/4001/p2p/12D3…"
    if not text or len(text) > MAX_ADDRESS_BYTES:
        raise ParamError(f"address of {len(text)} characters: {hint}")
    try:
        # Old addresses spell the peer's id /ipfs/, which the library has forgotten.
        parts = list(Multiaddr(text.replace("/ipfs/", "/p2p/")).items())
    except LIBRARY_ERRORS as error:
        reason = f"ports go to {MAX_PORT}; " if _has_high_port(text) else ""
        raise ParamError(f"bad address {text!r}: {reason}{hint}") from error
    try:
        return _from_parts([(protocol.name, value) for protocol, value in parts])
    except ValueError as error:
        raise ParamError(f"bad address {text!r}: {error}; {hint}") from error


def _has_high_port(text: str) -> bool:
    port = re.search(r"/tcp/0*([1-9][0-9]{4,})(?:/|$)", text, re.ASCII)
    return port is not None and (len(port[1]) > 5 or int(port[1]) > MAX_PORT)


def address_from_bytes(raw: bytes) -> Address:
    """Read a binary address sent by a peer.

    Raises RemoteError if it is malformed or of a transport that we do not speak.
    """
    from multiaddr import Multiaddr

    if not raw or len(raw) > MAX_ADDRESS_BYTES:
        raise RemoteError(f"address of {len(raw)} bytes")
    try:
        parts = [(protocol.name, value) for protocol, value in Multiaddr(raw).items()]
        return _from_parts(parts)
    except LIBRARY_ERRORS as error:
        raise RemoteError("malformed or unsupported address") from error


def _from_parts(parts: list[tuple[str, str | None]]) -> Address:
    names = [name for name, _ in parts]
    if names[1:2] != ["tcp"] or names[0] not in HOST_PROTOCOLS or len(parts) > 3:
        raise ValueError("only TCP addresses are supported")
    host, port = parts[0][1], parts[1][1]
    if not host or port is None:
        raise ValueError("host or port is missing")
    peer = None
    if len(parts) == 3:
        if names[2] != "p2p" or parts[2][1] is None:
            raise ValueError(f"/{names[2]} is not supported")
        peer = parse_peer_id(parts[2][1])
    if names[0].startswith("ip"):
        host = str(ipaddress.ip_address(host))
    elif not HOST_NAME.fullmatch(host):
        raise ValueError("the host name is not made of letters, digits, dots and hyphens")
    return Address(names[0], host, int(port), peer)
