import pytest

from pubsub.sim.trace import Trace


def traced(*, now: float = 1.0, node: int = 3, sender: int = 4, data: bytes = b"rpc") -> str:
    trace = Trace()
    trace.arrival(now, sender, node, [data])
    trace.timer(now, node)
    trace.note(now, node, "restarts")
    return trace.hexdigest()


def test_the_same_run_has_the_same_hash() -> None:
    assert traced() == traced()
    assert len(traced()) == 32


@pytest.mark.parametrize(
    "other", [{"now": 1.0000001}, {"node": 5}, {"sender": 5}, {"data": b"rpd"}]
)
def test_any_difference_shows(other: dict[str, object]) -> None:
    assert traced(**other) != traced()  # type: ignore[arg-type]


def test_the_kind_of_happening_and_their_order_count() -> None:
    first, second, third = Trace(), Trace(), Trace()
    first.timer(1.0, 1)
    first.timer(1.0, 2)
    second.timer(1.0, 2)
    second.timer(1.0, 1)
    third.note(1.0, 1, "")
    third.note(1.0, 2, "")
    assert len({trace.hexdigest() for trace in (first, second, third)}) == 3
