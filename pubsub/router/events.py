"""What has happened, and what the user wants: everything that enters the router."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pubsub.identity.peer_id import PeerId
from pubsub.identity.verify import Verdict
from pubsub.router.topic_params import TopicParams


class Validation(enum.Enum):
    """What a validator says of a message (v1.1 §Extended Validators)."""

    ACCEPT = "accept"
    "Deliver it and pass it on."

    REJECT = "reject"
    "Drop it, and hold it against the peer that sent it."

    IGNORE = "ignore"
    "Drop it; nobody is to blame."

    RETRY = "retry"
    "The same, but judge the next copy that has its id: for ids that do not bind what is said."


class Patience(enum.Enum):
    """What to do for peers whose queue has no room for a publish."""

    NONE = "none"
    "Skip them; the caller chose not to wait, and they are not to blame."

    WAIT = "wait"
    "Do nothing and answer `MustWait`, unless they were given up before."

    OVER = "over"
    "Give them up: skip them, put them out of the mesh, hold it against them."


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """A pubsub stream with a peer stands, in either direction."""

    peer: PeerId
    protocol: str
    outbound: bool
    "We dialled the connection."

    ip: str = ""
    "Where the peer is, for the score's count of peers at one address; empty if not known."


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """Our own stream to a connected peer stands, for the first time or again."""

    peer: PeerId
    protocol: str


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    """The last connection to a peer is gone, or it speaks pubsub no more."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class RpcReceived:
    """One or more whole RPCs, encoded, in the order in which they came."""

    peer: PeerId
    frames: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Verified:
    """The answer to a `Verify` effect."""

    batch: int
    verdicts: Sequence[Verdict]


@dataclass(frozen=True, slots=True)
class ValidationFinished:
    """The answer to a `Validate` effect."""

    message_id: bytes
    verdict: Validation


@dataclass(frozen=True, slots=True)
class TimerFired:
    """`next_deadline` has come."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Command: receive the messages of a topic."""

    topic: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Command: receive them no more."""

    topic: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Command: send a message. Raises LocalError for a bad topic or size."""

    topic: str
    data: bytes
    patience: Patience = Patience.NONE
    min_peers: int = 0
    "Raise NotEnoughPeersError if it would go to fewer; aim at as many if they are more than D."


@dataclass(frozen=True, slots=True)
class SetValidation:
    """Command: whether messages of a topic pass through validators."""

    topic: str
    validated: bool


@dataclass(frozen=True, slots=True)
class PublishBatch:
    """Command: send messages together, so that each leaves first to another peer.

    Raises as `Publish` does, and then sends none.
    """

    messages: Sequence[tuple[str, bytes]]
    patience: Patience = Patience.NONE


@dataclass(frozen=True, slots=True)
class SetDirect:
    """Command: whether a peer is a direct one, connected or not (v1.1 §Explicit Peering)."""

    peer: PeerId
    direct: bool


@dataclass(frozen=True, slots=True)
class SetTopic:
    """Command: give a topic parameters of its own, or with None those of the node."""

    topic: str
    params: TopicParams | None


@dataclass(frozen=True, slots=True)
class SetTrace:
    """Command: whether each drop is told by an effect."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetFrameLimit:
    """Command: a peer takes no RPC of more than `limit` bytes; None: as far as we know, it does."""

    peer: PeerId
    limit: int | None


@dataclass(frozen=True, slots=True)
class SetBarred:
    """Command: these are the authors whose messages are dropped, whoever brings them."""

    authors: Sequence[PeerId]


@dataclass(frozen=True, slots=True)
class Feedback:
    """Command: the application likes (> 0) or dislikes what a peer did; part of P5."""

    peer: PeerId
    delta: float


@dataclass(frozen=True, slots=True)
class Recheck:
    """Command: ask `may_know` again, of every peer and topic; who may not any more is parted."""


Event: TypeAlias = (
    PeerConnected
    | StreamOpened
    | PeerDisconnected
    | RpcReceived
    | Verified
    | ValidationFinished
    | TimerFired
    | Subscribe
    | Unsubscribe
    | Publish
    | PublishBatch
    | SetValidation
    | SetDirect
    | SetTopic
    | SetTrace
    | SetBarred
    | SetFrameLimit
    | Feedback
    | Recheck
)
