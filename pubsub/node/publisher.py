"""Publishing: waiting for peers and for room, and saying where a message went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import trio

from pubsub.errors import NotEnoughPeersError, ParamError
from pubsub.identity import PeerId
from pubsub.node import arguments
from pubsub.node.link import Link
from pubsub.node.pace import Pace
from pubsub.node.receipt import Receipt
from pubsub.router import Router
from pubsub.router.effects import Effect, MustWait, Published
from pubsub.router.events import Event, Patience, Publish, PublishBatch

TURN = 64
"Messages of a batch that take turns (ours)."

Pair: TypeAlias = tuple[str, bytes]
"Topic and data."


class Publisher:
    """The user's publishes, on their way into the router."""

    def __init__(
        self,
        router: Router,
        links: Mapping[PeerId, Link],
        feed: Callable[[Event], list[Effect]],
        check_open: Callable[[], None],
    ) -> None:
        self._router = router
        self._links = links
        self._feed = feed
        self._check_open = check_open
        self._pace = Pace()
        self._joined = trio.lowlevel.ParkingLot()
        "Those who wait for peers in a topic."

    def wake(self) -> None:
        """A peer joined or left a topic, or the node is closed."""
        self._joined.unpark_all()

    async def publish(
        self, topic: str, data: bytes, min_peers: int, timeout: float | None
    ) -> Receipt:
        """See `Node.publish`."""
        deadline = self._deadline(timeout)
        arguments.count("min_peers", min_peers)
        if min_peers and len(self._router.peers(topic)) < min_peers:
            await self._wait_for_peers(topic, min_peers, deadline)
        await self._pace.checkpoint()
        data = _bytes(data)
        results = self._try(Publish(topic, data, Patience.WAIT, min_peers))
        while isinstance(results[-1], MustWait):
            waited = await self._wait_for_room(results[-1].peers[0], deadline, 1, 0)
            patience = Patience.WAIT if waited else Patience.OVER
            results = self._try(Publish(topic, data, patience, min_peers))
        receipt = self._receipt(results[-1])
        if len(receipt.peers) < min_peers:
            raise NotEnoughPeersError(
                f"queued to {len(receipt.peers)} peers where {min_peers} were asked for"
            )
        return receipt

    def publish_nowait(self, topic: str, data: bytes) -> Receipt:
        """See `Node.publish_nowait`."""
        return self._receipt(self._try(Publish(topic, _bytes(data)))[-1])

    async def publish_batch(self, messages: Iterable[Pair], timeout: float | None) -> list[Receipt]:
        """See `Node.publish_batch`."""
        self._deadline(timeout)
        receipts: list[Receipt] = []
        await trio.lowlevel.checkpoint()
        for turn in self._turns([_pair(message) for message in messages]):
            # For each turn anew: one deaf peer must not use up the time that others need.
            deadline = self._deadline(timeout)
            size = sum(len(data) for _, data in turn)
            results = self._try(PublishBatch(turn, Patience.WAIT))
            while isinstance(results[-1], MustWait):
                waited = await self._wait_for_room(results[-1].peers[0], deadline, len(turn), size)
                patience = Patience.WAIT if waited else Patience.OVER
                results = self._try(PublishBatch(turn, patience))
            receipts += [self._receipt(one) for one in results[-len(turn) :]]
            await self._pace.checkpoint(len(turn))
        return receipts

    def _turns(self, messages: Sequence[Pair]) -> Iterator[list[Pair]]:
        """Parts of a batch that fit into a queue that is half free."""
        params = self._router.params
        count = max(1, min(TURN, params.queue_messages // 2))
        turn: list[Pair] = []
        size = 0
        for pair in messages:
            if turn and (len(turn) == count or 2 * (size + len(pair[1])) > params.queue_bytes):
                yield turn
                turn, size = [], 0
            turn.append(pair)
            size += len(pair[1])
        if turn:
            yield turn

    def _deadline(self, timeout: float | None) -> float:
        self._check_open()
        if timeout is None:
            timeout = self._router.params.publish_timeout
        timeout = arguments.seconds("timeout", timeout)
        return trio.current_time() + timeout

    def _try(self, event: Publish | PublishBatch) -> list[Effect]:
        self._check_open()
        return self._feed(event)

    def _receipt(self, result: Effect) -> Receipt:
        assert isinstance(result, Published)
        message = result.message
        links = [self._links[peer] for peer in result.peers]
        return Receipt(message.topic, message.id, result.peers, result.skipped, links, result.marks)

    async def _wait_for_room(self, peer: PeerId, deadline: float, count: int, size: int) -> bool:
        """True once `peer` has room or is gone, False at the deadline."""
        link = self._links.get(peer)
        with trio.move_on_at(deadline):
            while (
                link is not None
                and not link.closed
                and not self._router.has_room(peer, count, size)
            ):
                await link.changed.park()
            return True
        return False

    async def wait_for_peers(self, topic: str, n: int) -> list[PeerId]:
        """See `Node.wait_for_peers`."""
        arguments.count("n", n)
        self._router.check_topic(topic)
        await trio.lowlevel.checkpoint()
        while len(peers := self._router.peers(topic)) < n:
            self._check_open()
            await self._joined.park()
        return peers

    async def _wait_for_peers(self, topic: str, n: int, deadline: float) -> None:
        with trio.move_on_at(deadline) as scope:
            await self.wait_for_peers(topic, n)
        if scope.cancelled_caught:
            raise NotEnoughPeersError(
                f"{len(self._router.peers(topic))} peers subscribe to {topic!r}, "
                f"where {n} were asked for"
            )

    async def flush(self, timeout: float) -> bool:
        """See `Node.flush`."""
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(timeout):
            for link in list(self._links.values()):
                while not link.closed and not self._is_flushed(link):
                    await link.changed.park()
            return True
        return False

    def _is_flushed(self, link: Link) -> bool:
        mark = self._router.watermark(link.peer)
        return mark is None or (link.sent >= mark[0] and self._router.is_empty(link.peer))


def _pair(message: Pair) -> Pair:
    try:
        topic, data = message
    except (TypeError, ValueError) as error:
        raise ParamError("each message of a batch is a pair: topic, data") from error
    return topic, _bytes(data)


def _bytes(data: bytes) -> bytes:
    if type(data) is bytes:
        return data
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ParamError(f"data must be bytes, not {type(data).__name__}")
    return bytes(data)
