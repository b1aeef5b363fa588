import pytest

from pubsub.score.decay import DecayClock, decayed


def test_a_clock_counts_whole_intervals_from_its_start() -> None:
    clock = DecayClock(2.0)
    clock.start(10.0)
    assert [clock.ticks(now) for now in (10.0, 11.9, 12.0, 13.9, 14.0)] == [0, 0, 1, 0, 1]


def test_a_late_refresh_decays_for_all_it_missed_and_keeps_the_beat() -> None:
    clock = DecayClock(1.0)
    assert clock.ticks(0.0) == 0
    assert clock.ticks(5.5) == 5
    assert clock.ticks(6.0) == 1


def test_the_first_start_holds() -> None:
    clock = DecayClock(1.0)
    clock.start(0.0)
    clock.start(0.9)
    assert clock.ticks(1.0) == 1


def test_heartbeats_with_rounding_errors_decay_once_each() -> None:
    clock = DecayClock(1.0)
    now = 0.1
    clock.start(now)
    ticks = []
    for _ in range(1000):
        now += 0.1 + 0.2 + 0.7 - 1e-12
        ticks.append(clock.ticks(now))
    assert ticks == [1] * 1000


@pytest.mark.parametrize(
    ("counter", "factor", "zero", "left"),
    [
        (120.0, 0.97, 0.01, 116.4),
        (0.02, 0.5, 0.01, 0.01),
        (0.0199, 0.5, 0.01, 0.0),
        (-8.0, 0.5, 0.01, -4.0),
        (-0.0199, 0.5, 0.01, 0.0),
        (0.0, 0.5, 0.01, 0.0),
    ],
)
def test_v11_parameter_decay_to_zero(
    counter: float, factor: float, zero: float, left: float
) -> None:
    assert decayed(counter, factor, zero) == pytest.approx(left)
