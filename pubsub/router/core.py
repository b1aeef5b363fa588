"""The router's state, and the few verbs that all its rules use.

One record per peer and one per topic. Rules live in the modules beside this
one, as functions of the core, an event and the time.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from pubsub.identity.keys import PrivateKey
from pubsub.identity.peer_id import PeerId, peer_id_of
from pubsub.mesh import rules
from pubsub.mesh.topic import TopicState
from pubsub.params import Params
from pubsub.router import px
from pubsub.router.effects import (
    Disconnect,
    Dropped,
    Effect,
    Grafted,
    PeerJoined,
    PeerLeft,
    Pruned,
    Writable,
)
from pubsub.router.message import Message, MessageIdFunction, MessageWriter
from pubsub.router.message_cache import MessageCache
from pubsub.router.outbox import UNLIMITED, Outbox
from pubsub.router.peer import Peer
from pubsub.router.policy import Policy
from pubsub.router.protocols import FEATURES
from pubsub.router.rivals import Rivals
from pubsub.router.scoring import Scoring
from pubsub.router.seen import SeenCache
from pubsub.router.topic_params import TopicParams, TopicSettings
from pubsub.score import PeerGater, Rejection
from pubsub.wire.rpc import PrunedTopic

MAX_FAULTS = 100.0
"A peer with more faults than this, of late, is disconnected (ours)."
SLOW_PEER = 2.0
"Faults for a queue that stayed full (ours)."
FAULT_DECAY = 0.9
"What is left of a peer's faults after each heartbeat (ours)."


@dataclass(slots=True)
class Waiting:
    """Messages that left for verification together."""

    messages: list[Message]


class Core:
    """What the rules read and change."""

    def __init__(
        self,
        key: PrivateKey,
        params: Params,
        *,
        rng: random.Random,
        first_seqno: int,
        message_id: MessageIdFunction | str | None,
        policy: Policy,
        scoring: Scoring,
        topics: Mapping[str, TopicParams],
    ) -> None:
        self.params = params
        self.rng = rng
        self.id = peer_id_of(key.public_key)
        self.policy = policy
        self.may_know = policy.may_know
        self.guarded = policy.guarded
        self.barred: dict[bytes, None] = {}
        "Authors whose messages nobody gets from us, whoever brings them."
        self.settings = TopicSettings(params, message_id, topics)
        self.writer = MessageWriter(key, first_seqno)
        self.anonymous_writer = MessageWriter(None, 0)
        self.peers: dict[PeerId, Peer] = {}
        self.frame_limits: dict[PeerId, int] = {}
        self.direct: dict[PeerId, None] = {}
        "Direct peers, connected or not."
        self.topics: dict[str, TopicState] = {}
        "Topics that matter to us. What peers subscribe to beside these, their own records say."
        self.seen = SeenCache(params.seen_ttl, params.seen_limit)
        self.cache = MessageCache(
            params.history_length, params.history_gossip, params.history_bytes
        )
        self.validated: dict[str, int] = {}
        "Topics with validators, and how many of their messages wait for them."
        self.validating: dict[bytes, Message] = {}
        self.rivals = Rivals()
        self.verifying: dict[int, Waiting] = {}
        self.verify_count = 0
        self.next_batch = 0
        self.asked: dict[bytes, dict[PeerId, float]] = {}
        "Ids we sent IWANT for, to whom, and until when the answer may take."
        self.promises: dict[bytes, dict[PeerId, float]] = {}
        "Ids that peers must send us because they told of them, and until when."
        self.effects: list[Effect] = []
        self.deliveries: list[Message] = []
        self.counters: Counter[str] = Counter()
        "What happened how often, but for drops."
        self.drops: Counter[str] = Counter()
        "Messages and control that went nowhere, by reason."
        self.traced = False
        self.scores = scoring.scores() if params.scoring else None
        self.gater = PeerGater(scoring.gater) if scoring.gater is not None else None
        self.thresholds = scoring.thresholds
        self.now = 0.0
        "The time of the event that is being handled."
        self.next_heartbeat = 0.0
        self.beats = 0
        "Heartbeats so far."

    # Standing (pubsub.mesh.standing)

    def score(self, peer: PeerId) -> float:
        """The score of a peer; 0 for everybody where scoring is off."""
        return 0.0 if self.scores is None else self.scores.score(peer, now=self.now)

    def outbound(self, peer: PeerId) -> bool:
        """True if we dialled the peer."""
        return self.peers[peer].outbound

    # Verbs

    def drop(
        self,
        reason: str,
        count: int = 1,
        *,
        peer: PeerId | None = None,
        topic: str = "",
        message_id: bytes = b"",
    ) -> None:
        """Count what went nowhere, and tell it where the router is traced."""
        self.drops[reason] += count
        if self.traced and count:
            self.effects.append(Dropped(reason, count, peer, topic, message_id))

    def drop_unsent(self, peer: Peer, message: Message) -> None:
        """Count a copy that `send_message` did not queue."""
        fits = len(message.encoded) <= peer.outbox.frame_limit
        reason = "queue_full" if fits else "over_frame_limit"
        self.drop(reason, peer=peer.id, topic=message.topic, message_id=message.id)

    def tell(self, peer: Peer) -> None:
        """Have the shell take what waits for `peer`."""
        outbox = peer.outbox
        if not outbox.flagged:
            outbox.flagged = True
            self.effects.append(Writable(peer.id))

    def send_message(self, peer: Peer, message_id: bytes, encoded: bytes) -> bool:
        """Queue a message for `peer`, unless it does not want it.

        False if its queue is full, or the message is larger than it takes.
        """
        outbox = peer.outbox
        if outbox.unwanted and message_id in outbox.unwanted:
            self.counters["idontwant_heeded"] += 1
            return True
        if outbox.full or len(encoded) > outbox.frame_limit:
            return False
        outbox.message(message_id, encoded)
        if not outbox.flagged:
            outbox.flagged = True
            self.effects.append(Writable(peer.id))
        return True

    def refuse_copies(self, topic: TopicState, message: Message) -> None:
        """Tell the mesh that we have a large message and need no copy of it (v1.2 §IDONTWANT).

        The caller has looked at its size.
        """
        for peer_id in topic.mesh:
            peer = self.peers[peer_id]
            if (
                peer.features.idontwant
                and peer_id != message.received_from
                and peer_id != message.origin
            ):
                peer.outbox.idontwant(message.id)
                self.counters["idontwant_sent"] += 1
                self.tell(peer)

    def graft(self, topic: TopicState, peer_id: PeerId, *, now: float) -> None:
        """Take a peer into the mesh and tell it."""
        self.enter_mesh(topic, peer_id, now=now)
        peer = self.peers[peer_id]
        peer.outbox.graft(topic.name)
        self.counters["graft_sent"] += 1
        self.tell(peer)

    def enter_mesh(self, topic: TopicState, peer: PeerId, *, now: float) -> None:
        """Make a peer a member."""
        topic.mesh[peer] = now
        self.effects.append(Grafted(topic.name, peer))
        if self.scores is not None:
            self.scores.grafted(peer, topic.name, now=now)

    def exit_mesh(self, topic: TopicState, peer: PeerId, *, now: float) -> None:
        """Make a peer a member no more, if it is one."""
        if topic.mesh.pop(peer, None) is not None:
            self.effects.append(Pruned(topic.name, peer))
            if self.scores is not None:
                self.scores.pruned(peer, topic.name, now=now)

    def prune(
        self,
        topic: TopicState,
        peer_id: PeerId,
        *,
        now: float,
        seconds: float | None = None,
        exchange: bool = False,
    ) -> None:
        """Put a peer out of the mesh (if it was in), start a backoff and tell it.

        The backoff takes `seconds`, or the topic's `prune_backoff`. With
        `exchange` it is told of others, if we do such things.
        """
        self.exit_mesh(topic, peer_id, now=now)
        seconds = topic.params.prune_backoff if seconds is None else seconds
        topic.set_backoff(
            peer_id, rules.backoff_for(seconds, topic.params, self.rng, now=now, ours=True)
        )
        peer = self.peers[peer_id]
        offered = px.offer(self, topic, peer) if exchange else ()
        whole = math.ceil(seconds) if peer.features.backoff else None
        peer.outbox.prune(PrunedTopic(topic.name, whole, offered))
        self.counters["prune_sent"] += 1
        self.tell(peer)

    def apply(self, topic: TopicState, changes: rules.Changes, *, now: float) -> None:
        """Do what a rule decided."""
        for peer_id in changes.prune:
            # Whoever leaves for his deeds is not helped to other meshes.
            self.prune(topic, peer_id, now=now, exchange=self.score(peer_id) >= 0)
        for peer_id in changes.graft:
            self.graft(topic, peer_id, now=now)

    def topic(self, name: str) -> TopicState:
        """The record of a topic, made if need be."""
        state = self.topics.get(name)
        if state is None:
            state = self.topics[name] = TopicState(name)
            self.settings.apply(state)
            for peer in self.peers.values():
                if name in peer.topics:
                    state.add_peer(peer.id, meshable=peer.meshable)
        return state

    def tidy(self, topic: TopicState) -> None:
        """Drop a topic's record when it holds nothing."""
        if topic.idle:
            self.topics.pop(topic.name, None)

    def join(self, peer: Peer, name: str) -> None:
        """Note that a peer subscribes; it did not before."""
        peer.topics[name] = None
        peer.topic_bytes += len(name)
        topic = self.topics.get(name)
        if topic is not None:
            topic.add_peer(peer.id, meshable=peer.meshable)
        self.effects.append(PeerJoined(name, peer.id))

    def leave(self, peer: Peer, name: str) -> None:
        """Note that a peer subscribes no more; it did before."""
        del peer.topics[name]
        peer.topic_bytes -= len(name)
        topic = self.topics.get(name)
        if topic is not None:
            self.exit_mesh(topic, peer.id, now=self.now)
            topic.remove_peer(peer.id)
            self.tidy(topic)
        peer.outbox.withdraw_graft(name)
        self.effects.append(PeerLeft(name, peer.id))

    def shared(self, peer: Peer) -> list[TopicState]:
        """The records of the topics that a peer subscribes to and that matter to us."""
        return [self.topics[name] for name in peer.topics if name in self.topics]

    def reclassify(self, peer: Peer, *, now: float) -> None:
        """Have the topics know whether a peer can be in meshes, after that changed."""
        for topic in self.shared(peer):
            if topic.peers[peer.id] == peer.meshable:
                continue
            if peer.id in topic.mesh:
                self.prune(topic, peer.id, now=now)
            topic.remove_peer(peer.id)
            topic.add_peer(peer.id, meshable=peer.meshable)

    def reject(self, message: Message, rejection: Rejection, *, proven: bool = True) -> None:
        """Score a message that was not accepted; not `proven` where its id is only claimed."""
        if self.scores is not None:
            message_id = message.id if proven else None
            self.scores.rejected(
                message.received_from, message.topic, message_id, rejection, now=self.now
            )
        if self.gater is not None:
            if rejection is Rejection.THROTTLED:
                self.gater.throttled(now=self.now)
            elif rejection is Rejection.IGNORED:
                self.gater.ignored(message.received_from)
            else:
                self.gater.rejected(message.received_from)

    def misbehaved(self, peer: Peer, penalty: float, reason: str) -> None:
        """Hold a breach of the protocol against a peer (P7)."""
        if self.scores is not None:
            self.scores.behaviour(peer.id, penalty)
        self.blame(peer, penalty, reason)

    def blame(self, peer: Peer, penalty: float, reason: str) -> None:
        """Hold a fault against a peer; one with too many of late is disconnected."""
        if peer.direct:
            return
        peer.faults += penalty
        if peer.faults > MAX_FAULTS:
            peer.faults = 0.0
            self.counters["peers_expelled"] += 1
            self.effects.append(Disconnect(peer.id, reason))

    def give_up(self, peer: Peer, *, now: float) -> None:
        """Stop counting on a peer that has no room: no publisher waits for it, no mesh holds it."""
        if not peer.slow:
            peer.slow = True
            self.misbehaved(peer, SLOW_PEER, "it reads too slowly")
        for topic in self.shared(peer):
            topic.fanout.pop(peer.id, None)
            if peer.id in topic.mesh:
                self.prune(topic, peer.id, now=now)

    def add_peer(self, peer_id: PeerId, protocol: str, *, outbound: bool) -> Peer:
        peer = Peer(peer_id, outbound, protocol, FEATURES[protocol], Outbox(self.params))
        peer.direct = peer_id in self.direct
        peer.outbox.frame_limit = self.frame_limits.get(peer_id, UNLIMITED)
        self.peers[peer_id] = peer
        return peer
