"""What the pull engine needs to be told: whose items, under which label, with which bounds."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from pubsub.errors import ParamError
from pubsub.fabric.params import GossipParams
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, PullMsgType


class Mode(enum.Enum):
    """Who tells whom what it holds."""

    PULL = "pull"
    "We ask others, as Fabric does."

    PUSH = "push"
    "We tell others, and they ask for what they lack."

    PUSH_PULL = "push-pull"
    "Both in each round."


@dataclass(frozen=True, slots=True, repr=False)
class Item:
    """An item that a peer sent, read and found good."""

    digest: bytes
    encoded: bytes
    "The Envelope as it came."

    content: Any = None
    "What the store made of it."

    def __repr__(self) -> str:
        return f"Item({self.digest!r}, <{len(self.encoded)}b>)"


class PullStore(Protocol):
    """A set of items, each known by a digest: a short name that says which item and which version.

    The engine calls these at once and expects them to be quick.
    """

    def digests(self, peer: bytes) -> Sequence[bytes]:
        """What is held and may be shown to `peer`; nothing, if it may not know at all."""

    def wanted(self, digest: bytes) -> bool:
        """Whether an item of this digest is missing here. Any bytes may come."""

    def items(self, digests: Sequence[bytes], peer: bytes) -> Iterable[bytes]:
        """Encoded Envelopes of those that are held and may be shown to `peer`.

        Read only as far as one answer has room.
        """

    def check(self, encoded: bytes) -> Item:
        """Read and verify an item that was sent. Raises RemoteError if it is not good."""

    def add(self, item: Item, now: float) -> bool:
        """Keep an item; False if it was here already or is too old."""


@dataclass(frozen=True, slots=True)
class Label:
    """What the messages of one pull bear, so that each store hears its own."""

    channel: bytes
    tag: GossipMessage.Tag
    kind: PullMsgType

    def message(self, **content: Any) -> GossipMessage:
        """A message of this pull; `content` is the one field of the oneof."""
        return GossipMessage(channel=self.channel, tag=self.tag, **content)

    def fits(self, message: GossipMessage) -> bool:
        """Whether `message` is one of the four of this pull."""
        step = message.WhichOneof("content")
        return (
            step in ("hello", "data_dig", "data_req", "data_update")
            and message.channel == self.channel
            and message.tag == self.tag
            and getattr(message, step).msg_type == self.kind
        )


FIRST_FREE_KIND = 100


def own_kind(number: int) -> PullMsgType:
    """The kind of a store that Fabric does not know; its numbers begin at `FIRST_FREE_KIND`."""
    if not FIRST_FREE_KIND <= number < 1 << 31:
        raise ParamError(f"kinds of one's own begin at {FIRST_FREE_KIND}, not {number}")
    return cast("PullMsgType", number)


IDENTITIES = Label(b"", GossipMessage.EMPTY, PullMsgType.IDENTITY_MSG)


def blocks_of(channel: bytes) -> Label:
    """The label under which the blocks of a channel are pulled."""
    return Label(channel, GossipMessage.CHAN_AND_ORG, PullMsgType.BLOCK_MSG)


@dataclass(frozen=True, slots=True, kw_only=True)
class PullParams:
    """Times in seconds, and bounds. The defaults of the first five are Fabric's."""

    interval: float = 4.0
    peer_num: int = 3
    digest_wait: float = 1.0
    request_wait: float = 1.5
    response_wait: float = 2.0
    mode: Mode = Mode.PULL

    max_digests: int = 10_000
    """Digests in one message. Of more that are ours, so many are drawn at random each time;
    of more that came, the first are read."""

    max_digest_bytes: int = 256
    "A longer digest is not wanted."

    max_asked: int = 256
    """Items in one request: to check them takes a while, in which nothing else is done. What
    there is more is asked for in the next rounds."""

    max_promises: int = 1000
    "Digests of ours that may be outstanding: hellos are ignored while there are so many."

    max_promises_to_peer: int = 4
    "The same for one peer, which so gets no more than this many answers in `request_wait`."

    max_offers: int = 32
    "Unasked digests of others that are being followed up (push only)."

    max_response_bytes: int = 16 << 20
    "Items in one answer; the first item is sent whatever its size."

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not isinstance(value, Mode) and value <= 0:
                raise ParamError(f"{name} must be above 0, not {value:g}")
        if self.interval <= self.digest_wait + self.response_wait:
            raise ParamError("interval must be longer than digest_wait + response_wait")

    @classmethod
    def of(cls, params: GossipParams) -> PullParams:
        """What Fabric's own keys say."""
        return cls(
            interval=params.pull_interval,
            peer_num=params.pull_peer_num,
            digest_wait=params.digest_wait_time,
            request_wait=params.request_wait_time,
            response_wait=params.response_wait_time,
        )
