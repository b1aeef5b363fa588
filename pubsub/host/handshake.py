"""From a fresh socket to a secured connection with a muxer."""

from __future__ import annotations

import trio

from pubsub.errors import RemoteError, StreamError
from pubsub.transport import Connection, ConnectionEvent

READ_SIZE = 65536


async def secure(
    pipe: trio.abc.Stream, machine: Connection, timeout: float
) -> list[ConnectionEvent]:
    """Run the handshake; return what else happened meanwhile, for the connection to deal with.

    Raises RemoteError if the peer breaks the rules, StreamError if it is too slow or the
    socket breaks. The pipe is closed then.
    """
    try:
        with trio.move_on_after(timeout):
            return await _secure(pipe, machine)
        raise StreamError(f"peer was silent for {timeout:g} s while {machine.state}")
    except BaseException:
        await trio.aclose_forcefully(pipe)
        raise


async def _secure(pipe: trio.abc.Stream, machine: Connection) -> list[ConnectionEvent]:
    events: list[ConnectionEvent] = []
    try:
        await _flush(pipe, machine)
        while not machine.ready:
            data = await pipe.receive_some(READ_SIZE)
            if not data:
                raise StreamError(f"peer hung up while {machine.state}")
            state = machine.state
            try:
                events += machine.receive_data(bytes(data))
            except RemoteError as error:
                raise RemoteError(f"{error} (while {state})", penalty=error.penalty) from error
            await _flush(pipe, machine)
    except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise StreamError(f"connection lost while {machine.state}: {error}") from error
    return events


async def _flush(pipe: trio.abc.Stream, machine: Connection) -> None:
    data = machine.data_to_send()
    if data:
        await pipe.send_all(data)
