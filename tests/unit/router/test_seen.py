"""The seen cache: for how long, how many, and what is forgotten on purpose."""

from __future__ import annotations

from pubsub.router.seen import SeenCache


def test_ids_live_for_their_time_and_not_much_longer() -> None:
    seen = SeenCache(10.0, 100)
    seen.add(b"1")
    seen.tick(1.0)
    seen.add(b"2")
    seen.tick(2.0)
    seen.tick(10.9)
    assert b"1" in seen
    seen.tick(11.0)
    assert b"1" not in seen
    assert b"2" in seen
    seen.tick(12.0)
    assert len(seen) == 0
    assert seen.evicted == 0


def test_a_forgotten_id_can_be_seen_again_and_lives_as_long_as_any() -> None:
    seen = SeenCache(10.0, 100)
    seen.add(b"1")
    seen.tick(1.0)
    seen.forget(b"1")
    seen.forget(b"never")
    assert b"1" not in seen
    seen.tick(5.0)
    seen.add(b"1")
    seen.tick(6.0)
    seen.tick(11.0)
    assert b"1" in seen
    seen.tick(16.0)
    assert b"1" not in seen


def test_too_many_ids_push_out_the_oldest_heartbeat() -> None:
    seen = SeenCache(10.0, 4)
    for beat in range(3):
        for number in range(2):
            seen.add(b"%d %d" % (beat, number))
        seen.tick(float(beat))
    assert len(seen) == 4
    assert seen.evicted == 2
    assert b"0 0" not in seen
    assert b"2 1" in seen


def test_too_many_ids_in_one_heartbeat_push_out_the_first_half() -> None:
    seen = SeenCache(10.0, 100)
    for number in range(10_000):
        seen.add(b"%d" % number)
        assert len(seen) <= 100
    assert b"9999" in seen
    assert seen.evicted == 10_000 - len(seen)
    seen.tick(1.0)
    seen.tick(11.0)
    assert len(seen) == 0
