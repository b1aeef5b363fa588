from __future__ import annotations

import pytest
import trio

from pubsub.errors import ClosedError
from pubsub.fabric_node.news import BlockCommitted, News


async def test_each_reader_is_told_what_happens_from_now_on():
    news = News()
    news.tell(BlockCommitted("sales", 1))
    early = news.events(10)
    news.tell(BlockCommitted("sales", 2))
    late = news.events(10)
    news.tell(BlockCommitted("sales", 3))
    assert [(await early.receive()).number for _ in range(2)] == [2, 3]
    assert late.receive_nowait() == BlockCommitted("sales", 3)


async def test_a_slow_reader_loses_the_oldest():
    news = News()
    events = news.events(2)
    for number in range(5):
        news.tell(BlockCommitted("sales", number))
    assert events.lost == 3
    assert [(await events.receive()).number for _ in range(2)] == [3, 4]


async def test_who_has_closed_is_told_no_more():
    news = News()
    async with news.events(2) as events:
        pass
    news.tell(BlockCommitted("sales", 1))
    with pytest.raises(ClosedError):
        events.receive_nowait()
    events.close()


async def test_at_the_end_what_waits_can_still_be_read():
    news = News()
    events = news.events(5)
    news.tell(BlockCommitted("sales", 1))
    news.close()
    assert [event async for event in events] == [BlockCommitted("sales", 1)]
    with pytest.raises(ClosedError):
        await events.receive()
    await trio.lowlevel.checkpoint()
