"""The streams of one connection, by id: what the peer does to them, and what they ask for.

    machine ── opened, data, ended, reset, window ─► table ─► stream
    stream ─── answers, bytes taken, farewells ────► table ─► muxer, writer

A stream that negotiates or lingers has a deadline, and the bytes that no reader has taken are
bounded over all streams: a peer cannot make us keep more by opening more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import trio

from pubsub.errors import LocalError, RemoteError, StreamError
from pubsub.host.params import HostParams
from pubsub.host.stream import Stream
from pubsub.host.writer import Writer
from pubsub.transport import (
    ConnectionEvent,
    DataReceived,
    Initiator,
    Responder,
    StreamEnded,
    StreamOpened,
    StreamReset,
    WindowOpened,
    YamuxSession,
)

if TYPE_CHECKING:
    from pubsub.host.connection import HostConnection

Handler: TypeAlias = Callable[[Stream], Awaitable[None]]


class StreamTable:
    """Belongs to one connection, which hands it the events."""

    def __init__(
        self,
        connection: HostConnection,
        muxer: YamuxSession,
        writer: Writer,
        *,
        handlers: Mapping[str, Handler],
        params: HostParams,
        count: Callable[[str], None],
    ) -> None:
        self.muxer = muxer
        self.writer = writer
        self._connection = connection
        self._handlers = handlers
        self._params = params
        self._count = count
        self._streams: dict[int, Stream] = {}
        self._deadlines: dict[Stream, float] = {}
        "When streams that negotiate or linger are thrown away."
        self._unread = 0

    def __len__(self) -> int:
        return len(self._streams)

    # -- what the machine reports

    def dispatch(self, events: Sequence[ConnectionEvent]) -> None:
        """Deal with events in their order; those of no stream go to the connection.

        Raises RemoteError if the peer broke a rule that costs it the connection.
        """
        streams = self._streams
        for event in events:
            if type(event) is not DataReceived:
                reaction = _REACTIONS.get(type(event))
                if reaction is not None:
                    reaction(self, event)
                else:
                    self._connection.on_event(event)
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
        responder = Responder(list(self._handlers))
        stream = Stream(self._connection, event.stream_id, responder, inbound=True)
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

    def _start_handler(self, stream: Stream) -> None:
        del self._deadlines[stream]
        handler = self._handlers.get(stream.protocol)
        if handler is None:
            stream.reset()
        else:
            self._connection.start_handler(stream, handler)

    # -- what the connection asks for

    async def open(self, protocols: Sequence[str], timeout: float) -> Stream:
        """Open a stream and agree on one of `protocols`.

        Raises RemoteError if the peer speaks none of them, StreamError if it does not answer
        in time or the connection ends.
        """
        initiator = Initiator(protocols)
        try:
            stream_id = self.muxer.open_stream()
        except LocalError as error:
            raise StreamError(str(error)) from error
        stream = Stream(self._connection, stream_id, initiator, inbound=False)
        self._streams[stream_id] = stream
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

    def expire(self, now: float) -> None:
        """Throw away the streams that took too long."""
        for stream in [s for s, deadline in self._deadlines.items() if now >= deadline]:
            self._count("expired_streams")
            stream.reset("the stream took too long")

    def fail_all(self, reason: str) -> None:
        """The connection ended."""
        for stream in list(self._streams.values()):
            stream.fail(reason)
        self._streams.clear()
        self._deadlines.clear()

    # -- what a stream asks for

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


_REACTIONS: dict[type, Callable[[StreamTable, object], None]] = {
    StreamOpened: StreamTable._on_opened,  # type: ignore[dict-item]
    StreamEnded: StreamTable._on_ended,  # type: ignore[dict-item]
    StreamReset: StreamTable._on_reset,  # type: ignore[dict-item]
    WindowOpened: StreamTable._on_window,  # type: ignore[dict-item]
}
