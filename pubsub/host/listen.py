"""Listening sockets: bound from addresses, and accepted from without ever giving up."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

import trio

from pubsub.errors import ParamError
from pubsub.host.pipe import SocketPipe
from pubsub.identity import Address

BACKLOG = 1024
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
EXHAUSTED_PAUSE = 0.1
"Time to let connections end when the process has no file descriptors left (trio's own choice)."

WELL_KNOWN = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"Documentation addresses: asking for the route to them sends nothing."


class Listener:
    """One bound socket."""

    def __init__(self, address: Address) -> None:
        """Bind.

        Raises ParamError, in one line, if the address is taken or not ours.
        """
        if address.ip is None:
            raise ParamError(f"cannot listen on {address}: give an IP address, not a name")
        family = socket.AF_INET6 if address.family == "ip6" else socket.AF_INET
        sock = None
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address.host, address.port))
            sock.listen(BACKLOG)
        except OSError as error:
            if sock is not None:
                sock.close()
            reason = (error.strerror or str(error)).lower()
            raise ParamError(f"cannot listen on {address}: {reason}") from error
        self._sock = trio.socket.from_stdlib_socket(sock)
        self.address = Address(address.family, address.host, self._sock.getsockname()[1])
        "With the port that was given out for port 0."

    async def accept_all(
        self, on_socket: Callable[[SocketPipe, Address], None], on_trouble: Callable[[str], None]
    ) -> None:
        """Hand over each connection until cancelled, then close the socket."""
        with self._sock:
            while True:
                try:
                    sock, at = await self._sock.accept()
                except OSError as error:
                    on_trouble("failed_accepts")
                    if error.errno in EXHAUSTED:
                        await trio.sleep(EXHAUSTED_PAUSE)
                    continue
                try:
                    pipe = SocketPipe.from_trio(sock)
                except OSError:
                    # The peer hung up before we looked.
                    on_trouble("failed_accepts")
                    continue
                on_socket(pipe, Address(self.address.family, at[0].partition("%")[0], at[1]))

    def close(self) -> None:
        self._sock.close()


def announced(bound: Address) -> list[Address]:
    """Where others may reach a bound address: an unspecified one stands for several."""
    if bound.ip is None or not bound.ip.is_unspecified:
        return [bound]
    v6 = bound.family == "ip6"
    hosts = ["::1" if v6 else "127.0.0.1"]
    primary = _primary(socket.AF_INET6 if v6 else socket.AF_INET)
    if primary is not None and primary not in hosts:
        hosts.append(primary)
    return [Address(bound.family, host, bound.port) for host in hosts]


def _primary(family: socket.AddressFamily) -> str | None:
    """The address that this machine would use towards the internet, None if it has no route."""
    # Also None where no descriptor is left for the question.
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((WELL_KNOWN[family], 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None
