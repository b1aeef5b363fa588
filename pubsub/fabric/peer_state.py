"""What one peer says of its ledger in one channel: a StateInfo, read."""

from __future__ import annotations

from dataclasses import dataclass

from pubsub.fabric.envelope import GossipEnvelope
from pubsub.fabric.members import Time


@dataclass(frozen=True, slots=True)
class Chaincode:
    """One that a peer has installed and instantiated."""

    name: str
    version: str
    metadata: bytes = b""


@dataclass(frozen=True, slots=True)
class PeerState:
    """A StateInfo whose signature is good, and the envelope that it came in."""

    peer: bytes
    time: Time
    mac: bytes
    height: int
    has_left: bool
    chaincodes: tuple[Chaincode, ...]
    envelope: bytes

    @classmethod
    def of(cls, envelope: GossipEnvelope) -> PeerState:
        """Read one that has been verified."""
        message = envelope.message.state_info
        properties = message.properties
        return cls(
            peer=message.pki_id,
            time=(message.timestamp.inc_num, message.timestamp.seq_num),
            mac=message.channel_mac,
            height=properties.ledger_height,
            has_left=properties.left_channel,
            chaincodes=tuple(
                Chaincode(one.name, one.version, one.metadata) for one in properties.chaincodes
            ),
            envelope=envelope.raw,
        )

    def __repr__(self) -> str:
        return f"PeerState({self.peer.hex()[:8]}, {self.time}, height={self.height})"
