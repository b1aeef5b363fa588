"""A peer that is back before its old connection was noticed dead."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from pubsub.errors import StreamError
from pubsub.host import HostConnection, HostParams, PeerStore
from pubsub.host.handshake import secure
from pubsub.host.pipe import SocketPipe
from pubsub.host.registry import Registry
from pubsub.identity import peer_id_of
from pubsub.transport import Connection
from tests.io.connections import KEYS, Pair, Raw
from tests.io.hosts import until, world

DEAD = "no answer to a ping within 3 s"


class Side:
    """Our registry, and connections from one peer whose every move the test decides."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.params = HostParams()
        self.told: list[str] = []
        own_id = peer_id_of(KEYS[1].public_key)
        self.registry = Registry(
            own_id, self.params, PeerStore(), count=self.told.append, tell=lambda name, **_: None
        )
        self.registry.listeners.append(self)
        self._nursery = nursery

    def peer_connected(self, peer: object, connection: HostConnection) -> None:
        self.told.append("connected")

    def peer_disconnected(self, peer: object) -> None:
        self.told.append("disconnected")

    async def accept(self) -> Raw:
        pair = Pair(self.params)

        async def ours() -> None:
            pair.b = await pair.start(1)
            self.registry.enter(pair.b)
            await pair.b.run()
            self.registry.leave(pair.b)

        self._nursery.start_soon(ours)
        await secure(pair.pipes[0], pair.machines[0], 15)
        await trio.testing.wait_all_tasks_blocked()
        return Raw(pair)


@asynccontextmanager
async def side() -> AsyncIterator[Side]:
    async with trio.open_nursery() as nursery:
        yield Side(nursery)
        nursery.cancel_scope.cancel()


async def answer(raw: Raw) -> None:
    """Read once; the machine answers a ping by itself."""
    await raw.read()
    await raw.flush()


async def test_the_dead_connection_is_closed_within_seconds(autojump_clock: object) -> None:
    async with side() as ours:
        old = await ours.accept()
        began = trio.current_time()
        new = await ours.accept()
        assert ours.registry.best(new.b.peer) is new.b
        await old.b.closed.wait()
        assert old.b.why == DEAD
        assert 3 <= trio.current_time() - began < 4
        assert new.b.usable
        await trio.testing.wait_all_tasks_blocked()
        assert ours.registry[new.b.peer] == [new.b]
        assert old.pair.counts == ["dead_connections"]
        assert ours.told == ["connected"]


async def test_streams_of_the_dead_connection_end_and_can_be_opened_anew(
    autojump_clock: object,
) -> None:
    async with side() as ours:
        old = await ours.accept()
        ends: list[str] = []
        async with trio.open_nursery() as nursery:

            async def use() -> None:
                with pytest.raises(StreamError, match=DEAD):
                    await old.b.open_stream(["/x"], 60)
                ends.append("old")

            nursery.start_soon(use)
            await trio.testing.wait_all_tasks_blocked()
            new = await ours.accept()
        assert ends == ["old"]
        assert ours.registry.best(new.b.peer) is new.b


async def test_a_connection_that_lives_is_kept_and_preferred_again(autojump_clock: object) -> None:
    async with side() as ours:
        old = await ours.accept()
        new = await ours.accept()
        assert old.b.in_doubt
        await answer(old)
        assert not old.b.in_doubt
        assert ours.registry.best(new.b.peer) is old.b
        await trio.sleep(5)
        assert old.b.usable
        assert new.b.usable
        assert ours.told == ["connected"]


async def test_bytes_serve_as_an_answer_unless_they_were_on_their_way_before(
    autojump_clock: object,
) -> None:
    async with side() as ours:
        for delay, kept in ((2, True), (0.5, False)):
            old = await ours.accept()
            stream_id = old.open()
            await old.flush()
            await ours.accept()
            await trio.sleep(delay)
            old.muxer.send_data(stream_id, b"x")
            await old.flush()
            await trio.sleep(4)
            assert old.b.usable is kept
            for connection in list(ours.registry[old.b.peer]):
                connection.close("the next case")
                await connection.closed.wait()
            await trio.testing.wait_all_tasks_blocked()


async def test_each_further_connection_asks_all_that_were_there(autojump_clock: object) -> None:
    async with side() as ours:
        first, second = await ours.accept(), await ours.accept()
        await answer(first)
        await trio.sleep(2)
        third = await ours.accept()
        assert first.b.in_doubt
        await answer(first)
        await trio.sleep(5)
        assert ours.registry[third.b.peer] == [first.b, third.b]
        assert second.b.why == DEAD


async def test_over_sockets_the_peer_never_seems_to_leave() -> None:
    async with world() as w:
        a = await w.node(HostParams(probe_timeout=0.1))
        b = await w.node(listen=False)
        sock = trio.socket.socket()
        await sock.connect(("127.0.0.1", a.address.port))
        machine = Connection(initiator=True, key=b.host.key, entropy=bytes)
        frozen = SocketPipe.from_trio(sock)
        await secure(frozen, machine, 5)
        await a.log.seen("connected")
        [old] = a.host._connections[b.id]
        await b.host.connect(a.address)
        await until(lambda: len(a.host._connections[b.id]) == 2)
        await until(lambda: len(a.host._connections[b.id]) == 1)
        assert a.host.counters["dead_connections"] == 1
        assert a.log.count("disconnected") == 0
        assert await a.host.ping(b.id) > 0
        # It never hung up, and yet our end of its connection is closed.
        assert old._pipe._sock.fileno() == -1
        frozen.close()
