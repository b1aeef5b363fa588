"""What a Fabric network did, replayed: the machines see what was seen, and do what was done.

The recording is one connection from the start, `peer2.org1` to `peer0.org1`. It is played
to machines in the place of either, and of `peer1.org1`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, ClassVar

import pytest

from pubsub.fabric.actions import Broadcast, Send
from pubsub.fabric.content import Content
from pubsub.fabric.disclosure import Standing
from pubsub.fabric.election import Election, LeaderChanged
from pubsub.fabric.envelope import GossipEnvelope, decode_envelope, verify_envelope
from pubsub.fabric.heartbeat import Us
from pubsub.fabric.members import Alive, Member
from pubsub.fabric.membership import Membership
from pubsub.fabric.params import V3, V14
from pubsub.fabric.peer_state import PeerState
from pubsub.fabric.state_info import ChannelState
from pubsub.pb.fabric.gossip_pb2 import LeadershipMessage, PeerTime
from tests.fabric_fixtures import index, needs_recordings, read, verifier
from tests.unit.fabric.gossiping import alive_in, sign

pytestmark = needs_recordings

DOMAIN = ".example.com"
RECORDER, OTHER, THIRD = "peer2.org1", "peer0.org1", "peer1.org1"
ORGS_OF = {
    "mychannel": ["Org1MSP", "Org2MSP"],
    "second": ["Org1MSP"],
    "bftchan": ["Org1MSP", "Org2MSP"],
}
BEGAN_NS = 1_795_249_459_889_000_000
"Wall time when the recording began, from numbers that peers took from their clocks."


@dataclass(frozen=True)
class Heard:
    at: float
    direction: str
    envelope: GossipEnvelope
    channel: str

    @property
    def author(self) -> str:
        return name_of(self.envelope.author)


@cache
def nodes() -> dict[str, dict[str, Any]]:
    return {name.removesuffix(DOMAIN): node for name, node in index("nodes.json").items()}


def id_of(name: str) -> bytes:
    return bytes.fromhex(nodes()[name]["pki_id"])


def name_of(peer: bytes) -> str:
    return next(name for name, node in nodes().items() if bytes.fromhex(node["pki_id"]) == peer)


def org_of(peer: bytes) -> str | None:
    for node in nodes().values():
        if node["pki_id"] == peer.hex():
            return str(node["mspid"])
    return None


def transcript(*contents: Content) -> Iterator[Heard]:
    """What was said, in order; signatures are checked."""
    data = read("transcript.bin")
    for entry in index("transcript.json")["envelopes"]:
        raw = data[entry["offset"] : entry["offset"] + entry["length"]]
        envelope = decode_envelope(raw)
        if envelope.author:
            check(envelope)
        if not contents or envelope.content in contents:
            yield Heard(entry["seconds"], entry["direction"], envelope, entry["channel"])


def check(envelope: GossipEnvelope) -> None:
    certificate = nodes()[name_of(envelope.author)]["signcert"]
    verify_envelope(envelope, verifier(certificate))


# -- Membership


@dataclass
class Recorder:
    """A membership in the place of the recording client."""

    membership: Membership = field(
        default_factory=lambda: Membership(
            Us(id_of(RECORDER), "Org1MSP", "localhost:17053", "localhost:17053", b"cert"),
            V3,
            org_of=org_of,
            sign=sign,
            rng=Random(1),
            started_ns=BEGAN_NS,
            now=0.0,
        )
    )

    def plays(self) -> Iterator[tuple[Heard, list[Any]]]:
        """Feed in all that was received; what each brings forth."""
        membership, other = self.membership, id_of(OTHER)
        for heard in transcript():
            while membership.next_deadline <= heard.at:
                membership.tick(membership.next_deadline)
            if heard.direction == "sent":
                continue
            membership.on_traffic(other, now=heard.at)
            message = heard.envelope.message
            if heard.envelope.content is Content.ALIVE:
                yield heard, membership.on_alive(Alive.of(heard.envelope), now=heard.at)
            elif heard.envelope.content is Content.MEMBERSHIP_REQUEST:
                about = decode_envelope(message.mem_req.self_information)
                check(about)
                yield (
                    heard,
                    membership.on_membership_request(
                        other, Alive.of(about), message.nonce, now=heard.at
                    ),
                )


def test_the_view_is_that_of_the_network() -> None:
    recorder = Recorder()
    assert list(recorder.plays())
    view = {name_of(member.peer): member for member in recorder.membership.members}
    expected = {name for name in nodes() if name.startswith("peer") and name != RECORDER}
    assert set(view) == expected
    assert recorder.membership.dead == []
    for name, member in view.items():
        assert member.endpoint == nodes()[name]["endpoint"]
        is_ours = nodes()[name]["mspid"] == "Org1MSP"
        assert member.internal_endpoint == (nodes()[name]["endpoint"] if is_ours else "")
    assert recorder.membership.counters["unknown identity"] == 0


def test_requests_are_answered_with_our_organization_alone() -> None:
    asked = 0
    for heard, actions in Recorder().plays():
        if heard.envelope.content is not Content.MEMBERSHIP_REQUEST:
            continue
        asked += 1
        answer = actions[-1]
        assert isinstance(answer, Send)
        assert answer.message.nonce == heard.envelope.message.nonce
        told = {name_of(alive_in(raw).peer) for raw in answer.message.mem_res.alive}
        assert {RECORDER, OTHER} <= told <= {RECORDER, OTHER, THIRD}
    assert asked == 4


# -- StateInfo


class Room:
    """A view that knows all peers of the network."""

    members: ClassVar[list[Member]] = []

    def lookup(self, peer: bytes) -> Member | None:
        return Member(peer, "out:1", "", b"")

    def standing(self, peer: bytes) -> Standing:
        return Standing(org_of(peer), external=True)


@pytest.mark.parametrize("channel", list(ORGS_OF))
def test_a_channel_knows_of_its_peers_what_they_said_last(channel: str) -> None:
    state = ChannelState(
        channel,
        id_of(RECORDER),
        ORGS_OF[channel],
        1,
        V3,
        view=Room(),
        sign=sign,
        rng=Random(1),
        joined_ns=BEGAN_NS,
        now=0.0,
    )
    last: dict[str, tuple[tuple[int, int], int]] = {}
    asked = answered = 0
    for heard in transcript(Content.STATE_INFO, Content.STATE_INFO_REQUEST):
        if heard.direction == "sent":
            continue
        message = heard.envelope.message
        if heard.envelope.content is Content.STATE_INFO_REQUEST:
            actions = state.on_pull_request(id_of(OTHER), message.state_info_pull_req.channel_mac)
            asked += 1
            answered += bool(actions)
            assert bool(actions) is (heard.channel == channel)
            continue
        state.on_state_info(PeerState.of(heard.envelope))
        if heard.channel == channel and heard.author != RECORDER:
            time = message.state_info.timestamp
            said = ((time.inc_num, time.seq_num), message.state_info.properties.ledger_height)
            last[heard.author] = max(said, last.get(heard.author, said))
    held = {name_of(one.peer): (one.time, one.height) for one in state.states}
    assert held == last
    assert {OTHER, THIRD} <= set(held)
    assert 0 < answered < asked
    heights = {name: height for name, (_, height) in held.items()}
    # Blocks were made in mychannel only; Org2 has spoken since, when it had three more.
    assert heights.get("peer1.org2") == {"mychannel": 4, "bftchan": 1}.get(channel)
    assert heights[OTHER] == heights[THIRD] == 1


# -- Election


def joins(channel: str) -> dict[str, float]:
    """When each peer of Org1 was first heard of in a channel."""
    first: dict[str, float] = {}
    for heard in transcript(Content.STATE_INFO):
        if heard.channel == channel and org_of(heard.envelope.author) == "Org1MSP":
            first.setdefault(heard.author, heard.at)
    return first


def recorded_leadership(author: str, channel: str) -> list[tuple[float, LeadershipMessage]]:
    """What an author said of leadership, from whichever connection it was recorded on."""
    found = []
    data = read("envelopes.bin")
    for entry in index("envelopes.json")["envelopes"]:
        if entry["content"] != Content.LEADERSHIP or entry["channel"] != channel:
            continue
        if entry["author"]["name"] == author + DOMAIN:
            envelope = decode_envelope(data[entry["offset"] : entry["offset"] + entry["length"]])
            check(envelope)
            found.append((entry["seconds"], envelope.message.leadership_msg))
    return sorted(found, key=lambda one: one[0])


@dataclass
class Candidate:
    """An election in the place of a real peer; `view` is filled as the peer's was."""

    name: str
    channel: str
    began: float
    view: dict[bytes, float]
    now: float = 0.0
    did: list[tuple[float, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = self.began
        self.election = Election(
            id_of(self.name),
            self.channel.encode(),
            lambda: [peer for peer, since in self.view.items() if since <= self.now],
            V14,
            started_ns=BEGAN_NS + int(self.began * 1e9),
            now=self.began,
        )

    def until(self, end: float) -> None:
        while self.election.next_deadline <= end:
            self.now = self.election.next_deadline
            self.note(self.election.tick(self.now))
        self.now = end

    def hears(self, sender: str, message: LeadershipMessage) -> None:
        self.note(self.election.on_leadership(id_of(sender), message, now=self.now))

    def note(self, actions: list[Any]) -> None:
        for action in actions:
            if isinstance(action, Broadcast):
                content = action.message.leadership_msg
                self.did.append((self.now, (content.timestamp.seq_num, content.is_declaration)))
            elif isinstance(action, LeaderChanged):
                self.did.append((self.now, action))


def assert_as_recorded(
    did: list[tuple[float, object]], recorded: list[tuple[float, LeadershipMessage]]
) -> None:
    said = [(at, what) for at, what in did if not isinstance(what, LeaderChanged)]
    expected = [(one.timestamp.seq_num, one.is_declaration) for _, one in recorded]
    assert [what for _, what in said] == expected
    for (at, _), (recorded_at, _) in zip(said, recorded, strict=True):
        assert at == pytest.approx(recorded_at, abs=0.1)


@pytest.mark.parametrize("channel", list(ORGS_OF))
def test_the_leader_proposes_and_declares_when_the_real_one_did(channel: str) -> None:
    recorded = [
        (heard.at, heard.envelope.message.leadership_msg)
        for heard in transcript(Content.LEADERSHIP)
        if heard.channel == channel and heard.author == OTHER
    ]
    assert [one.is_declaration for _, one in recorded][:2] == [False, True]
    began = (recorded[0][1].timestamp.inc_num - BEGAN_NS) / 1e9
    view = {id_of(name): at for name, at in joins(channel).items() if name != OTHER}
    leader = Candidate(OTHER, channel, began, view)
    leader.until(recorded[-1][0] + 0.1)
    assert_as_recorded(leader.did, recorded)
    assert leader.election.leading


def test_the_other_follows_until_the_leader_stops_and_then_takes_over() -> None:
    """It joined second and did not hear of the first before asking for StateInfo, 4 s later:
    so neither proposal counted for the other peer, and the higher PKI-ID declared first."""
    channel = "mychannel"
    recorded = recorded_leadership(THIRD, channel)
    assert [one.is_declaration for _, one in recorded] == [False, False, True, True]
    began = (recorded[0][1].timestamp.inc_num - BEGAN_NS) / 1e9
    first_seen = joins(channel)
    view = {id_of(RECORDER): first_seen[RECORDER], id_of(OTHER): began + 4.0}
    follower = Candidate(THIRD, channel, began, view)
    heard = [one for one in recorded_leadership(OTHER, channel) if one[0] < 13]
    # The recording leaves out what repeats itself: the leader declared every 5 s until 50.
    at, latest = heard[-1]
    while (at := at + 5.0) < 50:
        time = latest.timestamp
        latest = LeadershipMessage(
            timestamp=PeerTime(inc_num=time.inc_num, seq_num=time.seq_num + 1), is_declaration=True
        )
        heard.append((at, latest))
    for at, message in heard:
        follower.until(at)
        follower.hears(OTHER, message)
        assert not follower.election.leading
    follower.until(recorded[-1][0] + 0.1)
    assert_as_recorded(follower.did, recorded)
    assert follower.election.leading
    assert follower.election.next_deadline < math.inf
