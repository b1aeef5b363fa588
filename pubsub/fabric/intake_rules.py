"""What is allowed where, and why an envelope is refused: the tables of `pubsub.fabric.intake`.

Below are the questions that it asks of others.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol

from pubsub.fabric import state_info
from pubsub.fabric import topics as names
from pubsub.fabric.access import Kind
from pubsub.fabric.content import PULL, Content
from pubsub.fabric.envelope import MAX_ENVELOPE_BYTES, GossipEnvelope
from pubsub.fabric.members import MAX_ENVELOPE, Alive, Freshness
from pubsub.fabric.peer_state import PeerState
from pubsub.fabric.state_info import MAX_STATE
from pubsub.pb.fabric.gossip_pb2 import LeadershipMessage

MAX_LEADERSHIP = 4 * 1024
"Bytes of a leadership message's envelope (ours; Fabric's have 0.4 kB)."
MAX_CONNECTION = 128 * 1024
"Bytes of a proof of identity (ours): the longest identity, and the rest."

ON_TOPIC: dict[Kind, tuple[Content, int]] = {
    Kind.ORG_ALIVE: (Content.ALIVE, MAX_ENVELOPE),
    Kind.CHANNEL_ALIVE: (Content.ALIVE, MAX_ENVELOPE),
    Kind.STATE: (Content.STATE_INFO, MAX_STATE),
    Kind.ORG_STATE: (Content.STATE_INFO, MAX_STATE),
    Kind.LEADER: (Content.LEADERSHIP, MAX_LEADERSHIP),
    Kind.BLOCKS: (Content.DATA, MAX_ENVELOPE_BYTES),
}
"The content of each kind of topic, and how long its envelopes may be."

ON_STREAM: dict[str, tuple[frozenset[Content], int]] = {
    names.IDENTITY: (frozenset((Content.CONNECTION,)), MAX_CONNECTION),
    names.MEMBERSHIP: (
        frozenset((Content.MEMBERSHIP_REQUEST, Content.MEMBERSHIP_RESPONSE)),
        MAX_ENVELOPE_BYTES,
    ),
    names.PULL: (PULL, MAX_ENVELOPE_BYTES),
    names.STATE_INFO: (
        frozenset((Content.STATE_INFO_REQUEST, Content.STATE_SNAPSHOT)),
        MAX_ENVELOPE_BYTES,
    ),
    names.STATE_TRANSFER: (
        frozenset((Content.STATE_REQUEST, Content.STATE_RESPONSE)),
        MAX_ENVELOPE_BYTES,
    ),
    names.DIRECT: (
        frozenset(
            (
                Content.PRIVATE_DATA,
                Content.PRIVATE_REQUEST,
                Content.PRIVATE_RESPONSE,
                Content.ACK,
            )
        ),
        MAX_ENVELOPE_BYTES,
    ),
}
"The contents of each stream protocol, and how long their envelopes may be."

PROTOCOL_OF = {content: name for name, (contents, _) in ON_STREAM.items() for content in contents}
UNTAGGED = frozenset((names.IDENTITY, names.DIRECT))
"Streams whose contents answer to rules of their own."
ASKING = frozenset((Content.HELLO, Content.DATA_REQUEST, Content.STATE_REQUEST))
"What only a peer may ask that is known to be in the channel."


class Verdict(enum.Enum):
    """What is to become of an envelope; the names are those of the router's `Validation`."""

    ACCEPT = "accept"
    IGNORE = "ignore"
    RETRY = "retry"
    "As IGNORE, but another copy with its id may be good."

    REJECT = "reject"


