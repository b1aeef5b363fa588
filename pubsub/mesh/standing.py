"""What the mesh asks about a peer: how well it behaved, and who dialled whom."""

from __future__ import annotations

from typing import Protocol

from pubsub.identity.peer_id import PeerId


class Standing(Protocol):
    """The router's knowledge of its peers, as far as the mesh needs it."""

    def score(self, peer: PeerId) -> float:
        """The peer's score; 0 for everybody where scoring is off (v1.1 §Peer Scoring)."""

    def outbound(self, peer: PeerId) -> bool:
        """True if we dialled the peer, which an attacker cannot bring about."""


class Equal:
    """Everybody is as good as the others."""

    def score(self, peer: PeerId) -> float:
        return 0.0

    def outbound(self, peer: PeerId) -> bool:
        return False


EQUAL: Standing = Equal()
