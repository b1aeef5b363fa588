"""What `Node.events()` and `Node.trace()` tell of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from pubsub.identity.peer_id import PeerId
from pubsub.router.effects import (
    Deliver,
    Dropped,
    Grafted,
    PeerJoined,
    PeerLeft,
    Pruned,
    Published,
)


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


@dataclass(frozen=True, slots=True)
class MessagesLost:
    """A subscription lost messages because its reader is slow.

    Told once a heartbeat, and when the subscription is closed.
    """

    topic: str

    count: int
    "So many since it was last told."

    total: int
    "So many since the subscription began, as its `lost` says."


TopicEvent: TypeAlias = PeerJoined | PeerLeft | Grafted | Pruned | MessagesLost
"These say to which topic they belong."

NodeEvent: TypeAlias = Connected | Disconnected | TopicEvent | Dropped | Published | Deliver
"The last three come in traces only."

__all__ = [
    "Connected",
    "Deliver",
    "Disconnected",
    "Dropped",
    "Grafted",
    "MessagesLost",
    "NodeEvent",
    "PeerJoined",
    "PeerLeft",
    "Pruned",
    "Published",
    "TopicEvent",
]
