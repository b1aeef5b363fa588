"""What the machines of Fabric's gossip ask for; the composition above them does it.

Messages are complete but for signatures: channel, tag and nonce are set. Which of
them are signed is said by the class: everything that goes by `Send` goes with an empty
signature, as in Fabric.
"""

from __future__ import annotations

from dataclasses import dataclass

from pubsub.fabric.envelope import GossipEnvelope
from pubsub.pb.fabric.gossip_pb2 import GossipMessage


@dataclass(frozen=True, slots=True, repr=False)
class Send:
    """Send to one peer, unsigned."""

    peer: bytes
    "Its PKI-ID."

    message: GossipMessage

    def __repr__(self) -> str:
        return f"Send({short(self.peer)}, {summary(self.message)})"


@dataclass(frozen=True, slots=True, repr=False)
class SendSigned:
    """Sign with our own identity and send to one peer."""

    peer: bytes
    message: GossipMessage

    def __repr__(self) -> str:
        return f"SendSigned({short(self.peer)}, {summary(self.message)})"


@dataclass(frozen=True, slots=True, repr=False)
class Broadcast:
    """Sign with our own identity and publish to all that may know."""

    message: GossipMessage

    def __repr__(self) -> str:
        return f"Broadcast({summary(self.message)})"


@dataclass(frozen=True, slots=True, repr=False)
class Publish:
    """Publish to all that may know; the machine has had it signed, since it keeps it."""

    envelope: GossipEnvelope

    def __repr__(self) -> str:
        return f"Publish({self.envelope.content} <{len(self.envelope.raw)}b>)"


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Hang up on a peer, if we are connected to it."""

    peer: bytes

    def __repr__(self) -> str:
        return f"CloseConnection({short(self.peer)})"


@dataclass(frozen=True, slots=True)
class Warn:
    """Tell the operator, no more often for one `key` than the log can bear."""

    key: str
    "What kind of trouble it is; there are few of them, whatever peers do."

    text: str


def short(pki_id: bytes) -> str:
    """The first digits of a PKI-ID, for people."""
    return pki_id.hex()[:8]


def summary(message: GossipMessage) -> str:
    """Kind, nonce and size: a payload can have 99 MB."""
    kind = message.WhichOneof("content") or "nothing"
    return f"{kind} nonce={message.nonce} <{message.ByteSize()}b>"
