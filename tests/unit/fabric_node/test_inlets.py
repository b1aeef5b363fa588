from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from pubsub.errors import ClosedError, ParamError
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import decode_envelope, wrap_message
from pubsub.fabric_node import inlets as inlets_module
from pubsub.fabric_node.inlets import CAPACITY, Gossiped, Inlets, Received
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.unit.fabric.making import pki_id

ANN = pki_id("ann")


def gossiped(nonce: int = 1, channel: str = "sales") -> Gossiped:
    message = GossipMessage(nonce=nonce, channel=channel.encode())
    return Gossiped(channel, message, b"envelope %d" % nonce, ANN)


def received(nonce: int = 1, sent: list[GossipMessage] | None = None) -> Received:
    async def send(message: GossipMessage) -> None:
        await trio.lowlevel.checkpoint()
        if sent is not None:
            sent.append(message)

    return Received(ANN, "Org1MSP", GossipMessage(nonce=nonce), send)


def everything(item: Gossiped | Received) -> bool:
    return True


async def test_what_a_predicate_wants_is_read_in_order():
    inlets = Inlets()
    odd = inlets.accept(lambda item: item.message.nonce % 2 == 1)
    assert [inlets.offer(gossiped(nonce)) for nonce in range(4)] == [False, True, False, True]
    assert odd.waiting == 2
    assert await odd.receive() == gossiped(1)
    assert odd.receive_nowait() == gossiped(3)
    with pytest.raises(trio.WouldBlock):
        odd.receive_nowait()


async def test_each_kind_goes_to_those_who_asked_for_it():
    inlets = Inlets()
    public = inlets.accept(everything)
    private = inlets.accept(everything, pass_through=True)
    first, second = gossiped(1), received(2)
    assert inlets.offer(first)
    assert inlets.offer(second)
    assert await public.receive() is first
    assert await private.receive() is second
    assert public.waiting == private.waiting == 0


async def test_nobody_wants_what_nobody_asked_for():
    inlets = Inlets()
    assert not inlets.offer(gossiped())
    inlets.accept(everything)
    assert not inlets.offer(received())


async def test_a_slow_reader_loses_the_newest_and_others_nothing():
    inlets = Inlets()
    slow = inlets.accept(everything, capacity=2)
    quick = inlets.accept(everything)
    for nonce in range(5):
        assert inlets.offer(gossiped(nonce))
    assert [item.message.nonce for item in await quick.receive_batch()] == [0, 1, 2, 3, 4]
    assert [item.message.nonce for item in await slow.receive_batch()] == [0, 1]
    assert (slow.lost, quick.lost) == (3, 0)
    assert inlets.offer(gossiped(5))
    assert (await slow.receive()).message.nonce == 5
    assert inlets.snapshot() == {
        "gossiped": [{"waiting": 0, "lost": 3}, {"waiting": 1, "lost": 0}],
        "received": [],
    }


async def test_an_inlet_holds_so_many_if_nothing_is_said():
    inlets = Inlets()
    inlets.accept(everything, pass_through=True)
    for _ in range(CAPACITY + 1):
        inlets.offer(received())
    assert inlets.snapshot()["received"] == [{"waiting": CAPACITY, "lost": 1}]


async def test_a_reader_waits_and_ends_when_its_inlet_is_closed(nursery: trio.Nursery):
    inlets = Inlets()
    ended: list[list[int]] = []

    async def follow() -> None:
        async with inlets.accept(everything) as inlet:
            ended.append([item.message.nonce async for item in inlet])

    nursery.start_soon(follow)
    await wait_all_tasks_blocked()
    inlets.offer(gossiped(1))
    await wait_all_tasks_blocked()
    assert inlets.snapshot()["gossiped"] == [{"waiting": 0, "lost": 0}]
    inlets.offer(gossiped(2))
    inlets.close()
    assert ended == []
    await wait_all_tasks_blocked()
    assert ended == [[1, 2]]


