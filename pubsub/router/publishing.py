"""The user's verbs: subscribe, unsubscribe, publish."""

from __future__ import annotations

from collections.abc import Mapping

from pubsub.errors import LocalError, NotEnoughPeersError, ParamError
from pubsub.identity.peer_id import PeerId
from pubsub.mesh import rules
from pubsub.mesh.selection import other_subscribers, sample
from pubsub.mesh.topic import TopicState
from pubsub.router.core import Core, Peer
from pubsub.router.effects import MustWait, Published
from pubsub.router.events import Patience, Publish

QUEUE_FULL = "its queue is full"


def check_topic(name: str, max_length: int) -> None:
    """Raise ParamError unless `name` may be a topic."""
    if not isinstance(name, str):
        raise ParamError(f"a topic is text, not {type(name).__name__}")
    if not name:
        raise ParamError("a topic must have a name")
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise ParamError("a topic must be text that UTF-8 can encode") from error
    if length > max_length:
        raise ParamError(f"the topic is {length} bytes long; at most {max_length}")


def subscribe(core: Core, name: str, *, now: float) -> None:
    """Announce the topic to every peer and build its mesh (v1.0 §JOIN)."""
    check_topic(name, core.params.max_topic_length)
    topic = core.topic(name)
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
    return rules.join(topic, core.params, core.rng, now=now, standing=core)


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
        core.prune(topic, peer_id, core.params.unsubscribe_backoff, now=now)
    topic.strays.clear()
    topic.stray_now.clear()
    core.tidy(topic)


def publish(core: Core, event: Publish, *, now: float) -> None:
    """Queue a message to the mesh, or to the fan-out of a topic we do not receive.

    Raises ParamError for a bad topic or too much data, LocalError for an
    anonymous message that was already seen, NotEnoughPeersError if there are
    fewer peers than asked for; then nothing was sent.
    """
    data = event.data
    topic = core.topics.get(event.topic)
    if topic is None:
        check_topic(event.topic, core.params.max_topic_length)
    if len(data) > core.params.max_message_size:
        raise ParamError(
            f"the message is {len(data)} bytes; the limit is {core.params.max_message_size} "
            "(parameter max_message_size, which the receivers must raise as well)"
        )
    if topic is None:
        topic = core.topic(event.topic)
    targets = _targets(core, topic, max(core.params.d, event.min_peers), now=now)
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
    message = core.writer.write(topic.name, data, core.id)
    message.id = core.message_id(message)
    if message.id in core.seen:
        raise LocalError(
            "a message with this id was seen within the last "
            f"{core.params.seen_ttl:g} s; without signatures, equal data is the same message"
        )
    core.seen.add(message.id)
    core.cache.put(message.id, topic.name, message.encoded)
    # Before the message itself, so that no copy comes back while ours is on its way.
    core.refuse_copies(topic, message)
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
            skipped[peer.id] = QUEUE_FULL
            core.drops["queue_full"] += 1
            if event.patience is Patience.OVER:
                core.give_up(peer, now=now)
    core.effects.append(Published(message, tuple(queued), tuple(marks), skipped))


def _targets(core: Core, topic: TopicState, want: int, *, now: float) -> list[Peer]:
    """Who gets our message: mesh or fan-out, others while it is short of `want`, floodsub peers."""
    peers = core.peers
    if topic.subscribed:
        linked: Mapping[PeerId, object] = topic.mesh
    else:
        topic.last_publish = now
        if len(topic.fanout) < core.params.d and len(topic.peers) > len(topic.fanout):
            for peer_id in rules.refill_fanout(
                topic, core.params, core.rng, least=core.thresholds.publish, standing=core
            ):
                topic.fanout[peer_id] = None
        linked = topic.fanout
    chosen = [peers[peer_id] for peer_id in linked]
    missing = len(topic.peers) if core.params.flood_publish else want - len(chosen)
    if missing > 0 and len(topic.peers) > len(chosen):
        others = other_subscribers(topic, linked, least=core.thresholds.publish, standing=core)
        chosen += [peers[peer_id] for peer_id in sample(others, missing, core.rng)]
    if topic.floodsub_peers:
        chosen += [peers[peer_id] for peer_id, gossip in topic.peers.items() if not gossip]
    return chosen
