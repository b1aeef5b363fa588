"""The StateInfo of a channel by hand-moved time, alone and among three peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest

import pubsub.fabric.state_info as state_info
from pubsub.fabric.actions import Publish, Send, Warn
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.content import Content
from pubsub.fabric.disclosure import Standing
from pubsub.fabric.envelope import decode_envelope
from pubsub.fabric.members import Member
from pubsub.fabric.params import V3
from pubsub.fabric.peer_state import Chaincode, PeerState
from pubsub.fabric.state_info import (
    MAX_STATE,
    Action,
    ChannelPeer,
    ChannelState,
    StateChanged,
    Verdict,
)
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, StateInfoPullRequest
from tests.unit.fabric.gossiping import ORG1, ORG2, START_NS, sign
from tests.unit.fabric.making import pki_id

CHANNEL = "mychannel"
NAMES = ("me", "p", "q", "hidden", "x", "y", "outsider")
ME, P, Q, HIDDEN, X, Y, OUTSIDER = map(pki_id, NAMES)
STRANGER = pki_id("stranger")


@dataclass
class Room:
    """A view that tests arrange: who is alive, who dead, of which organization."""

    alive: list[bytes] = field(default_factory=lambda: [P, Q, X])
    dead: list[bytes] = field(default_factory=list)
    orgs: dict[bytes, str] = field(
        default_factory=lambda: {
            **dict.fromkeys([ME, P, Q, HIDDEN], ORG1),
            **dict.fromkeys([X, Y], ORG2),
            OUTSIDER: "Org9MSP",
        }
    )

    @property
    def members(self) -> list[Member]:
        return [self.member(peer) for peer in self.alive]

    def member(self, peer: bytes) -> Member:
        return Member(peer, "" if peer == HIDDEN else "out:1", "", b"")

    def lookup(self, peer: bytes) -> Member | None:
        return self.member(peer) if peer in self.alive + self.dead else None

    def standing(self, peer: bytes) -> Standing:
        return Standing(self.orgs.get(peer), peer != HIDDEN)


def said(peer: bytes, seq: int = 1, *, height: int = 1, left: bool = False) -> PeerState:
    mac = channel_mac(peer, CHANNEL)
    return PeerState(peer, (1, seq), mac, height, left, (), b"envelope of " + peer)


class Script:
    def __init__(self, room: Room | None = None, us: bytes = ME) -> None:
        self.room = room or Room()
        self.now = 0.0
        self.channel = ChannelState(
            CHANNEL,
            us,
            [ORG1, ORG2],
            5,
            V3,
            view=self.room,
            sign=sign,
            rng=Random(1),
            joined_ns=START_NS,
            now=0.0,
        )

    def until(self, end: float) -> list[tuple[float, Action]]:
        done = []
        while self.channel.next_deadline <= end:
            self.now = self.channel.next_deadline
            done += [(self.now, action) for action in self.channel.tick(self.now)]
        self.now = end
        return done

    def published(self, end: float) -> list[tuple[float, PeerState]]:
        return [
            (at, PeerState.of(action.envelope))
            for at, action in self.until(end)
            if isinstance(action, Publish)
        ]

    def hears(self, *states: PeerState) -> list[Action]:
        return [action for state in states for action in self.channel.on_state_info(state)]

    def asked(self, end: float) -> list[tuple[float, bytes]]:
        return [(at, a.peer) for at, a in self.until(end) if isinstance(a, Send)]

    def names(self) -> list[str]:
        return [name_of(peer.member.peer) for peer in self.channel.peers()]


def name_of(peer: bytes) -> str:
    return next(name for name in NAMES if pki_id(name) == peer)


def state_in(raw: bytes) -> PeerState:
    envelope = decode_envelope(raw)
    assert envelope.content is Content.STATE_INFO
    return PeerState.of(envelope)


# -- Our own


def test_ours_is_published_once_for_each_change_and_not_to_an_empty_room() -> None:
    script = Script()
    script.room.alive = []
    assert script.channel.next_deadline == 4
    assert script.published(20) == []
    script.room.alive = [P]
    assert [(at, s.height) for at, s in script.published(60)] == [(24, 1)]
    script.channel.update(height=2, wall_ns=START_NS + 60)
    script.channel.update(height=3, wall_ns=START_NS + 61)
    assert [(at, s.height) for at, s in script.published(100)] == [(64, 3)]
    script.channel.update(height=3, wall_ns=START_NS + 100)
    assert script.published(140) == []
    script.channel.update(chaincodes=[Chaincode("cc", "1")], wall_ns=START_NS + 140)
    ((at, state),) = script.published(180)
    assert (at, state.height, state.chaincodes) == (144, 3, (Chaincode("cc", "1"),))


def test_a_later_life_of_ours_that_others_know_is_surpassed() -> None:
    script = Script()
    script.until(4)
    echo = script.channel.state_of(ME)
    assert echo is not None
    assert script.hears(echo) == []
    assert script.channel.counters["old"] == 1
    (warning,) = script.hears(replace(echo, time=(START_NS + 10**9, 1)))
    assert isinstance(warning, Warn)
    assert [s.time[0] for _, s in script.published(8)] == [START_NS + 10**9 + 1]


# -- That of others


def test_the_newer_replaces_the_older() -> None:
    script = Script()
    first, second = said(P, 1, height=5), said(P, 2, height=6)
    assert script.hears(first) == [StateChanged(first)]
    assert script.hears(second) == [StateChanged(second)]
    assert script.hears(second, first) == []
    assert script.channel.counters["old"] == 2
    state = script.channel.state_of(P)
    assert state is not None
    assert state.height == 6


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (said(P), Verdict.NEW),
        (said(X), Verdict.NEW),
        (replace(said(P), mac=channel_mac(P, "another")), Verdict.WRONG_MAC),
        (replace(said(P), mac=channel_mac(Q, CHANNEL)), Verdict.WRONG_MAC),
        (replace(said(P), mac=b""), Verdict.WRONG_MAC),
        (said(OUTSIDER), Verdict.OUTSIDE),
        (said(STRANGER), Verdict.UNKNOWN),
        (replace(said(P), envelope=bytes(MAX_STATE)), Verdict.NEW),
        (replace(said(P), envelope=bytes(MAX_STATE + 1)), Verdict.TOO_LARGE),
    ],
)
def test_what_is_taken_in(state: PeerState, verdict: Verdict) -> None:
    script = Script()
    assert script.channel.judge(state) is verdict
    assert bool(script.hears(state)) is (verdict is Verdict.NEW)
    assert bool(script.channel.states) is (verdict is Verdict.NEW)
    assert script.channel.counters[verdict.name.lower()] == (verdict is not Verdict.NEW)


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_info, "MAX_MEMBERS", 2)
    script = Script()
    script.hears(said(P), said(Q))
    assert script.channel.judge(said(X)) is Verdict.NO_ROOM
    assert script.channel.judge(said(P, 2)) is Verdict.NEW


def test_peers_of_the_channel_are_alive_have_said_so_and_have_not_left() -> None:
    script = Script()
    script.room.dead = [Y]
    script.hears(said(P, height=7), said(X), said(Y), said(HIDDEN))
    assert script.names() == ["p", "x"]
    assert script.channel.peers(ORG1) == [ChannelPeer(script.room.member(P), 7, ())]
    script.hears(said(P, 2, left=True))
    assert script.names() == ["x"]
    assert not script.channel.is_eligible(P)
    assert script.channel.is_eligible(Y)
    assert not script.channel.is_eligible(Q)
    script.hears(said(P, 3))
    assert script.names() == ["p", "x"]


def test_who_has_left_knows_no_peers_and_says_so_to_all() -> None:
    script = Script()
    script.hears(said(P))
    script.until(4)
    script.channel.leave(wall_ns=START_NS + 5)
    assert script.channel.has_left
    assert script.names() == []
    assert [(at, s.has_left) for at, s in script.published(20)] == [(8, True)]


def test_those_whom_membership_forgot_are_swept_out() -> None:
    script = Script()
    script.room.dead = [Y]
    script.hears(said(P), said(Q), said(Y))
    script.until(4)
    script.room.alive = [P]
    script.until(19)
    assert len(script.channel.states) == 4
    script.until(20)
    assert {state.peer for state in script.channel.states} == {P, Y, ME}
    script.room.dead = []
    script.until(39)
    assert len(script.channel.states) == 3
    script.until(40)
    assert {state.peer for state in script.channel.states} == {P, ME}


def test_a_removed_organization_loses_its_state_and_an_older_configuration_is_ignored() -> None:
    script = Script()
    script.hears(said(P), said(X))
    (warning,) = script.channel.configure([ORG1], 4)
    assert warning == Warn("channel.config", "mychannel: configuration 4 comes after 5")
    assert script.names() == ["p", "x"]
    (warning,) = script.channel.configure([], 6)
    assert warning == Warn("channel.config", "mychannel: a configuration without members")
    assert script.channel.configure([ORG1], 6) == []
    assert [state.peer for state in script.channel.states] == [P]
    assert script.names() == ["p"]
    assert script.channel.orgs == [ORG1]
    assert script.hears(said(X, 2)) == []
    assert script.channel.on_pull_request(X, channel_mac(X, CHANNEL)) == []
    assert {peer for _, peer in script.asked(20)} <= {P, Q}
    assert script.channel.configure([ORG1, ORG2], 6) == []
    assert script.hears(said(X, 2)) != []


def test_one_whose_identity_is_no_longer_good_is_dropped() -> None:
    script = Script()
    script.hears(said(P))
    script.channel.drop(P)
    script.channel.drop(P)
    assert script.names() == []


# -- Snapshots


def test_three_random_peers_of_the_channels_organizations_are_asked() -> None:
    room = Room(alive=[P, Q, HIDDEN, X, Y, OUTSIDER, STRANGER])
    script = Script(room)
    asked = script.asked(40)
    assert {at for at, _ in asked} == set(range(4, 44, 4))
    assert {peer for _, peer in asked} == {P, Q, HIDDEN, X, Y}
    rounds = [{peer for when, peer in asked if when == at} for at in range(4, 44, 4)]
    assert {len(peers) for peers in rounds} == {3}


def test_a_request_names_the_channel_by_our_mac_only() -> None:
    script = Script()
    script.channel.update(height=2, wall_ns=START_NS)
    requests = [action for _, action in script.until(4) if isinstance(action, Send)]
    assert requests[0].message == GossipMessage(
        tag=GossipMessage.CHAN_OR_ORG,
        state_info_pull_req=StateInfoPullRequest(channel_mac=channel_mac(ME, CHANNEL)),
    )


def snapshot_for(script: Script, peer: bytes) -> list[str]:
    """Whose StateInfo is in the snapshot for a peer; our own is told by its kind."""
    (action,) = script.channel.on_pull_request(peer, channel_mac(peer, CHANNEL))
    assert isinstance(action, Send)
    assert action.peer == peer
    message = action.message
    assert (message.nonce, message.channel) == (0, CHANNEL.encode())
    assert message.tag == GossipMessage.CHAN_OR_ORG
    names = {b"envelope of " + pki_id(name): name for name in NAMES}
    return [names.get(raw, "me") for raw in message.state_snapshot.elements]


def test_a_snapshot_hides_our_peers_without_external_endpoint_from_other_organizations() -> None:
    script = Script()
    script.hears(said(P), said(HIDDEN), said(X))
    script.until(4)
    assert snapshot_for(script, Q) == ["p", "hidden", "x", "me"]
    assert snapshot_for(script, Y) == ["p", "x", "me"]


def test_only_members_with_their_own_mac_are_answered() -> None:
    script = Script()
    script.hears(said(P))
    for peer, mac in (
        (Q, channel_mac(P, CHANNEL)),
        (Q, channel_mac(Q, "another")),
        (Q, b""),
        (STRANGER, channel_mac(STRANGER, CHANNEL)),
        (OUTSIDER, channel_mac(OUTSIDER, CHANNEL)),
    ):
        assert script.channel.on_pull_request(peer, mac) == []
    assert script.channel.counters == {"wrong_mac": 4, "outside": 1}


def test_a_snapshot_that_was_asked_for_brings_what_is_new_of_members() -> None:
    script = Script()
    script.hears(said(Q, 2))
    parts = [said(P), said(Q, 1), said(Y), said(OUTSIDER), replace(said(X), mac=b"")]
    assert script.channel.on_snapshot(P, parts) == []
    assert script.channel.counters["unasked"] == 1
    assert script.names() == ["q"]
    asked = {peer for _, peer in script.asked(4)}
    assert asked == {P, Q, X}
    assert script.channel.awaits(P)
    assert script.channel.on_snapshot(P, parts) == [StateChanged(said(P))]
    assert not script.channel.awaits(P)
    assert script.names() == ["p", "q"]
    counted = {"unasked": 1, "old": 1, "no_member": 2, "wrong_mac": 1}
    assert script.channel.counters == counted


def test_an_answer_is_not_waited_for_for_ever() -> None:
    script = Script()
    script.until(4)
    assert script.channel.awaits(P)
    script.room.alive = []
    script.until(28)
    assert script.channel.awaits(P)
    script.until(32)
    assert not script.channel.awaits(P)


# -- Among three


def deliver(scripts: dict[bytes, Script], sender: bytes, actions: Sequence[Any]) -> None:
    """Carry what one does to the others, at once."""
    for action in actions:
        if isinstance(action, Publish):
            for peer, script in scripts.items():
                if peer != sender:
                    deliver(scripts, peer, script.hears(PeerState.of(action.envelope)))
        elif isinstance(action, Send):
            receiver = scripts.get(action.peer)
            if receiver is None:
                continue
            if action.message.HasField("state_info_pull_req"):
                mac = action.message.state_info_pull_req.channel_mac
                answer = receiver.channel.on_pull_request(sender, mac)
            else:
                elements = action.message.state_snapshot.elements
                states = [state_in(raw) for raw in elements]
                answer = receiver.channel.on_snapshot(sender, states)
            deliver(scripts, action.peer, answer)


def go_on(scripts: dict[bytes, Script], end: float) -> None:
    while True:
        due, peer = min((script.channel.next_deadline, peer) for peer, script in scripts.items())
        if due > end:
            return
        deliver(scripts, peer, scripts[peer].channel.tick(due))


def test_one_of_three_leaves_and_the_others_drop_it() -> None:
    everyone = [ME, P, X]
    scripts = {
        peer: Script(Room(alive=[one for one in everyone if one != peer]), us=peer)
        for peer in everyone
    }
    go_on(scripts, 8)
    assert {peer: script.names() for peer, script in scripts.items()} == {
        ME: ["p", "x"],
        P: ["me", "x"],
        X: ["me", "p"],
    }
    scripts[P].channel.leave(wall_ns=START_NS + 9)
    go_on(scripts, 12)
    assert {peer: script.names() for peer, script in scripts.items()} == {
        ME: ["x"],
        P: [],
        X: ["me"],
    }


def test_a_latecomer_has_the_state_of_all_after_one_round() -> None:
    everyone = [ME, P, X]
    scripts = {
        peer: Script(Room(alive=[one for one in everyone if one != peer]), us=peer)
        for peer in everyone
    }
    late = scripts.pop(X)
    go_on(scripts, 8)
    assert late.names() == []
    scripts[X] = late
    late.room.alive = [ME]
    late.room.dead = [P]
    late.now = 9.0
    deliver(scripts, X, late.channel.tick(9.0))
    assert {state.peer for state in late.channel.states} == {ME, P, X}
