"""The user's verbs: subscribe, unsubscribe, publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pubsub.errors import LocalError, NotEnoughPeersError, ParamError
from pubsub.identity.peer_id import PeerId
from pubsub.mesh import rules
from pubsub.mesh.selection import other_subscribers, sample
from pubsub.mesh.topic import TopicState
from pubsub.params import Signing
from pubsub.router.core import Core
from pubsub.router.effects import MustWait, Published
from pubsub.router.events import Patience, Publish, PublishBatch
from pubsub.router.message import Message
from pubsub.router.peer import Peer
from pubsub.router.topic_params import check_text

QUEUE_FULL = "its queue is full"
TOO_LARGE = "the message is larger than it takes"


def check_topic(core: Core, name: str) -> None:
    """Raise ParamError unless `name` may be a topic of ours."""
    check_text(name)
    if not name:
        raise ParamError("a topic must have a name")
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise ParamError("a topic must be text that UTF-8 can encode") from error
    if length > core.params.max_topic_length:
        raise ParamError(
            f"the topic is {length} bytes long; at most {core.params.max_topic_length}"
        )
    if not core.policy.topics(name):
        raise ParamError(f"topic {name!r} is not one of those that this node's filter lets through")


def subscribe(core: Core, name: str, *, now: float) -> None:
    """Announce the topic to every peer and build its mesh (v1.0 §JOIN)."""
    check_topic(core, name)
    topic = core.topic(name)
    if topic.fanout_only:
        core.tidy(topic)
        raise ParamError(f"topic {name!r} is set to fanout_only: nothing is received in it")
    if topic.subscribed:
        return
    topic.subscribed = True
    for peer in core.peers.values():
        if core.may_know(peer.id, name):
            peer.outbox.subscription(name, joined=True)
            core.tell(peer)
    core.apply(topic, _join(core, topic, now), now=now)
    topic.fanout.clear()


def _join(core: Core, topic: TopicState, now: float) -> rules.Changes:
    return rules.join(topic, topic.params, core.rng, now=now, standing=core)


def unsubscribe(core: Core, name: str, *, now: float) -> None:
    """Say goodbye: UNSUBSCRIBE to every peer, then PRUNE to the mesh (v1.0 §LEAVE)."""
    topic = core.topics.get(name)
    if topic is None or not topic.subscribed:
        return
    topic.subscribed = False
    for peer in core.peers.values():
        if core.may_know(peer.id, name):
            peer.outbox.subscription(name, joined=False)
            core.tell(peer)
    for peer_id in list(topic.mesh):
        seconds = topic.params.unsubscribe_backoff
        core.prune(topic, peer_id, now=now, seconds=seconds, exchange=core.score(peer_id) >= 0)
    topic.strays.clear()
    topic.stray_now.clear()
    core.tidy(topic)


def publish(core: Core, event: Publish, *, now: float) -> None:
    """Queue a message to the mesh, or to the fan-out of a topic we do not receive.

    Raises ParamError for a bad topic or too much data, LocalError for an
    anonymous message that was already seen, NotEnoughPeersError if there are
    fewer peers than asked for; then nothing was sent.
    """
    topic = core.topics.get(event.topic) if isinstance(event.topic, str) else None
    if topic is None or len(event.data) > topic.params.max_message_size:
        topic = _topic_for(core, event.topic, event.data)
    targets = _targets(core, topic, max(topic.params.d, event.min_peers), now=now)
    if len(targets) < event.min_peers:
        core.tidy(topic)
        raise NotEnoughPeersError(
            f"{len(targets)} peers would get it, where {event.min_peers} were asked for"
        )
    if event.patience is Patience.WAIT:
        full = tuple(peer.id for peer in targets if peer.outbox.full and not peer.slow)
        if full:
            core.effects.append(MustWait(full))
            return
    message = _written(core, topic, event.data)
    _begin(core, topic, message)
    # Not by `_send`: benchmarks/router.py says 0.7 µs a message, of 8.
    queued: list[PeerId] = []
    marks: list[int] = []
    skipped: dict[PeerId, str] = {}
    for peer in targets:
        if core.send_message(peer, message.id, message.encoded):
            if peer.slow and peer.outbox.half_free:
                peer.slow = False
            queued.append(peer.id)
            marks.append(peer.outbox.queued)
        else:
            skipped[peer.id] = _skip(core, message, peer, event.patience, now=now)
    core.effects.append(Published(message, tuple(queued), tuple(marks), skipped))


def publish_batch(core: Core, event: PublishBatch, *, now: float) -> None:
    """Queue messages together, in turns: of each message one copy leaves before any second one.

    Where our line is the bottleneck, the others can begin to pass a message on
    while we still send the next; sent one after another, the last of them would
    wait for all copies of those before.
    """
    everything: list[tuple[TopicState, Message, list[Peer]]] = []
    aims: dict[str, list[Peer]] = {}
    for name, data in event.messages:
        topic = _topic_for(core, name, data)
        if name not in aims:
            aims[name] = _targets(core, topic, topic.params.d, now=now)
    if event.patience is Patience.WAIT:
        everybody = {peer.id: peer for peers in aims.values() for peer in peers}
        count = len(event.messages)
        size = sum(len(data) for _, data in event.messages)
        if _must_wait(core, list(everybody.values()), count, size):
            return
    fresh: dict[bytes, None] = {}
    for name, data in event.messages:
        message = _written(core, core.topics[name], data)
        if message.id in fresh:
            raise LocalError("two messages of the batch have one id: they are the same message")
        fresh[message.id] = None
        everything.append((core.topics[name], message, aims[name]))
    for topic, message, _ in everything:
        _begin(core, topic, message)
    goings = [Going(message) for _, message, _ in everything]
    for turn in range(max((len(peers) for peers in aims.values()), default=0)):
        for index, (_, _, peers) in enumerate(everything):
            if turn < len(peers):
                # Shifted from message to message, so that no peer is first for all.
                peer = peers[(turn + index) % len(peers)]
                _send(core, goings[index], peer, event.patience, now=now)
    core.effects += [going.published() for going in goings]


@dataclass(slots=True)
class Going:
    """A message on its way out, and where it was queued so far."""

    message: Message
    queued: list[PeerId] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    skipped: dict[PeerId, str] = field(default_factory=dict)

    def published(self) -> Published:
        return Published(self.message, tuple(self.queued), tuple(self.marks), self.skipped)


def _topic_for(core: Core, name: str, data: bytes) -> TopicState:
    """The topic of a message of ours, checked together with its size."""
    topic = core.topics.get(name) if isinstance(name, str) else None
    if topic is None:
        check_topic(core, name)
        limit = core.settings.of(name).max_message_size
    else:
        limit = topic.params.max_message_size
    if len(data) > limit:
        raise ParamError(
            f"the message is {len(data)} bytes; the limit is {limit} "
            "(parameter max_message_size, which the receivers must raise as well)"
        )
    return core.topic(name) if topic is None else topic


def _must_wait(core: Core, targets: Sequence[Peer], count: int, size: int) -> bool:
    full = tuple(
        peer.id for peer in targets if not (peer.slow or peer.outbox.has_room(count, size))
    )
    if full:
        core.effects.append(MustWait(full))
    return bool(full)


def _written(core: Core, topic: TopicState, data: bytes) -> Message:
    """A new message. LocalError if it is none: the id was seen."""
    signed = topic.params.signing is Signing.STRICT
    message = (core.writer if signed else core.anonymous_writer).write(topic.name, data, core.id)
    message.id = topic.message_id(message)
    judged = core.validating.get(message.id)
    is_rival = judged is not None and not judged.origin and judged.data != data
    if message.id in core.seen.ids and not is_rival:
        raise LocalError(
            "a message with this id was seen within the last "
            f"{core.params.seen_ttl:g} s; without signatures, equal data is the same message"
        )
    return message


def _begin(core: Core, topic: TopicState, message: Message) -> None:
    if core.validating.pop(message.id, None) is not None:
        # Of what is ours we know that it is right: nobody waits for a verdict on the other.
        core.seen.forget(message.id)
        core.rivals.forget(message.id)
        if topic.name in core.validated:
            core.validated[topic.name] -= 1
    core.seen.add(message.id)
    core.cache.put(message.id, topic.name, message.encoded)
    # Before the message itself, so that no copy comes back while ours is on its way.
    if len(message.data) >= topic.params.idontwant_threshold:
        core.refuse_copies(topic, message)


def _send(core: Core, going: Going, peer: Peer, patience: Patience, *, now: float) -> None:
    message = going.message
    if core.send_message(peer, message.id, message.encoded):
        if peer.slow and peer.outbox.half_free:
            peer.slow = False
        going.queued.append(peer.id)
        going.marks.append(peer.outbox.queued)
    else:
        going.skipped[peer.id] = _skip(core, message, peer, patience, now=now)


def _skip(core: Core, message: Message, peer: Peer, patience: Patience, *, now: float) -> str:
    """Why a message was not queued to a peer, which is given up if nobody waits any longer."""
    too_large = len(message.encoded) > peer.outbox.frame_limit
    core.drop_unsent(peer, message)
    if patience is Patience.OVER and not too_large:
        core.give_up(peer, now=now)
    return TOO_LARGE if too_large else QUEUE_FULL


def _targets(core: Core, topic: TopicState, want: int, *, now: float) -> list[Peer]:
    """Who gets our message: mesh or fan-out, others while it is short of `want`, floodsub peers.

    Nobody below the publish threshold, not even a member, but for direct peers
    (v1.1 §Score Thresholds).
    """
    peers, score, least = core.peers, core.score, core.thresholds.publish
    if topic.subscribed:
        linked: Mapping[PeerId, object] = topic.mesh
    else:
        topic.last_publish = now
        if len(topic.fanout) < topic.params.d and len(topic.peers) > len(topic.fanout):
            for peer_id in rules.refill_fanout(
                topic, topic.params, core.rng, least=least, standing=core
            ):
                topic.fanout[peer_id] = None
        linked = topic.fanout
    if core.scores is None:
        chosen = [peers[peer_id] for peer_id in linked]
    else:
        of, at = core.scores.score, core.now
        chosen = [peers[peer_id] for peer_id in linked if of(peer_id, now=at) >= least]
    missing = len(topic.peers) if topic.params.flood_publish else want - len(chosen)
    if missing > 0 and len(topic.peers) > len(chosen):
        others = other_subscribers(topic, linked, least=least, standing=core)
        chosen += [peers[peer_id] for peer_id in sample(others, missing, core.rng)]
    if topic.unmeshed:
        chosen += [
            peers[peer_id]
            for peer_id, meshable in topic.peers.items()
            if not meshable and (peers[peer_id].direct or score(peer_id) >= least)
        ]
    return chosen
