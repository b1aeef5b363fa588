"""A TCP socket as a byte stream, without the cost that trio's own wrapper has per call.

The hot path gives way to other tasks only where it waits anyway, or when a read
filled its buffer (more is there, and others want their turn).
"""

from __future__ import annotations

import socket

import trio

LOST = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)
"How a socket says that it is gone."


class SocketPipe(trio.abc.Stream):
    """One connected, non-blocking socket. One reader and one writer at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._full = False
        "The last read filled its buffer."
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            # Some systems say so here when the peer has hung up.
            sock.close()
            raise

    @classmethod
    def from_trio(cls, sock: trio.socket.SocketType) -> SocketPipe:
        """Take the socket over; the trio object is of no further use."""
        # With all three named, nothing is asked of the descriptor, which could fail and lose it.
        kind = (sock.family, sock.type, sock.proto)
        return cls(socket.socket(*kind, fileno=sock.detach()))

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        size = max_bytes or 65536
        if self._full:
            await trio.lowlevel.checkpoint()
        else:
            await self._wait_readable()
        while True:
            try:
                data = self._sock.recv(size)
            except BlockingIOError:
                await self._wait_readable()
            except OSError as error:
                raise self._broken(error) from error
            else:
                self._full = len(data) == size
                return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything. Gives way to other tasks only if the socket is full."""
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise self._broken(error) from error
        if sent == len(data):
            return
        with memoryview(data) as view:
            while sent < len(view):
                await self.wait_send_all_might_not_block()
                try:
                    sent += self._sock.send(view[sent:])
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise self._broken(error) from error

    async def wait_send_all_might_not_block(self) -> None:
        try:
            await trio.lowlevel.wait_writable(self._sock.fileno())
        except (OSError, ValueError) as error:
            raise trio.ClosedResourceError("the socket is closed") from error

    async def _wait_readable(self) -> None:
        try:
            await trio.lowlevel.wait_readable(self._sock.fileno())
        except (OSError, ValueError) as error:
            raise trio.ClosedResourceError("the socket is closed") from error

    def _broken(self, error: OSError) -> Exception:
        if self._sock.fileno() < 0:
            return trio.ClosedResourceError("the socket is closed")
        return trio.BrokenResourceError(error.strerror or str(error))

    def shutdown_write(self) -> None:
        """End our half; the peer reads to the end of what was sent."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._broken(error) from error

    def close(self) -> None:
        """Close now; a task that waits on the socket gets ClosedResourceError."""
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock.fileno())
            self._sock.close()

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()
