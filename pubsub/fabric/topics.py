"""Names: how channels and organizations become topics and stream protocols.

    /fabric/1/NETWORK/c/CHANNEL/state            one channel, all its organizations
    /fabric/1/NETWORK/c/CHANNEL/o/ORG/blocks     one channel, one organization
    /fabric/1/NETWORK/o/ORG/alive                one organization, whatever the channel

SUBSCRIBE tells topics to every connected peer that may know them, and a name is
seen by whoever relays. So CHANNEL is a hash over parts with their lengths before
them, with the hash of the channel's genesis block among them: nobody who has not
seen that block can guess it from a list of likely names.
"""

from __future__ import annotations

import enum
from base64 import b32encode
from dataclasses import dataclass
from hashlib import sha256

from pubsub.errors import ParamError

VERSION = "fabric-gossip/1"
LABEL_LENGTH = 32
"Characters of a hashed name: 160 bits."

_ROOT = "/fabric/1/"
_BLOCKS = "/blocks"

PROTOCOL_PREFIX = "/fabric/gossip"
IDENTITY = f"{PROTOCOL_PREFIX}/identity/1.0.0"
MEMBERSHIP = f"{PROTOCOL_PREFIX}/membership/1.0.0"
PULL = f"{PROTOCOL_PREFIX}/pull/1.0.0"
STATE_INFO = f"{PROTOCOL_PREFIX}/state-info/1.0.0"
STATE_TRANSFER = f"{PROTOCOL_PREFIX}/state/1.0.0"
DIRECT = f"{PROTOCOL_PREFIX}/direct/1.0.0"
SHARE = f"{PROTOCOL_PREFIX}/share/1.0.0"
BLOCK = f"{PROTOCOL_PREFIX}/block/1.0.0"


class Naming(enum.Enum):
    """How names of channels and organizations appear in topics."""

    HASHED = "hashed"
    "As hashes: outsiders learn nothing."

    PLAIN = "plain"
    "As they are, for people who watch a network of their own."


class Scope(enum.Enum):
    """Where blocks are pushed."""

    ORG = "org"
    "Within each organization, as Fabric does: each needs a leader that pulls from the orderer."

    CHANNEL = "channel"
    "In the whole channel (ours): fewer pulls from the orderer."


def label(*parts: bytes) -> str:
    """A name that says nothing of `parts` to one who does not know them all."""
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return b32encode(digest.digest()).decode("ascii")[:LABEL_LENGTH].lower()


@dataclass(frozen=True, slots=True)
class Network:
    """The names of one network of peers; `id` is any text that its operators agree on."""

    id: str
    naming: Naming = Naming.HASHED

    def __post_init__(self) -> None:
        if not self.id or "/" in self.id:
            raise ParamError(f"a network id is a text without '/', not {self.id!r}")

    @property
    def identity_protocol(self) -> str:
        """The stream on which its peers prove who they are; those of others do not speak it."""
        return f"{IDENTITY}/{self.id}"

    def org_label(self, msp_id: str) -> str:
        if self.naming is Naming.PLAIN:
            return _plain("MSP id", msp_id)
        return label(VERSION.encode(), self.id.encode(), b"org", msp_id.encode())

    def org_alive(self, msp_id: str) -> str:
        """Where the peers of one organization say that they live, internal endpoints included."""
        return f"{_ROOT}{self.id}/o/{self.org_label(msp_id)}/alive"

    def channel(self, channel_id: str, genesis_hash: bytes) -> ChannelTopics:
        """The topics of a channel; `genesis_hash` is the hash of its genesis block's header."""
        if self.naming is Naming.PLAIN:
            name = _plain("channel", channel_id)
        else:
            parts = (VERSION.encode(), self.id.encode(), channel_id.encode(), genesis_hash)
            name = label(*parts)
        return ChannelTopics(self, f"{_ROOT}{self.id}/c/{name}")


@dataclass(frozen=True, slots=True)
class ChannelTopics:
    """The topics of one channel."""

    network: Network
    prefix: str

    @property
    def state(self) -> str:
        """StateInfo of peers that other organizations may know."""
        return f"{self.prefix}/state"

    @property
    def alive(self) -> str:
        """AliveMessages of such peers, without their internal endpoints."""
        return f"{self.prefix}/alive"

    def org(self, msp_id: str) -> str:
        """What the topics of one organization in this channel begin with."""
        return f"{self.prefix}/o/{self.network.org_label(msp_id)}"

    def org_state(self, msp_id: str) -> str:
        """StateInfo of peers that only their own organization may know."""
        return f"{self.org(msp_id)}/state"

    def leader(self, msp_id: str) -> str:
        """Proposals and declarations of the organization's leader."""
        return f"{self.org(msp_id)}/leader"

    def blocks(self, msp_id: str, scope: Scope = Scope.ORG) -> str:
        """Where blocks are pushed."""
        return f"{self.org(msp_id) if scope is Scope.ORG else self.prefix}{_BLOCKS}"


def is_blocks_topic(topic: str) -> bool:
    """Whether blocks are pushed there, whatever the network and the channel."""
    return topic.endswith(_BLOCKS) and topic.startswith(_ROOT)


def _plain(what: str, name: str) -> str:
    if not name or "/" in name:
        raise ParamError(f"a {what} is a text without '/', not {name!r}")
    return name
