"""What the peers of a channel say of their ledgers: height, chaincodes, and that they left.

    every 4 s    our StateInfo, if it has changed and anybody is alive to hear it
    every 4 s    StateInfoPullRequest to 3 peers of the channel's organizations ──► snapshot
    every 20 s   the StateInfo of those is dropped whom membership no longer knows

StateInfo names its channel by a MAC only, so it may go through peers that are not in the
channel. One whose StateInfo we hold is in the channel as far as we know: only such a peer
gets blocks.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from pubsub.fabric.actions import Publish, Send, Warn
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.disclosure import Standing, may_tell_state
from pubsub.fabric.heartbeat import Sign
from pubsub.fabric.members import MAX_MEMBERS, Member
from pubsub.fabric.own_state import OwnState
from pubsub.fabric.params import GossipParams
from pubsub.fabric.peer_state import Chaincode, PeerState
from pubsub.pb.fabric import gossip_pb2
from pubsub.pb.fabric.gossip_pb2 import GossipMessage

SWEEPS = 5
"How many pull intervals lie between two sweeps (Fabric's)."

MAX_STATE = 256 * 1024
"Bytes of a StateInfo's envelope that we keep (ours); chaincodes carry metadata."


@dataclass(frozen=True, slots=True)
class ChannelPeer:
    """A living peer of the channel."""

    member: Member
    height: int
    chaincodes: tuple[Chaincode, ...]


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A peer has said something new of its ledger."""

    state: PeerState


Action = Publish | Send | StateChanged | Warn


class Verdict(enum.Enum):
    """What is to be thought of a StateInfo before its signature is checked."""

    NEW = enum.auto()
    OLD = enum.auto()
    "We hold it already, or a newer one."

    WRONG_MAC = enum.auto()
    "It is not of this channel."

    OUTSIDE = enum.auto()
    "Its author's organization is not in the channel."

    UNKNOWN = enum.auto()
    "Its author's identity is not known."

    TOO_LARGE = enum.auto()
    NO_ROOM = enum.auto()


class View(Protocol):
    """What a channel needs to know of membership; `Membership` is one."""

    @property
    def members(self) -> list[Member]:
        """Those alive, without us."""

    def lookup(self, peer: bytes) -> Member | None:
        """A peer that is alive or dead."""

    def standing(self, peer: bytes) -> Standing:
        """Its organization, and whether others may know it."""


