"""Elections by hand-moved time, alone and among peers that hear each other."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from pubsub.fabric.actions import Broadcast
from pubsub.fabric.election import Action, Election, LeaderChanged, Phase, SetLeadership
from pubsub.fabric.params import V14, GossipParams
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, LeadershipMessage, PeerTime

START_NS = 1_795_249_460_000_000_000
LOW, ME, HIGH = (bytes([first]) * 32 for first in (0x10, 0x80, 0xF0))
CHANNEL = b"mychannel"
LEADS, LEADS_NO_MORE = LeaderChanged(leading=True), LeaderChanged(leading=False)


def said(action: Action) -> object:
    """A message as `declares` or `proposes` with its number; other actions as they are."""
    if isinstance(action, Broadcast):
        content = action.message.leadership_msg
        return ("declares" if content.is_declaration else "proposes", content.timestamp.seq_num)
    return action


@dataclass
class Script:
    """An election at ME that is run through time; `view` is what it sees of its organization."""

    view: list[bytes] = field(default_factory=list)
    params: GossipParams = V14
    now: float = 0.0

    def __post_init__(self) -> None:
        self.sequence = itertools.count(1)
        self.election = Election(
            ME, CHANNEL, lambda: self.view, self.params, started_ns=START_NS, now=self.now
        )

    def until(self, end: float) -> list[object]:
        """What it does, and when, until `end`."""
        done: list[object] = []
        while self.election.next_deadline <= end:
            self.now = self.election.next_deadline
            done += [(self.now, said(action)) for action in self.election.tick(self.now)]
        self.now = end
        assert self.election.tick(end) == []
        return done

    def hears(
        self, sender: bytes, what: str, *, time: tuple[int, int] | None = None
    ) -> list[object]:
        message = LeadershipMessage(
            pki_id=sender,
            timestamp=PeerTime(
                inc_num=time[0] if time else START_NS,
                seq_num=time[1] if time else next(self.sequence),
            ),
            is_declaration=what == "declares",
        )
        actions = self.election.on_leadership(sender, message, now=self.now)
        return [said(action) for action in actions]


def test_a_lone_peer_leads_after_one_sample_and_one_election() -> None:
    script = Script()
    assert script.until(17) == [
        (1, ("proposes", 1)),
        (6, LEADS),
        (6, ("declares", 2)),
        (11, ("declares", 3)),
        (16, ("declares", 4)),
    ]
    assert script.election.leading


def test_messages_say_who_in_which_channel_and_in_which_life() -> None:
    script = Script()
    (proposal,) = script.election.tick(1)
    assert proposal == Broadcast(
        GossipMessage(
            channel=CHANNEL,
            tag=GossipMessage.CHAN_AND_ORG,
            leadership_msg=LeadershipMessage(
                pki_id=ME, timestamp=PeerTime(inc_num=START_NS, seq_num=1)
            ),
        )
    )


def test_a_view_that_grows_holds_the_election_up_until_it_stays_the_same() -> None:
    script = Script()
    script.view = [HIGH]
    assert script.until(1) == []
    script.view = [HIGH, LOW]
    assert script.until(2.5) == []
    assert script.until(3) == [(3, ("proposes", 1))]


def test_a_view_that_never_settles_holds_it_up_no_longer_than_the_grace_period() -> None:
    script = Script()
    done: list[object] = []
    for second in range(1, 17):
        script.view = [bytes([second + n]) * 32 for n in range(second)]
        done += script.until(second)
    assert done == [(16, ("proposes", 1))]


def test_a_declaration_while_the_view_settles_makes_a_follower() -> None:
    script = Script([LOW])
    assert script.hears(LOW, "declares") == []
    assert script.until(1) == []
    assert script.election.phase is Phase.FOLLOWING


def test_a_declaration_ends_an_election_at_once() -> None:
    script = Script([HIGH])
    assert script.until(3) == [(1, ("proposes", 1))]
    assert script.hears(HIGH, "declares") == []
    assert script.election.phase is Phase.FOLLOWING
    assert script.election.next_deadline == 13


def test_a_proposal_from_a_lower_id_makes_a_follower_one_from_a_higher_does_not() -> None:
    script = Script([LOW, HIGH])
    script.until(2)
    assert script.hears(LOW, "proposes") == []
    assert script.until(6) == []
    assert script.election.phase is Phase.FOLLOWING

    script = Script([LOW, HIGH])
    script.until(2)
    assert script.hears(HIGH, "proposes") == []
    assert script.until(6) == [(6, LEADS), (6, ("declares", 2))]


def test_a_proposal_made_before_ours_counts_one_from_an_earlier_round_does_not() -> None:
    script = Script([LOW])
    assert script.hears(LOW, "proposes") == []
    assert script.until(6) == [(1, ("proposes", 1))]
    assert script.election.phase is Phase.FOLLOWING
    assert script.until(21) == [
        (16, ("proposes", 2)),
        (21, LEADS),
        (21, ("declares", 3)),
    ]


def test_a_follower_follows_as_long_as_declarations_come_and_then_elects() -> None:
    script = Script([LOW])
    script.until(2)
    script.hears(LOW, "declares")
    for second in (7, 12, 17):
        assert script.until(second) == []
        assert script.hears(LOW, "declares") == []
    # Follows until 12, and, having heard it, until 22, and until 32.
    assert script.until(37) == [
        (32, ("proposes", 2)),
        (37, LEADS),
        (37, ("declares", 3)),
    ]


def test_a_leader_steps_down_for_a_lower_id_and_answers_a_higher_one() -> None:
    script = Script([LOW, HIGH])
    script.until(8)
    assert script.election.leading
    assert script.hears(HIGH, "declares") == [("declares", 3)]
    assert script.election.leading
    assert script.hears(LOW, "declares") == [LEADS_NO_MORE]
    assert not script.election.leading
    assert script.election.phase is Phase.FOLLOWING
    assert script.election.next_deadline == 18


def test_answers_to_declarations_are_bounded() -> None:
    script = Script([HIGH])
    script.until(8)
    answers = 0
    for step in range(1000):
        answers += len(script.until(8 + step / 100))
        answers += len(script.hears(HIGH, "declares"))
    assert 10 <= answers <= 11


@pytest.mark.parametrize("what", ["declares", "proposes"])
def test_strangers_count_for_nothing(what: str) -> None:
    """Unknown peers, dead ones, those of other organizations: none is in the view."""
    script = Script([HIGH])
    script.until(2)
    assert script.hears(LOW, what) == []
    assert script.hears(ME, what) == []
    assert script.until(6) == [(6, LEADS), (6, ("declares", 2))]
    assert script.hears(LOW, what) == []
    assert script.election.leading


def test_what_strangers_said_is_passed_on_once() -> None:
    """A topic carries on what is fresh: a stranger's old words are not, though none counts."""
    script = Script([HIGH])
    script.until(2)
    said = LeadershipMessage(timestamp=PeerTime(inc_num=START_NS, seq_num=5))
    assert script.election.is_fresh(LOW, said)
    assert script.hears(LOW, "declares", time=(START_NS, 5)) == []
    assert not script.election.is_fresh(LOW, said)
    assert script.until(6) == [(6, LEADS), (6, ("declares", 2))]


