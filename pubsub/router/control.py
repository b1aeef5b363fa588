"""What a peer's subscriptions and control messages change.

SUBSCRIBE   it enters the topic's record; grafted at once while our mesh is short
GRAFT       it has us in its mesh: we take it into ours, or answer PRUNE
PRUNE       it put us out: we do the same, and neither grafts during the backoff
IHAVE       ids we may lack: we ask for those, within limits (IWANT)
IWANT       ids it lacks: we send those that are still cached, within limits
IDONTWANT   ids it has: we do not send them, not even if they are queued already
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pubsub.identity.peer_id import PeerId
from pubsub.mesh import balance, rules
from pubsub.mesh.rules import Refusal
from pubsub.router import px
from pubsub.router.core import Core
from pubsub.router.peer import Peer
from pubsub.wire.rpc import Control, PrunedTopic

MAX_TOPIC_BYTES_PER_PEER = 256 * 1024
"Topic names remembered for one peer, in characters (ours)."
MAX_ASKED = 200_000
"Ids asked for and not yet come, over all peers (ours)."

MAX_CONTROL = 100_000
"""What a peer may say between two heartbeats, in message ids (ours).

Honest peers stay far below: v1.1 lets us hear 50,000 ids of a peer's IHAVE and ask for 5,000.
"""
JOIN_COST = 5
"A SUBSCRIBE counts as so many ids: peers come with thousands of topics."
LEAVE_COST = 50
"An UNSUBSCRIBE: few leave thousands at once, and stay."
ENTRY_COST = 20
"A GRAFT, a PRUNE, an IHAVE."
BLIND_GRAFT_COST = 500
"A GRAFT for a topic that we are not in, which an honest peer sends by accident only."
FLOOD_PER_FAULT = 10_000
"So many ids beyond the limit are one fault (ours)."

MAX_ID_BYTES = 576
"Longer message ids are passed over (ours; go's are 46 bytes, js's up to 563 for RSA-4096)."
MAX_PROMISES = 4
"Ids of one IHAVE that are followed, at most (ours; go: 1, rust: all)."
MAX_ASKERS = 3
"Peers asked for one message at a time (ours)."
NOBODY: Mapping[PeerId, float] = MappingProxyType({})

GRAFT_IN_BACKOFF = 1.0
GRAFT_FLOOD = 2.0
"Faults; v1.1 counts the flood twice (§Spam Protection Measures)."


def on_subscriptions(
    core: Core, peer: Peer, entries: list[tuple[str, bool]], *, now: float
) -> None:
    """Note what a peer joined and left."""
    meter(core, peer, sum(JOIN_COST if joined else LEAVE_COST for _, joined in entries))
    for name, joined in entries:
        if not joined:
            if name in peer.topics:
                core.leave(peer, name)
            if peer.withheld:
                peer.withheld.pop(name, None)
        elif name not in peer.topics:
            note_subscription(core, peer, name, now=now)


def note_subscription(core: Core, peer: Peer, name: str, *, now: float) -> None:
    """Let a peer into a topic's record, if it may be there, and welcome it."""
    if not _has_room(core, peer, name):
        core.drop("subscription_refused", peer=peer.id, topic=name)
    elif not core.may_know(peer.id, name):
        # Remembered, because what it may know can change.
        peer.withheld[name] = None
        core.drop("may_not_know", peer=peer.id, topic=name)
    else:
        core.join(peer, name)
        topic = core.topics.get(name)
        if topic is not None:
            welcome = rules.welcome(topic, peer.id, topic.params, now=now, standing=core)
            core.apply(topic, welcome, now=now)


def _has_room(core: Core, peer: Peer, name: str) -> bool:
    return (
        0 < len(name) <= core.params.max_topic_length
        and len(peer.topics) + len(peer.withheld) < core.params.max_topics_per_peer
        and peer.topic_bytes + len(name) <= MAX_TOPIC_BYTES_PER_PEER
        and core.policy.topics(name)
    )


