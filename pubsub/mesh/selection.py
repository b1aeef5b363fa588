"""Choosing peers at random: the only place that samples, and from lists in reproducible order."""

from __future__ import annotations

import random
from collections.abc import Container

from pubsub.identity.peer_id import PeerId
from pubsub.mesh.topic import TopicState


def sample(peers: list[PeerId], count: int, rng: random.Random) -> list[PeerId]:
    """At most `count` of `peers`, in random order."""
    if count <= 0 or not peers:
        return []
    return rng.sample(peers, min(count, len(peers)))


def graft_candidates(topic: TopicState, *, now: float) -> list[PeerId]:
    """Subscribers that speak gossipsub, are not in the mesh and in no backoff."""
    mesh, backoff = topic.mesh, topic.backoff
    return [
        peer
        for peer, gossip in topic.peers.items()
        if gossip and peer not in mesh and (peer not in backoff or backoff[peer].graft_after <= now)
    ]


def other_subscribers(topic: TopicState, but: Container[PeerId]) -> list[PeerId]:
    """Subscribers that speak gossipsub, without `but`; backoff forbids grafts, not messages."""
    return [peer for peer, gossip in topic.peers.items() if gossip and peer not in but]


def gossip_targets(
    topic: TopicState, *, d_lazy: int, factor: float, rng: random.Random
) -> list[PeerId]:
    """Who hears IHAVE: `d_lazy` of the peers outside mesh and fan-out, or `factor` of them if more.

    v1.1 §Adaptive Gossip Dissemination.
    """
    outside = topic.mesh if topic.subscribed else topic.fanout
    candidates = other_subscribers(topic, outside)
    return sample(candidates, max(d_lazy, int(factor * len(candidates))), rng)
