"""A connection: a socket, the machine that understands its bytes, and their tasks.

    reader   socket ─► machine ─► events ─► streams        never waits for the writer
    writer   sources ─► machine ─► socket                  one write carries all that is pending
    watcher  pings a silent peer, ends a dead one, expires streams that are stuck

The reader's own output (windows, answers) is bounded: a peer that does not read loses the
connection. `why` tells afterwards how it ended.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import trio

from pubsub.errors import ClosedError, LocalError, RemoteError, StreamError
from pubsub.host.farewell import farewell
from pubsub.host.liveness import Liveness
from pubsub.host.params import HostParams
from pubsub.host.pipe import LOST
from pubsub.host.stream import Stream
from pubsub.host.stream_table import Handler, StreamTable
from pubsub.host.writer import Writer
from pubsub.identity import Address, PeerId, PublicKey
from pubsub.transport import Connection, ConnectionEvent, GoAway, Pong, YamuxSession


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """What a connection looks like at one moment."""

    peer: PeerId
    outbound: bool
    address: Address
    "The other end, as the socket sees it or as it was dialled."
    opened_at: float
    "trio's clock."
    streams: int
    round_trip: float | None
    "Of the last ping; None before the first."


class HostConnection:
    """One secured connection to one peer; `run` it in a task, or `abandon` it."""

    def __init__(
        self,
        pipe: trio.abc.Stream,
        machine: Connection,
        early: Sequence[ConnectionEvent],
        *,
        address: Address,
        handlers: Mapping[str, Handler],
        params: HostParams,
        count: Callable[[str], None] = lambda name: None,
    ) -> None:
        if machine.peer is None or machine.public_key is None:
            raise LocalError("secure the connection first")
        self.peer: PeerId = machine.peer
        self.public_key: PublicKey = machine.public_key
        self.address = address
        self.outbound = machine.initiator
        self.opened_at = trio.current_time()
        self.writer = Writer(pipe, machine, params)
        self.streams = StreamTable(
            self, machine.muxer, self.writer, handlers=handlers, params=params, count=count
        )
        self.closed = trio.Event()
        "Set when the socket is closed and every stream has been told."
        self.why = ""
        "How the connection ended; empty while it lives."
        self._pipe = pipe
        self._machine = machine
        self._params = params
        self._count = count
        self._early = early
        "What happened while the connection was secured."
        self._nursery: trio.Nursery | None = None
        self._liveness = Liveness(params, self.opened_at)
        self._peer_gone = False

    def __repr__(self) -> str:
        arrow = "to" if self.outbound else "from"
        return f"<HostConnection {arrow} {self.address}: {self.why or self._machine.state}>"

    @property
    def muxer(self) -> YamuxSession:
        return self._machine.muxer

    @property
    def usable(self) -> bool:
        """True if streams can be opened."""
        return not self.why and not self.muxer.peer_left

    @property
    def in_doubt(self) -> bool:
        """True while a probe has no answer: another connection is the better one."""
        return self._liveness.in_doubt

    def info(self) -> ConnectionInfo:
        return ConnectionInfo(
            self.peer,
            self.outbound,
            self.address,
            self.opened_at,
            len(self.streams),
            self._liveness.round_trip,
        )

    # -- its life

    async def abandon(self) -> None:
        """Close a connection that was not run."""
        self.why = self.why or "abandoned"
        self.closed.set()
        await trio.aclose_forcefully(self._pipe)

    async def run(self, *tasks: Callable[[HostConnection], Awaitable[None]]) -> None:
        """Carry streams until the connection ends, then close everything.

        `tasks` are run beside it and cancelled with it.
        """
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._liveness.last_received = trio.current_time()
                if self.why:
                    nursery.cancel_scope.cancel()
                nursery.start_soon(self._write)
                nursery.start_soon(self._watch)
                for task in tasks:
                    nursery.start_soon(task, self)
                await self._read()
        finally:
            self.why = self.why or "the host was stopped"
            timeout = self._params.close_timeout
            await farewell(self._pipe, self.writer, self._machine, timeout, gone=self._peer_gone)
            self._nursery = None
            self.streams.fail_all(f"connection ended: {self.why}")
            self.writer.release()
            self.closed.set()

    def close(self, why: str) -> None:
        """End the connection soon: tell the peer, close the socket, end the streams."""
        if not self.why:
            self.why = why
            self.writer.stopped = True
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()

    def start_task(self, task: Callable[[HostConnection], Awaitable[None]]) -> None:
        """Run `task(connection)` for as long as the connection lives, at most."""
        if self._nursery is not None and not self.why:
            self._nursery.start_soon(task, self)

    async def _read(self) -> None:
        pipe, machine, size = self._pipe, self._machine, self._params.read_bytes
        flush, dispatch, liveness = self.writer.flush, self.streams.dispatch, self._liveness
        try:
            dispatch(self._early)
            self._early = ()
            while True:
                flush()
                data = await pipe.receive_some(size)
                if not data:
                    self._peer_gone = True
                    self.close("peer closed the connection")
                    return
                liveness.last_received = trio.current_time()
                dispatch(machine.receive_data(bytes(data)))
        except RemoteError as error:
            self._count("broken_by_peer")
            self.close(str(error))
        except LOST as error:
            self._lost(error)

    async def _write(self) -> None:
        try:
            await self.writer.run()
        except LOST as error:
            # What the peer sent before it went may still be unread.
            await trio.sleep(self._params.close_timeout)
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        self._peer_gone = True
        self.close(f"connection lost: {error}")

    def on_event(self, event: ConnectionEvent) -> None:
        """What the machine reports of the connection as a whole."""
        if isinstance(event, Pong):
            self._liveness.pong(event.value, trio.current_time())
        elif isinstance(event, GoAway) and event.code:
            self._count("broken_by_us")
            self.close(f"peer says that we broke the protocol (code {event.code})")

    # -- streams

    async def open_stream(self, protocols: Sequence[str], timeout: float) -> Stream:
        """Open a stream and agree on one of `protocols`, the preferred one first.

        Raises RemoteError if the peer speaks none of them, StreamError if it does not answer
        in time or the connection ends.
        """
        if not self.usable:
            raise StreamError(f"the connection is closing: {self.why or 'peer goes away'}")
        return await self.streams.open(protocols, timeout)

    def start_handler(self, stream: Stream, handler: Handler) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(self._handle, stream, handler)

    async def _handle(self, stream: Stream, handler: Handler) -> None:
        try:
            await handler(stream)
        except RemoteError as error:
            self._count("broken_by_peer")
            self.close(f"{stream.protocol}: {error}")
        except (StreamError, ClosedError, trio.TooSlowError, *LOST):
            stream.reset()
        else:
            if not stream.attached:
                stream.close()

    # -- is the peer still there?

    def probe(self) -> None:
        """Ping now, and close unless the peer shows a sign of life within `probe_timeout`."""
        if self._nursery is not None and not self.why and not self.in_doubt:
            now = trio.current_time()
            self.muxer.ping(self._liveness.probe(now))
            self.writer.wake()
            self._nursery.start_soon(self._await_answer, now)

    async def _await_answer(self, asked: float) -> None:
        await trio.sleep_until(asked + self._params.probe_timeout)
        loss = self._liveness.probe_over(asked)
        if loss is not None:
            self._count(loss[0])
            self.close(loss[1])

    async def _watch(self) -> None:
        step = min(self._liveness.step, self._params.stream_timeout / 4)
        while True:
            await trio.sleep(step)
            now = trio.current_time()
            loss = self._liveness.loss(now, self.writer.write_began)
            if loss is not None:
                self._count(loss[0])
                self.close(loss[1])
            value = self._liveness.ping_due(now)
            if value is not None:
                self.muxer.ping(value)
                self.writer.wake()
            self.streams.expire(now)
