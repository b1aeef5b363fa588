"""The router under every order of events: what must always hold, whatever peers and users do."""

from __future__ import annotations

import itertools
import random
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pubsub.errors import LocalError
from pubsub.identity.verify import check
from pubsub.mesh.topic import MAX_BACKOFFS
from pubsub.params import Params, Signing
from pubsub.pb import rpc_pb2
from pubsub.router import Router
from pubsub.router.effects import Deliver, MustWait, Published, Validate, Verify
from pubsub.router.events import (
    Event,
    Patience,
    PeerConnected,
    Publish,
    RpcReceived,
    SetValidation,
    StreamOpened,
    Subscribe,
    TimerFired,
    Unsubscribe,
    Validation,
    ValidationFinished,
    Verified,
)
from pubsub.router.protocols import PROTOCOLS
from pubsub.wire.framing import FrameReader
from tests.unit.router.dialogue import CROWD, US, A, B, C, Them, rpc

PARAMS = {
    "d": 2,
    "d_low": 1,
    "d_high": 3,
    "max_peers": 6,
    "max_topics_per_peer": 3,
    "max_message_size": 50,
    "seen_limit": 12,
    "history_bytes": 900,
    "queue_messages": 4,
    "queue_bytes": 800,
    "queue_gossip": 5,
    "queue_control": 30,
    "verify_pending": 6,
    "validate_pending": 4,
    "validate_pending_topic": 3,
    "max_ihave_length": 4,
    "max_iwant_length": 6,
}
"Everything small, so that every limit is met."

PEERS = st.sampled_from(CROWD[:8])
NAMES = ["a", "b", "c", "d"]
TOPICS = st.sampled_from(NAMES)
AUTHORS = (A, B, C, CROWD[0], US)


def _messages() -> list[bytes]:
    good = [
        author.message(number, topic=topic, data=b"%d" % number)
        for author, number, topic in itertools.product(AUTHORS, range(3), NAMES[:2])
    ]
    bad = []
    for raw in good[:6]:
        message = rpc_pb2.Message.FromString(raw)
        message.signature = bytes(64)
        bad.append(message.SerializeToString())
    anonymous = [
        rpc_pb2.Message(data=b"%d" % number, topic=topic).SerializeToString()
        for number, topic in itertools.product(range(6), NAMES[:2])
    ]
    return [*good, *bad, *anonymous, A.message(9, topic="a", data=bytes(51)), b""]


MESSAGES = _messages()
IDS = st.sampled_from([author.id_of(number) for author in AUTHORS for number in range(4)])
RPCS = st.builds(
    rpc,
    subscribe=st.lists(TOPICS, max_size=3),
    unsubscribe=st.lists(TOPICS, max_size=1),
    publish=st.lists(st.sampled_from(MESSAGES), max_size=6),
    ihave=st.lists(
        st.tuples(TOPICS, st.lists(IDS | st.binary(max_size=3), max_size=6)), max_size=2
    ),
    iwant=st.lists(IDS, max_size=4),
    graft=st.lists(TOPICS, max_size=3),
    prune=st.lists(
        st.tuples(TOPICS, st.none() | st.sampled_from([0, 1, 5, 2**64 - 1])), max_size=2
    ),
)
FATES = (
    *(
        "graylisted",
        "unchecked",
        "slow_keys",
        "not_subscribed",
        "too_large",
        "signing_policy",
        "own_message",
        "bad_signature",
    ),
    *("odd_message", "verify_queue_full", "validation_queue_full", "ignored_by_validator"),
    "rejected_by_validator",
)


