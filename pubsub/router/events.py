"""What has happened, and what the user wants: everything that enters the router."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pubsub.identity.peer_id import PeerId
from pubsub.identity.verify import Verdict


class Validation(enum.Enum):
    """What a validator says of a message (v1.1 §Extended Validators)."""

    ACCEPT = "accept"
    "Deliver it and pass it on."

    REJECT = "reject"
    "Drop it, and hold it against the peer that sent it."

    IGNORE = "ignore"
    "Drop it; nobody is to blame."


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
    | SetValidation
)
