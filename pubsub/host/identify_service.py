"""Who asks and who tells: identify on each new connection, and pushes when we change."""

from __future__ import annotations

from collections.abc import Callable

import trio

from pubsub.errors import LocalError, RemoteError, StreamError
from pubsub.host import identify
from pubsub.host.connection import HostConnection
from pubsub.host.identify import Identity
from pubsub.host.limits import TokenBucket
from pubsub.host.params import HostParams
from pubsub.host.stream import Stream
from pubsub.identity import Address

FAILED = (RemoteError, StreamError, LocalError, trio.TooSlowError)
"What an exchange of our own may end with."
PUSH_RATE, PUSH_BURST = 0.5, 10
"Pushes of one peer that we read; go allows 0.2/s after a burst of 10."


class IdentifyService:
    """The identify exchanges of one host."""

    def __init__(
        self,
        params: HostParams,
        *,
        message: Callable[[Address], bytes],
        connections: Callable[[], list[HostConnection]],
        wants_push: Callable[[HostConnection], bool],
        on_identity: Callable[[HostConnection, Identity], None],
        count: Callable[[str], None],
    ) -> None:
        self._params = params
        self._message = message
        "What we say of ourselves to a peer that comes from an address."
        self._connections = connections
        self._wants_push = wants_push
        self._on_identity = on_identity
        self._count = count
        self._changed = trio.Event()
        self._buckets: dict[HostConnection, TokenBucket] = {}

    def changed(self) -> None:
        """Our protocols or addresses changed: peers are told soon."""
        self._changed.set()

    def forget(self, connection: HostConnection) -> None:
        self._buckets.pop(connection, None)

    async def ask(self, connection: HostConnection) -> None:
        """Ask the peer who it is; a failure is counted and changes nothing else."""
        try:
            with trio.fail_after(self._params.identify_timeout):
                stream = await connection.open_stream(
                    [identify.PROTOCOL], self._params.identify_timeout
                )
                try:
                    identity = await identify.receive(stream)
                finally:
                    stream.close()
        except FAILED:
            self._count("failed_identifies")
        else:
            self._on_identity(connection, identity)

    async def answer(self, stream: Stream) -> None:
        """Handler of `/ipfs/id/1.0.0`."""
        with trio.fail_after(self._params.identify_timeout):
            await identify.send(stream, self._message(stream.connection.address))

    async def take_push(self, stream: Stream) -> None:
        """Handler of `/ipfs/id/push/1.0.0`."""
        now = trio.current_time()
        bucket = self._buckets.get(stream.connection)
        if bucket is None:
            bucket = self._buckets[stream.connection] = TokenBucket(PUSH_RATE, PUSH_BURST, now)
        if not bucket.take(now):
            self._count("refused_pushes")
            stream.reset()
            return
        with trio.fail_after(self._params.identify_timeout):
            identity = await identify.receive(stream)
        self._on_identity(stream.connection, identity)

    async def push_changes(self) -> None:
        """Tell every peer that wants to know, whenever something changed."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            for connection in self._connections():
                if self._wants_push(connection):
                    connection.start_task(self._push)
            # Several changes in a row are told at once.
            await trio.sleep(self._params.push_interval)

    async def _push(self, connection: HostConnection) -> None:
        try:
            with trio.fail_after(self._params.identify_timeout):
                stream = await connection.open_stream(
                    [identify.PUSH], self._params.identify_timeout
                )
                try:
                    await identify.send(stream, self._message(connection.address))
                finally:
                    stream.close()
        except FAILED:
            self._count("failed_pushes")
