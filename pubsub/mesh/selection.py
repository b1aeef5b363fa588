"""Choosing peers at random: the only place that samples, and from lists in reproducible order."""

from __future__ import annotations

import random
from collections.abc import Container

from pubsub.identity.peer_id import PeerId
from pubsub.mesh.standing import EQUAL, Standing
from pubsub.mesh.topic import TopicState


def sample(peers: list[PeerId], count: int, rng: random.Random) -> list[PeerId]:
    """At most `count` of `peers`, in random order."""
    if count <= 0 or not peers:
        return []
    return rng.sample(peers, min(count, len(peers)))


def graft_candidates(topic: TopicState, *, now: float, standing: Standing = EQUAL) -> list[PeerId]:
    """Subscribers that speak gossipsub, in good standing, not in the mesh and in no backoff."""
    mesh, backoff, score = topic.mesh, topic.backoff, standing.score
    return [
        peer
        for peer, gossip in topic.peers.items()
        if gossip
        and peer not in mesh
        and (peer not in backoff or backoff[peer].graft_after <= now)
        and score(peer) >= 0
    ]


def other_subscribers(
    topic: TopicState,
    but: Container[PeerId],
    *,
    least: float = 0.0,
    standing: Standing = EQUAL,
) -> list[PeerId]:
    """Subscribers that speak gossipsub and score at `least` so much, without `but`.

    Backoff forbids grafts, not messages.
    """
    score = standing.score
    return [
        peer
        for peer, gossip in topic.peers.items()
        if gossip and peer not in but and score(peer) >= least
    ]


def gossip_targets(
    topic: TopicState,
    *,
    d_lazy: int,
    factor: float,
    rng: random.Random,
    least: float = 0.0,
    standing: Standing = EQUAL,
) -> list[PeerId]:
    """Who hears IHAVE: `d_lazy` of the peers outside mesh and fan-out, or `factor` of them if more.

    v1.1 §Adaptive Gossip Dissemination.
    """
    outside = topic.mesh if topic.subscribed else topic.fanout
    candidates = other_subscribers(topic, outside, least=least, standing=standing)
    return sample(candidates, max(d_lazy, int(factor * len(candidates))), rng)
