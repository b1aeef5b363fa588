"""What `Node.events()` tells of: peers that come, go, and join or leave topics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pubsub.identity.peer_id import PeerId
from pubsub.router.effects import PeerJoined, PeerLeft


@dataclass(frozen=True, slots=True)
class Connected:
    """The first connection to a peer stands."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The last connection to a peer is gone."""

    peer: PeerId

    reason: str | None = None
    "Why we closed it, if we did."


NodeEvent: TypeAlias = Connected | Disconnected | PeerJoined | PeerLeft

__all__ = ["Connected", "Disconnected", "NodeEvent", "PeerJoined", "PeerLeft"]
