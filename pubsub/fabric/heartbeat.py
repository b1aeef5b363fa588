"""Our own AliveMessages: who we are, where, and in which life.

The incarnation is wall time at the start, the sequence number grows with each message.
Neither is compared with a clock of another: others compare our numbers with each other.
If peers hold a later incarnation of ours, because our wall clock has gone back since,
ours is raised above it; otherwise all we say would be old to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pubsub.fabric.actions import Warn
from pubsub.fabric.envelope import GossipEnvelope
from pubsub.fabric.members import Alive
from pubsub.fabric.params import GossipParams
from pubsub.pb.fabric.gossip_pb2 import AliveMessage, GossipMessage, Member, PeerTime

LAST_INCARNATION = 2**64 - 1

Sign = Callable[[GossipMessage, str], GossipEnvelope]
"Signs a message with our identity; the text, if any, is the internal endpoint for its secret."


@dataclass(slots=True)
class Us:
    """What our AliveMessages say; `identity` goes along at first, for those who lack it."""

    peer: bytes
    org: str
    endpoint: str
    "The external one; empty if other organizations may not know us."

    internal_endpoint: str
    identity: bytes
    metadata: bytes = b""


class Heartbeat:
    """The author of our AliveMessages."""

    def __init__(
        self, us: Us, params: GossipParams, *, sign: Sign, started_ns: int, now: float
    ) -> None:
        self._us = us
        self._sign = sign
        self._incarnation = started_ns
        self._sequence = 0
        self._interval = params.alive_time_interval
        self._identity_until = now + params.publish_cert_period
        self._last: GossipEnvelope | None = None
        self._last_until = now

    def beat(self, now: float) -> GossipEnvelope:
        """The envelope of a new message."""
        self._sequence += 1
        content = AliveMessage(
            membership=Member(
                endpoint=self._us.endpoint, metadata=self._us.metadata, pki_id=self._us.peer
            ),
            timestamp=PeerTime(inc_num=self._incarnation, seq_num=self._sequence),
        )
        if now < self._identity_until:
            content.identity = self._us.identity
        message = GossipMessage(tag=GossipMessage.EMPTY, alive_msg=content)
        envelope = self._sign(message, self._us.internal_endpoint)
        self._last, self._last_until = envelope, now + self._interval
        return envelope

    def recent(self, now: float) -> GossipEnvelope:
        """One that is new enough for an answer: to ask us often does not make us sign often."""
        if self._last is None or now >= self._last_until:
            return self.beat(now)
        return self._last

    def update(self, *, metadata: bytes | None, endpoint: str | None) -> None:
        self._us.metadata = self._us.metadata if metadata is None else metadata
        self._us.endpoint = self._us.endpoint if endpoint is None else endpoint
        self._last = None

    def hear_of_us(self, alive: Alive) -> list[Warn]:
        """An AliveMessage with our PKI-ID: ours, of an earlier life of ours, or of a twin."""
        if (self._incarnation, 0) < alive.time <= (self._incarnation, self._sequence):
            return []
        internal = alive.internal_endpoint or self._us.internal_endpoint
        if (alive.endpoint, internal) != (self._us.endpoint, self._us.internal_endpoint):
            text = (
                "bad configuration: a peer with our PKI-ID is at "
                f"{alive.internal_endpoint or alive.endpoint!r} (or we were, before a move)"
            )
            return [Warn("membership.twin", text)]
        if alive.time < (self._incarnation, 0):
            return []
        if alive.time[0] >= LAST_INCARNATION:
            return [Warn("membership.clock", "no incarnation number is left above our last one")]
        self._incarnation, self._sequence = alive.time[0] + 1, 0
        self._last = None
        text = "peers know a later life of ours: our clock went back, our numbers go on from theirs"
        return [Warn("membership.clock", text)]
