"""The rules of the mesh, each a plain function that says what to do; the router does it.

    peer ── GRAFT ──► us     accepted: the link is made, nothing is sent
    peer ◄── PRUNE ── us     refused: a backoff starts

A GRAFT for a topic we are not in is ignored: an answer would let anybody list
our topics (v1.1 §Spam Protection Measures).
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass

from pubsub.identity.peer_id import PeerId
from pubsub.mesh.selection import graft_candidates, other_subscribers, sample
from pubsub.mesh.standing import EQUAL, Standing
from pubsub.mesh.topic import Backoff, TopicState
from pubsub.params import Params


class Refusal(enum.Enum):
    """Why a GRAFT is refused."""

    UNMESHED = "it gets everything without a mesh: a floodsub peer, or a direct one"
    BACKOFF = "the peer is in backoff"
    FLOOD = "the peer was pruned a moment ago"
    MESH_FULL = "the mesh is full"
    LOW_SCORE = "the peer's score is below zero"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a rule decided for one topic."""

    graft: tuple[PeerId, ...] = ()
    prune: tuple[PeerId, ...] = ()


def refusal(
    topic: TopicState, peer: PeerId, params: Params, *, now: float, standing: Standing = EQUAL
) -> Refusal | None:
    """Why `peer` may not enter the mesh of `topic`, or None if it may."""
    if not topic.peers.get(peer, True):
        return Refusal.UNMESHED
    backoff = topic.backoff.get(peer)
    if backoff is not None and now < backoff.until:
        if now - backoff.pruned_at < params.graft_flood_threshold:
            return Refusal.FLOOD
        return Refusal.BACKOFF
    if standing.score(peer) < 0:
        return Refusal.LOW_SCORE
    # Those that the quota lacks take the place of another (`balance.make_room`); the
    # limit itself holds for every peer, or a mesh could be pushed over its bounds.
    if len(topic.mesh) >= params.d_high and not (
        standing.outbound(peer) and outbound_missing(topic, params, standing) > 0
    ):
        return Refusal.MESH_FULL
    return None


def outbound_missing(topic: TopicState, params: Params, standing: Standing) -> int:
    """How many members that we dialled the mesh lacks (v1.1 §Outbound Mesh Quotas)."""
    return params.outbound_quota - sum(map(standing.outbound, topic.mesh))


def backoff_for(
    seconds: float, params: Params, rng: random.Random, *, now: float, ours: bool
) -> Backoff:
    """The backoff that a PRUNE of `seconds` starts; one sent by a peer is clamped to the limit."""
    seconds = min(seconds, params.backoff_limit)
    until = now + seconds
    # One heartbeat of slack, because the peer counts from when our PRUNE reached
    # it; jitter, so that peers pruned together do not come back together.
    graft_after = until + params.heartbeat_interval + rng.uniform(0, params.backoff_jitter)
    return Backoff(until, graft_after, now if ours else -1e18)


def join(
    topic: TopicState,
    params: Params,
    rng: random.Random,
    *,
    now: float,
    standing: Standing = EQUAL,
) -> Changes:
    """Whom to graft on subscribing: the fan-out peers first, then others, up to D (v1.0 §JOIN)."""
    candidates = graft_candidates(topic, now=now, standing=standing)
    first = [peer for peer in candidates if peer in topic.fanout]
    rest = [peer for peer in candidates if peer not in topic.fanout]
    want = params.d - len(topic.mesh)
    chosen = sample(first, want, rng)
    chosen += sample(rest, want - len(chosen), rng)
    return Changes(graft=tuple(chosen))


def welcome(
    topic: TopicState, peer: PeerId, params: Params, *, now: float, standing: Standing = EQUAL
) -> Changes:
    """Whether to graft a peer the moment it subscribes: yes, while the mesh is short."""
    if not topic.subscribed or len(topic.mesh) >= params.d_low:
        return Changes()
    backoff = topic.backoff.get(peer)
    if not topic.peers.get(peer) or peer in topic.mesh:
        return Changes()
    if backoff is not None and now < backoff.graft_after:
        return Changes()
    return Changes(graft=(peer,)) if standing.score(peer) >= 0 else Changes()


def one_sided(
    topic: TopicState, params: Params, *, now: float, standing: Standing = EQUAL
) -> Changes:
    """Settle links that one side only holds, as a lost GRAFT or PRUNE leaves them.

    A peer that forwards other authors' messages to us from outside the mesh, in
    two heartbeats on end (so that what was merely in flight does not count),
    has us in its mesh. It is grafted while ours is short, else pruned. It is told
    again a few times, in case that is lost as well, then ever more rarely: some
    forward by arrangement (direct peers of go) and mean no link.
    """
    topic.strays = {
        peer: topic.strays.get(peer, 0) + 1 for peer in topic.stray_now if peer not in topic.mesh
    }
    topic.stray_now = {}
    graft: list[PeerId] = []
    prune: list[PeerId] = []
    for peer, beats in topic.strays.items():
        if beats < 2 or (beats > 4 and beats & (beats - 1)):
            continue
        # Not known as a subscriber: its SUBSCRIBE was lost as well.
        known = peer in topic.peers
        if (
            known
            and len(topic.mesh) + len(graft) < params.d_low
            and (refusal(topic, peer, params, now=now, standing=standing) is None)
        ):
            graft.append(peer)
        else:
            prune.append(peer)
    return Changes(tuple(graft), tuple(prune))


def refill_fanout(
    topic: TopicState,
    params: Params,
    rng: random.Random,
    *,
    least: float = 0.0,
    standing: Standing = EQUAL,
) -> tuple[PeerId, ...]:
    """Peers to add to the fan-out, up to D (v1.0 §Fanout Maintenance)."""
    want = params.d - len(topic.fanout)
    if want <= 0:
        return ()
    return tuple(
        sample(other_subscribers(topic, topic.fanout, least=least, standing=standing), want, rng)
    )


def fanout_expired(topic: TopicState, params: Params, *, now: float) -> bool:
    """True when nothing was published to the topic for the fan-out's time to live."""
    return bool(topic.fanout) and now - topic.last_publish > params.fanout_ttl
