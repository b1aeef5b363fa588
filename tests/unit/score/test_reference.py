"""PeerScores against the formulas of gossipsub v1.1, written down once more without any cleverness.

The reference computes every score from bare counters, decays one interval at a
time, keeps every message for ever and looks at every peer for every address.
"""

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pubsub.identity import PeerId
from pubsub.score import PeerScores, Rejection, ScoreParams, TopicScoreParams

PEERS = [PeerId(name) for name in (b"a", b"b", b"c")]
TOPICS = ["t", "u", "unscored"]
MESSAGES = [b"m1", b"m2", b"m3"]
IPS = [["203.0.113.1"], ["203.0.113.2"], ["203.0.113.1", "203.0.113.2"], ["127.0.0.1"]]
ZERO, RETAIN, THRESHOLD = 0.2, 5.0, 1
STEP = 0.25  # exact in binary, so that window edges are hit exactly

T = TopicScoreParams(
    topic_weight=0.5,
    time_in_mesh_weight=0.25,
    time_in_mesh_quantum=0.5,
    time_in_mesh_cap=6.0,
    first_message_deliveries_weight=2.0,
    first_message_deliveries_decay=0.75,
    first_message_deliveries_cap=3.0,
    mesh_message_deliveries_weight=-0.5,
    mesh_message_deliveries_decay=0.5,
    mesh_message_deliveries_cap=4.0,
    mesh_message_deliveries_threshold=3.0,
    mesh_message_deliveries_window=0.5,
    mesh_message_deliveries_activation=2.0,
    mesh_failure_penalty_weight=-0.25,
    mesh_failure_penalty_decay=0.75,
    invalid_message_deliveries_weight=-1.0,
    invalid_message_deliveries_decay=0.5,
)
PARAMS = ScoreParams(
    topics={"t": T, "u": TopicScoreParams(time_in_mesh_quantum=1.0, time_in_mesh_cap=3.0)},
    default_topic=None,
    topic_score_cap=4.0,
    app_specific_weight=2.0,
    feedback_decay=0.5,
    ip_colocation_weight=-1.0,
    ip_colocation_threshold=THRESHOLD,
    behaviour_penalty_weight=-1.0,
    behaviour_penalty_threshold=1.0,
    behaviour_penalty_decay=0.5,
    decay_to_zero=ZERO,
    retain_score=RETAIN,
)


def app_score(peer: PeerId) -> float:
    return {b"a": 0.5, b"b": -0.25}.get(bytes(peer), 0.0)


