"""The node's side of one pubsub peer: its streams, and how far what was queued has been sent."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from pubsub.host.stream import Stream
    from pubsub.identity.peer_id import PeerId

MAX_GAPS = 64
"Broken streams remembered for each peer."


class Link:
    """One record for each pubsub peer; a peer that comes back gets a new one."""

    __slots__ = ("changed", "closed", "gaps", "inbound", "outbound", "peer", "pulled", "sent")

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.inbound: Stream | None = None
        self.outbound: Stream | None = None
        self.pulled = 0
        "Messages handed to the connection's writer."
        self.sent = 0
        "Messages whose bytes the socket has taken, or that were lost with a stream."
        self.gaps: deque[tuple[int, int]] = deque(maxlen=MAX_GAPS)
        "Those lost: after the first number, up to the second."
        self.closed = False
        self.changed = trio.lowlevel.ParkingLot()
        "Wakes those who wait for `sent` to grow, for room, or for the end."

    def on_sent(self) -> None:
        self.sent = self.pulled
        if self.changed:
            self.changed.unpark_all()

    def reopened(self, taken: int) -> None:
        """A stream replaces one that broke, and what that one had taken and not sent is lost."""
        if taken > self.sent:
            self.gaps.append((self.sent, taken))
            self.pulled = taken
            self.on_sent()

    def has_sent(self, mark: int) -> bool:
        """True if the socket has taken the message that was the `mark`th to be queued."""
        return self.sent >= mark and not any(low < mark <= high for low, high in self.gaps)

    def close(self) -> None:
        self.closed = True
        self.changed.unpark_all()
