"""The message cache: windows, and a bound on bytes."""

from __future__ import annotations

from pubsub.router.message_cache import MessageCache


def test_windows_of_gossip_and_of_answers() -> None:
    cache = MessageCache(5, 3, 1000)
    cache.put(b"1", "news", b"one")
    told, kept = [], []
    for _ in range(6):
        told.append(cache.gossip_ids("news") == [b"1"])
        assert cache.topics() == (["news"] if told[-1] else [])
        kept.append(cache.get(b"1") is not None)
        cache.shift()
    assert told == [True] * 3 + [False] * 3
    assert kept == [True] * 5 + [False]
    assert (len(cache), cache.bytes) == (0, 0)


def test_no_gossip() -> None:
    cache = MessageCache(5, 0, 1000)
    cache.put(b"1", "news", b"one")
    assert cache.topics() == []
    assert cache.gossip_ids("news") == []


def test_bytes_are_bounded_and_the_oldest_go_first() -> None:
    cache = MessageCache(5, 3, 10)
    for number in range(4):
        cache.put(b"%d" % number, f"topic {number % 2}", b"1234")
        cache.shift()
    assert cache.bytes == 8
    assert cache.evicted == 2
    assert [cache.get(b"%d" % number) is None for number in range(4)] == [True, True, False, False]
    assert cache.gossip_ids("topic 0") == [b"2"]
    assert cache.recent(9) == [("topic 0", b"2"), ("topic 1", b"3")]
    assert cache.recent(1) == [("topic 1", b"3")]


def test_a_message_too_large_for_the_cache_is_not_kept() -> None:
    cache = MessageCache(5, 3, 10)
    cache.put(b"1", "news", b"x" * 11)
    assert (len(cache), cache.bytes, cache.evicted) == (0, 0, 1)


def test_a_message_that_comes_again_counts_once() -> None:
    cache = MessageCache(2, 1, 1000)
    cache.put(b"1", "news", b"one")
    cache.shift()
    cache.put(b"1", "news", b"one")
    assert cache.bytes == 3
    cache.shift()
    cache.shift()
    assert cache.bytes == 0
    assert len(cache) == 0