@pytest.mark.parametrize("pass_through", [False, True])
async def test_a_closed_inlet_takes_nothing_more(pass_through: bool):
    inlets = Inlets()
    item = received() if pass_through else gossiped()
    async with inlets.accept(everything, pass_through) as inlet:
        inlets.offer(item)
    assert not inlets.offer(item)
    assert inlets.snapshot() == {"gossiped": [], "received": []}
    assert await inlet.receive() is item
    with pytest.raises(ClosedError):
        await inlet.receive()
    inlet.close()


async def test_when_all_are_closed_there_are_no_new_ones():
    inlets = Inlets()
    inlet = inlets.accept(everything)
    inlets.close()
    with pytest.raises(ClosedError):
        inlet.receive_nowait()
    with pytest.raises(ClosedError, match="this service is closed"):
        inlets.accept(everything)
    inlets.close()


async def test_a_predicate_may_close_and_open_inlets():
    inlets = Inlets()

    def close_all_but_us(item: Gossiped) -> bool:
        doomed.close()
        inlets.accept(everything)
        return True

    ours = inlets.accept(close_all_but_us)
    doomed = inlets.accept(everything)
    inlets.offer(gossiped())
    assert (ours.waiting, doomed.waiting) == (1, 0)
    assert inlets.snapshot()["gossiped"] == [{"waiting": 1, "lost": 0}, {"waiting": 0, "lost": 0}]


async def test_what_a_predicate_raises_is_not_swallowed():
    inlets = Inlets()

    def wrong(item: Gossiped) -> bool:
        raise KeyError("mine")

    inlets.accept(wrong)
    with pytest.raises(KeyError, match="mine"):
        inlets.offer(gossiped())


async def test_a_received_message_can_be_answered():
    sent: list[GossipMessage] = []
    question = received(7, sent)
    await question.respond(GossipMessage(nonce=7, tag=GossipMessage.CHAN_ONLY))
    await question.ack()
    await question.ack("no room")
    answer, ack, refusal = sent
    assert answer.tag == GossipMessage.CHAN_ONLY
    assert (ack.nonce, ack.WhichOneof("content"), ack.ack.error) == (7, "ack", "")
    assert (refusal.nonce, refusal.ack.error) == (7, "no room")
    assert decode_envelope(wrap_message(refusal).raw).content is Content.ACK


@pytest.mark.parametrize("wrong", [0, -1, 1.5])
@pytest.mark.parametrize("pass_through", [False, True])
async def test_an_inlet_holds_something(wrong: Any, pass_through: bool):
    inlets = Inlets()
    with pytest.raises(ParamError, match="capacity"):
        inlets.accept(everything, pass_through, capacity=wrong)
    assert inlets.snapshot() == {"gossiped": [], "received": []}


async def test_what_waits_is_bounded_in_bytes_as_well(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inlets_module, "MAX_BYTES", 1000)
    inlets = Inlets()
    inlet = inlets.accept(everything, capacity=10)

    def large(size: int) -> Gossiped:
        message = GossipMessage()
        message.data_msg.payload.data = bytes(size)
        return Gossiped("sales", message, b"", ANN)

    # One alone may be as large as it likes.
    sizes = (2000, 10, 500, 500, 400)
    assert all(inlets.offer(large(size)) for size in sizes)
    assert (inlet.waiting, inlet.lost) == (2, 3)
    received = [inlet.receive_nowait() for _ in range(2)]
    assert [len(each.message.data_msg.payload.data) for each in received] == [2000, 10]
    assert all(inlets.offer(large(size)) for size in (500, 600, 400))
    assert (inlet.waiting, inlet.lost) == (2, 4)


async def test_a_predicate_is_a_function():
    with pytest.raises(ParamError, match="accept takes a function"):
        Inlets().accept("data_msg")  # type: ignore[call-overload]


async def test_a_long_payload_is_not_printed():
    message = GossipMessage(nonce=3)
    message.data_msg.payload.data = b"z" * 1000
    item = Gossiped("sales", message, b"z" * 1100, ANN)
    text = f"{item!r} {Received(ANN, 'Org1MSP', message, received().send)!r}"
    assert "zzz" not in text
    assert text.count("data_msg nonce=3") == 2
    assert ANN.hex()[:8] in text
    inlets = Inlets()
    assert repr(inlets.accept(everything)) == "<Inlet, 0 waiting, 0 lost>"