class ChannelState:
    """The StateInfo of one channel: ours, and that of all others.

    `orgs` are the MSP ids of its members as of configuration `sequence`; `joined_ns` is wall
    time. `sign` makes the envelope of our own StateInfo. Messages are fed in after their
    signatures have been checked.
    """

    def __init__(
        self,
        channel: str,
        us: bytes,
        orgs: Iterable[str],
        sequence: int,
        params: GossipParams,
        *,
        view: View,
        sign: Sign,
        rng: Random,
        joined_ns: int,
        now: float,
    ) -> None:
        self.counters: Counter[str] = Counter()
        "Why messages were ignored, and how often."

        self._channel = channel
        self._us = us
        self._our_org = view.standing(us).org or ""
        self._orgs = dict.fromkeys(orgs)
        self._sequence = sequence
        self._params = params
        self._view = view
        self._rng = rng
        self._states: dict[bytes, PeerState] = {}
        self._asked: dict[bytes, float] = {}
        "Of whom a snapshot is awaited, and until when."

        self._own = OwnState(channel, us, sign=sign, joined_ns=joined_ns)
        self._publish_due = now + params.publish_state_info_interval
        self._request_due = now + params.request_state_info_interval
        self._sweep_due = now + SWEEPS * params.pull_interval

    # -- The view

    @property
    def orgs(self) -> list[str]:
        return list(self._orgs)

    @property
    def states(self) -> list[PeerState]:
        """All that is held, ours included."""
        return list(self._states.values())

    @property
    def has_left(self) -> bool:
        return self._own.has_left

    def state_of(self, peer: bytes) -> PeerState | None:
        return self._states.get(peer)

    def is_org_in_channel(self, org: str | None) -> bool:
        return org in self._orgs

    def is_eligible(self, peer: bytes) -> bool:
        """Whether a peer may have blocks: its organization is in the channel, and it itself."""
        state = self._states.get(peer)
        in_channel = self.is_org_in_channel(self._view.standing(peer).org)
        return in_channel and state is not None and not state.has_left

    def peers(self, org: str | None = None) -> list[ChannelPeer]:
        """The living peers of the channel without us, perhaps of one organization only.

        None, if we have left.
        """
        if self._own.has_left:
            return []
        found = []
        for member in self._view.members:
            if not self.is_eligible(member.peer):
                continue
            if org is None or self._view.standing(member.peer).org == org:
                state = self._states[member.peer]
                found.append(ChannelPeer(member, state.height, state.chaincodes))
        return found

    # -- What the user does

    def update(
        self,
        *,
        height: int | None = None,
        chaincodes: Sequence[Chaincode] | None = None,
        wall_ns: int,
    ) -> None:
        """Say something new with the next tick that publishes; what is not given stays."""
        self._own.update(height=height, chaincodes=chaincodes, wall_ns=wall_ns)

    def leave(self, *, wall_ns: int) -> None:
        """Leave the channel: others are told as long as this machine runs on."""
        self._own.leave(wall_ns)

    def configure(self, orgs: Iterable[str], sequence: int) -> list[Action]:
        """Take over a later configuration; the StateInfo of organizations removed is dropped."""
        listed = dict.fromkeys(orgs)
        if not listed:
            return [Warn("channel.config", f"{self._channel}: a configuration without members")]
        if sequence < self._sequence:
            text = f"{self._channel}: configuration {sequence} comes after {self._sequence}"
            return [Warn("channel.config", text)]
        self._orgs, self._sequence = listed, sequence
        for peer in list(self._states):
            if not self.is_org_in_channel(self._view.standing(peer).org):
                del self._states[peer]
        return []

    def drop(self, peer: bytes) -> None:
        """Forget what a peer said, as when its identity is no longer good in the channel."""
        self._states.pop(peer, None)

    # -- What messages say

    def judge(self, state: PeerState) -> Verdict:
        """To be asked before the signature is checked."""
        if state.mac != channel_mac(state.peer, self._channel):
            return Verdict.WRONG_MAC
        org = self._view.standing(state.peer).org
        if org is None:
            return Verdict.UNKNOWN
        if not self.is_org_in_channel(org):
            return Verdict.OUTSIDE
        if len(state.envelope) > MAX_STATE:
            return Verdict.TOO_LARGE
        held = self._states.get(state.peer)
        if held is not None:
            return Verdict.NEW if state.time > held.time else Verdict.OLD
        return Verdict.NEW if len(self._states) < MAX_MEMBERS else Verdict.NO_ROOM

    def on_state_info(self, state: PeerState) -> list[Action]:
        verdict = self.judge(state)
        if verdict is not Verdict.NEW:
            self.counters[verdict.name.lower()] += 1
            return []
        if state.peer == self._us:
            return list(self._own.hear_of_us(state))
        self._states[state.peer] = state
        return [StateChanged(state)]

    def on_pull_request(self, peer: bytes, mac: bytes) -> list[Action]:
        """`peer` asks for all that it may know; it has the MAC of a member of the channel."""
        org = self._view.standing(peer).org
        if mac != channel_mac(peer, self._channel) or org is None:
            self.counters["wrong_mac"] += 1
            return []
        if not self.is_org_in_channel(org):
            self.counters["outside"] += 1
            return []
        elements = [
            state.envelope
            for state in self._states.values()
            if may_tell_state(self._view.standing(state.peer), org, our_org=self._our_org)
        ]
        content = gossip_pb2.StateInfoSnapshot(elements=elements)
        # Fabric's snapshots have no nonce either: there is one of them for each request.
        message = GossipMessage(
            channel=self._channel.encode(), tag=GossipMessage.CHAN_OR_ORG, state_snapshot=content
        )
        return [Send(peer, message)]

    def awaits(self, peer: bytes) -> bool:
        """Whether `peer` was asked for a snapshot: to be asked before its parts are checked."""
        return peer in self._asked

    def on_snapshot(self, peer: bytes, states: Iterable[PeerState]) -> list[Action]:
        """Each part counts for itself; those whose authors are not among the members do not."""
        if self._asked.pop(peer, None) is None:
            self.counters["unasked"] += 1
            return []
        actions = []
        for state in states:
            if state.peer != self._us and self._view.lookup(state.peer) is None:
                self.counters["no_member"] += 1
                continue
            actions += self.on_state_info(state)
        return actions

    # -- Time

    @property
    def next_deadline(self) -> float:
        return min(self._publish_due, self._request_due, self._sweep_due)

    def tick(self, now: float) -> list[Action]:
        actions: list[Action] = []
        if now >= self._publish_due:
            self._publish_due = now + self._params.publish_state_info_interval
            if self._own.has_news and self._view.members:
                ours = self._own.make()
                self._states[self._us] = PeerState.of(ours)
                actions.append(Publish(ours))
        if now >= self._request_due:
            self._request_due = now + self._params.request_state_info_interval
            actions += self._request(now)
        if now >= self._sweep_due:
            self._sweep_due = now + SWEEPS * self._params.pull_interval
            self._sweep()
        return actions

    def _request(self, now: float) -> list[Action]:
        for peer in [peer for peer, until in self._asked.items() if now >= until]:
            del self._asked[peer]
        peers = [
            member.peer
            for member in self._view.members
            if self.is_org_in_channel(self._view.standing(member.peer).org)
        ]
        actions: list[Action] = []
        for peer in self._rng.sample(peers, min(len(peers), self._params.pull_peer_num)):
            self._asked[peer] = now + self._params.alive_expiration_timeout
            content = gossip_pb2.StateInfoPullRequest(
                channel_mac=channel_mac(self._us, self._channel)
            )
            message = GossipMessage(tag=GossipMessage.CHAN_OR_ORG, state_info_pull_req=content)
            actions.append(Send(peer, message))
        return actions

    def _sweep(self) -> None:
        for peer in list(self._states):
            if peer != self._us and self._view.lookup(peer) is None:
                del self._states[peer]
