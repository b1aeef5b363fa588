"""`/ipfs/ping/1.0.0`: 32 bytes come back (specs: ping/ping.md).

A peer may keep its stream and ping again and again; more than a few such streams make no sense.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import trio

from pubsub.errors import RemoteError
from pubsub.host.connection import HostConnection
from pubsub.host.stream import Stream

PROTOCOL = "/ipfs/ping/1.0.0"
SIZE = 32
MAX_STREAMS = 4
"Of one connection at one time; ours (the specification asks for no more than two)."
QUIET_TIMEOUT = 60.0
"A ping stream that is not used for this long is closed; js pings every 10 s."


class PingService:
    """Answers pings."""

    def __init__(self) -> None:
        self._streams: Counter[HostConnection] = Counter()

    async def answer(self, stream: Stream) -> None:
        connection = stream.connection
        if self._streams[connection] >= MAX_STREAMS:
            stream.reset()
            return
        self._streams[connection] += 1
        try:
            await _echo(stream)
        finally:
            self._streams[connection] -= 1
            if not self._streams[connection]:
                del self._streams[connection]


async def _echo(stream: Stream) -> None:
    while True:
        with trio.fail_after(QUIET_TIMEOUT):
            first = await stream.receive_some(SIZE)
            if not first:
                return
            rest = await stream.receive_exactly(SIZE - len(first))
            await stream.send_all(first + rest)


async def measure(stream: Stream, entropy: Callable[[int], bytes]) -> float:
    """Ping once over an open stream and return the seconds it took.

    Raises RemoteError if something else comes back.
    """
    payload = entropy(SIZE)
    began = trio.current_time()
    await stream.send_all(payload)
    answer = await stream.receive_exactly(SIZE)
    took = trio.current_time() - began
    if answer != payload:
        raise RemoteError("peer answered a ping with other bytes")
    return took
