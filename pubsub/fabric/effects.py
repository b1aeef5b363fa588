"""What a Fabric peer asks for: its shell, a node with streams and a ledger, does it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from pubsub.fabric.actions import CloseConnection, Warn
from pubsub.fabric.intake_rules import Reason, Verdict
from pubsub.fabric.membership import MemberChanged
from pubsub.fabric.peer_state import PeerState
from pubsub.fabric.state_responder import Request


@dataclass(frozen=True, slots=True)
class Validated:
    """The answer to a `TopicMessage`, by the token that came with it."""

    token: object
    verdict: Verdict
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Publish:
    """Publish an envelope to a topic."""

    topic: str
    envelope: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SendEnvelope:
    """Send to one peer by a stream protocol. If it is not connected: connect, if its endpoint
    is known to membership; if that fails, say `PeerUnreachable`."""

    peer: bytes
    protocol: str
    envelope: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class JoinTopic:
    """Subscribe."""

    topic: str


@dataclass(frozen=True, slots=True)
class LeaveTopic:
    """Unsubscribe."""

    topic: str


@dataclass(frozen=True, slots=True)
class Recheck:
    """Ask again which topics these peers may know: the answers have changed."""

    peers: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect to an endpoint, and say `Dialed` or `DialFailed`.

    With a `peer` it is that dead one which is tried, and only `PeerProven` is awaited.
    """

    endpoint: str
    peer: bytes | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """Append a block to the channel's ledger, and say `Committed` or `CommitFailed`.

    There is one at a time for each channel.
    """

    channel: str
    number: int
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BlockReceived:
    """A genuine block came, of a channel whose ledger the user keeps: once each, in any order."""

    channel: str
    number: int
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A peer asks for blocks: have `Peer.answer` read the ledger, in a thread if it is slow,
    send what it gives, and say `Answered`. There is one at a time for each channel.
    """

    channel: str
    request: Request


@dataclass(frozen=True, slots=True)
class LeaderChanged:
    """From now on we get the channel's blocks from the orderer, or do so no longer."""

    channel: str
    leading: bool


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A peer has said something new of its ledger."""

    channel: str
    state: PeerState


@dataclass(frozen=True, slots=True)
class Blamed:
    """A peer sent us alone what it should not have sent."""

    peer: bytes
    why: str


@dataclass(frozen=True, slots=True)
class Direct:
    """A peer sent private data, a request for it or an acknowledgement."""

    peer: bytes
    envelope: bytes = field(repr=False)


Effect: TypeAlias = (
    Answer
    | Blamed
    | BlockReceived
    | CloseConnection
    | Commit
    | Dial
    | Direct
    | JoinTopic
    | LeaderChanged
    | LeaveTopic
    | MemberChanged
    | Publish
    | Recheck
    | SendEnvelope
    | StateChanged
    | Validated
    | Warn
)
