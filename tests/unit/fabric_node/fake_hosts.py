"""Hosts without sockets: peers, their connections, and streams of bytes in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio

from pubsub.errors import ClosedError, DialError, RemoteError, StreamError
from pubsub.identity import Address, PeerId, PrivateKey, peer_id_of

WINDOW = 256 * 1024
"Bytes that may be on their way in one direction of a stream."


def peer_id(number: int) -> PeerId:
    return peer_id_of(PrivateKey(bytes([number]) * 32).public_key)


class FakeStream:
    """One end; `piece` is how many bytes the other end is handed at most at one time."""

    def __init__(self, peer: PeerId, protocol: str = "") -> None:
        self.peer = peer
        self.protocol = protocol
        self.other: FakeStream | None = None
        self.piece = 1 << 30
        self.closed = False
        "Our half has ended."
        self.was_reset = False
        "By either end."
        self._waiting: deque[bytes] = deque()
        self._held = 0
        self._lot = trio.lowlevel.ParkingLot()

    @classmethod
    def pair(cls, one: PeerId, other: PeerId, protocol: str = "") -> tuple[FakeStream, FakeStream]:
        """The stream as `one` and as `other` has it."""
        here, there = cls(other, protocol), cls(one, protocol)
        here.other, there.other = there, here
        return here, there

    async def send_all(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        other = self.other
        assert other is not None
        while data:
            while other._held >= WINDOW and not self.was_reset:
                await self._lot.park()
            if self.was_reset:
                raise StreamError("the stream was reset")
            if self.closed:
                raise ClosedError("this end is closed")
            size = min(self.piece, WINDOW)
            part, data = data[:size], data[size:]
            # An end that is closed takes everything and reads nothing.
            if not other.closed:
                other._waiting.append(part)
                other._held += len(part)
                other._lot.unpark_all()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        assert self.other is not None
        while not self._waiting:
            if self.was_reset:
                raise StreamError("the stream was reset")
            if self.other.closed:
                return b""
            await self._lot.park()
        part = self._waiting.popleft()
        self._held -= len(part)
        self.other._lot.unpark_all()
        return part

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()
        self.closed = True
        self._tell()

    def close(self) -> None:
        self.closed = True
        self._tell()

    def reset(self, reason: str = "") -> None:
        if self.closed and self.other is not None and self.other.closed:
            return
        for end in (self, self.other):
            assert end is not None
            end.was_reset = True
        self._tell()

    def _tell(self) -> None:
        for end in (self, self.other):
            assert end is not None
            end._lot.unpark_all()


@dataclass(eq=False)
class FakeConnection:
    peer: PeerId
    outbound: bool


class FakeHosts:
    """All hosts that can reach each other; what they do for others runs in `nursery`."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.hosts: dict[PeerId, FakeHost] = {}

    def add(self, number: int) -> FakeHost:
        host = FakeHost(self, peer_id(number))
        self.hosts[host.peer_id] = host
        return host


class FakeHost:
    def __init__(self, hosts: FakeHosts, own_id: PeerId) -> None:
        self.peer_id = own_id
        self.addresses: list[Address] = []
        self.listeners: list[Any] = []
        self.handlers: dict[str, Callable[[Any], Any]] = {}
        self.streams: list[FakeStream] = []
        "Those that others opened to us."
        self.opened = 0
        self.peers: dict[PeerId, None] = {}
        self.reachable: dict[Address, FakeHost] = {}
        "Who is found where."
        self.tags: set[tuple[PeerId, str]] = set()
        self.protected: set[tuple[PeerId, str]] = set()
        self._hosts = hosts

    def tag(self, peer: PeerId, name: str, value: float) -> None:
        self.tags.add((peer, name))

    def protect(self, peer: PeerId, tag: str) -> None:
        self.protected.add((peer, tag))

    def unprotect(self, peer: PeerId, tag: str) -> None:
        self.protected.discard((peer, tag))

    def set_handler(self, protocol: str, handler: Callable[[Any], Any]) -> None:
        self.handlers[protocol] = handler

    def add_listener(self, listener: Any) -> None:
        self.listeners.append(listener)

    def remove_listener(self, listener: Any) -> None:
        self.listeners.remove(listener)

    def is_connected(self, peer: PeerId) -> bool:
        return peer in self.peers

    async def open_stream(
        self, peer: PeerId, protocols: list[str], *, timeout: float = 10.0
    ) -> FakeStream:
        await trio.lowlevel.checkpoint()
        if peer not in self.peers:
            raise StreamError("not connected")
        self.opened += 1
        other = self._hosts.hosts[peer]
        handler = other.handlers.get(protocols[0])
        if handler is None:
            raise RemoteError("speaks none of the protocols")
        here, there = FakeStream.pair(self.peer_id, peer, protocols[0])
        other.streams.append(there)
        self._hosts.nursery.start_soon(_handled, handler, there)
        return here

    async def connect(self, *addresses: Address, timeout: float | None = None) -> PeerId:
        await trio.lowlevel.checkpoint()
        other = self.reachable.get(addresses[0])
        if other is None:
            raise DialError(f"nobody is at {addresses[0]}")
        self.link(other)
        return other.peer_id

    def link(self, other: FakeHost) -> None:
        """Connect the two; we have dialled."""
        for host, peer, outbound in ((other, self, False), (self, other, True)):
            if peer.peer_id not in host.peers:
                host.peers[peer.peer_id] = None
                for listener in host.listeners:
                    listener.peer_connected(peer.peer_id, FakeConnection(peer.peer_id, outbound))

    async def disconnect(self, peer: PeerId) -> None:
        await trio.lowlevel.checkpoint()
        if peer in self.peers:
            self.part(self._hosts.hosts[peer])

    def part(self, other: FakeHost) -> None:
        """End the connection, with its streams."""
        for host, peer in ((self, other.peer_id), (other, self.peer_id)):
            del host.peers[peer]
            for stream in host.streams:
                if stream.peer == peer:
                    stream.reset()
            for listener in list(host.listeners):
                listener.peer_disconnected(peer)


async def _handled(handler: Callable[[Any], Any], stream: FakeStream) -> None:
    try:
        await handler(stream)
    except (StreamError, ClosedError):
        stream.reset()
