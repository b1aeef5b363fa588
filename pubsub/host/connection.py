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
from typing import TypeAlias

import trio

from pubsub.errors import ClosedError, LocalError, RemoteError, StreamError
from pubsub.host.farewell import farewell
from pubsub.host.liveness import Liveness
from pubsub.host.params import HostParams
from pubsub.host.pipe import LOST
from pubsub.host.stream import Stream
from pubsub.host.writer import Writer
from pubsub.identity import Address, PeerId, PublicKey
from pubsub.transport import (
    Connection,
    ConnectionEvent,
    DataReceived,
    GoAway,
    Initiator,
    Pong,
    Ready,
    Responder,
    Secured,
    StreamEnded,
    StreamOpened,
    StreamReset,
    WindowOpened,
    YamuxSession,
)

Handler: TypeAlias = Callable[[Stream], Awaitable[None]]


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
        self.closed = trio.Event()
        "Set when the socket is closed and every stream has been told."
        self.why = ""
        "How the connection ended; empty while it lives."
        self._pipe = pipe
        self._machine = machine
        self._handlers = handlers
        self._params = params
        self._count = count
        self._early = early
        "What happened while the connection was secured."
        self._streams: dict[int, Stream] = {}
        self._deadlines: dict[Stream, float] = {}
        "When streams that negotiate or linger are thrown away."
        self._unread = 0
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

    def info(self) -> ConnectionInfo:
        return ConnectionInfo(
            self.peer,
            self.outbound,
            self.address,
            self.opened_at,
            len(self._streams),
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
            for stream in list(self._streams.values()):
                stream.fail(f"connection ended: {self.why}")
            self._streams.clear()
            self._deadlines.clear()
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
        flush, dispatch, liveness = self.writer.flush, self._dispatch, self._liveness
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

    # -- what the machine reports

    def _dispatch(self, events: Sequence[ConnectionEvent]) -> None:
        streams = self._streams
        for event in events:
            if type(event) is not DataReceived:
                _REACTIONS[type(event)](self, event)
                continue
            stream = streams.get(event.stream_id)
            if stream is None:
                continue
            sink = stream.sink
            if sink is not None:
                data = event.data
                sink(data)
                self.consume(event.stream_id, len(data))
            else:
                try:
                    stream.take_in(event.data)
                except RemoteError as error:
                    self._count("failed_negotiations")
                    stream.refuse(error)
                    continue
                if stream.protocol and stream in self._deadlines:
                    self._start_handler(stream)

    def _on_opened(self, event: StreamOpened) -> None:
        old = self._streams.pop(event.stream_id, None)
        if old is not None:
            old.fail("peer reused the stream's id")
        stream = Stream(self, event.stream_id, Responder(list(self._handlers)), inbound=True)
        self._streams[event.stream_id] = stream
        self._deadlines[stream] = trio.current_time() + self._params.stream_timeout

    def _on_ended(self, event: StreamEnded) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.peer_ended()

    def _on_reset(self, event: StreamReset) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            self.forget(stream)
            stream.peer_reset()

    def _on_window(self, event: WindowOpened) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.window_opened()

    def _on_pong(self, event: Pong) -> None:
        self._liveness.pong(event.value, trio.current_time())

    def _on_go_away(self, event: GoAway) -> None:
        if event.code:
            self._count("broken_by_us")
            self.close(f"peer says that we broke the protocol (code {event.code})")

    def _on_nothing(self, event: Secured | Ready) -> None:
        pass

    # -- streams

    async def open_stream(self, protocols: Sequence[str], timeout: float) -> Stream:
        """Open a stream and agree on one of `protocols`, the preferred one first.

        Raises RemoteError if the peer speaks none of them, StreamError if it does not answer
        in time or the connection ends.
        """
        initiator = Initiator(protocols)
        if not self.usable:
            raise StreamError(f"the connection is closing: {self.why or 'peer goes away'}")
        try:
            stream = Stream(self, self.muxer.open_stream(), initiator, inbound=False)
        except LocalError as error:
            raise StreamError(str(error)) from error
        self._streams[stream.id] = stream
        self.answer(stream, initiator.data_to_send())
        self.writer.wake()
        with trio.move_on_after(timeout):
            try:
                await stream.agreed()
            except trio.Cancelled:
                stream.reset()
                raise
            return stream
        raise StreamError(f"peer did not agree on {protocols[0]} within {timeout:g} s")

    def _start_handler(self, stream: Stream) -> None:
        del self._deadlines[stream]
        handler = self._handlers.get(stream.protocol)
        if handler is None:
            stream.reset()
        elif self._nursery is not None:
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

    def forget(self, stream: Stream) -> None:
        """The stream has ended both ways, or was reset."""
        if self._streams.get(stream.id) is stream:
            del self._streams[stream.id]
        self._deadlines.pop(stream, None)

    def linger(self, stream: Stream) -> None:
        """We are done with the stream; the peer gets some time to end its half."""
        self._deadlines[stream] = trio.current_time() + self._params.linger_timeout

    def send(self, stream: Stream, data: bytes) -> None:
        self.muxer.send_data(stream.id, data)
        self.writer.queued(len(data))

    def answer(self, stream: Stream, data: bytes) -> None:
        """Send a step of a negotiation; a peer that leaves no window for it loses the stream."""
        if len(data) > self.muxer.send_window(stream.id):
            stream.reset()
        elif data:
            self.muxer.send_data(stream.id, data)

    def hold(self, stream: Stream, size: int) -> None:
        """Bytes wait for a stream's reader."""
        self._unread += size
        if self._unread > self._params.max_unread_bytes:
            self._unread -= size
            self._count("unread_overflows")
            stream.reset()

    def taken(self, stream: Stream, size: int, *, alive: bool) -> None:
        """A stream's reader took bytes that waited."""
        self._unread -= size
        if size and alive:
            self.consume(stream.id, size)
            self.writer.wake()

    def consume(self, stream_id: int, size: int) -> None:
        try:
            self.muxer.consumed(stream_id, size)
        except LocalError as error:
            # The peer reset the stream and opened it anew before we took its bytes.
            raise RemoteError("peer reused a stream's id") from error

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
            for stream in [s for s, deadline in self._deadlines.items() if now >= deadline]:
                self._count("expired_streams")
                stream.reset("the stream took too long")


_REACTIONS: dict[type, Callable[[HostConnection, object], None]] = {
    StreamOpened: HostConnection._on_opened,  # type: ignore[dict-item]
    StreamEnded: HostConnection._on_ended,  # type: ignore[dict-item]
    StreamReset: HostConnection._on_reset,  # type: ignore[dict-item]
    WindowOpened: HostConnection._on_window,  # type: ignore[dict-item]
    Pong: HostConnection._on_pong,  # type: ignore[dict-item]
    GoAway: HostConnection._on_go_away,  # type: ignore[dict-item]
    Secured: HostConnection._on_nothing,  # type: ignore[dict-item]
    Ready: HostConnection._on_nothing,  # type: ignore[dict-item]
}
