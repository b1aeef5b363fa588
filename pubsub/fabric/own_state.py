"""Our own StateInfo in one channel: what we say of our ledger, and when it is news.

Its time is (when we joined, when we had something to say), both by our wall clock; the
newer replaces the older. Where the clock goes back, the numbers go on upwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from pubsub.fabric.actions import Warn
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.envelope import GossipEnvelope
from pubsub.fabric.heartbeat import LAST_INCARNATION, Sign
from pubsub.fabric.members import Time
from pubsub.fabric.peer_state import Chaincode, PeerState
from pubsub.pb.fabric import gossip_pb2
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, StateInfo

FIRST_HEIGHT = 1
"The height of a channel just joined: its genesis block."


class OwnState:
    """The author of our StateInfo."""

    def __init__(self, channel: str, us: bytes, *, sign: Sign, joined_ns: int) -> None:
        self.has_left = False
        self.has_news = True
        "Whether there is something that was not published."

        self._channel = channel
        self._us = us
        self._sign = sign
        self._time: Time = (joined_ns, joined_ns)
        self._height = FIRST_HEIGHT
        self._chaincodes: tuple[Chaincode, ...] = ()

    def update(
        self, *, height: int | None, chaincodes: Sequence[Chaincode] | None, wall_ns: int
    ) -> None:
        before = (self._height, self._chaincodes)
        self._height = self._height if height is None else height
        self._chaincodes = self._chaincodes if chaincodes is None else tuple(chaincodes)
        if (self._height, self._chaincodes) != before:
            self._touch(wall_ns)

    def leave(self, wall_ns: int) -> None:
        if not self.has_left:
            self.has_left = True
            self._touch(wall_ns)

    def make(self) -> GossipEnvelope:
        """The news, signed."""
        chaincodes = [
            gossip_pb2.Chaincode(name=one.name, version=one.version, metadata=one.metadata)
            for one in self._chaincodes
        ]
        content = StateInfo(
            timestamp=gossip_pb2.PeerTime(inc_num=self._time[0], seq_num=self._time[1]),
            pki_id=self._us,
            channel_mac=channel_mac(self._us, self._channel),
            properties=gossip_pb2.Properties(
                ledger_height=self._height, left_channel=self.has_left, chaincodes=chaincodes
            ),
        )
        message = GossipMessage(tag=GossipMessage.CHAN_OR_ORG, state_info=content)
        self.has_news = False
        return self._sign(message, "")

    def hear_of_us(self, state: PeerState) -> list[Warn]:
        """A StateInfo with our PKI-ID; one of a later life of ours is surpassed."""
        if state.time <= self._time or state.time[0] >= LAST_INCARNATION:
            return []
        self._time = (state.time[0] + 1, self._time[1])
        self.has_news = True
        text = f"{self._channel}: peers know a later StateInfo of ours: our clock went back"
        return [Warn("channel.clock", text)]

    def _touch(self, wall_ns: int) -> None:
        # A clock that goes back must not make what we say now older than what we said.
        self._time = (self._time[0], max(wall_ns, self._time[1] + 1))
        self.has_news = True
