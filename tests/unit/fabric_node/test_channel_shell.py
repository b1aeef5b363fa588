from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.errors import ClosedError, ParamError, PubSubError
from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.actions import Warn
from pubsub.fabric.ledger import Ledger, LedgerError, MemoryLedger
from pubsub.fabric.state_responder import Request
from pubsub.fabric_node.channel_shell import FIRST_PAUSE, LAST_PAUSE, ChannelShell
from pubsub.fabric_node.delivery import Delivery
from tests.unit.fabric.chains import chain

NAME = "sales"
BLOCKS = chain(9)
PATIENCE = 100.0
AHEAD = 4


class Owner:
    """The engine, and the core as far as the shell asks it."""

    def __init__(self) -> None:
        self.closed = False
        self.height = self.first_missing = 1
        self.has_room = True
        self.peer = self
        self.events: list[ev.Event] = []
        self.done: list[fx.Effect] = []
        self.warnings: list[str] = []
        self.takes = True

    def channel(self, name: str) -> Owner | None:
        return self if name == NAME else None

    def feed(self, event: ev.Event) -> None:
        self.events.append(event)
        if isinstance(event, ev.Committed):
            self.height = event.number + 1
        if isinstance(event, ev.BlockDelivered) and self.takes:
            assert event.raw == BLOCKS[self.first_missing]
            self.first_missing += 1

    def perform(self, effect: fx.Effect) -> None:
        self.done.append(effect)

    def warn(self, warning: Warn) -> None:
        self.warnings.append(f"{warning.key}: {warning.text}")

    def answer(self, asked: fx.Answer, ledger: Ledger) -> fx.Effect:
        raw = ledger.block(asked.request.first)
        return fx.SendEnvelope(asked.request.peer, "/state", raw or b"")

    @property
    def lost(self) -> int:
        return self.events.count(ev.OrdererLost(NAME))


@asynccontextmanager
async def shell_of(
    owner: Owner, ledger: Ledger | None = None, delivery: Delivery | None = None
) -> AsyncIterator[ChannelShell]:
    async with trio.open_nursery() as nursery:
        yield ChannelShell(
            NAME,
            cast("Any", owner),
            nursery,
            ledger=ledger,
            delivery=delivery,
            patience=PATIENCE,
            ahead=AHEAD,
        )
        nursery.cancel_scope.cancel()


def filled(count: int) -> MemoryLedger:
    ledger = MemoryLedger()
    for number in range(count):
        ledger.append(number, BLOCKS[number])
    return ledger


class BrokenLedger(MemoryLedger):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def append(self, number: int, raw: bytes) -> None:
        raise self.error

    def block(self, number: int) -> bytes | None:
        raise self.error


