"""What the input publishes, in the order it came, and whether it reached anybody.

Piped input is often there before the first peer is. So the first message to a
topic waits for a peer in it, up to a deadline that all topics share and that
begins with the first message. After that, or once a message has reached a peer,
messages go out at once, to nobody if nobody is there; how many went so is
counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from pubsub import Node, Receipt

FIRST_PEER_WAIT = 10.0
FLUSH_TIMEOUT = 10.0


class Publisher:
    """Publishes for a shell and keeps the account."""

    def __init__(
        self, node: Node, *, wait_for_first: bool, on_waiting: Callable[[str], None]
    ) -> None:
        self.published = 0
        self.unreached = 0
        "Messages that were queued to no peer."
        self._node = node
        self._wait_for_first = wait_for_first
        self._on_waiting = on_waiting
        self._met: set[str] = set()
        "Topics that had a peer once, or for which we have waited long enough."
        self._deadline: float | None = None

    async def publish(self, topic: str, data: bytes) -> Receipt:
        """Publish to whoever is there.

        Raises LocalError if the message cannot be published at all.
        """
        reached = self.published > self.unreached
        if self._wait_for_first and not reached and topic not in self._met:
            await self._wait_for_peer(topic)
        receipt = await self._node.publish(topic, data)
        self.published += 1
        if not receipt.peers:
            self.unreached += 1
        return receipt

    async def flush(self) -> bool:
        """Wait until all has gone out to the network; False if that takes too long."""
        return await self._node.flush(FLUSH_TIMEOUT)

    async def _wait_for_peer(self, topic: str) -> None:
        self._met.add(topic)
        if self._deadline is None:
            self._deadline = trio.current_time() + FIRST_PEER_WAIT
        if not self._node.peers(topic) and trio.current_time() < self._deadline:
            self._on_waiting(topic)
            with trio.move_on_at(self._deadline):
                await self._node.wait_for_peers(topic, 1)