class Reference:
    """Plain dicts, keyed by peer or by (peer, topic)."""

    def __init__(self) -> None:
        self.ips: dict[PeerId, list[str]] = {}  # also says who is known
        self.gone: dict[PeerId, float] = {}
        self.grafted_at: dict[Any, float] = {}
        self.mesh_time: dict[Any, float] = {}
        self.counters: dict[str, defaultdict[Any, float]] = {
            name: defaultdict(float) for name in ("p2", "p3", "p3b", "p4", "p7", "feedback")
        }
        self.verdict: dict[bytes, str] = {}
        self.copies: defaultdict[bytes, list[PeerId]] = defaultdict(list)
        self.accepted_at: dict[bytes, float] = {}
        self.tick = 0.0

    # Events

    def connected(self, peer: PeerId, ips: list[str], now: float) -> None:
        if now > self.gone.get(peer, now):
            self.forget(peer)
        self.gone.pop(peer, None)
        self.ips[peer] = ips

    def disconnected(self, peer: PeerId, now: float) -> None:
        if peer not in self.ips or peer in self.gone:
            return
        if self.score(peer, now) >= 0:
            self.forget(peer)
            return
        for topic in PARAMS.topics:
            self.counters["p2"][peer, topic] = 0.0
            self.pruned(peer, topic)
        self.gone[peer] = now + RETAIN

    def forget(self, peer: PeerId) -> None:
        self.ips.pop(peer, None)
        self.gone.pop(peer, None)
        for table in (self.grafted_at, self.mesh_time, *self.counters.values()):
            for key in list(table):
                if key == peer or (isinstance(key, tuple) and key[0] == peer):
                    del table[key]

    def grafted(self, peer: PeerId, topic: str, now: float) -> None:
        if self.scored(peer, topic) and (peer, topic) not in self.grafted_at:
            self.grafted_at[peer, topic] = now
            self.mesh_time[peer, topic] = 0.0

    def pruned(self, peer: PeerId, topic: str) -> None:
        if (peer, topic) in self.grafted_at:
            if PARAMS.topics[topic].mesh_failure_penalty_weight:
                self.counters["p3b"][peer, topic] += self.deficit(peer, topic) ** 2
            del self.grafted_at[peer, topic], self.mesh_time[peer, topic]

    def arrived(self, message: bytes) -> None:
        self.verdict.setdefault(message, "open")

    def delivered(self, peer: PeerId, topic: str, message: bytes, now: float) -> None:
        self.add("p2", peer, topic, PARAMS.topics[topic].first_message_deliveries_cap)
        self.near_first(peer, topic)
        for other in dict.fromkeys(self.copies[message]):
            if other != peer:
                self.near_first(other, topic)
        self.copies[message].append(peer)
        self.verdict[message], self.accepted_at[message] = "good", now

    def rejected(self, peer: PeerId, topic: str, message: bytes) -> None:
        for each in dict.fromkeys([peer, *self.copies[message]]):
            self.add("p4", each, topic)
        self.verdict[message] = "bad"

    def ignored(self, message: bytes) -> None:
        self.verdict[message] = "ignored"

    def duplicate(self, peer: PeerId, topic: str, message: bytes, now: float) -> None:
        fate = self.verdict.get(message)
        if fate == "bad":
            self.add("p4", peer, topic)
        elif fate == "good" and peer not in self.copies[message]:
            window = PARAMS.topics[topic].mesh_message_deliveries_window
            if now - self.accepted_at[message] <= window:
                self.near_first(peer, topic)
                self.copies[message].append(peer)
        elif fate == "open" and peer in self.ips:
            self.copies[message].append(peer)

    def refresh(self, now: float) -> None:
        for peer, until in list(self.gone.items()):
            if now > until:
                self.forget(peer)
        while self.tick + 1.0 <= now:
            self.tick += 1.0
            self.decay(now)

    def decay(self, now: float) -> None:
        for name, table in self.counters.items():
            for key in table:
                peer, topic = key if isinstance(key, tuple) else (key, "")
                if peer in self.gone:
                    continue
                table[key] *= self.factor(name, topic)
                if abs(table[key]) < ZERO:
                    table[key] = 0.0
        for key, since in self.grafted_at.items():
            self.mesh_time[key] = now - since

    def factor(self, name: str, topic: str) -> float:
        if name == "p7":
            return PARAMS.behaviour_penalty_decay
        if name == "feedback":
            return PARAMS.feedback_decay
        rules = PARAMS.topics[topic]
        return {
            "p2": rules.first_message_deliveries_decay,
            "p3": rules.mesh_message_deliveries_decay,
            "p3b": rules.mesh_failure_penalty_decay,
            "p4": rules.invalid_message_deliveries_decay,
        }[name]

    # Counters

    def scored(self, peer: PeerId, topic: str) -> bool:
        return peer in self.ips and topic in PARAMS.topics

    def add(self, name: str, peer: PeerId, topic: str, cap: float = 1e9) -> None:
        if self.scored(peer, topic):
            self.counters[name][peer, topic] = min(self.counters[name][peer, topic] + 1, cap)

    def near_first(self, peer: PeerId, topic: str) -> None:
        if (peer, topic) in self.grafted_at:
            self.add("p3", peer, topic, PARAMS.topics[topic].mesh_message_deliveries_cap)

    def deficit(self, peer: PeerId, topic: str) -> float:
        rules = PARAMS.topics[topic]
        if self.mesh_time.get((peer, topic), 0.0) <= rules.mesh_message_deliveries_activation:
            return 0.0
        missing = rules.mesh_message_deliveries_threshold - self.counters["p3"][peer, topic]
        return max(0.0, missing)

    # The score

    def score(self, peer: PeerId, now: float) -> float:
        if peer not in self.ips or now > self.gone.get(peer, now):
            return 0.0
        topics = 0.0
        for topic, rules in PARAMS.topics.items():
            p1 = self.mesh_time.get((peer, topic), 0.0) // rules.time_in_mesh_quantum
            share = min(p1, rules.time_in_mesh_cap) * rules.time_in_mesh_weight
            p2 = self.counters["p2"][peer, topic]
            share += p2 * rules.first_message_deliveries_weight
            share += self.deficit(peer, topic) ** 2 * rules.mesh_message_deliveries_weight
            p3b = self.counters["p3b"][peer, topic]
            share += p3b * rules.mesh_failure_penalty_weight
            p4 = self.counters["p4"][peer, topic]
            share += p4**2 * rules.invalid_message_deliveries_weight
            topics += share * rules.topic_weight
        p5 = app_score(peer) + self.counters["feedback"][peer]
        p6 = 0.0
        for ip in self.ips[peer]:
            crowd = sum(ip in ips for ips in self.ips.values())
            if ip != "127.0.0.1":
                p6 += max(0, crowd - THRESHOLD) ** 2
        p7 = max(0.0, self.counters["p7"][peer] - PARAMS.behaviour_penalty_threshold) ** 2
        return min(topics, PARAMS.topic_score_cap) + p5 * PARAMS.app_specific_weight - p6 - p7


