"""Acknowledgements on their way back: who waits for which."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

import trio

from pubsub.errors import ClosedError
from pubsub.fabric.criteria import GONE, AckCollector, SendCriteria
from pubsub.fabric_node.lanes import FULL
from pubsub.pb.fabric.gossip_pb2 import GossipMessage


@final
class Acks:
    """All collectors that wait for acknowledgements."""

    def __init__(self) -> None:
        self.unexpected = 0
        "Acknowledgements that nobody waited for."
        self._waiting: dict[AckCollector, trio.Event] = {}
        self._closed = False

    def take(self, peer: bytes, nonce: int, error: str) -> None:
        """A peer has acknowledged a message, or refused it with an error."""
        for collector, changed in self._waiting.items():
            if collector.on_ack(peer, nonce, error):
                changed.set()
                return
        self.unexpected += 1

    def gone(self, peer: bytes, why: str = GONE) -> None:
        """A peer is not connected any more, or could not be sent to."""
        for collector, changed in self._waiting.items():
            collector.on_gone(peer, why)
            changed.set()

    def close(self) -> None:
        self._closed = True
        for changed in self._waiting.values():
            changed.set()

    async def send(
        self,
        message: GossipMessage,
        nonces: Mapping[bytes, int],
        criteria: SendCriteria[Any],
        send: Callable[[bytes, GossipMessage], bool],
    ) -> None:
        """Send a message to each of some peers, and wait until enough have acknowledged.

        Raises as `wait` does.
        """
        deadline = trio.current_time() + criteria.timeout
        collector = AckCollector(criteria.min_ack, nonces, deadline=deadline)
        with self.collecting(collector):
            for peer, nonce in nonces.items():
                copy = GossipMessage()
                copy.CopyFrom(message)
                copy.nonce = nonce
                if not send(peer, copy):
                    collector.on_gone(peer, FULL)
            await self.wait(collector)

    @contextmanager
    def collecting(self, collector: AckCollector) -> Iterator[None]:
        """Let a collector have its acknowledgements from now on: open this, then send."""
        self._waiting[collector] = trio.Event()
        try:
            yield
        finally:
            del self._waiting[collector]

    async def wait(self, collector: AckCollector) -> None:
        """Wait until a collector has enough. Raises NotEnoughPeersError, ClosedError."""
        await trio.lowlevel.checkpoint()
        while not collector.done:
            if self._closed:
                raise ClosedError("this service has stopped")
            with trio.move_on_at(collector.next_deadline):
                await self._waiting[collector].wait()
            self._waiting[collector] = trio.Event()
            collector.tick(trio.current_time())
        collector.check()


def nonces(peers: Sequence[bytes], rng: random.Random) -> dict[bytes, int]:
    """A nonce for each peer; each message is acknowledged by its own."""
    return {peer: rng.getrandbits(64) or 1 for peer in peers}
