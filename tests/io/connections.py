"""Connections over memory streams: both ends ours, or one of them moved by hand."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
import trio.testing

from pubsub.host.connection import HostConnection
from pubsub.host.handshake import secure
from pubsub.host.params import HostParams
from pubsub.host.stream import Stream
from pubsub.identity import Address, PrivateKey
from pubsub.transport import Connection, Initiator

KEYS = [PrivateKey(bytes([n]) * 32) for n in (1, 2)]
HERE = Address("ip4", "127.0.0.1", 4001)


async def echo(stream: Stream) -> None:
    while data := await stream.receive_some():
        await stream.send_all(data)
    await stream.aclose()


class Recorder(trio.abc.Stream):
    """A pipe that counts its writes and can be blocked."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self.inner = inner
        self.writes: list[int] = []
        self.open = trio.Event()
        self.open.set()

    async def send_all(self, data: bytes) -> None:
        self.writes.append(len(data))
        await self.open.wait()
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return bytes(await self.inner.receive_some(max_bytes))

    async def aclose(self) -> None:
        await self.inner.aclose()


class Pair:
    """Two ends of a connection: `a` dialled `b`."""

    def __init__(self, params: HostParams) -> None:
        self.pipes = [Recorder(pipe) for pipe in trio.testing.memory_stream_pair()]
        self.machines = [
            Connection(initiator=n == 0, key=KEYS[n], entropy=random.Random(n).randbytes)
            for n in (0, 1)
        ]
        self.handlers: list[dict[str, Callable[[Stream], Awaitable[None]]]] = [{}, {}]
        self.counts: list[str] = []
        self._params = params

    async def run_b(self) -> None:
        self.b = await self.start(1)
        await self.b.run()

    async def start(self, n: int) -> HostConnection:
        early = await secure(self.pipes[n], self.machines[n], 15)
        return HostConnection(
            self.pipes[n],
            self.machines[n],
            early,
            address=HERE,
            handlers=self.handlers[n],
            params=self._params,
            count=self.counts.append,
        )

    async def stream(self, protocol: str = "/x") -> tuple[Stream, Stream]:
        """A stream that `a` opened, both ends; the handler is only a place to get it from."""
        caught: list[Stream] = []

        async def catch(stream: Stream) -> None:
            caught.append(stream)
            await trio.sleep_forever()

        self.handlers[1][protocol] = catch
        stream = await self.a.open_stream([protocol], 10)
        await trio.testing.wait_all_tasks_blocked()
        return stream, caught[0]

    a: HostConnection
    b: HostConnection


@asynccontextmanager
async def connected(params: HostParams | None = None) -> AsyncIterator[Pair]:
    pair = Pair(params or HostParams())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.run_b)
        pair.a = await pair.start(0)
        nursery.start_soon(pair.a.run)
        await trio.testing.wait_all_tasks_blocked()
        yield pair
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def against_raw(params: HostParams | None = None) -> AsyncIterator["Raw"]:
    """Our end `b` against a peer whose every move the test decides."""
    pair = Pair(params or HostParams())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pair.run_b)
        await secure(pair.pipes[0], pair.machines[0], 15)
        await trio.testing.wait_all_tasks_blocked()
        yield Raw(pair)
        nursery.cancel_scope.cancel()


class Raw:
    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.b = pair.b
        self.machine = pair.machines[0]
        self.muxer = self.machine.muxer
        self.pipe = pair.pipes[0].inner

    async def flush(self) -> None:
        await self.pipe.send_all(self.machine.data_to_send())
        await trio.testing.wait_all_tasks_blocked()

    async def read(self) -> list[object]:
        data = bytes(await self.pipe.receive_some(1 << 20))
        return list(self.machine.receive_data(data)) if data else []

    def open(self, protocol: str = "/x") -> int:
        """A lazily negotiated stream."""
        stream_id = self.muxer.open_stream()
        self.muxer.send_data(stream_id, Initiator([protocol], lazy=True).data_to_send())
        return stream_id
