"""Leaving a connection so that what was sent arrives.

A socket closed with unread input is reset, and a reset destroys what the peer
has not read yet. So: say goodbye, end our half, read until the peer has ended
its own, and close then; all of it within a short time.
"""

from __future__ import annotations

import trio

from pubsub.host.pipe import LOST, SocketPipe
from pubsub.host.writer import Writer
from pubsub.transport import Connection


async def farewell(
    pipe: trio.abc.Stream, writer: Writer, machine: Connection, timeout: float, *, gone: bool
) -> None:
    """Send what is pending and a GoAway, unless the peer is `gone`, and close the socket."""
    with trio.CancelScope(shield=True):
        if not gone:
            with trio.move_on_after(timeout):
                try:
                    await _say_goodbye(pipe, writer, machine)
                except LOST:
                    # It went meanwhile: there is nobody to say goodbye to.
                    await trio.lowlevel.checkpoint()
        await trio.aclose_forcefully(pipe)


async def _say_goodbye(pipe: trio.abc.Stream, writer: Writer, machine: Connection) -> None:
    # A write that was cut in the middle leaves a frame that cannot be finished.
    if writer.write_began is None:
        pending = writer.gather()
        machine.muxer.go_away()
        await pipe.send_all(pending + machine.data_to_send())
    if isinstance(pipe, SocketPipe):
        pipe.shutdown_write()
        while await pipe.receive_some():
            pass