def on_control(core: Core, peer: Peer, message: Control, *, now: float) -> None:
    """Take in control, in go's order: what is offered and asked for first, then the mesh."""
    if not peer.features.gossip:
        core.drop("control_from_floodsub", peer=peer.id)
        return
    meter(core, peer, _cost(message))
    if message.ihave or message.iwant:
        if core.score(peer.id) < core.thresholds.gossip and not peer.direct:
            core.drop("gossip_below_threshold", peer=peer.id)
        else:
            _on_ihave(core, peer, message.ihave, now=now)
            _on_iwant(core, peer, message.iwant)
    if message.idontwant:
        _on_idontwant(core, peer, message.idontwant)
    for name in message.graft:
        _on_graft(core, peer, name, now=now)
    for entry in message.prune:
        _on_prune(core, peer, entry, now=now)


def _cost(message: Control) -> int:
    entries = len(message.ihave) + len(message.graft) + len(message.prune)
    ids = len(message.iwant) + len(message.idontwant) + sum(len(ids) for _, ids in message.ihave)
    return ENTRY_COST * entries + ids


def meter(core: Core, peer: Peer, cost: int) -> None:
    """Count what a peer says, and hold against it what is more than anybody needs to say.

    The limits on what is heeded do not tell a peer that goes too far from one that means
    harm, and what is passed over must be read all the same.
    """
    peer.control_heard += cost
    beyond = min(cost, peer.control_heard - MAX_CONTROL)
    if beyond > 0:
        core.counters["control_flood"] += beyond
        core.misbehaved(peer, beyond / FLOOD_PER_FAULT, "a flood of control")


def _on_ihave(
    core: Core, peer: Peer, entries: list[tuple[str, list[bytes]]], *, now: float
) -> None:
    if not entries:
        return
    params = core.params
    peer.ihave_heard += 1
    if peer.ihave_heard > params.max_ihave_messages:
        core.drop("ihave_flood", peer=peer.id)
        return
    room = min(params.max_ihave_length - peer.ids_asked, MAX_ASKED - len(core.asked))
    wanted = _wanted(core, peer, entries)
    # Under a flood, which ids are asked for must not be the peer's choice (v1.1
    # §Spam Protection Measures).
    chosen = list(wanted) if len(wanted) <= room else core.rng.sample(list(wanted), max(0, room))
    if len(chosen) < len(wanted):
        core.drop("iwant_budget", len(wanted) - len(chosen), peer=peer.id)
    if not chosen:
        return
    for message_id in chosen:
        core.asked.setdefault(message_id, {})[peer.id] = now + params.iwant_followup_time
    peer.ids_asked += len(chosen)
    peer.asked_at = now
    # One id, by chance, stands for all: whoever told of ids it will not send
    # cannot know which one counts (v1.1 §Spam Protection Measures). Whoever has
    # faults is followed more closely, the more so the more it has.
    closely = min(1 + int(peer.faults), MAX_PROMISES, len(chosen))
    for promised in core.rng.sample(chosen, closely):
        core.promises.setdefault(promised, {})[peer.id] = now + params.iwant_followup_time
    peer.outbox.iwant(chosen)
    core.counters["iwant_sent"] += len(chosen)
    core.tell(peer)


def _wanted(core: Core, peer: Peer, entries: list[tuple[str, list[bytes]]]) -> dict[bytes, None]:
    """The ids that we lack and may ask this peer for."""
    seen = core.seen.ids
    wanted: dict[bytes, None] = {}
    for name, ids in entries:
        topic = core.topics.get(name)
        if topic is None or not topic.subscribed or not core.may_know(peer.id, name):
            continue
        for message_id in ids[: core.params.max_ihave_length]:
            if message_id in seen:
                continue
            if len(message_id) > MAX_ID_BYTES:
                core.drop("id_too_long", peer=peer.id, topic=name)
                continue
            # Of several, because whoever is asked first may be the one that tells
            # of messages in order not to send them.
            askers = core.asked.get(message_id, NOBODY)
            if len(askers) < MAX_ASKERS and peer.id not in askers:
                wanted[message_id] = None
    return wanted


