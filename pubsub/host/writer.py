"""The writing half of a connection: what goes into the next socket write, and when.

A write carries all that is pending: answers of the machine, what `send_all` handed over, and
what the sources of the streams marked dirty give. The task sleeps while there is nothing;
waking it is one list append and, once per turn of the scheduler, one reschedule.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import trio

from pubsub.errors import RemoteError
from pubsub.host.params import HostParams
from pubsub.host.stream import Stream
from pubsub.transport import Connection


class Writer:
    """Gathers output and writes it; one task runs `run`."""

    def __init__(self, pipe: trio.abc.Stream, machine: Connection, params: HostParams) -> None:
        self._pipe = pipe
        self._machine = machine
        self._batch = params.batch_bytes
        self._max_unsent = params.max_unsent_bytes
        self._dirty: deque[Stream] = deque()
        self._out: list[bytes] = []
        "Encrypted, in order; nothing may overtake it."
        self._unsent = 0
        "Bytes in `_out` and in the write that is under way."
        self._queued = 0
        "Bytes given to the machine and not yet collected."
        self._reports: list[Callable[[], None]] = []
        self._room = trio.lowlevel.ParkingLot()
        self._sleeper: trio.lowlevel.Task | None = None
        self.stopped = False
        "No further write is begun: what is pending is left to whoever closes the connection."
        self.write_began: float | None = None
        "When the write that is under way began; None between writes."

    async def run(self) -> None:
        """Write until cancelled. Raises what the pipe raises."""
        rested = True
        while not self.stopped:
            data = self.gather()
            if not data:
                await self._sleep()
                rested = True
                continue
            self.write_began = trio.current_time()
            # A write to a socket with room does not give way: other tasks get their turn here.
            if not rested:
                await trio.lowlevel.checkpoint()
            rested = False
            await self._pipe.send_all(data)
            self.write_began = None
            self._unsent -= len(data)
            if self._room:
                self._room.unpark_all()
            if self._reports:
                self._report()

    def gather(self) -> bytes:
        """Everything that the next write shall carry."""
        dirty, room = self._dirty, self._batch
        for _ in range(len(dirty)):
            if room <= 0:
                break
            # Streams take turns: one that gave something goes to the end.
            room -= dirty.popleft().pull(room)
        self._collect()
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def flush(self) -> None:
        """Have the machine's output, if any, written soon.

        Raises RemoteError if too much waits because the peer does not read.
        """
        self._collect()
        if self._out:
            if self._unsent > 2 * self._max_unsent + self._batch:
                raise RemoteError("peer makes us answer and does not read")
            self.wake()

    def queued(self, size: int) -> None:
        """Bytes were given to the machine."""
        self._queued += size
        self.wake()

    @property
    def has_room(self) -> bool:
        return self._queued + self._unsent < self._max_unsent

    async def wait_for_room(self) -> None:
        await self._room.park()

    def release(self) -> None:
        """The connection is over: nobody need wait any longer."""
        self._room.unpark_all()
        self._dirty.clear()

    def add_dirty(self, stream: Stream) -> None:
        self._dirty.append(stream)
        self.wake()

    def report_sent(self, callback: Callable[[], None]) -> None:
        """Call back when the write that is being gathered has been made."""
        self._reports.append(callback)

    def wake(self) -> None:
        task = self._sleeper
        if task is not None:
            self._sleeper = None
            trio.lowlevel.reschedule(task)

    async def _sleep(self) -> None:
        self._sleeper = trio.lowlevel.current_task()

        def abort(_: Any) -> trio.lowlevel.Abort:
            self._sleeper = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _collect(self) -> None:
        data = self._machine.data_to_send()
        self._queued = 0
        if data:
            self._out.append(data)
            self._unsent += len(data)

    def _report(self) -> None:
        reports, self._reports = self._reports, []
        for callback in reports:
            callback()
