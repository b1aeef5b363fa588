"""The node's side of one pubsub peer: its streams, and how far what was queued has been sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from pubsub.host.stream import Stream
    from pubsub.identity.peer_id import PeerId


class Link:
    """One record for each pubsub peer; a peer that comes back gets a new one."""

    __slots__ = ("changed", "closed", "inbound", "outbound", "peer", "pulled", "sent", "task")

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.inbound: Stream | None = None
        self.outbound: Stream | None = None
        self.pulled = 0
        "Messages handed to the connection's writer."
        self.sent = 0
        "Messages whose bytes the socket has taken."
        self.closed = False
        self.changed = trio.lowlevel.ParkingLot()
        "Wakes those who wait for `sent` to grow, for room, or for the end."

    def on_sent(self) -> None:
        self.sent = self.pulled
        if self.changed:
            self.changed.unpark_all()

    def close(self) -> None:
        self.closed = True
        self.changed.unpark_all()
