"""The record of a topic: who is in it, and backoffs."""

from __future__ import annotations

from pubsub.identity import PeerId
from pubsub.mesh.topic import MAX_BACKOFFS, Backoff, TopicState

A, B = PeerId(b"A"), PeerId(b"B")


def test_peers_come_and_go() -> None:
    topic = TopicState("news")
    assert topic.idle
    assert topic.add_peer(A, meshable=True)
    assert not topic.add_peer(A, meshable=False)
    assert topic.add_peer(B, meshable=False)
    assert topic.peers == {A: True, B: False}
    assert topic.unmeshed == 1
    topic.mesh[A] = 1.0
    topic.fanout[A] = topic.stray_now[A] = None
    topic.strays[A] = 3
    assert topic.remove_peer(A)
    assert not topic.remove_peer(A)
    assert topic.mesh == topic.fanout == topic.strays == topic.stray_now == {}
    assert topic.remove_peer(B)
    assert topic.unmeshed == 0


def test_what_keeps_a_record() -> None:
    assert TopicState("news", peers={A: True}).idle
    assert not TopicState("news", subscribed=True).idle
    assert not TopicState("news", fanout={A: None}).idle
    assert not TopicState("news", backoff={A: Backoff(1, 2)}).idle


def test_a_backoff_only_grows() -> None:
    topic = TopicState("news")
    topic.set_backoff(A, Backoff(100, 101))
    topic.set_backoff(A, Backoff(50, 51, pruned_at=40))
    assert topic.backoff[A] == Backoff(100, 101, pruned_at=40)
    topic.set_backoff(A, Backoff(100, 100.5, pruned_at=30))
    assert topic.backoff[A] == Backoff(100, 101, pruned_at=40)
    topic.set_backoff(A, Backoff(200, 202))
    assert topic.backoff[A] == Backoff(200, 202, pruned_at=40)


def test_backoffs_are_bounded_and_the_oldest_go_first() -> None:
    topic = TopicState("news")
    topic.set_backoff(A, Backoff(1, 2))
    topic.set_backoff(B, Backoff(1, 2))
    topic.set_backoff(A, Backoff(3, 4))
    for number in range(MAX_BACKOFFS - 1):
        topic.set_backoff(PeerId(b"%d" % number), Backoff(1, 2))
    assert len(topic.backoff) == MAX_BACKOFFS
    assert B not in topic.backoff
    assert A in topic.backoff