def _on_iwant(core: Core, peer: Peer, ids: list[bytes]) -> None:
    params = core.params
    for message_id in ids:
        if peer.ids_answered >= params.max_iwant_length:
            core.drop("iwant_flood", peer=peer.id)
            return
        peer.ids_answered += 1
        cached = core.cache.get(message_id)
        if cached is None or not core.may_know(peer.id, cached[0]):
            core.counters["iwant_unknown"] += 1
            continue
        if core.cache.times_sent(message_id, peer.id) >= params.gossip_retransmission:
            core.drop("iwant_repeated", peer=peer.id, message_id=message_id)
            continue
        # Whoever asks wants it, whatever it said before; what it says later cancels the
        # answer while that is queued (v1.2 §Cancelling IWANT).
        peer.outbox.unwanted.pop(message_id, None)
        if core.send_message(peer, message_id, cached[1]):
            core.cache.count_sent(message_id, peer.id)
            core.counters["iwant_answered"] += 1
        else:
            core.drop("queue_full", peer=peer.id, topic=cached[0], message_id=message_id)


def _on_idontwant(core: Core, peer: Peer, ids: list[bytes]) -> None:
    room = core.params.max_idontwant_length - peer.unwanted_heard
    if len(ids) > room:
        core.drop("idontwant_flood", len(ids) - max(0, room), peer=peer.id)
        ids = ids[: max(0, room)]
    peer.unwanted_heard += len(ids)
    forgotten = core.beats + core.params.idontwant_ttl
    peer.outbox.unwanted.update(dict.fromkeys(ids, forgotten))


def _on_graft(core: Core, peer: Peer, name: str, *, now: float) -> None:
    topic = core.topics.get(name)
    if topic is None or not topic.subscribed or not core.may_know(peer.id, name):
        core.drop("graft_unknown_topic", peer=peer.id, topic=name)
        meter(core, peer, BLIND_GRAFT_COST)
        return
    core.counters["graft_received"] += 1
    if peer.id in topic.mesh:
        return
    # A GRAFT can overtake the SUBSCRIBE (rust and js graft at once).
    if name not in peer.topics and _has_room(core, peer, name):
        core.join(peer, name)
    why = rules.refusal(topic, peer.id, topic.params, now=now, standing=core)
    if why is None and name in peer.topics:
        core.apply(topic, balance.make_room(topic, topic.params, core.rng, core), now=now)
        core.enter_mesh(topic, peer.id, now=now)
        return
    core.drop("graft_refused", peer=peer.id, topic=name)
    if why is Refusal.BACKOFF:
        core.misbehaved(peer, GRAFT_IN_BACKOFF, "GRAFT during backoff")
    elif why is Refusal.FLOOD:
        core.misbehaved(peer, GRAFT_FLOOD, "a flood of GRAFT")
    core.prune(topic, peer.id, now=now, exchange=why is Refusal.MESH_FULL)


def _on_prune(core: Core, peer: Peer, entry: PrunedTopic, *, now: float) -> None:
    topic = core.topics.get(entry.topic)
    # Who was in the mesh of a topic that we leave may be leaving it at the same moment.
    if topic is None or not (topic.subscribed or peer.id in topic.backoff):
        return
    core.counters["prune_received"] += 1
    core.exit_mesh(topic, peer.id, now=now)
    peer.outbox.withdraw_graft(entry.topic)
    # As go does, a backoff of 0 counts as none given.
    seconds = entry.backoff or topic.params.prune_backoff
    topic.set_backoff(
        peer.id, rules.backoff_for(seconds, topic.params, core.rng, now=now, ours=False)
    )
    if entry.peers and topic.subscribed:
        px.accept(core, peer, entry.peers)