class Reason(enum.StrEnum):
    """Why an envelope was not accepted: also the names under which that is counted."""

    NOT_OURS = "topic or protocol that is not ours"
    SENDER = "sender that may not know"
    MALFORMED = "malformed"
    CONTENT = "content that does not belong here"
    TAG = "illegal tag"
    CHANNEL = "another channel"
    NOT_ELIGIBLE = "asked by one that is not known to be in the channel"
    NOT_IN_CHANNEL = "channel that we are not in"
    NOT_MEMBER = "of one whose organization is not in the channel"
    NO_LEDGER = "asked for blocks of a ledger that is kept elsewhere"
    LEFT = "of a channel that we have left"
    DRESSED_UP = "with something about it that nobody signs"
    SECRET = "secret outside its organization"
    ENDPOINT = "author that other organizations may not know"
    UNKNOWN_AUTHOR = "unknown author"
    IDENTITY = "author whose identity is not good"
    EXPIRED = "author whose certificate has ended"
    OUTSIDE = "author of an organization that is not here"
    STALE = "stale"
    NO_ROOM = "too large, or no room"
    WINDOW = "block that is not wanted"
    REPEATED = "author that is in the same answer twice"
    TOO_OFTEN = "author that speaks too often"
    OWN = "our own"
    SIGNATURE = "signature"
    BLOCK = "block that is not genuine"
    EARLY = "block of orderers that we do not know yet"


IGNORED = frozenset(
    (
        Reason.NOT_OURS,
        Reason.NOT_IN_CHANNEL,
        Reason.NOT_MEMBER,
        Reason.NOT_ELIGIBLE,
        Reason.NO_LEDGER,
        Reason.LEFT,
        Reason.UNKNOWN_AUTHOR,
        Reason.IDENTITY,
        Reason.EXPIRED,
        Reason.STALE,
        Reason.NO_ROOM,
        Reason.WINDOW,
        Reason.TOO_OFTEN,
        Reason.OWN,
    )
)
"Reasons that are nobody's fault; all others are REJECT, but for one."


def verdict_of(reason: Reason) -> Verdict:
    """What becomes of an envelope that is refused for this reason."""
    if reason is Reason.EARLY:
        return Verdict.RETRY
    return Verdict.IGNORE if reason in IGNORED else Verdict.REJECT


FAULTS = (
    Reason.MALFORMED,
    Reason.CONTENT,
    Reason.TAG,
    Reason.IDENTITY,
    Reason.SIGNATURE,
    Reason.REPEATED,
)
"What no part of an honest answer is refused for, or hardly ever."
MAX_FAULTS = 10
"In one answer: each may have cost a signature's check, and 16,000 of those take long (ours)."


@dataclass(frozen=True, slots=True)
class Judged:
    """An envelope and what is to become of it."""

    verdict: Verdict
    reason: Reason | None = None
    envelope: GossipEnvelope | None = field(default=None, repr=False)
    "What to hand on: also where our own word comes back to us, which is not carried on."

    channel: str = ""
    is_known: bool = False
    "Carry it on, but there is nothing new in it."


class View(Protocol):
    """What is asked of membership."""

    def freshness(self, alive: Alive) -> Freshness:
        """How a message stands to the last one of its author."""

    def is_news(self, alive: Alive) -> bool:
        """Whether there is anything in a message that is not known."""


class Channel(Protocol):
    """What is asked of a channel that we are in."""

    @property
    def has_left(self) -> bool:
        """Whether we have left it."""

    @property
    def keeps_ledger(self) -> bool:
        """Whether its ledger is kept here."""

    @property
    def next_number(self) -> int:
        """The number of the block that its ledger lacks first."""

    def is_org_in_channel(self, org: str | None) -> bool:
        """Whether peers of `org` are in it."""

    def is_eligible(self, peer: bytes) -> bool:
        """Whether a peer is known to be in it."""

    def judge(self, state: PeerState) -> state_info.Verdict:
        """What is to be thought of a StateInfo."""

    def state_of(self, peer: bytes) -> PeerState | None:
        """What a peer said last."""

    def is_fresh(self, sender: bytes, message: LeadershipMessage) -> bool:
        """Whether a leadership message is newer than the last one of its author."""

    def wants_block(self, number: int) -> bool:
        """Whether a block is in the window, and not here."""

    def pass_over(self, number: int) -> None:
        """A block that was not wanted will not be pushed again."""

    def verify(self, number: int, raw: bytes) -> object:
        """Raise BlockError unless `raw` is block `number` of the channel."""
