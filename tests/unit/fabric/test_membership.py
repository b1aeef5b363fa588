"""One membership by hand-moved time: what happens goes in, whole lists of actions come out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pubsub.fabric.actions import CloseConnection, Publish, Send, Warn
from pubsub.fabric.disclosure import without_secret
from pubsub.fabric.entry_points import Dial
from pubsub.fabric.heartbeat import Us
from pubsub.fabric.members import Alive, Freshness
from pubsub.fabric.membership import MAX_PROBES, MemberChanged, Membership, Probe
from pubsub.fabric.params import V3
from pubsub.pb.fabric.gossip_pb2 import (
    AliveMessage,
    Envelope,
    GossipMessage,
    Member,
    MembershipResponse,
    PeerTime,
)
from tests.unit.fabric.gossiping import ORG1, ORG2, START_NS, alive_in, sign
from tests.unit.fabric.making import pki_id

ME, P, Q, R, FOREIGN, STRANGER = map(pki_id, ("me", "p", "q", "r", "foreign", "stranger"))
ORGS = {ME: ORG1, P: ORG1, Q: ORG1, R: ORG1, FOREIGN: ORG2}
NAMES = {ME: "me", P: "p", Q: "q", R: "r", FOREIGN: "foreign", STRANGER: "stranger"}


def alive(peer: bytes, *time: int, external: bool = True, metadata: bytes = b"") -> Alive:
    """An AliveMessage of somebody, as it would have come."""
    name = NAMES[peer]
    message = GossipMessage(
        tag=GossipMessage.EMPTY,
        alive_msg=AliveMessage(
            membership=Member(
                endpoint=f"{name}.example:7051" if external else "",
                metadata=metadata,
                pki_id=peer,
            ),
            timestamp=PeerTime(inc_num=time[0], seq_num=time[1]),
        ),
    )
    return Alive.of(sign(message, f"{name}:7051" if ORGS.get(peer) == ORG1 else ""))


class Script:
    """A membership at `me`; actions come out as they are, messages by what they say."""

    def __init__(self, *, external: bool = True) -> None:
        self.now = 0.0
        self.us = Us(ME, ORG1, "me.example:7051" if external else "", "me:7051", b"cert")
        self.membership = Membership(
            self.us,
            V3,
            org_of=ORGS.get,
            sign=sign,
            rng=Random(1),
            started_ns=START_NS,
            now=0.0,
        )

    def until(self, end: float) -> list[tuple[float, object]]:
        done = []
        while self.membership.next_deadline <= end:
            self.now = self.membership.next_deadline
            done += [(self.now, said(a)) for a in self.membership.tick(self.now)]
        self.now = end
        return done

    def hears(self, *messages: Alive) -> list[object]:
        actions = [
            action
            for message in messages
            for action in self.membership.on_alive(message, now=self.now)
        ]
        return [said(action) for action in actions]

    def is_asked(self, peer: bytes, about: Alive, nonce: int = 7) -> list[Any]:
        return self.membership.on_membership_request(peer, about, nonce, now=self.now)

    def asks(self, peer: bytes) -> int:
        """The nonce of the request that a new connection brings forth."""
        (request,) = self.membership.on_connected(peer, now=self.now)
        assert isinstance(request, Send)
        return int(request.message.nonce)

    def is_answered(
        self, peer: bytes, nonce: int, alive: Sequence[Alive] = (), dead: Sequence[Alive] = ()
    ) -> list[object]:
        actions = self.membership.on_membership_response(peer, nonce, alive, dead, now=self.now)
        return [said(action) for action in actions]

    def view(self) -> list[str]:
        return [NAMES[member.peer] for member in self.membership.members]

    def dead(self) -> list[str]:
        return [NAMES[member.peer] for member in self.membership.dead]


def said(action: object) -> object:
    match action:
        case Publish(envelope):
            return ("beats", Alive.of(envelope).time[1])
        case Send(peer, message) if message.HasField("mem_req"):
            return ("asks", NAMES[peer])
        case Warn(key, _):
            return key
        case MemberChanged(peer, change):
            return (change.name, NAMES[peer])
        case CloseConnection(peer):
            return ("closes", NAMES[peer])
        case Probe(peer, _):
            return ("probes", NAMES[peer])
    return action


def only(what: object, done: Sequence[tuple[float, object]]) -> list[float]:
    """When something was done."""
    return [at for at, one in done if one == what or (isinstance(one, tuple) and one[0] == what)]


# -- Heartbeats


def test_we_are_what_our_next_heartbeat_says() -> None:
    script = Script()
    script.membership.update(metadata=b"rack 3", endpoint="moved:7051")
    us = script.membership.us
    assert (us.peer, us.endpoint) == (ME, "moved:7051")
    assert (us.internal_endpoint, us.metadata) == ("me:7051", b"rack 3")


def test_heartbeats_go_out_every_five_seconds_while_somebody_is_alive() -> None:
    script = Script()
    assert only("beats", script.until(12)) == []
    script.hears(alive(P, 1, 1))
    assert only("beats", script.until(35)) == [15, 20, 25, 30, 35]
    script.until(40)
    assert script.dead() == ["p"]
    assert only("beats", script.until(100)) == []


def test_numbers_grow_over_heartbeats_and_requests() -> None:
    script = Script()
    script.hears(alive(P, 1, 1))
    assert script.until(5) == [
        (0, ("asks", "p")),
        (4, ("asks", "p")),
        (5, ("beats", 3)),
    ]


# -- Life and death


def test_a_silent_peer_is_dead_and_hung_up_on_an_old_message_ignored_a_newer_one_heard() -> None:
    script = Script()
    assert script.hears(alive(P, 5, 3)) == [("LEARNED", "p")]
    done = script.until(25)
    assert script.view() == ["p"]
    done = script.until(27.5)
    assert [d for d in done if d[1] != ("beats", 11)] == [
        (27.5, "membership.dead"),
        (27.5, ("DIED", "p")),
        (27.5, ("closes", "p")),
    ]
    assert (script.view(), script.dead()) == ([], ["p"])
    assert script.hears(alive(P, 5, 2), alive(P, 4, 9), alive(P, 5, 3)) == []
    assert script.membership.counters["old"] == 3
    assert script.membership.freshness(alive(P, 5, 3)) is Freshness.OLD
    assert script.hears(alive(P, 5, 4)) == [("RETURNED", "p")]
    assert (script.view(), script.dead()) == (["p"], [])


def test_a_heartbeat_in_time_keeps_a_peer_alive() -> None:
    script = Script()
    for beat in range(10):
        script.hears(alive(P, 1, beat))
        assert only("membership.dead", script.until(script.now + 25)) == []


def test_old_heartbeats_do_not_keep_a_peer_alive() -> None:
    script = Script()
    script.hears(alive(P, 1, 5))
    for _ in range(4):
        script.until(script.now + 5)
        script.hears(alive(P, 1, 5), alive(P, 1, 4))
    script.until(30)
    assert script.dead() == ["p"]


def test_traffic_on_its_own_connection_keeps_a_peer_alive_and_does_not_raise_the_dead() -> None:
    script = Script()
    script.hears(alive(P, 1, 1))
    for _ in range(20):
        script.until(script.now + 5)
        script.membership.on_traffic(P, now=script.now)
    assert script.view() == ["p"]
    script.until(script.now + 30)
    assert script.dead() == ["p"]
    script.membership.on_traffic(P, now=script.now)
    script.membership.on_traffic(STRANGER, now=script.now)
    assert (script.view(), script.dead()) == ([], ["p"])


def test_connecting_and_answering_are_signs_of_life() -> None:
    script = Script()
    script.hears(alive(P, 1, 1))
    for _ in range(3):
        script.until(script.now + 20)
        nonce = script.asks(P)
        script.until(script.now + 20)
        script.is_answered(P, nonce)
    assert script.view() == ["p"]


def test_when_we_ourselves_were_held_up_nobody_is_dead() -> None:
    script = Script()
    script.hears(alive(P, 1, 1))
    script.until(20)
    script.now = 200.0
    assert only("membership.dead", [(200.0, a) for a in script.membership.tick(200.0)]) == []
    assert script.view() == ["p"]
    # It had been silent for 20 s before, and for 5 s since the check that did not come.
    assert script.until(204) != []
    assert script.view() == ["p"]
    script.until(210)
    assert script.dead() == ["p"]


def test_many_deaths_are_one_line() -> None:
    script = Script()
    script.hears(*(alive(peer, 1, 1) for peer in (P, Q, R, FOREIGN)))
    script.until(25)
    warnings = [a for a in script.membership.tick(27.5) if isinstance(a, Warn)]
    names = ", ".join(peer.hex()[:8] for peer in (P, Q, R))
    assert warnings == [Warn("membership.dead", f"4 dead: {names}, …")]
    script = Script()
    script.hears(*(alive(peer, 1, 1) for peer in (P, Q, R)))
    script.until(25)
    warnings = [a for a in script.membership.tick(27.5) if isinstance(a, Warn)]
    assert warnings == [Warn("membership.dead", f"3 dead: {names}")]


def test_one_that_cannot_be_sent_to_is_dead_at_once_and_returns_by_its_next_heartbeat() -> None:
    script = Script()
    script.hears(alive(P, 1, 1))
    assert [said(a) for a in script.membership.on_presumed_dead(P)] == [
        "membership.dead",
        ("DIED", "p"),
        ("closes", "p"),
    ]
    assert script.membership.on_presumed_dead(P) == []
    assert script.membership.on_presumed_dead(Q) == []
    assert script.hears(alive(P, 1, 1)) == []
    assert script.hears(alive(P, 1, 2)) == [("RETURNED", "p")]


def test_checks_and_probes_begin_after_their_intervals() -> None:
    script = Script()
    script.hears(alive(P, 1, 1))
    script.membership.on_presumed_dead(P)
    assert script.membership.tick(0) == []
    assert script.membership.next_deadline == 2.5
    assert only("probes", script.until(60)) == [25, 50]


def test_the_dead_are_probed_and_asked_when_they_answer() -> None:
    script = Script()
    script.hears(alive(P, 1, 1), alive(FOREIGN, 1, 1))
    done = script.until(110)
    assert only(("probes", "p"), done) == [50, 75, 100]
    assert only(("probes", "foreign"), done) == [50, 75, 100]
    assert script.membership.tick(125)[-2:] == [
        Probe(P, "p:7051"),
        Probe(FOREIGN, "foreign.example:7051"),
    ]
    assert [said(a) for a in script.membership.on_connected(P, now=125)] == [("asks", "p")]


def test_probes_of_a_round_are_bounded_and_anchors_come_first() -> None:
    peers = [pki_id(f"n{n}") for n in range(3 * MAX_PROBES)]
    orgs = dict.fromkeys(peers, ORG1)
    membership = Membership(
        Us(ME, ORG1, "", "me:7051", b""),
        V3,
        org_of=orgs.get,
        sign=sign,
        rng=Random(1),
        started_ns=START_NS,
        now=0.0,
    )
    membership.connect(["n250:7051"], ORG1, now=0.0)
    for n, peer in enumerate(peers):
        membership.on_alive(Alive(peer, (1, 1), "", f"n{n}:7051", b"", b"envelope"), now=0.0)
        membership.on_presumed_dead(peer)
    first, second = (
        [a for a in membership.tick(at) if isinstance(a, Probe)] for at in (25.0, 50.0)
    )
    assert len(first) == len(second) == MAX_PROBES
    assert first[0] == second[0] == Probe(peers[250], "n250:7051")
    assert first != second


def test_the_dead_are_forgotten_after_500_seconds_but_anchors_never() -> None:
    script = Script()
    script.membership.connect(["q:7051"], ORG1, now=0.0)
    script.hears(alive(P, 1, 1), alive(Q, 1, 1))
    script.until(500)
    assert script.dead() == ["p", "q"]
    done = script.until(505)
    assert only("FORGOTTEN", done) == [502.5]
    assert script.dead() == ["q"]
    script.until(3000)
    assert script.dead() == ["q"]
    assert only("probes", script.until(3025)) == [3025]


def test_an_anchor_that_nothing_names_any_more_is_forgotten_as_any_other() -> None:
    script = Script()
    script.membership.connect(["q:7051", "never:7051"], ORG1, now=0.0)
    script.hears(alive(Q, 1, 1))
    script.until(30)
    script.membership.release(["q:7051", "never:7051", "unknown:7051"])
    done = script.until(505)
    assert only("FORGOTTEN", done) == [502.5]
    assert only(Dial("never:7051"), done) == []
    assert script.dead() == []


def test_a_forgotten_peer_does_not_come_back_by_an_old_message() -> None:
    script = Script()
    script.hears(alive(P, 1, 1))
    script.until(600)
    assert script.membership.lookup(P) is None
    assert script.hears(alive(P, 1, 1)) == []
    assert script.is_answered(Q, script.asks(Q), dead=[alive(P, 1, 1)]) == []
    assert script.dead() == []
    assert script.hears(alive(P, 1, 2)) == [("LEARNED", "p")]


def test_a_purged_peer_is_gone_at_once_and_learned_anew() -> None:
    script = Script()
    script.hears(alive(P, 1, 1))
    nonce = script.asks(P)
    assert [said(a) for a in script.membership.purge(P)] == [("FORGOTTEN", "p")]
    assert script.membership.purge(P) == []
    assert not script.membership.awaits(P, nonce)
    assert script.view() == []
    assert script.hears(alive(P, 1, 1)) == [("LEARNED", "p")]


def test_others_clocks_may_show_anything() -> None:
    script = Script()
    last = 2**64 - 1
    assert script.hears(alive(P, 0, 0), alive(Q, last, last)) == [
        ("LEARNED", "p"),
        ("LEARNED", "q"),
    ]
    assert script.hears(alive(P, 0, 1), alive(P, last, 0)) == []
    assert script.membership.freshness(alive(P, last - 1, last)) is Freshness.OLD
    assert script.membership.freshness(alive(P, last, 0)) is Freshness.SAME
    assert script.membership.freshness(alive(P, last, 1)) is Freshness.NEW


def test_the_same_message_comes_with_its_secret_or_without_and_in_no_other_form() -> None:
    script = Script()
    whole = alive(P, 1, 1)
    bare = replace(whole, envelope=without_secret(whole.envelope), internal_endpoint="")
    moved = Envelope.FromString(whole.envelope)
    moved.secret_envelope.signature = b"of another time"
    other = replace(whole, envelope=moved.SerializeToString(), internal_endpoint="elsewhere:1")
    dressed = replace(whole, envelope=whole.envelope + b"\x2a\x03any")
    twin = alive(P, 1, 1, metadata=b"twin")

    def freshness() -> list[Freshness]:
        return [script.membership.freshness(each) for each in (whole, bare, other, dressed, twin)]

    assert freshness() == [Freshness.NEW] * 5
    script.hears(whole)
    assert freshness() == [Freshness.SAME] * 2 + [Freshness.OLD] * 3
    assert script.hears(other) == []
    (member,) = script.membership.members
    assert member.internal_endpoint == "p:7051"


def test_of_a_message_that_came_without_its_secret_any_is_the_same() -> None:
    script = Script()
    whole = alive(P, 1, 1)
    bare = replace(whole, envelope=without_secret(whole.envelope), internal_endpoint="")
    assert script.membership.is_news(bare)
    script.hears(bare)
    assert script.membership.freshness(whole) is Freshness.SAME
    assert script.membership.is_news(whole)
    assert not script.membership.is_news(bare)
    assert script.hears(whole) == [("MOVED", "p")]
    assert not script.membership.is_news(whole)
    assert not script.membership.is_news(alive(P, 1, 0))


def test_unknown_identities_are_not_taken_in() -> None:
    script = Script()
    assert script.hears(alive(STRANGER, 1, 1)) == []
    assert script.membership.counters["unknown identity"] == 1
    assert script.view() == []


def test_what_changes_is_told() -> None:
    script = Script()
    script.hears(alive(P, 1, 1))
    assert script.hears(alive(P, 1, 2, metadata=b"new")) == [("MOVED", "p")]
    assert script.hears(alive(P, 1, 3, metadata=b"new")) == []
    member = script.membership.lookup(P)
    assert member is not None
    assert member.metadata == b"new"
    assert script.membership.is_alive(P)
    assert not script.membership.is_alive(Q)


def test_too_large_a_message_is_left_out() -> None:
    script = Script()
    huge = replace(alive(P, 1, 1), envelope=bytes(10**6))
    assert script.hears(huge) == ["membership.full"]
    assert script.membership.counters["no room"] == 1
    assert script.view() == []


# -- Asking


def test_three_random_living_peers_are_asked_every_four_seconds() -> None:
    orgs = {pki_id(f"n{n}"): ORG1 for n in range(10)}
    membership = Membership(
        Us(ME, ORG1, "", "me:7051", b""),
        V3,
        org_of=orgs.get,
        sign=sign,
        rng=Random(1),
        started_ns=START_NS,
        now=0.0,
    )
    for n, peer in enumerate(orgs):
        membership.on_alive(Alive(peer, (1, 1), "", f"n{n}:7051", b"", b"envelope"), now=0.0)
    rounds = []
    for at in (0.0, 4.0, 8.0, 12.0):
        asked = [a for a in membership.tick(at) if isinstance(a, Send)]
        assert len({a.peer for a in asked}) == 3
        assert len({a.message.nonce for a in asked}) == 3
        rounds.append(frozenset(a.peer for a in asked))
    assert len(set(rounds)) > 1


def test_a_request_tells_of_us_with_the_secret_to_our_own_organization_only() -> None:
    script = Script()
    for peer, secret in ((P, "me:7051"), (FOREIGN, "")):
        (request,) = script.membership.on_connected(peer, now=0.0)
        assert isinstance(request, Send)
        assert request.message.tag == GossipMessage.EMPTY
        assert list(request.message.mem_req.known) == []
        about_us = alive_in(request.message.mem_req.self_information)
        assert about_us.internal_endpoint == secret
        assert about_us.endpoint == "me.example:7051"


def test_a_peer_without_external_endpoint_asks_its_own_organization_only() -> None:
    script = Script(external=False)
    script.hears(alive(P, 1, 1), alive(FOREIGN, 1, 1))
    assert script.membership.on_connected(FOREIGN, now=0.0) == []
    assert script.membership.on_connected(STRANGER, now=0.0) == []
    assert only("asks", script.until(20)) == [0, 4, 8, 12, 16, 20]


def test_the_nonce_stays_until_there_is_an_answer() -> None:
    script = Script()
    nonce = script.asks(P)
    assert script.asks(P) == nonce
    script.until(20)
    assert script.membership.awaits(P, nonce)
    script.is_answered(P, nonce)
    assert not script.membership.awaits(P, nonce)
    other = script.asks(P)
    assert other != nonce
    script.until(script.now + 30)
    assert not script.membership.awaits(P, other)


@pytest.mark.parametrize("wrong", ["nonce", "peer", "twice"])
def test_answers_that_were_not_asked_for_are_ignored(wrong: str) -> None:
    script = Script()
    nonce = script.asks(P)
    if wrong == "twice":
        script.is_answered(P, nonce)
    sender, said_nonce = (Q if wrong == "peer" else P), nonce ^ (wrong == "nonce")
    assert script.is_answered(sender, said_nonce, alive=[alive(R, 1, 1)]) == []
    assert script.view() == []
    assert script.membership.counters["unasked response"] == 1


def test_an_answer_brings_the_living_and_of_the_dead_those_unknown() -> None:
    script = Script()
    script.hears(alive(Q, 1, 1))
    answer = {
        "alive": [alive(P, 1, 1), alive(Q, 1, 2), alive(ME, 1, 1), alive(STRANGER, 1, 1)],
        "dead": [alive(R, 1, 1), alive(Q, 1, 3), alive(P, 1, 9), alive(STRANGER, 1, 1)],
    }
    assert script.is_answered(P, script.asks(P), **answer) == [("LEARNED", "p")]
    assert (script.view(), script.dead()) == (["q", "p"], ["r"])
    assert script.membership.freshness(alive(Q, 1, 2)) is Freshness.SAME


def test_that_others_hold_us_for_dead_raises_our_numbers() -> None:
    script = Script()
    dead_me = alive(ME, START_NS + 10**9, 5)
    assert script.is_answered(P, script.asks(P), dead=[dead_me]) == ["membership.clock"]
    (request,) = script.membership.on_connected(P, now=0.0)
    assert isinstance(request, Send)
    assert alive_in(request.message.mem_req.self_information).time == (START_NS + 10**9 + 1, 1)


# -- Answering


def answer_to(script: Script, peer: bytes, about: Alive) -> MembershipResponse:
    *_, answer = script.is_asked(peer, about)
    assert isinstance(answer, Send)
    assert (answer.peer, answer.message.nonce) == (peer, 7)
    assert answer.message.tag == GossipMessage.EMPTY
    return answer.message.mem_res


def told(envelopes: Sequence[bytes]) -> list[tuple[str, bool]]:
    """Who is told of, and whether with the secret."""
    read = [alive_in(raw) for raw in envelopes]
    return [(NAMES[a.peer], bool(a.internal_endpoint)) for a in read]


def test_our_own_organization_is_told_of_itself_with_secrets() -> None:
    script = Script()
    script.hears(alive(Q, 1, 1, external=False), alive(R, 1, 1), alive(FOREIGN, 1, 1))
    script.membership.on_presumed_dead(R)
    answer = answer_to(script, P, alive(P, 1, 1, external=False))
    assert told(answer.alive) == [("q", True), ("p", True), ("me", True)]
    assert told(answer.dead) == [("r", True)]


def test_another_organization_is_told_of_those_with_external_endpoints_without_secrets() -> None:
    script = Script()
    script.hears(alive(P, 1, 1, external=False), alive(Q, 1, 1), alive(R, 1, 1, external=False))
    script.membership.on_presumed_dead(R)
    answer = answer_to(script, FOREIGN, alive(FOREIGN, 1, 1))
    assert told(answer.alive) == [("q", False), ("foreign", False), ("me", False)]
    assert told(answer.dead) == []


def test_one_that_may_not_know_us_is_hung_up_on() -> None:
    hung_up = ["membership.disclosure", ("closes", "foreign")]
    script = Script()
    hidden = alive(FOREIGN, 1, 1, external=False)
    assert [said(a) for a in script.is_asked(FOREIGN, hidden)] == [("LEARNED", "foreign"), *hung_up]
    script = Script(external=False)
    asked = script.is_asked(FOREIGN, alive(FOREIGN, 1, 1))
    assert [said(a) for a in asked] == [("LEARNED", "foreign"), *hung_up]
    assert script.membership.counters["request of one that may not know us"] == 1
    asked = script.is_asked(STRANGER, alive(STRANGER, 1, 1))
    assert [said(a) for a in asked] == ["membership.disclosure", ("closes", "stranger")]


def test_a_request_in_anothers_name_is_ignored_and_told() -> None:
    script = Script()
    (warning,) = script.is_asked(Q, alive(P, 1, 1))
    assert warning == Warn("membership.spoof", f"{Q.hex()[:8]} asked in the name of {P.hex()[:8]}")
    assert script.view() == []
    assert script.membership.counters["spoofed request"] == 1


def test_who_asks_is_learned_and_asking_often_makes_us_sign_once() -> None:
    script = Script()
    first = answer_to(script, P, alive(P, 1, 1)).alive[-1]
    assert script.view() == ["p"]
    script.now = 4.0
    assert answer_to(script, P, alive(P, 1, 1)).alive[-1] == first
    script.now = 5.0
    assert answer_to(script, P, alive(P, 1, 1)).alive[-1] != first


# -- Entry points


def test_a_bootstrap_peer_is_dialled_asked_and_then_left_to_itself() -> None:
    script = Script()
    own = ["me:7051", "me.example:7051", ""]
    assert script.membership.connect(["p:7051", *own], ORG1, now=0.0) == []
    assert script.until(0) == [(0, Dial("p:7051"))]
    (request,) = script.membership.on_dialed("p:7051", P, now=0.0)
    assert said(request) == ("asks", "p")
    assert isinstance(request, Send)
    script.is_answered(P, request.message.nonce, alive=[alive(P, 1, 1)])
    assert only(Dial("p:7051"), script.until(100)) == []


def test_a_dial_that_leads_to_ourselves_or_to_the_wrong_organization_is_no_way_in() -> None:
    script = Script()
    script.membership.connect(["here:7051", "p:7051"], ORG1, now=0.0)
    script.until(0)
    assert script.membership.on_dialed("here:7051", ME, now=0.0) == []
    wrong = script.membership.on_dialed("p:7051", FOREIGN, now=0.0)
    assert [said(a) for a in wrong] == ["membership.unreachable", ("closes", "foreign")]
    assert only(Dial("p:7051"), script.until(30)) == [25]
    failed = script.membership.on_dial_failed("p:7051", "refused", now=30.0)
    assert [said(a) for a in failed] == ["membership.unreachable"]
    assert only(Dial("here:7051"), script.until(100)) == []


def test_anchors_of_other_organizations_need_an_external_endpoint_of_ours() -> None:
    script = Script()
    assert script.membership.connect(["foreign.example:7051"], ORG2, now=0.0) == []
    assert script.until(0) == [(0, Dial("foreign.example:7051"))]
    dialed = script.membership.on_dialed("foreign.example:7051", FOREIGN, now=0.0)
    assert [said(a) for a in dialed] == [("asks", "foreign")]
    script = Script(external=False)
    passed_over = script.membership.connect(["foreign.example:7051"], ORG2, now=0.0)
    assert [said(a) for a in passed_over] == ["membership.no_external_endpoint"]
    assert script.until(0) == []


# -- Whatever comes


PEERS = [ME, P, Q, R, FOREIGN, STRANGER]
spoken = st.builds(
    lambda peer, inc, seq, external: alive(peer, inc, seq, external=external),
    st.sampled_from(PEERS),
    st.integers(0, 3) | st.integers(0, 2**64 - 1),
    st.integers(0, 3) | st.integers(0, 2**64 - 1),
    st.booleans(),
)


class Anything(RuleBasedStateMachine):
    """No order of events breaks the view, and what is hidden is never told."""

    @initialize(external=st.booleans())
    def begin(self, external: bool) -> None:
        self.script = Script(external=external)
        self.script.membership.connect(["p:7051"], ORG1, now=0.0)
        self.nonces: list[tuple[bytes, int]] = []

    def note(self, actions: Sequence[object]) -> None:
        for action in actions:
            if isinstance(action, Send):
                foreign = ORGS[action.peer] != ORG1
                if action.message.HasField("mem_req"):
                    self.nonces.append((action.peer, action.message.nonce))
                    told_of = [action.message.mem_req.self_information]
                else:
                    answer = action.message.mem_res
                    told_of = [*answer.alive, *answer.dead]
                for raw in told_of:
                    one = alive_in(raw)
                    assert not (foreign and one.internal_endpoint)
                    if foreign and ORGS[one.peer] == ORG1:
                        assert one.endpoint

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 26.0, 600.0]), smoothly=st.booleans())
    def time_goes_by(self, seconds: float, smoothly: bool) -> None:
        script = self.script
        end = script.now + seconds
        while smoothly and script.membership.next_deadline <= end:
            script.now = script.membership.next_deadline
            self.note(script.membership.tick(script.now))
        script.now = end
        self.note(script.membership.tick(end))

    @rule(message=spoken)
    def hears(self, message: Alive) -> None:
        self.note(self.script.membership.on_alive(message, now=self.script.now))

    @rule(peer=st.sampled_from(PEERS), message=spoken, nonce=st.integers(0, 2**64 - 1))
    def is_asked(self, peer: bytes, message: Alive, nonce: int) -> None:
        self.note(self.script.is_asked(peer, message, nonce))

    @rule(alive=st.lists(spoken, max_size=4), dead=st.lists(spoken, max_size=4), good=st.booleans())
    def is_answered(self, alive: list[Alive], dead: list[Alive], good: bool) -> None:
        peer, nonce = self.nonces.pop() if self.nonces and good else (P, 0)
        answer = self.script.membership.on_membership_response(
            peer, nonce, alive, dead, now=self.script.now
        )
        self.note(answer)

    @rule(peer=st.sampled_from(PEERS[1:]))
    def connects(self, peer: bytes) -> None:
        self.note(self.script.membership.on_connected(peer, now=self.script.now))
        self.note(self.script.membership.on_dialed("p:7051", peer, now=self.script.now))

    @rule(peer=st.sampled_from(PEERS))
    def is_lost(self, peer: bytes) -> None:
        self.note(self.script.membership.on_presumed_dead(peer))
        self.note(self.script.membership.on_dial_failed("p:7051", "refused", now=self.script.now))

    @rule(peer=st.sampled_from(PEERS))
    def is_purged(self, peer: bytes) -> None:
        self.note(self.script.membership.purge(peer))
        assert self.script.membership.lookup(peer) is None

    @invariant()
    def the_view_is_whole(self) -> None:
        if not hasattr(self, "script"):
            return
        view, dead = self.script.view(), self.script.dead()
        assert not set(view) & set(dead)
        assert not {"me", "stranger"} & {*view, *dead}
        assert self.script.now <= self.script.membership.next_deadline < math.inf


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
