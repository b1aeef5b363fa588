"""A receipt says where a message went, and waits until it has left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from trio.testing import wait_all_tasks_blocked

from pubsub.errors import StreamError
from pubsub.identity import PrivateKey, peer_id_of
from pubsub.node.link import Link
from pubsub.node.receipt import Receipt

if TYPE_CHECKING:
    import trio

ANN, BOB = (peer_id_of(PrivateKey(bytes([n]) * 32).public_key) for n in range(2))


def receipt(*links: Link, mark: int = 3) -> Receipt:
    peers = tuple(link.peer for link in links)
    return Receipt("t", b"\x01" * 12, peers, {}, links, [mark] * len(links))


def send(link: Link, count: int) -> None:
    link.pulled = count
    link.on_sent()


class Waiter:
    def __init__(self, receipt: Receipt) -> None:
        self.receipt = receipt
        self.done = False
        self.error = ""

    async def run(self) -> None:
        try:
            await self.receipt.sent()
        except StreamError as error:
            self.error = str(error)
        self.done = True


async def test_a_message_to_nobody_is_sent():
    await receipt().sent()


async def test_sent_waits_for_every_peer(nursery: trio.Nursery):
    ann, bob = Link(ANN), Link(BOB)
    waiter = Waiter(receipt(ann, bob))
    nursery.start_soon(waiter.run)
    for link, count, done in ((ann, 3, False), (bob, 2, False), (bob, 3, True)):
        send(link, count)
        await wait_all_tasks_blocked()
        assert waiter.done is done
    assert not waiter.error


async def test_what_is_sent_stays_sent_when_the_peer_goes():
    link = Link(ANN)
    send(link, 3)
    link.close()
    await receipt(link).sent()


async def test_a_peer_that_went_before_is_named(nursery: trio.Nursery):
    ann, bob = Link(ANN), Link(BOB)
    waiter = Waiter(receipt(ann, bob))
    nursery.start_soon(waiter.run)
    send(ann, 2)
    ann.close()
    send(bob, 3)
    await wait_all_tasks_blocked()
    assert str(ANN) in waiter.error
    assert str(BOB) not in waiter.error


async def test_a_message_lost_with_its_stream_is_not_called_sent():
    link = Link(ANN)
    link.pulled = 3
    link.reopened(3)
    send(link, 4)
    with pytest.raises(StreamError, match="before the message was sent"):
        await receipt(link).sent()
    await receipt(link, mark=4).sent()


def test_a_receipt_shows_itself():
    assert "2 peers" in repr(receipt(Link(ANN), Link(BOB)))
