"""What a joined channel does outside of its core: its ledger, and its blocks from the orderer.

    Commit ──► ledger.append ──► Committed, CommitFailed
    Answer ──► ledger.block  ──► an envelope to send, Answered
    leader ──► delivery.blocks(first missing) ──► BlockDelivered, while there is room

Ledgers are called in a worker thread: they may block for as long as a disk takes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import final

import trio

from pubsub.errors import ClosedError, ParamError, PubSubError
from pubsub.fabric import events as ev
from pubsub.fabric.actions import Warn
from pubsub.fabric.channel import JoinedChannel
from pubsub.fabric.effects import Answer, Commit
from pubsub.fabric.ledger import Ledger
from pubsub.fabric_node.delivery import Delivery
from pubsub.fabric_node.owner import Owner

FIRST_PAUSE = 0.5
LAST_PAUSE = 10.0
"Seconds between attempts to get blocks from an orderer that gives none."
LEDGER_THREADS = 2
"One for the block that is being written, one for answers."
FAILURES = (
    *(PubSubError, OSError, EOFError),
    *(trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError),
)
"What a source of blocks raises that is out of reach."


@final
class ChannelShell:
    """One channel's ledger and delivery; its core says what there is to do."""

    def __init__(
        self,
        name: str,
        owner: Owner,
        nursery: trio.Nursery,
        *,
        ledger: Ledger | None,
        delivery: Delivery | None,
        patience: float,
        ahead: int,
    ) -> None:
        self.name = name
        self.ledger = ledger
        self.delivered = 0
        "Blocks of the orderer that were taken."
        self._owner = owner
        self._nursery = nursery
        self._delivery = delivery
        self._patience = patience
        self._ahead = ahead
        self._moved = trio.Event()
        self._closed = False
        # All others share their threads with names that are looked up, and others choose those.
        self._threads = trio.CapacityLimiter(LEDGER_THREADS)
        self._working = 0
        "Calls of the ledger that are under way."
        self._leading: trio.CancelScope | None = None

    @property
    def core(self) -> JoinedChannel:
        found = self._owner.peer.channel(self.name)
        if found is None:
            raise ParamError(f"we are not in channel {self.name!r} any more")
        return found

    # -- The ledger

    def _begin(self, work: Callable[[], Awaitable[None]]) -> None:
        self._working += 1
        self._nursery.start_soon(self._do, work)

    async def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        finally:
            self._working -= 1
            self.moved()

    def commit(self, asked: Commit) -> None:
        if self.ledger is not None:
            self._begin(partial(self._commit, self.ledger, asked))

    async def _commit(self, ledger: Ledger, asked: Commit) -> None:
        try:
            await trio.to_thread.run_sync(
                ledger.append, asked.number, asked.raw, limiter=self._threads
            )
        except PubSubError as error:
            self._owner.feed(ev.CommitFailed(self.name, asked.number, str(error)))
        else:
            self._owner.feed(ev.Committed(self.name, asked.number))

    def answer(self, asked: Answer) -> None:
        if self.ledger is not None:
            self._begin(partial(self._answer, self.ledger, asked))

    async def _answer(self, ledger: Ledger, asked: Answer) -> None:
        try:
            effect = await trio.to_thread.run_sync(
                self._owner.peer.answer, asked, ledger, limiter=self._threads
            )
        except PubSubError as error:
            text = f"{self.name}: cannot read what a peer asks for: {error}"
            self._owner.warn(Warn("ledger.read", text))
        else:
            if not self._closed:
                self._owner.perform(effect)
        self._owner.feed(ev.Answered(self.name))

    # -- Heights

    def moved(self) -> None:
        """The ledger is longer, or there is room for blocks."""
        self._moved.set()
        self._moved = trio.Event()

    async def wait_for_height(self, height: int) -> int:
        """Wait until the ledger has that many blocks; how many it has then.

        Raises ClosedError when the service stops, ParamError when we leave the channel.
        """
        await trio.lowlevel.checkpoint()
        while self.core.height < height:
            if self._owner.closed:
                raise ClosedError("this service has stopped")
            if self._closed:
                raise ParamError(f"we have left channel {self.name!r}")
            await self._moved.wait()
        return self.core.height

    async def rest(self) -> None:
        """Wait until the ledger has done what it was asked for."""
        await trio.lowlevel.checkpoint()
        while self._working:
            await self._moved.wait()

    # -- The orderer

    def lead(self, leading: bool) -> None:
        """Get blocks from the orderer from now on, or no longer."""
        if self._leading is not None:
            self._leading.cancel()
            self._leading = None
        if leading and self._delivery is not None:
            scope = self._leading = trio.CancelScope()
            self._nursery.start_soon(self._follow, self._delivery, scope)
        elif leading and self.ledger is not None:
            text = f"{self.name}: we lead, but were given no delivery to get blocks from"
            self._owner.warn(Warn("delivery.none", text))
            scope = self._leading = trio.CancelScope()
            self._nursery.start_soon(self._give_way, scope)

    def close(self) -> None:
        """We have left the channel, or the service stops; whoever waits is told."""
        self._closed = True
        self.lead(False)
        self.moved()

    async def _give_way(self, scope: trio.CancelScope) -> None:
        """Let another lead, who may have been given a delivery."""
        pause = FIRST_PAUSE
        with scope:
            while True:
                await trio.sleep(pause)
                self._owner.feed(ev.OrdererLost(self.name))
                # One that was set to lead goes on leading.
                pause = min(2 * pause, LAST_PAUSE)

    async def _follow(self, delivery: Delivery, scope: trio.CancelScope) -> None:
        pause, failing_since = FIRST_PAUSE, trio.current_time()
        with scope:
            while True:
                before = self.delivered
                try:
                    why = await self._deliver(delivery)
                except FAILURES as error:
                    why = str(error) or type(error).__name__
                if self.delivered > before:
                    pause, failing_since = FIRST_PAUSE, trio.current_time()
                self._owner.warn(Warn("delivery.failed", f"{self.name}: the orderer: {why}"))
                if trio.current_time() - failing_since > self._patience:
                    failing_since = trio.current_time()
                    self._owner.feed(ev.OrdererLost(self.name))
                await trio.sleep(pause)
                pause = min(2 * pause, LAST_PAUSE)

    async def _deliver(self, delivery: Delivery) -> str:
        """Feed blocks until the source ends or gives what is not taken; which of the two."""
        while True:
            start = self.core.first_missing
            async with _ended(delivery.blocks(start)) as blocks:
                async for raw in blocks:
                    await self._wait_for_room()
                    if not self._take(raw):
                        break
                else:
                    return "it ended"
            if self.core.first_missing == start:
                return f"what it gave as block {start} was not taken"
            # Others were quicker: ask for what is missing now.

    def _take(self, raw: bytes) -> bool:
        before = self.core.first_missing
        self._owner.feed(ev.BlockDelivered(self.name, raw))
        is_taken = self.core.first_missing == before + 1
        self.delivered += is_taken
        return is_taken

    async def _wait_for_room(self) -> None:
        """Others take blocks up to `ahead` beyond their ledgers: ours must not run away."""
        while not self.core.has_room or self.core.first_missing - self.core.height > self._ahead:
            await self._moved.wait()


@asynccontextmanager
async def _ended(blocks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """`blocks`, which are closed in the end if they can be."""
    try:
        yield blocks
    finally:
        close = getattr(blocks, "aclose", None)
        if close is not None:
            await close()
