"""What `publish` returns: where the message went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from pubsub.errors import StreamError
from pubsub.identity.peer_id import PeerId
from pubsub.node.link import Link


@final
class Receipt:
    """Where a message was queued, and where not and why."""

    __slots__ = ("_links", "_marks", "id", "peers", "skipped", "topic")

    def __init__(
        self,
        topic: str,
        message_id: bytes,
        peers: tuple[PeerId, ...],
        skipped: Mapping[PeerId, str],
        links: Sequence[Link],
        marks: Sequence[int],
    ) -> None:
        self.topic = topic
        self.id = message_id
        self.peers = peers
        "The peers it was queued to; nobody if nobody was there."
        self.skipped = skipped
        "Peers it should have gone to and did not, each with the reason."
        self._links = links
        self._marks = marks

    async def sent(self) -> None:
        """Wait until the operating system has taken the message's bytes for every peer.

        Raises StreamError if a peer went before that; it names them.
        """
        gone: list[str] = []
        for link, mark in zip(self._links, self._marks, strict=True):
            while link.sent < mark and not link.closed:
                await link.changed.park()
            if not link.has_sent(mark):
                gone.append(str(link.peer))
        if gone:
            raise StreamError(f"gone before the message was sent: {', '.join(gone)}")

    def __repr__(self) -> str:
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"<Receipt {self.id.hex()[-8:]} in {self.topic!r}: {len(self.peers)} peers{skipped}>"
