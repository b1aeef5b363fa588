"""The router: one door in (`handle`), one timer (`next_deadline`), one door out for bytes (`take`).

    events ──► handle(event, now) ──► effects
    a peer's stream is writable ──► take(peer, max_bytes) ──► bytes

A deterministic function of its state, the event, the time and the injected
chance: no sockets, no clock, no logging. Signatures and validators leave as
effects and come back as events.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, final

from pubsub.errors import ParamError
from pubsub.identity.keys import PrivateKey
from pubsub.identity.peer_id import PeerId
from pubsub.params import Params
from pubsub.router import commands, heartbeat, publishing, receiving
from pubsub.router.core import Core
from pubsub.router.effects import Deliver, Disconnect, Effect, PeerLeft, Pruned
from pubsub.router.events import (
    Event,
    PeerConnected,
    PeerDisconnected,
    Publish,
    PublishBatch,
    RpcReceived,
    SetValidation,
    StreamOpened,
    Subscribe,
    TimerFired,
    Unsubscribe,
    ValidationFinished,
    Verified,
)
from pubsub.router.message import MessageIdFunction
from pubsub.router.peer import Peer
from pubsub.router.policy import Policy
from pubsub.router.protocols import FEATURES
from pubsub.router.scoring import Scoring
from pubsub.router.snapshot import snapshot
from pubsub.router.topic_params import TopicParams
from pubsub.score import ScoreReport

NO_TOPICS: Mapping[str, TopicParams] = MappingProxyType({})


@final
class Router:
    """A GossipSub router for one node.

    `rng` chooses peers and jitters timers. `first_seqno` starts our sequence
    numbers: wall-clock nanoseconds, so that a restarted node does not repeat
    ids. `message_id` must be the same function in the whole network. `policy`
    says who may know what; `topics` gives topics parameters of their own.
    """

    def __init__(
        self,
        key: PrivateKey,
        params: Params | None = None,
        *,
        rng: random.Random,
        now: float,
        first_seqno: int,
        message_id: MessageIdFunction | str | None = None,
        policy: Policy | None = None,
        scoring: Scoring | None = None,
        topics: Mapping[str, TopicParams] = NO_TOPICS,
    ) -> None:
        self._core = core = Core(
            key,
            params or Params(),
            rng=rng,
            first_seqno=first_seqno,
            message_id=message_id,
            policy=policy or Policy(),
            scoring=scoring or Scoring(),
            topics=topics,
        )
        core.next_heartbeat = now + core.params.heartbeat_initial_delay

    @property
    def id(self) -> PeerId:
        """Our own id."""
        return self._core.id

    @property
    def params(self) -> Params:
        return self._core.params

    @property
    def next_deadline(self) -> float:
        """When `TimerFired` is due."""
        return self._core.next_heartbeat

    def handle(self, event: Event, now: float) -> list[Effect]:  # noqa: C901 - a case an event
        """Take in one event and return what is to be done, in order.

        Raises LocalError, and changes nothing, for a command that cannot be
        followed. Nothing a peer sends raises.
        """
        core = self._core
        core.now = now
        effects: list[Effect] = []
        core.effects = effects
        match event:
            case RpcReceived():
                receiving.on_rpc(core, event, now=now)
            case Publish():
                publishing.publish(core, event, now=now)
            case Verified():
                receiving.on_verified(core, event)
            case ValidationFinished():
                receiving.on_validation_finished(core, event)
            case TimerFired():
                self._on_timer(now)
            case Subscribe():
                publishing.subscribe(core, event.topic, now=now)
            case Unsubscribe():
                publishing.unsubscribe(core, event.topic, now=now)
            case PeerConnected():
                self._on_connected(event)
            case StreamOpened():
                self._on_stream_opened(event)
            case PeerDisconnected():
                self._on_disconnected(event)
            case SetValidation():
                self._on_set_validation(event)
            case PublishBatch():
                publishing.publish_batch(core, event, now=now)
            case _:
                commands.obey(core, event, now=now)
        if core.deliveries:
            effects.append(Deliver(core.deliveries))
            core.deliveries = []
        return effects

    def take(self, peer: PeerId, max_bytes: int) -> bytes:
        """Up to `max_bytes` bytes for the stream to `peer`; nothing if nothing waits."""
        record = self._core.peers.get(peer)
        return record.outbox.take(max_bytes) if record is not None else b""

    def watermark(self, peer: PeerId) -> tuple[int, int] | None:
        """(messages queued, messages wholly taken) for `peer` since it came; None if it is gone."""
        record = self._core.peers.get(peer)
        return (record.outbox.queued, record.outbox.taken) if record is not None else None

    def has_room(self, peer: PeerId, count: int = 1, size: int = 0) -> bool:
        """True if `count` messages of `size` bytes together find room in the queue of `peer`."""
        record = self._core.peers.get(peer)
        return record is None or record.outbox.has_room(count, size)

    def is_empty(self, peer: PeerId) -> bool:
        """True when nothing waits for `peer`."""
        record = self._core.peers.get(peer)
        return record is None or record.outbox.empty

    def peers(self, topic: str | None = None) -> list[PeerId]:
        """Our pubsub peers, or those of them that subscribe to `topic`."""
        if topic is None:
            return list(self._core.peers)
        state = self._core.topics.get(topic)
        if state is not None:
            return list(state.peers)
        return [peer.id for peer in self._core.peers.values() if topic in peer.topics]

    def mesh(self, topic: str) -> list[PeerId]:
        """The mesh of a topic."""
        state = self._core.topics.get(topic)
        return list(state.mesh) if state is not None else []

    def check_topic(self, name: str) -> None:
        """Raise ParamError unless `name` may be a topic of this node."""
        publishing.check_topic(self._core, name)

    def params_of(self, topic: str) -> Params:
        """The parameters that hold for a topic."""
        return self._core.settings.of(topic)

    @property
    def max_message_size(self) -> int:
        """The largest message of any topic, as of now."""
        return self._core.settings.max_message_size

    def inspect(self, peer: PeerId, now: float) -> ScoreReport:
        """A peer's score and how it comes about; all zero where scoring is off."""
        scores = self._core.scores
        return ScoreReport() if scores is None else scores.inspect(peer, now=now)

    def dropped(self, reason: str) -> int:
        """How often something was dropped for `reason`."""
        return self._core.drops[reason]

    def snapshot(self) -> dict[str, Any]:
        """The state as plain data (see `pubsub.router.snapshot`)."""
        return snapshot(self._core)

    # Reactions

    def _on_timer(self, now: float) -> None:
        core = self._core
        if now < core.next_heartbeat:
            return
        heartbeat.beat(core, now=now)
        # Beats are not caught up: after a stall one is enough.
        core.next_heartbeat += core.params.heartbeat_interval
        if core.next_heartbeat <= now:
            core.next_heartbeat = now + core.params.heartbeat_interval

    def _on_connected(self, event: PeerConnected) -> None:
        core = self._core
        if event.peer == core.id or event.protocol not in FEATURES:
            raise ParamError(f"no pubsub peer: {event.peer} with {event.protocol}")
        if event.peer in core.peers:
            return
        if len(core.peers) >= core.params.max_peers:
            core.drop("too_many_peers", peer=event.peer)
            core.effects.append(Disconnect(event.peer, "we have too many pubsub peers"))
            return
        core.add_peer(event.peer, event.protocol, outbound=event.outbound)
        ips = [event.ip] if event.ip else []
        if core.scores is not None:
            core.scores.connected(event.peer, ips, now=core.now)
        if core.gater is not None:
            core.gater.connected(event.peer, ips, now=core.now)

    def _on_stream_opened(self, event: StreamOpened) -> None:
        """Say hello: our topics, and, on a stream that replaces another, our meshes."""
        core = self._core
        peer = core.peers.get(event.peer)
        if peer is None:
            return
        self._set_protocol(peer, event.protocol)
        topics = [
            topic.name
            for topic in core.topics.values()
            if topic.subscribed and core.may_know(peer.id, topic.name)
        ]
        core.drop("stream_broken", peer.outbox.hello(topics), peer=peer.id)
        if peer.streaming:
            # The other side may have forgotten us with the stream that broke.
            for name in topics:
                if peer.id in core.topics[name].mesh:
                    peer.outbox.graft(name)
        peer.streaming = True
        core.tell(peer)

    def _set_protocol(self, peer: Peer, protocol: str) -> None:
        features = FEATURES[protocol]
        changed = features.gossip != peer.features.gossip
        peer.protocol, peer.features = protocol, features
        if changed:
            self._core.reclassify(peer, now=self._core.now)
        if not features.gossip:
            peer.outbox.withdraw_control()

    def _on_disconnected(self, event: PeerDisconnected) -> None:
        core = self._core
        peer = core.peers.pop(event.peer, None)
        if peer is None:
            return
        if core.scores is not None:
            core.scores.disconnected(peer.id, now=core.now)
        if core.gater is not None:
            core.gater.disconnected(peer.id, now=core.now)
        core.counters["idontwant_cancelled"] += peer.outbox.cancelled
        lost = peer.outbox.queued - peer.outbox.taken
        if lost:
            core.drop("peer_disconnected", lost, peer=peer.id)
        for topic in core.shared(peer):
            if peer.id in topic.mesh:
                core.effects.append(Pruned(topic.name, peer.id))
            topic.remove_peer(peer.id)
            core.tidy(topic)
        core.effects += [PeerLeft(name, peer.id) for name in peer.topics]

    def _on_set_validation(self, event: SetValidation) -> None:
        core = self._core
        if not event.validated:
            core.validated.pop(event.topic, None)
        elif event.topic not in core.validated:
            # Some may still wait for validators that were there before.
            waiting = sum(m.topic == event.topic for m in core.validating.values())
            core.validated[event.topic] = waiting
