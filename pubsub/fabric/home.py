"""What all channels of a peer share, and how their words go out."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from pubsub.fabric import effects as fx
from pubsub.fabric.access import Access, Kind
from pubsub.fabric.actions import Send
from pubsub.fabric.block_verification import VerifyBlock, verify_block
from pubsub.fabric.effects import Effect
from pubsub.fabric.envelope import GossipEnvelope, wrap_message
from pubsub.fabric.heartbeat import Sign
from pubsub.fabric.intake_rules import PROTOCOL_OF
from pubsub.fabric.membership import Membership
from pubsub.fabric.moment import Moment
from pubsub.fabric.params import GossipParams


@dataclass(frozen=True, slots=True)
class Home:
    """One peer, as its channels see it."""

    us: bytes
    org: str
    params: GossipParams
    access: Access
    membership: Membership
    sign: Sign
    rng: Random
    moment: Moment
    "Set by whoever calls, before each call."
    verify: VerifyBlock = verify_block

    def published(self, kind: Kind, channel: str, envelope: GossipEnvelope) -> list[Effect]:
        """What publishes an envelope; nothing, if we are in no such topic now."""
        place = self.access.find(kind, channel)
        return [fx.Publish(place.topic, envelope.raw)] if place else []


def sent(action: Send) -> fx.SendEnvelope:
    """What sends a message to one peer, by the protocol of its content."""
    envelope = wrap_message(action.message)
    return fx.SendEnvelope(action.peer, PROTOCOL_OF[envelope.content], envelope.raw)