class SlowLedger(MemoryLedger):
    """Works when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def append(self, number: int, raw: bytes) -> None:
        assert self.let.wait(5)
        super().append(number, raw)


async def settled(shell: ChannelShell) -> None:
    with trio.fail_after(5):
        await shell.rest()


# -- The ledger


async def test_a_block_is_committed_and_said_to_be():
    owner, ledger = Owner(), filled(1)
    async with shell_of(owner, ledger) as shell:
        shell.commit(fx.Commit(NAME, 1, BLOCKS[1]))
        assert await shell.wait_for_height(2) == 2
    assert (owner.events, ledger.height) == ([ev.Committed(NAME, 1)], 2)


async def test_a_ledger_does_not_wait_for_threads_in_which_others_are():
    owner, ledger = Owner(), filled(1)
    shared = trio.to_thread.current_default_thread_limiter()
    others = [object() for _ in range(int(shared.available_tokens))]
    for each in others:
        shared.acquire_on_behalf_of_nowait(each)
    async with shell_of(owner, ledger) as shell:
        shell.commit(fx.Commit(NAME, 1, BLOCKS[1]))
        shell.answer(fx.Answer(NAME, Request(b"ann", 5, 0, 0)))
        with trio.fail_after(10):
            assert await shell.wait_for_height(2) == 2
            while not owner.done:
                await shell._moved.wait()
    for each in others:
        shared.release_on_behalf_of(each)


async def test_a_block_that_is_not_committed_is_said_to_be():
    owner = Owner()
    async with shell_of(owner, BrokenLedger(LedgerError("the disk is full"))) as shell:
        shell.commit(fx.Commit(NAME, 1, BLOCKS[1]))
        await settled(shell)
    assert owner.events == [ev.CommitFailed(NAME, 1, "the disk is full")]


@pytest.mark.parametrize("error", [OSError("broken"), ValueError("bad")])
@pytest.mark.parametrize("asked", ["commit", "answer"])
async def test_what_else_a_ledger_raises_ends_the_service(error: Exception, asked: str):
    async def run() -> None:
        async with shell_of(Owner(), BrokenLedger(error)) as shell:
            if asked == "commit":
                shell.commit(fx.Commit(NAME, 1, BLOCKS[1]))
            else:
                shell.answer(fx.Answer(NAME, Request(b"bob", 7, 0, 0)))
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await run()
    assert caught.value.exceptions == (error,)


async def test_who_asks_for_blocks_is_answered():
    owner = Owner()
    async with shell_of(owner, filled(3)) as shell:
        shell.answer(fx.Answer(NAME, Request(b"bob", 7, 2, 2)))
        await settled(shell)
    assert owner.done == [fx.SendEnvelope(b"bob", "/state", BLOCKS[2])]
    assert owner.events == [ev.Answered(NAME)]


async def test_a_ledger_that_cannot_be_read_is_told_of_and_asked_again():
    owner = Owner()
    async with shell_of(owner, BrokenLedger(LedgerError("gone"))) as shell:
        shell.answer(fx.Answer(NAME, Request(b"bob", 7, 0, 0)))
        await settled(shell)
    assert owner.warnings == [f"ledger.read: {NAME}: cannot read what a peer asks for: gone"]
    assert (owner.done, owner.events) == ([], [ev.Answered(NAME)])


async def test_a_block_on_its_way_into_the_ledger_gets_there_when_the_channel_is_left():
    owner, ledger = Owner(), SlowLedger()
    async with shell_of(owner, ledger) as shell, trio.open_nursery() as nursery:
        told: list[str] = []

        async def settle() -> None:
            await shell.rest()
            told.append("settled")

        shell.commit(fx.Commit(NAME, 0, BLOCKS[0]))
        shell.close()
        nursery.start_soon(settle)
        await wait_all_tasks_blocked()
        assert not told
        ledger.let.set()
        await settled(shell)
    assert (told, ledger.height, owner.events) == (["settled"], 1, [ev.Committed(NAME, 0)])


async def test_who_stops_writes_the_block_that_is_being_written():
    ledger = SlowLedger()
    async with shell_of(Owner(), ledger) as shell:
        shell.commit(fx.Commit(NAME, 0, BLOCKS[0]))
        await wait_all_tasks_blocked()
        ledger.let.set()
    assert ledger.height == 1
    await settled(shell)


async def test_without_a_ledger_nothing_is_asked_of_one():
    owner = Owner()
    async with shell_of(owner) as shell:
        shell.commit(fx.Commit(NAME, 1, BLOCKS[1]))
        shell.answer(fx.Answer(NAME, Request(b"bob", 7, 0, 0)))
        await settled(shell)
    assert owner.events == []


# -- Heights


@pytest.mark.parametrize(
    ("ends", "error"), [(True, ClosedError), (False, ParamError)], ids=["stop", "leave"]
)
async def test_who_waits_for_a_height_is_told_that_it_will_not_come(
    ends: bool, error: type[PubSubError]
):
    owner, told = Owner(), []
    async with shell_of(owner, filled(1)) as shell:

        async def wait() -> None:
            try:
                await shell.wait_for_height(2)
            except PubSubError as raised:
                told.append(type(raised))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            shell.moved()
            await wait_all_tasks_blocked()
            assert not told
            owner.closed = ends
            shell.close()
        assert told == [error]
        with pytest.raises(error):
            await shell.wait_for_height(2)


# -- The orderer


class Source:
    """Gives what `plan` says for each time that it is asked: blocks, then an end or an error."""

    def __init__(self, *plan: Sequence[bytes | BaseException], last: str = "waits") -> None:
        self.plan = list(plan)
        self.last = last
        self.asked: list[tuple[float, int]] = []
        self.closed = 0

    async def blocks(self, start: int) -> AsyncIterator[bytes]:
        self.asked.append((trio.current_time(), start))
        steps: Sequence[Any] = self.plan.pop(0) if self.plan else ()
        try:
            for step in steps:
                await trio.lowlevel.checkpoint()
                if isinstance(step, BaseException):
                    raise step
                yield step
            if not self.plan and self.last == "waits":
                await trio.sleep_forever()
        finally:
            self.closed += 1


@asynccontextmanager
async def leading(owner: Owner, source: Source) -> AsyncIterator[ChannelShell]:
    async with shell_of(owner, filled(1), cast("Delivery", source)) as shell:
        shell.lead(True)
        await wait_all_tasks_blocked()
        yield shell


async def test_a_leader_gets_blocks_from_where_they_are_missing(autojump_clock: MockClock):
    owner, source = Owner(), Source(BLOCKS[1:4])
    async with leading(owner, source) as shell:
        assert owner.events == [ev.BlockDelivered(NAME, raw) for raw in BLOCKS[1:4]]
        assert (source.asked, owner.warnings, shell.delivered) == ([(0, 1)], [], 3)


async def test_a_leader_waits_for_room(autojump_clock: MockClock):
    owner, source = Owner(), Source(BLOCKS[1:4])
    owner.has_room = False
    async with leading(owner, source) as shell:
        shell.moved()
        await wait_all_tasks_blocked()
        assert owner.events == []
        owner.has_room = True
        shell.moved()
        await wait_all_tasks_blocked()
        assert len(owner.events) == 3


async def test_a_leader_stays_so_near_to_its_ledger(autojump_clock: MockClock):
    owner, source = Owner(), Source(BLOCKS[1:9])
    async with leading(owner, source) as shell:
        assert owner.first_missing == owner.height + AHEAD + 1
        owner.height += 1
        shell.moved()
        await wait_all_tasks_blocked()
        assert owner.first_missing == owner.height + AHEAD + 1


async def test_blocks_that_others_brought_are_passed_over(autojump_clock: MockClock):
    owner, source = Owner(), Source(BLOCKS[1:4], BLOCKS[4:5])
    take = owner.feed

    def feed(event: ev.Event) -> None:
        if isinstance(event, ev.BlockDelivered) and event.raw == BLOCKS[2]:
            # A push came between.
            owner.first_missing = 4
        else:
            take(event)

    owner.feed = feed  # type: ignore[method-assign]
    async with leading(owner, source):
        assert source.asked == [(0, 1), (0, 4)]
        assert source.closed == 1
        assert owner.warnings == []
        assert owner.first_missing == 5


@pytest.mark.parametrize(
    ("plan", "text"),
    [
        ((), "it ended"),
        ((LedgerError("no such directory"),), "no such directory"),
        ((ConnectionRefusedError("refused"),), "refused"),
        ((trio.BrokenResourceError(),), "BrokenResourceError"),
        ((b"bad",), "what it gave as block 1 was not taken"),
    ],
)
async def test_an_orderer_that_gives_nothing_good_is_asked_again_less_and_less(
    plan: Sequence[Any], text: str, autojump_clock: MockClock
):
    owner, source = Owner(), Source(*([plan] * 1000), last="ends")
    owner.takes = False
    async with leading(owner, source):
        await trio.sleep(60)
    times = [time for time, _ in source.asked]
    pauses = [round(later - time, 6) for time, later in pairwise(times)]
    assert pauses[:6] == [FIRST_PAUSE, 1, 2, 4, 8, LAST_PAUSE]
    assert set(pauses[5:]) == {LAST_PAUSE}
    assert set(owner.warnings) == {f"delivery.failed: {NAME}: the orderer: {text}"}


@pytest.mark.parametrize("plan", [(), (LedgerError("no such directory"),), (b"bad",)])
async def test_an_orderer_that_gives_nothing_good_for_too_long_is_lost(
    plan: Sequence[Any], autojump_clock: MockClock
):
    owner, source = Owner(), Source(*([plan] * 1000), last="ends")
    owner.takes = False
    async with leading(owner, source):
        await trio.sleep(PATIENCE - 1)
        assert owner.lost == 0
        await trio.sleep(1 + 2 * LAST_PAUSE)
        assert owner.lost == 1
        await trio.sleep(PATIENCE + LAST_PAUSE)
        assert owner.lost == 2


async def test_a_block_that_is_taken_makes_up_for_all_failures(autojump_clock: MockClock):
    fails: list[Any] = [LedgerError("away")]
    plan = [fails] * 6 + [[BLOCKS[1], *fails]] + [fails] * 1000
    owner, source = Owner(), Source(*plan, last="ends")
    async with leading(owner, source):
        await trio.sleep(30)
        assert owner.first_missing == 2
        times = [time for time, _ in source.asked]
        assert times[7] - times[6] == FIRST_PAUSE
        await trio.sleep(PATIENCE - 15)
        assert owner.lost == 0


async def test_an_orderer_may_be_silent(autojump_clock: MockClock):
    owner, source = Owner(), Source()
    async with leading(owner, source):
        await trio.sleep(10 * PATIENCE)
        assert (owner.lost, owner.warnings, len(source.asked)) == (0, [], 1)


def at_once(shell: ChannelShell) -> None:
    shell.lead(False)


def by_end(shell: ChannelShell) -> None:
    shell.close()


@pytest.mark.parametrize("ends", [at_once, by_end])
async def test_who_leads_no_longer_asks_no_longer(
    ends: Callable[[ChannelShell], None], autojump_clock: MockClock
):
    owner, source = Owner(), Source(BLOCKS[1:2])
    async with leading(owner, source) as shell:
        ends(shell)
        await wait_all_tasks_blocked()
        assert source.closed == 1
        await trio.sleep(1000)
        assert (len(source.asked), owner.warnings) == (1, [])


async def test_who_leads_again_asks_from_where_it_is_now(autojump_clock: MockClock):
    owner, source = Owner(), Source(BLOCKS[1:3], BLOCKS[3:4])
    async with leading(owner, source) as shell:
        shell.lead(True)
        await wait_all_tasks_blocked()
        assert [start for _, start in source.asked] == [1, 3]
        assert source.closed == 1


async def test_what_else_a_source_raises_ends_the_service():
    error = ValueError("a mistake")
    with pytest.raises(ExceptionGroup) as caught:
        async with leading(Owner(), Source([error])):
            await trio.sleep_forever()
    assert caught.value.exceptions == (error,)


async def test_who_leads_without_a_delivery_is_told():
    owner = Owner()
    async with shell_of(owner, filled(1)) as shell:
        shell.lead(True)
        shell.lead(False)
    async with shell_of(owner) as shell:
        shell.lead(True)
    assert owner.warnings == [
        f"delivery.none: {NAME}: we lead, but were given no delivery to get blocks from"
    ]
