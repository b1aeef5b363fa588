"""The heartbeat's rules for one mesh: how many members, how good, and how many that we dialled.

misbehaved    members with a score below zero leave (v1.1 §Peer Scoring)
degree        below D_low graft up to D; at D_high prune down to D, keeping the
              D_score best and D_out that we dialled (v1.0 §Mesh Maintenance, v1.1)
quota         at least D_out members that we dialled (v1.1 §Outbound Mesh Quotas)
opportunity   a mesh of poor members takes in better ones (v1.1 §Opportunistic Grafting)
"""

from __future__ import annotations

import random
import statistics

from pubsub.identity.peer_id import PeerId
from pubsub.mesh.rules import Changes, outbound_missing
from pubsub.mesh.selection import graft_candidates, sample
from pubsub.mesh.standing import EQUAL, Standing
from pubsub.mesh.topic import TopicState
from pubsub.params import Params


def misbehaved(topic: TopicState, standing: Standing) -> Changes:
    """Members that must leave because of their score."""
    return Changes(prune=tuple(peer for peer in topic.mesh if standing.score(peer) < 0))


def degree(
    topic: TopicState,
    params: Params,
    rng: random.Random,
    *,
    now: float,
    standing: Standing = EQUAL,
) -> Changes:
    """Whom to graft where the mesh is short, and whom to prune where it is too large."""
    size = len(topic.mesh)
    if size < params.d_low:
        candidates = graft_candidates(topic, now=now, standing=standing)
        return Changes(graft=tuple(sample(candidates, params.d - size, rng)))
    # At D_high already: a full mesh refuses every GRAFT, so it would never be above,
    # and whoever filled it first would hold it for good (go and rust prune here too).
    if size >= params.d_high:
        kept = dict.fromkeys(_kept(topic, params, rng, standing))
        return Changes(prune=tuple(peer for peer in topic.mesh if peer not in kept))
    return Changes()


def _kept(
    topic: TopicState, params: Params, rng: random.Random, standing: Standing
) -> list[PeerId]:
    """D members: the best ones, then others by chance, with the quota of those that we dialled."""
    # Shuffled first, so that equal scores are told apart by chance.
    members = sample(list(topic.mesh), len(topic.mesh), rng)
    members.sort(key=standing.score, reverse=True)
    best, rest = members[: params.d_score], members[params.d_score :]
    order = best + sample(rest, len(rest), rng)
    kept, others = order[: params.d], order[params.d :]
    missing = params.outbound_quota - sum(map(standing.outbound, kept))
    dialled = [peer for peer in others if standing.outbound(peer)][: max(0, missing)]
    # They take the places of those kept by chance that dialled us.
    for newcomer in dialled:
        leaver = next(peer for peer in reversed(kept) if not standing.outbound(peer))
        kept[kept.index(leaver)] = newcomer
    return kept


def quota(
    topic: TopicState,
    params: Params,
    rng: random.Random,
    *,
    now: float,
    standing: Standing = EQUAL,
) -> Changes:
    """Peers that we dialled to graft, where the mesh has too few of them."""
    size = len(topic.mesh)
    if size < params.d_low:
        return Changes()
    missing = outbound_missing(topic, params, standing)
    room = min(missing, params.d_high - size)
    if room <= 0:
        return Changes()
    candidates = graft_candidates(topic, now=now, standing=standing)
    dialled = [peer for peer in candidates if standing.outbound(peer)]
    return Changes(graft=tuple(sample(dialled, room, rng)))


def make_room(
    topic: TopicState, params: Params, rng: random.Random, standing: Standing = EQUAL
) -> Changes:
    """Whom to prune so that one more fits in: the worst of those that dialled us.

    A mesh that others have filled, which is an attacker's way, must not refuse
    the few that we dialled: for a whole backoff they could not come back.
    """
    if len(topic.mesh) < params.d_high:
        return Changes()
    # Shuffled first, so that equal scores are told apart by chance.
    members = sample(list(topic.mesh), len(topic.mesh), rng)
    others = [peer for peer in members if not standing.outbound(peer)]
    return Changes(prune=(min(others, key=standing.score),) if others else ())


def opportunity(
    topic: TopicState,
    params: Params,
    rng: random.Random,
    *,
    now: float,
    threshold: float,
    standing: Standing = EQUAL,
) -> Changes:
    """Better peers to graft, where the median score of the mesh is below `threshold`."""
    if len(topic.mesh) < 2:
        return Changes()
    median = statistics.median_high([standing.score(peer) for peer in topic.mesh])
    if median >= threshold:
        return Changes()
    candidates = graft_candidates(topic, now=now, standing=standing)
    better = [peer for peer in candidates if standing.score(peer) > median]
    room = min(params.opportunistic_graft_peers, params.d_high - len(topic.mesh))
    return Changes(graft=tuple(sample(better, room, rng)))
