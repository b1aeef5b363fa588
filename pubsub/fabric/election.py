"""Who of an organization pulls a channel's blocks from the orderer: set, or elected.

    propose ──► wait 5 s ──► a declaration came, or a lower PKI-ID proposed: follow
                        └──► neither: lead
    lead:   declare every 5 s; step down when one with a lower PKI-ID declares
    follow: for 10 s; then, unless a declaration came meanwhile, propose

Each part of a parted network has its leader; when the parts meet again, the one with
the lowest PKI-ID remains. A declaration ends the wait of one that proposes or leads,
so a leader that hears another answers at once.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from pubsub.fabric.actions import Broadcast
from pubsub.fabric.params import GossipParams
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, LeadershipMessage, PeerTime

MESSAGE_LIFE = 10
"How many alive thresholds the time of a leader's last message is remembered (Fabric's)."

YIELD_TIME = 6
"How many alive thresholds a leader that yields is no candidate (Fabric's)."

ANSWERS = 10
"""How many declarations a leader makes within an alive threshold at the most (ours).

Fabric answers each declaration with one of its own, however fast they come: one
member that declares without end would have all others carry twice as much.
"""


@dataclass(frozen=True, slots=True)
class LeaderChanged:
    """We lead from now on, or do so no longer."""

    leading: bool


Action = Broadcast | LeaderChanged


class Phase(enum.Enum):
    """What an election waits for."""

    SAMPLING = enum.auto()
    "For a view that stays the same."

    PROPOSING = enum.auto()
    "For proposals of others."

    LEADING = enum.auto()
    "To declare again."

    FOLLOWING = enum.auto()
    "For the leader to have been silent for too long."

    STOPPED = enum.auto()


@dataclass(slots=True)
class _Heard:
    """The latest message of one sender."""

    time: tuple[int, int]
    at: float


class Election:
    """The election of one channel's leader in our organization.

    `candidates` gives the living peers of our organization in the channel, without us:
    what others say does not count. `started_ns` is wall time: messages of an earlier
    life must be older than ours.
    """

    def __init__(
        self,
        me: bytes,
        channel: bytes,
        candidates: Callable[[], Collection[bytes]],
        params: GossipParams,
        *,
        started_ns: int,
        now: float,
    ) -> None:
        self._me = me
        self._channel = channel
        self._candidates = candidates
        self._params = params
        self._incarnation = started_ns
        self._sequence = 0
        self._phase = Phase.SAMPLING
        self._view_size = len(candidates())
        self._grace_ends = now + params.election_startup_grace_period
        self._deadline = now + params.election_membership_sample_interval
        self._declared_at = -math.inf
        self._leader_exists = False
        self._leading = False
        self._yields_until = -math.inf
        self._proposals: dict[bytes, None] = {}
        self._heard: dict[bytes, _Heard] = {}

    @property
    def leading(self) -> bool:
        return self._leading

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def next_deadline(self) -> float:
        return self._deadline

    def is_fresh(self, sender: bytes, message: LeadershipMessage) -> bool:
        """Whether `message` is newer than what we last heard of its sender."""
        heard = self._heard.get(sender)
        return heard is None or heard.time < _time_of(message)

    def on_leadership(
        self, sender: bytes, message: LeadershipMessage, *, now: float
    ) -> list[Action]:
        """A proposal or declaration, signed by `sender`. Old ones and strangers are ignored."""
        if sender == self._me or self._phase is Phase.STOPPED:
            return []
        if not self.is_fresh(sender, message):
            return []
        # Of strangers too, or what they once said would be passed on for ever.
        self._heard[sender] = _Heard(_time_of(message), now)
        if sender not in self._candidates():
            return []
        if not message.is_declaration:
            self._proposals[sender] = None
            return []
        self._leader_exists = True
        actions: list[Action] = []
        if self._leading and sender < self._me:
            actions += self._step_down()
        if self._phase is Phase.PROPOSING:
            return [*actions, *self._decide(now)]
        if self._phase is Phase.LEADING:
            gap = self._params.election_leader_alive_threshold / ANSWERS
            self._deadline = min(self._deadline, max(now, self._declared_at + gap))
            if not self._leading or self._deadline <= now:
                return [*actions, *self._go_on(now)]
        return actions

    def tick(self, now: float) -> list[Action]:
        if now < self._deadline:
            return []
        self._forget_old(now)
        if self._phase is Phase.SAMPLING:
            return self._sample(now)
        if self._phase is Phase.PROPOSING:
            return self._decide(now)
        return self._go_on(now)

    def give_way(self, *, now: float) -> list[Action]:
        """Step down (Fabric's Yield), as when the orderer cannot be reached.

        We are no candidate until another peer leads, or six alive thresholds are over.
        """
        if not self._leading:
            return []
        self._yields_until = now + YIELD_TIME * self._params.election_leader_alive_threshold
        self._leader_exists = False
        return self._step_down()

    def stop(self) -> list[Action]:
        """Take no further part, as when the channel is left."""
        self._phase = Phase.STOPPED
        self._deadline = math.inf
        return self._step_down() if self._leading else []

    def _sample(self, now: float) -> list[Action]:
        size = len(self._candidates())
        if size == self._view_size or now > self._grace_ends or self._leader_exists:
            return self._go_on(now)
        self._view_size = size
        self._deadline = now + self._params.election_membership_sample_interval
        return []

    def _go_on(self, now: float) -> list[Action]:
        """What comes after a phase that is over."""
        if not self._leader_exists and now >= self._yields_until:
            self._phase = Phase.PROPOSING
            self._deadline = now + self._params.election_leader_election_duration
            return [self._message(is_declaration=False)]
        return self._settle(now)

    def _decide(self, now: float) -> list[Action]:
        """The end of an election."""
        if self._leader_exists or any(peer < self._me for peer in self._proposals):
            return self._settle(now)
        self._leading = self._leader_exists = True
        return [LeaderChanged(leading=True), *self._settle(now)]

    def _settle(self, now: float) -> list[Action]:
        """Lead or follow."""
        if self._leader_exists:
            self._yields_until = -math.inf
        threshold = self._params.election_leader_alive_threshold
        if self._leading:
            self._phase = Phase.LEADING
            self._declared_at = now
            self._deadline = now + threshold / 2
            return [self._message(is_declaration=True)]
        self._phase = Phase.FOLLOWING
        self._proposals.clear()
        self._leader_exists = False
        self._deadline = now + threshold
        return []

    def _step_down(self) -> list[Action]:
        self._leading = False
        return [LeaderChanged(leading=False)]

    def _message(self, *, is_declaration: bool) -> Broadcast:
        self._sequence += 1
        content = LeadershipMessage(
            pki_id=self._me,
            timestamp=PeerTime(inc_num=self._incarnation, seq_num=self._sequence),
            is_declaration=is_declaration,
        )
        return Broadcast(
            GossipMessage(
                channel=self._channel, tag=GossipMessage.CHAN_AND_ORG, leadership_msg=content
            )
        )

    def _forget_old(self, now: float) -> None:
        life = MESSAGE_LIFE * self._params.election_leader_alive_threshold
        for peer in [peer for peer, heard in self._heard.items() if now >= heard.at + life]:
            del self._heard[peer]


class SetLeadership:
    """Leadership that is set and not elected: `orgLeader`, or nobody here."""

    def __init__(self, params: GossipParams, *, now: float) -> None:
        self._deadline = now if params.is_static_leader else math.inf
        self._leading = False

    @property
    def leading(self) -> bool:
        return self._leading

    @property
    def next_deadline(self) -> float:
        return self._deadline

    def is_fresh(self, sender: bytes, message: LeadershipMessage) -> bool:
        return False

    def on_leadership(
        self, sender: bytes, message: LeadershipMessage, *, now: float
    ) -> list[Action]:
        """Others may elect: it changes nothing here."""
        return []

    def tick(self, now: float) -> list[Action]:
        if now < self._deadline:
            return []
        self._deadline, self._leading = math.inf, True
        return [LeaderChanged(leading=True)]

    def give_way(self, *, now: float) -> list[Action]:
        """A leader that is set keeps trying to reach the orderer."""
        return []

    def stop(self) -> list[Action]:
        self._deadline = math.inf
        if not self._leading:
            return []
        self._leading = False
        return [LeaderChanged(leading=False)]


def _time_of(message: LeadershipMessage) -> tuple[int, int]:
    return message.timestamp.inc_num, message.timestamp.seq_num
