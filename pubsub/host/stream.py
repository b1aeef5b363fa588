"""A stream: one conversation with a peer, inside a connection.

Two ways to use one:
- `send_all` and `receive_some`, as with any trio stream; each call may wait.
- `set_sink` and `set_source`, for traffic that cannot afford a task switch per message: the
  connection's reader calls the sink with what it just read, its writer pulls from the source
  what the next socket write shall carry.

Both directions end apart: `send_eof` ends ours, an empty read tells that the peer ended its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from pubsub.errors import ClosedError, LocalError, RemoteError, StreamError
from pubsub.identity import PeerId
from pubsub.transport import Initiator, Responder

if TYPE_CHECKING:
    from pubsub.host.connection import HostConnection

CHUNK = 256 * 1024
"Most that `send_all` hands over at once, so that streams share a connection fairly."


def _discard(data: bytes) -> None:
    """The sink of a stream that nobody reads any more."""


class Stream:
    """Made by the host: by `open_stream`, or for a handler."""

    __slots__ = (
        "_agreed",
        "_chunks",
        "_failure",
        "_is_dirty",
        "_movable",
        "_negotiation",
        "_on_sent",
        "_on_sink_end",
        "_on_source_end",
        "_peer_ended",
        "_refusal",
        "_send_ended",
        "_source",
        "_surplus",
        "_table",
        "_writer",
        "connection",
        "id",
        "inbound",
        "peer",
        "protocol",
        "sink",
    )

    def __init__(
        self,
        connection: HostConnection,
        stream_id: int,
        negotiation: Initiator | Responder,
        *,
        inbound: bool,
    ) -> None:
        self.id = stream_id
        self.connection = connection
        self._table = connection.streams
        self._writer = connection.writer
        self.peer: PeerId = connection.peer
        self.inbound = inbound
        self.protocol = ""
        "What both ends agreed to speak."
        self.sink: Callable[[bytes], None] | None = None
        "Read by the connection; set it with `set_sink`."
        self._negotiation: Initiator | Responder | None = negotiation
        self._agreed = trio.Event()
        self._refusal: RemoteError | None = None
        self._failure = ""
        "Why the stream is of no more use; empty while it is."
        self._chunks: deque[bytes] = deque()
        self._movable = trio.lowlevel.ParkingLot()
        "Where tasks wait for bytes or for a window."
        self._peer_ended = False
        self._send_ended = False
        self._source: Callable[[int], bytes] | None = None
        self._surplus = b""
        self._is_dirty = False
        self._on_sent: Callable[[], None] | None = None
        self._on_sink_end: Callable[[], None] | None = None
        self._on_source_end: Callable[[], None] | None = None

    def __repr__(self) -> str:
        state = self._failure or ("negotiating" if self._negotiation else self.protocol)
        return f"<Stream {self.id} with {self.peer!r}: {state}>"

    # -- sending and receiving, waiting where needed

    async def send_all(self, data: bytes) -> None:
        """Send bytes; wait for the peer's window and for room on the connection.

        Raises StreamError if the stream ends before all are handed over.
        """
        await trio.lowlevel.checkpoint()
        table, writer = self._table, self._writer
        start, end = 0, len(data)
        while start < end:
            if self._failure:
                raise StreamError(self._failure)
            if self._send_ended:
                raise ClosedError("this end of the stream is closed for sending")
            if not writer.has_room:
                await writer.wait_for_room()
                continue
            window = min(table.muxer.send_window(self.id), CHUNK)
            if not window:
                await self._movable.park()
                continue
            chunk = data[start : start + window]
            table.send(self, chunk)
            start += len(chunk)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes and return them; `b""` after the peer ended its half.

        Raises StreamError if the stream was reset or its connection ended.
        """
        if self.sink is not None:
            raise ClosedError("the stream is closed, or its bytes go to a sink")
        await trio.lowlevel.checkpoint()
        while not self._chunks:
            if self._peer_ended:
                return b""
            if self._failure:
                raise StreamError(self._failure)
            if self.sink is not None:
                raise ClosedError("the stream was closed, or its bytes go to a sink now")
            await self._movable.park()
        data = self._chunks.popleft()
        if max_bytes is not None and len(data) > max_bytes:
            self._chunks.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self._table.taken(self, len(data), alive=not self._failure)
        return data

    async def receive_exactly(self, count: int) -> bytes:
        """Wait for `count` bytes.

        Raises StreamError if the stream ends before.
        """
        parts = []
        while count:
            part = await self.receive_some(count)
            if not part:
                raise StreamError("peer ended the stream in the middle of a message")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    async def send_eof(self) -> None:
        """Tell the peer that nothing more will be sent; receiving goes on."""
        self._end_sending()
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Done with the stream: end our half, and ignore what the peer may still send."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """`aclose` without waiting, which it does not need."""
        self._on_sink_end = self._on_source_end = None
        self._source = None
        if not self._failure:
            self._drop_unread(alive=True)
            self.sink = _discard
            self._table.linger(self)
            self._end_sending()
        self._movable.unpark_all()

    def reset(self, reason: str = "the stream was reset on this side") -> None:
        """Throw the stream away at once, both ways; its owner's callbacks are not called."""
        if not self._failure:
            self._on_sink_end = self._on_source_end = None
            self._drop_unread(alive=False)
            self._table.muxer.reset_stream(self.id)
            self._table.forget(self)
            self._writer.wake()
            self.fail(reason)

    # -- the fast lane

    def set_sink(self, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        """Hand over received bytes from now on by calling `on_data`, those waiting first.

        `on_end` is called once: when the peer ended or reset the stream or the connection
        ended. Neither may wait; a RemoteError from `on_data` ends the connection.
        """
        if self.sink is not None:
            raise LocalError("the stream is closed, or has a sink already")
        self.sink = on_data
        self._on_sink_end = on_end
        while self._chunks:
            data = self._chunks.popleft()
            self._table.taken(self, len(data), alive=not self._failure)
            on_data(data)
        if self._peer_ended or self._failure:
            self._tell_sink()

    def set_source(
        self,
        pull: Callable[[int], bytes],
        on_end: Callable[[], None],
        on_sent: Callable[[], None] | None = None,
    ) -> None:
        """Send what `pull(max_bytes)` returns whenever there is room, after each `wake`.

        It is called until it returns `b""`, then again after the next `wake`. What it returns
        beyond `max_bytes` is kept and sent before it is called again. `on_sent` is called
        when all that was pulled so far has been written to the socket; `on_end` once, when
        nothing more can be sent: the peer reset the stream, or the connection ended.
        """
        self._source = pull
        self._on_sent = on_sent
        self._on_source_end = on_end
        if self._failure:
            self._tell_source()
        else:
            self.wake()

    def wake(self) -> None:
        """There is something to pull. Costs next to nothing when said again and again."""
        if not self._is_dirty and self._source is not None:
            self._is_dirty = True
            self._writer.add_dirty(self)

    def pull(self, room: int) -> int:
        """Called by the connection's writer: move up to `room` bytes from the source."""
        self._is_dirty = False
        source = self._source
        if source is None or self._send_ended or self._failure:
            return 0
        muxer = self._table.muxer
        room = min(room, muxer.send_window(self.id))
        if not room:
            return 0
        data = self._surplus or source(room)
        size = len(data)
        if size > room:
            self._surplus = data[room:]
            data = data[:room]
            size = room
        elif self._surplus:
            self._surplus = b""
        # The source may have ended the stream while it was asked.
        if not size or self._failure or self._send_ended:
            return 0
        muxer.send_data(self.id, data)
        if self._on_sent is not None and not self._surplus:
            self._writer.report_sent(self._on_sent)
        if not self._is_dirty:
            self._is_dirty = True
            self._writer.add_dirty(self)
        return size

    # -- what the connection tells

    def take_in(self, data: bytes) -> None:
        """Bytes came and there is no sink.

        Raises RemoteError if they break the negotiation.
        """
        if self._negotiation is None:
            self._table.hold(self, len(data))
            if not self._failure:
                self._chunks.append(data)
                self._movable.unpark_all()
            return
        negotiation = self._negotiation
        negotiation.receive_data(data)
        self._table.answer(self, negotiation.data_to_send())
        if self._failure:
            return
        leftover = negotiation.leftover
        self._table.consume(self.id, len(data) - len(leftover))
        if negotiation.protocol is not None:
            self._negotiation = None
            self.protocol = negotiation.protocol
            if leftover:
                self.take_in(leftover)
            self._agreed.set()

    def window_opened(self) -> None:
        if self._source is not None:
            self.wake()
        self._movable.unpark_all()

    def peer_ended(self) -> None:
        """The peer ended its half."""
        self._peer_ended = True
        if self._negotiation is not None:
            self.reset("peer ended the stream before a protocol was agreed on")
            return
        if self._send_ended:
            self._table.forget(self)
        self._movable.unpark_all()
        self._tell_sink()
        # A stream that we only read is over with that, and nobody else would say so.
        if self.inbound and self.sink is not None and self._source is None:
            self._end_sending()

    def fail(self, reason: str) -> None:
        """The stream is gone: reset, or the connection ended."""
        if self._failure:
            return
        self._failure = reason
        self._surplus = b""
        self._agreed.set()
        self._movable.unpark_all()
        self._tell_sink()
        self._tell_source()

    def peer_reset(self) -> None:
        """The peer threw the stream away, and what it sent with it."""
        self._drop_unread(alive=False)
        self.fail("peer reset the stream")

    def refuse(self, error: RemoteError) -> None:
        """The negotiation failed."""
        self._refusal = error
        self.reset(str(error))

    @property
    def negotiating(self) -> bool:
        return self._negotiation is not None

    @property
    def attached(self) -> bool:
        """True if a sink or source uses the stream."""
        return self.sink is not None or self._source is not None

    async def agreed(self) -> None:
        """Wait until both ends agree on a protocol.

        Raises RemoteError if the peer speaks none of those proposed, StreamError if the
        stream ends before.
        """
        await self._agreed.wait()
        if self._refusal is not None:
            raise self._refusal
        if self._failure:
            raise StreamError(self._failure)

    def _end_sending(self) -> None:
        if self._send_ended or self._failure:
            return
        self._send_ended = True
        self._source = None
        self._table.muxer.end_stream(self.id)
        self._writer.wake()
        if self._peer_ended:
            self._table.forget(self)

    def _drop_unread(self, *, alive: bool) -> None:
        size = sum(map(len, self._chunks))
        self._chunks.clear()
        self._table.taken(self, size, alive=alive)

    def _tell_sink(self) -> None:
        callback, self._on_sink_end = self._on_sink_end, None
        if callback is not None:
            callback()

    def _tell_source(self) -> None:
        callback, self._on_source_end = self._on_source_end, None
        self._source = None
        if callback is not None:
            callback()
