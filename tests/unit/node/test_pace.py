"""Calls that need not wait yield seldom, and notice a cancellation always."""

from __future__ import annotations

import pytest
import trio

from pubsub.node import pace as pace_module
from pubsub.node.pace import ITEMS, Pace


class Stage:
    """A pace, a clock that stands still until it is set, and a count of the yields."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1.0
        self.yields = 0
        checkpoint = trio.lowlevel.checkpoint

        async def counted() -> None:
            self.yields += 1
            await checkpoint()

        monkeypatch.setattr(pace_module.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(trio.lowlevel, "checkpoint", counted)
        self.pace = Pace()

    async def begin(self) -> None:
        """The first time it always yields."""
        for _ in range(8):
            await self.pace.checkpoint()
        self.yields = 0


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


async def test_it_yields_once_in_so_many_items(stage: Stage):
    await stage.begin()
    for turn in range(1, 4):
        for _ in range(ITEMS - 1):
            await stage.pace.checkpoint()
        assert stage.yields == turn - 1
        await stage.pace.checkpoint()
        assert stage.yields == turn


async def test_a_batch_counts_for_what_is_in_it(stage: Stage):
    await stage.begin()
    await stage.pace.checkpoint(ITEMS - 1)
    assert stage.yields == 0
    await stage.pace.checkpoint(1)
    assert stage.yields == 1
    await stage.pace.checkpoint(5 * ITEMS)
    assert stage.yields == 2


async def test_it_yields_after_a_millisecond(stage: Stage):
    await stage.begin()
    stage.now += 0.0011
    for _ in range(8):
        await stage.pace.checkpoint()
    assert stage.yields == 1


async def test_a_cancelled_caller_is_stopped_at_once(stage: Stage):
    await stage.begin()
    with trio.CancelScope() as scope:
        scope.cancel()
        await stage.pace.checkpoint()
        pytest.fail("went on although cancelled")
    assert scope.cancelled_caught
