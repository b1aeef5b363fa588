"""Envelopes on their way to single peers: one lane for each peer and stream protocol.

    send ──► lane (bounded) ──► connect, if need be ──► stream, kept while there is traffic

Whoever sends never waits. What does not fit into a lane is dropped, counted and told; a peer
that cannot be reached loses what waits for it, and is told of as unreachable.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import final

import trio

from pubsub.errors import PubSubError
from pubsub.fabric.envelope import MAX_ENVELOPE_BYTES
from pubsub.fabric.topics import DIRECT
from pubsub.host.host import Host
from pubsub.host.stream import Stream
from pubsub.identity import PeerId
from pubsub.wire.framing import frame

IDLE = 30.0
"Seconds after which a stream without traffic is closed."
MAX_BYTES = 2 * MAX_ENVELOPE_BYTES
"What may wait in the lane of what users send."
MAX_ANSWER_BYTES = 32 << 20
"What may wait in any other: a peer decides itself how much of that it asks for, and takes."
SMALL = 16 * 1024
"Envelopes up to so many bytes are bounded by their number alone."
MIN_RATE = 32 * 1024
"Bytes a second that a peer must take, or it counts as unreachable."
GRACE = 20.0

FULL = "envelopes dropped: the lane was full"
LOST = "envelopes lost: the peer could not be reached"

Reach = Callable[[bytes], Awaitable["PeerId | None"]]
"Connects to the peer of a PKI-ID; None if it cannot be reached."


class _Lane:
    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.bytes = 0
        self.sent = 0
        self.wake = trio.Event()


@final
class Lanes:
    """All lanes; `capacity` envelopes may wait in each."""

    def __init__(
        self,
        host: Host,
        nursery: trio.Nursery,
        reach: Reach,
        *,
        capacity: int,
        on_unreachable: Callable[[bytes, str], None],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._host = host
        self._nursery = nursery
        self._reach = reach
        self._capacity = capacity
        self._on_unreachable = on_unreachable
        self._lanes: dict[tuple[bytes, str], _Lane] = {}
        self._finishing = ""
        "The protocol whose lanes end as soon as they are empty."
        self._ended = trio.Event()

    @property
    def waiting(self) -> int:
        """Envelopes in all lanes."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def is_slow(self, peer: bytes, protocol: str) -> bool:
        """Whether so much waits for a peer that a further answer might find no room."""
        lane = self._lanes.get((peer, protocol))
        return lane is not None and lane.bytes >= MAX_ANSWER_BYTES // 2

    def send(self, peer: bytes, protocol: str, envelope: bytes) -> bool:
        """Queue an envelope; False if there is no room for it."""
        key = (peer, protocol)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
            self._nursery.start_soon(self._run, key, lane)
        most = MAX_BYTES if protocol == DIRECT else MAX_ANSWER_BYTES
        fits = len(envelope) <= SMALL or lane.bytes + len(envelope) <= most
        has_room = fits or not lane.waiting
        if len(lane.waiting) >= self._capacity or not has_room:
            self.counters[FULL] += 1
            return False
        lane.waiting.append(envelope)
        lane.bytes += len(envelope)
        lane.wake.set()
        return True

    async def finish(
        self, protocol: str, seconds: float, is_there: Callable[[bytes], bool]
    ) -> bool:
        """End the lanes of a protocol, when peers that are there have read what was sent to them.

        False if that takes too long.
        """
        self._finishing = protocol
        for lane in self._lanes.values():
            lane.wake.set()
        with trio.move_on_after(seconds) as scope:
            while any(name == protocol and is_there(peer) for peer, name in self._lanes):
                await self._ended.wait()
        return not scope.cancelled_caught

    async def _run(self, key: tuple[bytes, str], lane: _Lane) -> None:
        peer, protocol = key
        try:
            why = await self._carry(peer, protocol, lane)
        finally:
            # What is sent from here on begins another lane.
            del self._lanes[key]
            self._ended.set()
            self._ended = trio.Event()
        if why:
            self.counters[LOST] += len(lane.waiting)
            self._on_unreachable(peer, why)

    async def _carry(self, peer: bytes, protocol: str, lane: _Lane) -> str:
        """Send what comes until nothing does; why it cannot be sent, if it cannot."""
        while True:
            found = await self._reach(peer)
            if found is None:
                return "it cannot be reached"
            before = lane.sent
            try:
                stream = await self._host.open_stream(found, [protocol])
            except PubSubError as error:
                return str(error)
            try:
                return await self._pour(stream, lane)
            except PubSubError as error:
                # One that has carried something may have ended since, and the peer be there.
                if lane.sent == before:
                    return str(error)
            finally:
                stream.close()

    async def _pour(self, stream: Stream, lane: _Lane) -> str:
        while True:
            while lane.waiting:
                # Taken out when it is sent: until then it counts as waiting.
                envelope = lane.waiting[0]
                with trio.move_on_after(GRACE + len(envelope) / MIN_RATE) as scope:
                    await stream.send_all(frame(envelope))
                if scope.cancelled_caught:
                    stream.reset()
                    return "it hardly takes what it is sent"
                lane.waiting.popleft()
                lane.bytes -= len(envelope)
                lane.sent += 1
            if stream.protocol == self._finishing:
                # Who has read all ends its half, too.
                await stream.send_eof()
                await stream.receive_some()
                return ""
            lane.wake = trio.Event()
            with trio.move_on_after(IDLE):
                await lane.wake.wait()
            if not lane.waiting and stream.protocol != self._finishing:
                return ""