class RouterMachine(RuleBasedStateMachine):
    signing = Signing.STRICT

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.router = Router(
            US.key,
            Params(**PARAMS, signing=self.signing),
            rng=random.Random(1),
            now=0.0,
            first_seqno=100,
        )
        self.core = self.router._core
        self.checks: list[Verify] = []
        self.validations: list[bytes] = []
        self.received = self.delivered = 0

    def handle(self, event: Event) -> None:
        for effect in self.router.handle(event, self.now):
            if isinstance(effect, Deliver):
                self.delivered += len(effect.messages)
            elif isinstance(effect, Verify):
                self.checks.append(effect)
            elif isinstance(effect, Validate):
                self.validations.append(effect.message.id)

    @property
    def settled(self) -> int:
        """Messages from peers whose fate is known, or that wait for it in a known place."""
        fates = sum(self.core.drops[fate] for fate in FATES) + self.core.counters["duplicate"]
        return fates + self.delivered + self.core.verify_count + len(self.core.validating)

    # What peers do

    @rule(peer=PEERS, protocol=st.sampled_from(PROTOCOLS), dialled=st.booleans())
    def connects(self, peer: Them, protocol: str, dialled: bool) -> None:
        self.handle(PeerConnected(peer.id, protocol, dialled))

    @rule(peer=PEERS, protocol=st.sampled_from(PROTOCOLS))
    def opens(self, peer: Them, protocol: str) -> None:
        self.handle(StreamOpened(peer.id, protocol))

    @rule(peers=st.lists(PEERS, max_size=8), topics=st.lists(TOPICS, min_size=1, max_size=3))
    def crowd(self, peers: list[Them], topics: list[str]) -> None:
        for peer in peers:
            self.handle(PeerConnected(peer.id, PROTOCOLS[0], outbound=True))
            self.handle(StreamOpened(peer.id, PROTOCOLS[0]))
            self.handle(peer.subscribes(*topics))

    @rule(peer=PEERS)
    def disconnects(self, peer: Them) -> None:
        self.handle(peer.disconnects())

    @rule(peer=PEERS, rpcs=st.lists(RPCS, min_size=1, max_size=3))
    def says(self, peer: Them, rpcs: list[rpc_pb2.RPC]) -> None:
        if peer.id in self.core.peers:
            self.received += sum(len(rpc.publish) for rpc in rpcs)
        self.handle(peer.says(*rpcs))

    @rule(peer=PEERS, frames=st.lists(st.binary(max_size=60), max_size=3))
    def says_rubbish(self, peer: Them, frames: list[bytes]) -> None:
        before = self.settled
        self.handle(RpcReceived(peer.id, frames))
        self.received += self.settled - before

    @rule(peer=PEERS, max_bytes=st.sampled_from([1, 30, 200, 1 << 20]))
    def reads(self, peer: Them, max_bytes: int) -> None:
        reader = FrameReader(1 << 20)
        while data := self.router.take(peer.id, max_bytes):
            assert len(data) <= max_bytes
            for frame in reader.feed(data):
                for entry in rpc_pb2.RPC.FromString(frame).control.graft:
                    self.may_graft(peer, entry.topic_id)
        assert reader.buffered == 0
        assert self.router.is_empty(peer.id)

    def may_graft(self, peer: Them, name: str) -> None:
        topic = self.core.topics[name]
        assert topic.subscribed
        assert peer.id in topic.mesh
        backoff = topic.backoff.get(peer.id)
        assert backoff is None or backoff.until <= self.now

    # What the user does

    @rule(topic=TOPICS)
    def subscribes(self, topic: str) -> None:
        self.handle(Subscribe(topic))

    @rule(topic=TOPICS)
    def unsubscribes(self, topic: str) -> None:
        self.handle(Unsubscribe(topic))

    @rule(topic=TOPICS, data=st.binary(max_size=60), patience=st.sampled_from(Patience))
    def publishes(self, topic: str, data: bytes, patience: Patience) -> None:
        try:
            effects = self.router.handle(Publish(topic, data, patience), self.now)
        except LocalError:
            return
        (receipt,) = [e for e in effects if isinstance(e, Published | MustWait)]
        if isinstance(receipt, MustWait):
            assert patience is Patience.WAIT
            assert all(not self.router.has_room(peer) for peer in receipt.peers)
            return
        assert set(receipt.peers).isdisjoint(receipt.skipped)
        for peer, mark in zip(receipt.peers, receipt.marks, strict=True):
            watermark = self.router.watermark(peer)
            assert watermark is not None
            assert watermark[0] == mark

    @rule(topic=TOPICS, validated=st.booleans())
    def sets_validation(self, topic: str, validated: bool) -> None:
        self.handle(SetValidation(topic, validated))

    # What the shell does

    @precondition(lambda self: self.checks)
    @rule(which=st.randoms(use_true_random=False))
    def verifies(self, which: random.Random) -> None:
        batch = self.checks.pop(which.randrange(len(self.checks)))
        self.handle(Verified(batch.batch, [check(item) for item in batch.checks]))

    @precondition(lambda self: self.validations)
    @rule(verdict=st.sampled_from(Validation))
    def validates(self, verdict: Validation) -> None:
        self.handle(ValidationFinished(self.validations.pop(0), verdict))

    @rule(late=st.sampled_from([0.0, 0.3, 5.0]))
    def beats(self, late: float) -> None:
        self.now = max(self.now, self.router.next_deadline + late)
        self.handle(TimerFired())
        assert self.router.next_deadline > self.now

    # What always holds

    @invariant()
    def topics_and_peers_agree(self) -> None:
        noted = {
            (peer, topic.name): gossip
            for topic in self.core.topics.values()
            for peer, gossip in topic.peers.items()
        }
        said = {
            (peer.id, name): peer.features.gossip
            for peer in self.core.peers.values()
            for name in peer.topics
            if name in self.core.topics
        }
        assert noted == said
        for peer in self.core.peers.values():
            assert peer.topic_bytes == sum(map(len, peer.topics))
        for topic in self.core.topics.values():
            assert topic.unmeshed == list(topic.peers.values()).count(False)
            speakers = {peer for peer, gossip in topic.peers.items() if gossip}
            assert topic.mesh.keys() <= speakers
            assert topic.fanout.keys() <= speakers
            assert topic.subscribed or not topic.mesh
            assert not (topic.subscribed and topic.fanout)
            assert len(topic.mesh) <= PARAMS["d_high"]

    @invariant()
    def everything_is_bounded(self) -> None:
        core = self.core
        assert len(core.peers) <= PARAMS["max_peers"]
        assert len(core.topics) <= len(NAMES)
        assert len(core.seen) <= PARAMS["seen_limit"]
        assert core.cache.bytes <= PARAMS["history_bytes"]
        assert core.verify_count <= PARAMS["verify_pending"]
        assert len(core.validating) <= PARAMS["validate_pending"]
        assert len(core.asked) <= 4 * 5 * PARAMS["max_ihave_length"] * PARAMS["max_peers"]
        for topic in core.topics.values():
            assert len(topic.backoff) <= MAX_BACKOFFS
        for peer in core.peers.values():
            assert len(peer.topics) <= PARAMS["max_topics_per_peer"]
            assert len(peer.outbox) <= PARAMS["queue_messages"]
            assert peer.outbox.full == (
                len(peer.outbox) >= PARAMS["queue_messages"]
                or peer.outbox.waiting_bytes >= PARAMS["queue_bytes"]
            )

    @invariant()
    def the_books_balance(self) -> None:
        core = self.core
        assert self.settled == self.received
        assert core.verify_count == sum(len(w.messages) for w in core.verifying.values())
        assert core.cache.bytes == sum(len(m[1]) for m in core.cache._messages.values())
        waiting = Counter(message.topic for message in core.validating.values())
        for topic, count in core.validated.items():
            assert count == waiting[topic]
        for peer in core.peers.values():
            outbox = peer.outbox
            assert outbox.queued - outbox.taken == len(outbox)
            assert outbox.waiting_bytes == sum(len(encoded) for _, encoded in outbox._messages)
            assert outbox.flagged or outbox.empty
        self.router.snapshot()


class AnonymousRouterMachine(RouterMachine):
    signing = Signing.NONE


BRISK = settings(max_examples=60, stateful_step_count=40, deadline=None)

TestRouter = RouterMachine.TestCase
TestRouter.settings = BRISK
TestAnonymousRouter = AnonymousRouterMachine.TestCase
TestAnonymousRouter.settings = settings(BRISK, max_examples=30)
