from pubsub.sim.clock import Clock


def test_things_happen_in_order_of_time_then_of_planning() -> None:
    clock = Clock()
    seen: list[tuple[float, str]] = []
    for when, name in ((2.0, "d"), (1.0, "a"), (1.0, "b"), (1.5, "c"), (2.5, "too late")):
        clock.at(when, lambda name: seen.append((clock.now, name)), name)
    clock.run_until(2.0)
    assert seen == [(1.0, "a"), (1.0, "b"), (1.5, "c"), (2.0, "d")]
    assert clock.now == 2.0
    assert len(clock) == 1


def test_what_happens_may_plan_more_even_for_the_same_moment() -> None:
    clock = Clock()
    seen: list[str] = []

    def first() -> None:
        seen.append("first")
        clock.after(0.0, seen.append, "at once")
        clock.at(0.5, seen.append, "planned for the past")

    clock.at(1.0, first)
    clock.at(1.0, seen.append, "second")
    clock.run_until(1.0)
    assert seen == ["first", "second", "at once", "planned for the past"]
    assert clock.now == 1.0


def test_time_does_not_run_backwards() -> None:
    clock = Clock()
    clock.run_until(3.0)
    clock.run_until(2.0)
    assert clock.now == 3.0
