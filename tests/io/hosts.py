"""Whole hosts on loopback sockets, each with a listener that takes notes."""

import itertools
import random
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import trio
import trio.testing

from pubsub.host import Host, HostConnection, HostParams, Stream
from pubsub.identity import Address, PeerId, PrivateKey, parse_address

ANY_PORT = parse_address("/ip4/127.0.0.1/tcp/0")
QUICK = HostParams(handshake_timeout=0.2, push_interval=0.01)


class Log:
    """A listener that takes notes, and lets a test wait for one."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, PeerId]] = []
        self.protocols: tuple[str, ...] = ()
        self._news = trio.lowlevel.ParkingLot()

    def peer_connected(self, peer: PeerId, connection: HostConnection) -> None:
        assert connection.peer == peer
        self._note("connected", peer)

    def peer_identified(self, peer: PeerId, protocols: tuple[str, ...]) -> None:
        self.protocols = protocols
        self._note("identified", peer)

    def peer_disconnected(self, peer: PeerId) -> None:
        self._note("disconnected", peer)

    def _note(self, what: str, peer: PeerId) -> None:
        self.notes.append((what, peer))
        self._news.unpark_all()

    def count(self, what: str) -> int:
        return sum(note == what for note, _ in self.notes)

    async def until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(5):
            while not condition():
                await self._news.park()

    async def seen(self, what: str, times: int = 1) -> None:
        await self.until(lambda: self.count(what) >= times)


class Node:
    """A host that listens, with its log."""

    def __init__(self, host: Host, address: Address | None) -> None:
        self.host = host
        self.log = Log()
        self.id = host.peer_id
        self.address = address
        host.add_listener(self.log)


SEEDS = itertools.cycle(range(1, 256))


class World:
    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery

    async def node(
        self, params: HostParams | None = None, listen: bool = True, **options: Any
    ) -> Node:
        seed = next(SEEDS)
        options.setdefault("key", PrivateKey(bytes([seed]) * 32))
        entropy = random.Random(seed).randbytes
        host = Host(params=params or QUICK, entropy=entropy, **options)
        await self.nursery.start(host.run)
        address = (await host.listen([ANY_PORT]))[0] if listen else None
        return Node(host, address)


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        yield World(nursery)
        nursery.cancel_scope.cancel()


@contextmanager
def mute_address(peer: PeerId | None = None) -> Iterator[Address]:
    """Where connections are accepted, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        yield Address("ip4", "127.0.0.1", mute.getsockname()[1], peer)


class Resolver(trio.abc.HostnameResolver):
    """Knows one name, which leads to this machine."""

    def __init__(self, name: str) -> None:
        self._name = name.encode()

    async def getaddrinfo(
        self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        if host != self._name:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, type, 6, "", ("127.0.0.1", int(port)))]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise NotImplementedError


async def echo(stream: Stream) -> None:
    while data := await stream.receive_some():
        await stream.send_all(data)


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(5):
        while not condition():
            await trio.testing.wait_all_tasks_blocked(0.001)
