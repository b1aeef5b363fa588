import pytest

from pubsub.fabric import author_pace as module
from pubsub.fabric.author_pace import BURST, RATE, AuthorPace

ANN, BOB = ("topic", b"ann"), ("topic", b"bob")


def burst(pace: AuthorPace, key: tuple[str, bytes], now: float) -> int:
    """How many messages are allowed at one time."""
    count = 0
    while pace.allows(key, now):
        pace.count(key, now)
        count += 1
    return count


def test_an_author_may_say_so_much_at_once_and_then_at_a_rate():
    pace = AuthorPace()
    assert burst(pace, ANN, 5.0) == BURST
    assert burst(pace, BOB, 5.0) == BURST
    assert burst(pace, ANN, 5.0 + 0.5 / RATE) == 0
    assert burst(pace, ANN, 5.0 + 1.5 / RATE) == 1
    assert burst(pace, ANN, 15.0 + BURST / RATE) == BURST


def test_to_ask_costs_nothing():
    pace = AuthorPace()
    assert all(pace.allows(ANN, 0.0) for _ in range(int(BURST) + 1))
    assert len(pace) == 0


def test_topics_are_counted_apart():
    pace = AuthorPace()
    burst(pace, ANN, 0.0)
    assert pace.allows(("other", b"ann"), 0.0)


def test_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_BUCKETS", 2)
    pace = AuthorPace()
    cyd = ("topic", b"cyd")
    for key in (ANN, BOB, ANN, cyd):
        burst(pace, key, 0.0)
        pace.count(key, 0.0)
    assert len(pace) == 2
    assert [pace.allows(key, 0.0) for key in (ANN, BOB, cyd)] == [False, True, False]
