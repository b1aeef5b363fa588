"""The heartbeat: once a second, each topic's rules, then gossip, then forgetting."""

from __future__ import annotations

from pubsub.identity.peer_id import PeerId
from pubsub.mesh import balance, rules, selection
from pubsub.mesh.topic import TopicState
from pubsub.router.core import FAULT_DECAY, Core
from pubsub.router.effects import Disconnect
from pubsub.router.peer import Peer

BROKEN_PROMISE = 1.0
PATIENCE = 10
"Follow-up times that a promise may take where messages come, one after the other (ours)."
SLOWEST_DRAIN = 16
"Heartbeats that a full queue may take to empty (ours)."
OVERGROWN = "it does not read what it is sent"


def beat(core: Core, *, now: float) -> None:
    """One heartbeat (v1.0 §Heartbeat)."""
    core.beats += 1
    if core.scores is not None:
        core.scores.refresh(now=now)
        # After the decay, so that a penalty counts in full until the next heartbeat.
        _punish_broken_promises(core, now)
    if core.gater is not None:
        core.gater.refresh(now=now)
    for peer in core.peers.values():
        peer.ihave_heard = peer.ids_asked = peer.ids_answered = peer.unwanted_heard = 0
        peer.px_taken = peer.control_heard = 0
        peer.faults *= FAULT_DECAY
        outbox = peer.outbox
        if outbox.overgrown:
            core.effects.append(Disconnect(peer.id, OVERGROWN))
        else:
            _watch_queue(core, peer, now)
        if outbox.unwanted:
            unwanted = outbox.unwanted.items()
            outbox.unwanted = {key: beat for key, beat in unwanted if beat > core.beats}
    for topic in list(core.topics.values()):
        if topic.subscribed:
            _balance(core, topic, now)
        elif topic.fanout:
            if rules.fanout_expired(topic, topic.params, now=now):
                topic.fanout.clear()
            else:
                least = core.thresholds.publish
                for peer_id in [peer for peer in topic.fanout if core.score(peer) < least]:
                    del topic.fanout[peer_id]
                for peer_id in rules.refill_fanout(
                    topic, topic.params, core.rng, least=least, standing=core
                ):
                    topic.fanout[peer_id] = None
    _gossip(core)
    _forget(core, now)


def _watch_queue(core: Core, peer: Peer, now: float) -> None:
    """Give up a peer whose queue is more than half full, and would take too long to empty.

    Nobody may be waiting to publish, and then what we forward is lost on it; or
    publishers wait for each message that it takes, and it decides their speed.
    """
    outbox = peer.outbox
    taken = outbox.taken - peer.taken_before
    peer.taken_before = outbox.taken
    if outbox.half_free or taken * SLOWEST_DRAIN >= len(outbox):
        peer.full_beats = 0
        return
    # At the first such beat the queue may have filled a moment ago.
    peer.full_beats += 1
    if peer.full_beats >= 2:
        core.give_up(peer, now=now)


def _balance(core: Core, topic: TopicState, now: float) -> None:
    """Each rule sees what the one before it changed."""
    params, rng = topic.params, core.rng
    if topic.stray_now:
        topic.stray_now = {peer: None for peer in topic.stray_now if peer in core.peers}
    core.apply(topic, rules.one_sided(topic, params, now=now, standing=core), now=now)
    if core.scores is not None:
        core.apply(topic, balance.misbehaved(topic, core), now=now)
    core.apply(topic, balance.degree(topic, params, rng, now=now, standing=core), now=now)
    core.apply(topic, balance.quota(topic, params, rng, now=now, standing=core), now=now)
    if core.scores is not None and core.beats % params.opportunistic_graft_ticks == 0:
        least = core.thresholds.opportunistic_graft
        changes = balance.opportunity(topic, params, rng, now=now, threshold=least, standing=core)
        core.apply(topic, changes, now=now)


def _punish_broken_promises(core: Core, now: float) -> None:
    """P7 for peers that told of messages and did not send them (v1.1 §Spam Protection Measures)."""
    for message_id, peers in list(core.promises.items()):
        for peer_id, until in list(peers.items()):
            peer = core.peers.get(peer_id)
            if until > now or (peer is not None and _may_be_slow(core, peer, until, now)):
                continue
            del peers[peer_id]
            core.counters["broken_promises"] += 1
            if peer is not None:
                core.misbehaved(peer, BROKEN_PROMISE, "broken promises")
        if not peers:
            del core.promises[message_id]


def _may_be_slow(core: Core, peer: Peer, until: float, now: float) -> bool:
    """True while a message that is overdue may still wait behind others, on a line that is slow.

    Honest peers of an overloaded network would shut each other out otherwise.
    """
    wait = core.params.iwant_followup_time
    return peer.message_at > until - wait and now < until + (PATIENCE - 1) * wait


def _gossip(core: Core) -> None:
    """Tell some peers outside the mesh what they may have missed (IHAVE)."""
    for name in core.cache.topics():
        topic = core.topic(name)
        ids = core.cache.gossip_ids(name)
        if len(ids) > core.params.max_ihave_length:
            # Each heartbeat another sample, so that together they cover more.
            ids = core.rng.sample(ids, core.params.max_ihave_length)
        for peer_id in selection.gossip_targets(
            topic,
            d_lazy=topic.params.d_lazy,
            factor=topic.params.gossip_factor,
            rng=core.rng,
            least=core.thresholds.gossip,
            standing=core,
        ):
            peer = core.peers[peer_id]
            core.drop("gossip_queue_full", peer.outbox.ihave(name, ids), peer=peer_id, topic=name)
            core.counters["ihave_sent"] += len(ids)
            core.tell(peer)


def _forget(core: Core, now: float) -> None:
    core.cache.shift()
    core.seen.tick(now)
    # What is asked for is tracked until the follow-up time, then others may be asked.
    asked: dict[bytes, dict[PeerId, float]] = {}
    for message_id, peers in core.asked.items():
        live = {peer: until for peer, until in peers.items() if until > now}
        if live:
            asked[message_id] = live
    core.asked = asked
    for topic in list(core.topics.values()):
        over = [peer for peer, backoff in topic.backoff.items() if backoff.graft_after <= now]
        for peer in over:
            del topic.backoff[peer]
        core.tidy(topic)
