"""Choosing peers: whom, how many, and reproducibly."""

from __future__ import annotations

import random

import pytest

from pubsub.identity import PeerId
from pubsub.mesh.selection import gossip_targets, graft_candidates, other_subscribers, sample
from pubsub.mesh.topic import Backoff, TopicState

PEERS = [PeerId(b"%d" % number) for number in range(40)]
A, B, C, D, E = PEERS[:5]


def test_a_sample() -> None:
    rng = random.Random(1)
    assert sample(PEERS, 0, rng) == sample(PEERS, -1, rng) == sample([], 3, rng) == []
    assert sorted(sample(PEERS, 99, rng)) == sorted(PEERS)
    chosen = sample(PEERS, 6, rng)
    assert len(set(chosen)) == 6
    assert sample(PEERS, 6, random.Random(7)) == sample(PEERS, 6, random.Random(7))


def test_who_may_be_grafted() -> None:
    topic = TopicState("news", peers={A: True, B: True, C: False, D: True, E: True})
    topic.mesh[A] = 0.0
    topic.backoff[D] = Backoff(10, 12)
    topic.backoff[E] = Backoff(1, 2)
    assert graft_candidates(topic, now=11.9) == [B, E]
    assert graft_candidates(topic, now=12.0) == [B, D, E]


def test_who_may_be_sent_messages() -> None:
    topic = TopicState("news", peers={A: True, B: True, C: False, D: True})
    topic.backoff[D] = Backoff(10, 12)
    assert other_subscribers(topic, {A}) == [B, D]


@pytest.mark.parametrize(
    ("peers", "lazy", "factor", "count"),
    [(3, 6, 0.25, 3), (10, 6, 0.25, 6), (40, 6, 0.25, 10), (40, 0, 0.0, 0), (40, 0, 1.0, 40)],
)
def test_how_many_hear_gossip(peers: int, lazy: int, factor: float, count: int) -> None:
    topic = TopicState("news", subscribed=True, peers=dict.fromkeys(PEERS[:peers], True))
    found = gossip_targets(topic, d_lazy=lazy, factor=factor, rng=random.Random(1))
    assert len(set(found)) == count


def test_who_hears_gossip() -> None:
    peers = {A: True, B: True, C: False, D: True}
    rng = random.Random(1)
    topic = TopicState("news", subscribed=True, peers=peers, mesh={A: 0.0}, fanout={B: None})
    assert sorted(gossip_targets(topic, d_lazy=9, factor=0, rng=rng)) == [B, D]
    topic.subscribed = False
    assert sorted(gossip_targets(topic, d_lazy=9, factor=0, rng=rng)) == [A, D]