def test_old_messages_count_for_nothing() -> None:
    script = Script([LOW])
    script.until(2)
    assert script.hears(LOW, "declares", time=(START_NS, 5)) == []
    assert script.hears(LOW, "declares", time=(START_NS, 5)) == []
    assert script.hears(LOW, "declares", time=(START_NS - 1, 9)) == []
    assert script.hears(LOW, "declares", time=(START_NS, 4)) == []
    assert script.until(12) == [(12, ("proposes", 2))]
    old = LeadershipMessage(timestamp=PeerTime(inc_num=START_NS, seq_num=5))
    new = LeadershipMessage(timestamp=PeerTime(inc_num=START_NS, seq_num=6))
    assert not script.election.is_fresh(LOW, old)
    assert script.election.is_fresh(LOW, new)


def test_a_sender_is_forgotten_after_ten_thresholds() -> None:
    """So one that came back with its clock behind is heard again."""
    script = Script([LOW])
    script.until(2)
    script.hears(LOW, "declares", time=(START_NS, 5))
    earlier = LeadershipMessage(timestamp=PeerTime(inc_num=START_NS - 1, seq_num=1))
    script.until(101)
    assert not script.election.is_fresh(LOW, earlier)
    script.until(107)
    assert script.election.is_fresh(LOW, earlier)


