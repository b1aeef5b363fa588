"""The first message waits for a first peer; the account is kept."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.cli.publisher import FIRST_PEER_WAIT, Publisher
from pubsub.errors import ParamError
from pubsub.identity import PrivateKey, peer_id_of

ANN = peer_id_of(PrivateKey(bytes([1]) * 32).public_key)


@pytest.fixture
def node(make_stage):
    return make_stage().node


async def test_without_waiting_messages_go_at_once(node, autojump_clock: MockClock) -> None:
    publisher = Publisher(node, wait_for_first=False, on_waiting=lambda topic: None)
    await publisher.publish("A", b"1")
    assert trio.current_time() == 0
    assert (publisher.published, publisher.unreached) == (1, 1)


async def test_the_first_message_waits_for_the_first_peer(node, autojump_clock: MockClock) -> None:
    waited_for: list[str] = []
    publisher = Publisher(node, wait_for_first=True, on_waiting=waited_for.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publisher.publish, "A", b"1")
        await trio.sleep(3)
        assert node.published == []
        node.join("A", ANN)
        await wait_all_tasks_blocked()
        assert node.published == [("A", b"1")]
    await publisher.publish("A", b"2")
    assert trio.current_time() == 3
    assert publisher.unreached == 0
    assert waited_for == ["A"]


async def test_topics_share_one_deadline(node, autojump_clock: MockClock) -> None:
    waited_for: list[str] = []
    publisher = Publisher(node, wait_for_first=True, on_waiting=waited_for.append)
    await publisher.publish("A", b"1")
    assert trio.current_time() == FIRST_PEER_WAIT
    await publisher.publish("A", b"2")
    await publisher.publish("B", b"3")
    assert trio.current_time() == FIRST_PEER_WAIT
    assert publisher.unreached == 3
    assert waited_for == ["A"]


async def test_a_peer_that_is_there_is_not_waited_for(node, autojump_clock: MockClock) -> None:
    node.join("A", ANN)
    publisher = Publisher(node, wait_for_first=True, on_waiting=pytest.fail)
    await publisher.publish("A", b"1")
    assert trio.current_time() == 0


async def test_what_cannot_be_published_is_not_counted(node) -> None:
    publisher = Publisher(node, wait_for_first=False, on_waiting=pytest.fail)
    with pytest.raises(ParamError):
        await publisher.publish("A", bytes(2**20 + 1))
    assert publisher.published == 0


async def test_flushing_asks_the_node(node) -> None:
    publisher = Publisher(node, wait_for_first=False, on_waiting=pytest.fail)
    assert await publisher.flush()
    node.flushes = False
    assert not await publisher.flush()
