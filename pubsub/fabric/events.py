"""What has happened to a Fabric peer, and what its user wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from pubsub.fabric.config import ChannelConfig
from pubsub.fabric.peer_state import Chaincode


@dataclass(frozen=True, slots=True)
class Started:
    """The first event."""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """`next_deadline` has come."""


@dataclass(frozen=True, slots=True)
class PeerProven:
    """A connection stands, and its peer has signed for it with this identity."""

    peer: bytes
    identity: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PeerRenewed:
    """A peer known as `old` has come back with another identity of its organization."""

    old: bytes
    peer: bytes
    identity: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PeerGone:
    """The last connection to a peer has ended: it may live on."""

    peer: bytes


@dataclass(frozen=True, slots=True)
class PeerUnreachable:
    """A peer could not be sent to."""

    peer: bytes


@dataclass(frozen=True, slots=True)
class SuspectPeers:
    """Command: validate again the identities that the predicate names, and put out those that
    are no longer good. It is given identities as they travel.
    """

    predicate: Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Dialed:
    """An endpoint was reached; `PeerProven` has been said of the peer there."""

    endpoint: str
    peer: bytes


@dataclass(frozen=True, slots=True)
class DialFailed:
    endpoint: str
    why: str


@dataclass(frozen=True, slots=True)
class TopicMessage:
    """`peer` passed on an envelope; answered by `Validated` with the same token."""

    peer: bytes
    topic: str
    envelope: bytes = field(repr=False)
    token: object = None


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """`peer` sent us an envelope by a stream protocol."""

    peer: bytes
    protocol: str
    envelope: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class JoinChannel:
    """Command: be in a channel. Raises ParamError if we are in it already, or have left it while
    its ledger was asked to do something that has not ended.

    `config` is the newest in its ledger, which has at least the genesis block. Where the ledger
    is not kept here, the user keeps it: it is told of blocks by `BlockReceived` and never asked
    to `Commit`, and says by `SetLedgerHeight` and `Configure` how far its ledger is.
    """

    config: ChannelConfig = field(repr=False)
    genesis_hash: bytes = field(repr=False)
    height: int = 1
    keeps_ledger: bool = True


@dataclass(frozen=True, slots=True)
class LeaveChannel:
    """Command: leave a channel. Others are told for as long as they remember one that is out of
    reach (500 s by default); then nothing of it stays here, and it is as if never joined."""

    channel: str


@dataclass(frozen=True, slots=True)
class SetChaincodes:
    """Command: say that we have these."""

    channel: str
    chaincodes: tuple[Chaincode, ...]


@dataclass(frozen=True, slots=True)
class SetLedgerHeight:
    """Command: the ledger that the user keeps has this height. Raises ParamError if that is
    lower than before, or if the channel's ledger is kept here."""

    channel: str
    height: int


@dataclass(frozen=True, slots=True)
class Configure:
    """Command: this is the configuration in the ledger that the user keeps; one that is not newer
    is passed over. Raises ParamError if it cannot follow the one before, or if the channel's
    ledger is kept here."""

    channel: str
    config: ChannelConfig = field(repr=False)


@dataclass(frozen=True, slots=True)
class GossipBlock:
    """Command: push a block to others. It is taken here as well, where it is wanted.

    Raises ParamError if it is not genuine, or if blocks are not pushed in the channel.
    """

    channel: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """Command: say this of ourselves in AliveMessages."""

    metadata: bytes


@dataclass(frozen=True, slots=True)
class BlockDelivered:
    """The orderer gave a block to us, the leader."""

    channel: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OrdererLost:
    """The orderer could not be reached for too long."""

    channel: str


@dataclass(frozen=True, slots=True)
class Committed:
    """A block is in the ledger for good."""

    channel: str
    number: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What an `Answer` asked for was done, or could not be done."""

    channel: str


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """A block is not in the ledger, which ends before it."""

    channel: str
    number: int
    why: str


OwnEvent: TypeAlias = DialFailed | Dialed | SetMetadata | Started
PeerEvent: TypeAlias = PeerGone | PeerProven | PeerRenewed | PeerUnreachable
ChannelCommand: TypeAlias = Configure | GossipBlock | LeaveChannel | SetChaincodes | SetLedgerHeight
LedgerEvent: TypeAlias = Answered | BlockDelivered | CommitFailed | Committed | OrdererLost
ChannelEvent: TypeAlias = ChannelCommand | LedgerEvent
Event: TypeAlias = (
    ChannelEvent
    | JoinChannel
    | OwnEvent
    | PeerEvent
    | StreamMessage
    | SuspectPeers
    | TimerFired
    | TopicMessage
)