def test_a_leader_that_gives_way_is_no_candidate_for_six_thresholds() -> None:
    script = Script([HIGH])
    script.until(8)
    assert [said(a) for a in script.election.give_way(now=8)] == [LEADS_NO_MORE]
    assert script.election.give_way(now=8) == []
    # Follows from 11 on, ten seconds at a time; it yields until 68.
    assert script.until(77) == [(71, ("proposes", 3)), (76, LEADS), (76, ("declares", 4))]


def test_giving_way_ends_when_another_leads() -> None:
    script = Script([HIGH])
    script.until(8)
    script.election.give_way(now=8)
    script.until(9)
    assert script.hears(HIGH, "declares") == []
    assert script.election.phase is Phase.FOLLOWING
    assert script.until(19) == [(19, ("proposes", 3))]


def test_a_follower_does_not_give_way() -> None:
    script = Script([LOW])
    script.until(2)
    script.hears(LOW, "declares")
    assert script.election.give_way(now=3) == []
    assert script.until(12) == [(12, ("proposes", 2))]


def test_who_stops_leads_no_more_and_hears_nothing() -> None:
    script = Script([LOW])
    script.until(8)
    assert script.election.stop() == [LEADS_NO_MORE]
    assert script.election.stop() == []
    assert script.election.next_deadline == math.inf
    assert script.hears(LOW, "declares") == []
    assert script.until(100) == []


def test_leadership_that_is_set_is_taken_once_and_kept() -> None:
    leadership = SetLeadership(GossipParams(org_leader=True), now=3.0)
    assert leadership.next_deadline == 3.0
    assert leadership.tick(3.0) == [LEADS]
    assert leadership.leading
    assert leadership.next_deadline == math.inf
    assert leadership.tick(9.0) == []
    declaration = LeadershipMessage(
        pki_id=LOW, timestamp=PeerTime(inc_num=1, seq_num=1), is_declaration=True
    )
    assert not leadership.is_fresh(LOW, declaration)
    assert leadership.on_leadership(LOW, declaration, now=9.0) == []
    assert leadership.give_way(now=9.0) == []
    assert leadership.leading
    assert leadership.stop() == [LEADS_NO_MORE]
    assert leadership.stop() == []


def test_leadership_that_is_stopped_before_it_was_taken_is_never_taken() -> None:
    leadership = SetLeadership(GossipParams(org_leader=True), now=3.0)
    assert leadership.stop() == []
    assert leadership.next_deadline == math.inf
    assert leadership.tick(3.0) == []


def test_where_neither_is_set_nobody_leads() -> None:
    leadership = SetLeadership(GossipParams(org_leader=False), now=3.0)
    assert leadership.next_deadline == math.inf
    assert leadership.tick(1e9) == []
    assert leadership.stop() == []


# -- Among peers -----------------------------------------------------------------------------


class Town:
    """Peers that hear each other after a delay, in parts that may be joined and split."""

    def __init__(self, ids: Iterable[bytes], *, delay: float = 0.05) -> None:
        self.ids = list(ids)
        self.delay = delay
        self.now = 0.0
        self.part_of: dict[bytes, int] = dict.fromkeys(self.ids, 0)
        self.count = itertools.count()
        self.in_flight: list[tuple[float, int, bytes, bytes, LeadershipMessage]] = []
        self.elections: dict[bytes, Election] = {}
        for peer in self.ids:
            self.starts(peer)

    def starts(self, peer: bytes) -> None:
        self.elections[peer] = Election(
            peer,
            CHANNEL,
            lambda: self.seen_by(peer),
            V14,
            started_ns=START_NS + int(self.now * 1e9),
            now=self.now,
        )

    def stops(self, peer: bytes) -> None:
        del self.elections[peer]

    def seen_by(self, peer: bytes) -> list[bytes]:
        part = self.part_of[peer]
        return [
            other
            for other in self.ids
            if other != peer and other in self.elections and self.part_of[other] == part
        ]

    def leaders(self) -> list[bytes]:
        return [peer for peer, election in self.elections.items() if election.leading]

    def carries(self, peer: bytes, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Broadcast):
                for other in self.seen_by(peer):
                    entry = (self.now + self.delay, next(self.count), peer, other)
                    heapq.heappush(self.in_flight, (*entry, action.message.leadership_msg))

    def until(self, end: float) -> None:
        while True:
            due, peer = min((e.next_deadline, peer) for peer, e in self.elections.items())
            first = min(due, self.in_flight[0][0] if self.in_flight else math.inf)
            if first > end:
                self.now = end
                return
            self.now = first
            if first < due:
                _, _, sender, receiver, message = heapq.heappop(self.in_flight)
                if receiver in self.elections:
                    heard = self.elections[receiver].on_leadership(sender, message, now=first)
                    self.carries(receiver, heard)
            else:
                self.carries(peer, self.elections[peer].tick(first))