PEER, TOPIC, MESSAGE = st.sampled_from(PEERS), st.sampled_from(TOPICS[:2]), st.integers(0, 2)
EVENTS = st.one_of(
    st.tuples(st.just("connected"), PEER, st.sampled_from(IPS)),
    st.tuples(st.just("disconnected"), PEER),
    st.tuples(st.just("forget"), PEER),
    st.tuples(st.just("grafted"), PEER, st.sampled_from(TOPICS)),
    st.tuples(st.just("pruned"), PEER, st.sampled_from(TOPICS)),
    st.tuples(st.just("arrived"), MESSAGE),
    st.tuples(st.just("delivered"), PEER, MESSAGE),
    st.tuples(st.just("rejected"), PEER, MESSAGE),
    st.tuples(st.just("ignored"), PEER, MESSAGE),
    st.tuples(st.just("duplicate"), PEER, MESSAGE),
    st.tuples(st.just("duplicate"), PEER, MESSAGE),
    st.tuples(st.just("bad copy"), PEER, TOPIC),
    st.tuples(st.just("behaviour"), PEER, st.sampled_from([0.5, 1.0, 2.5])),
    st.tuples(st.just("feedback"), PEER, st.sampled_from([-1.5, 0.5, 2.0])),
    st.tuples(st.just("time"), st.integers(1, 3)),
    st.tuples(st.just("time"), st.integers(4, 30)),
)


class Both:
    """Tells each event to the scores and to the reference."""

    def __init__(self) -> None:
        self.scores = PeerScores(PARAMS, app_score=app_score)
        self.scores.refresh(now=0.0)
        self.reference = Reference()
        self.now = 0.0

    def tell(self, name: str, *args: Any) -> None:
        scores, reference, now = self.scores, self.reference, self.now
        match name, args:
            case "time", (steps,):
                self.now = now = now + steps * STEP
                scores.refresh(now=now)
                reference.refresh(now)
            case "connected", (peer, ips):
                scores.connected(peer, ips, now=now)
                reference.connected(peer, ips, now)
            case "disconnected", (peer,):
                scores.disconnected(peer, now=now)
                reference.disconnected(peer, now)
            case "forget", (peer,):
                scores.forget(peer)
                reference.forget(peer)
            case "grafted", (peer, topic):
                if peer not in reference.gone:
                    scores.grafted(peer, topic, now=now)
                    reference.grafted(peer, topic, now)
            case "pruned", (peer, topic):
                scores.pruned(peer, topic, now=now)
                reference.pruned(peer, topic)
            case (("behaviour" | "feedback"), (peer, amount)):
                getattr(scores, name)(peer, amount)
                if peer in reference.ips:
                    table = "p7" if name == "behaviour" else name
                    reference.counters[table][peer] += amount
            case "bad copy", (peer, topic):
                scores.rejected(peer, topic, None, Rejection.INVALID, now=now)
                reference.add("p4", peer, topic)
            case _:
                self.tell_of_message(name, *args)

    def tell_of_message(self, name: str, *args: Any) -> None:
        scores, reference, now = self.scores, self.reference, self.now
        *peers, index = args
        message, topic = MESSAGES[index], TOPICS[index % 2]
        fate = reference.verdict.get(message)
        if name == "arrived":
            scores.arrived(message, now=now)
            reference.arrived(message)
        elif name == "duplicate":
            scores.duplicate(*peers, topic, message, now=now)
            reference.duplicate(*peers, topic, message, now)
        elif fate in (None, "open"):  # a router judges a message once
            if name == "delivered":
                scores.delivered(*peers, topic, message, now=now)
                reference.delivered(*peers, topic, message, now)
            elif name == "rejected":
                scores.rejected(*peers, topic, message, Rejection.INVALID, now=now)
                reference.rejected(*peers, topic, message)
            elif fate == "open":
                scores.rejected(*peers, topic, message, Rejection.IGNORED, now=now)
                reference.ignored(message)


@given(st.lists(EVENTS, min_size=10, max_size=60))
@settings(max_examples=250)
def test_v11_the_score_function_against_a_slow_reference(events: list[tuple[Any, ...]]) -> None:
    both = Both()
    for peer, ips in zip(PEERS, IPS, strict=False):
        both.tell("connected", peer, ips)
    for event in events:
        both.tell(*event)
        for peer in PEERS:
            score = both.scores.score(peer, now=both.now)
            assert score == pytest.approx(both.reference.score(peer, both.now), abs=1e-9), event
            assert both.scores.inspect(peer, now=both.now).total == score
