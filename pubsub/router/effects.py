"""What is to be done: all that leaves the router, apart from the bytes that `take` hands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pubsub.identity.peer_id import PeerId
from pubsub.identity.verify import SignatureCheck
from pubsub.router.message import Message


@dataclass(frozen=True, slots=True)
class Writable:
    """There is something to `take` for this peer; said once until it is taken."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand these messages to the subscriptions of their topics, in this order."""

    messages: Sequence[Message]


@dataclass(frozen=True, slots=True)
class Verify:
    """Check these signatures and answer with `Verified`."""

    batch: int
    checks: Sequence[SignatureCheck]


@dataclass(frozen=True, slots=True)
class Validate:
    """Run the topic's validators on this message and answer with `ValidationFinished`."""

    message: Message


@dataclass(frozen=True, slots=True)
class Published:
    """A message went out: queued to `peers`, and not to `skipped`, for the reasons given."""

    message: Message
    peers: tuple[PeerId, ...]
    marks: tuple[int, ...]
    "For each of `peers`: the message has left when as many messages have been taken."
    skipped: Mapping[PeerId, str]


@dataclass(frozen=True, slots=True)
class MustWait:
    """Nothing was published: the queues of these peers are full."""

    peers: tuple[PeerId, ...]


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """A peer subscribed to a topic."""

    topic: str
    peer: PeerId


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """A peer left a topic, or is gone."""

    topic: str
    peer: PeerId


@dataclass(frozen=True, slots=True)
class Grafted:
    """A peer is in the mesh of a topic now, whoever asked for it."""

    topic: str
    peer: PeerId


@dataclass(frozen=True, slots=True)
class Pruned:
    """A peer is in the mesh of a topic no more, whoever asked for it, or is gone."""

    topic: str
    peer: PeerId


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect to a peer that `source` told of, with its signed record where there was one.

    Neither has been looked at: the record must be the peer's own.
    """

    peer: PeerId
    record: bytes
    source: PeerId


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something went nowhere (only while the router is traced). Fields not known are empty."""

    reason: str
    count: int
    peer: PeerId | None
    topic: str
    message_id: bytes


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connections to this peer."""

    peer: PeerId
    reason: str


Effect: TypeAlias = (
    Writable
    | Deliver
    | Verify
    | Validate
    | Published
    | MustWait
    | PeerJoined
    | PeerLeft
    | Grafted
    | Pruned
    | Dial
    | Dropped
    | Disconnect
)