def ids(count: int) -> list[bytes]:
    return [bytes([16 * n + 8]) * 32 for n in range(count)]


def test_the_lowest_of_those_that_begin_together_leads() -> None:
    town = Town(reversed(ids(7)))
    town.until(60)
    assert town.leaders() == [ids(7)[0]]


def test_the_leader_stays_when_a_lower_one_comes_later() -> None:
    low, *others = ids(4)
    town = Town([low, *others])
    town.stops(low)
    town.until(20)
    assert town.leaders() == [others[0]]
    town.starts(low)
    town.until(60)
    assert town.leaders() == [others[0]]


def test_when_the_leader_stops_another_leads_within_two_thresholds_and_an_election() -> None:
    low, *others = ids(4)
    town = Town([low, *others])
    town.until(16.5)
    assert town.leaders() == [low]
    town.stops(low)
    town.until(16.5 + 2 * 10 + 5 + 1)
    assert town.leaders() == [others[0]]
    town.starts(low)
    town.until(town.now + 60)
    assert town.leaders() == [others[0]]


def test_a_part_has_its_leader_and_the_lowest_remains_when_parts_meet() -> None:
    a, b, c, d, e = ids(5)
    town = Town([a, b, c, d, e])
    town.part_of = {a: 0, b: 1, c: 0, d: 1, e: 1}
    town.until(40)
    assert sorted(town.leaders()) == [a, b]
    town.part_of = dict.fromkeys(town.ids, 0)
    town.until(40 + 5 + 1)
    assert town.leaders() == [a]
    town.part_of[a] = 1
    town.until(town.now + 30)
    # Those who are left follow at different times: whoever proposes alone leads.
    assert a in town.leaders()
    assert len(town.leaders()) == 2


class Storm(RuleBasedStateMachine):
    """Whatever happens: at most one leader in a part that has been left alone for long."""

    peers = Bundle("peers")

    @initialize(count=st.integers(2, 5), delay=st.sampled_from([0.0, 0.05, 0.9]))
    def begin(self, count: int, delay: float) -> None:
        self.town = Town(ids(count), delay=delay)

    @rule(seconds=st.floats(0.1, 30))
    def time_goes_by(self, seconds: float) -> None:
        self.town.until(self.town.now + seconds)

    @rule(n=st.integers(0, 4), part=st.integers(0, 1))
    def moves(self, n: int, part: int) -> None:
        self.town.part_of[self.town.ids[n % len(self.town.ids)]] = part

    @rule(n=st.integers(0, 4))
    def gives_way(self, n: int) -> None:
        peer = self.town.ids[n % len(self.town.ids)]
        self.town.carries(peer, self.town.elections[peer].give_way(now=self.town.now))

    @rule()
    def is_left_alone(self) -> None:
        # Six thresholds of yielding, a threshold asleep, and an election.
        self.town.until(self.town.now + 100)
        for part in (0, 1):
            members = [peer for peer in self.town.ids if self.town.part_of[peer] == part]
            leaders = [peer for peer in self.town.leaders() if peer in members]
            assert len(leaders) == min(1, len(members))

    @invariant()
    def deadlines_lie_ahead(self) -> None:
        if hasattr(self, "town"):
            for election in self.town.elections.values():
                assert election.next_deadline >= self.town.now


TestStorm = Storm.TestCase
