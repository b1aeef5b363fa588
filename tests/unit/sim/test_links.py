"""Latency, bandwidth, buffer and loss of a link, to the last digit."""

import random

import pytest

from pubsub.errors import ParamError
from pubsub.sim.links import UNBOUNDED_TAKE, Conditions, Fixed, Link, LogNormal, Uniform, Wire
from pubsub.wire.framing import frame

LATENCY = 0.25


def link(**conditions: object) -> Link:
    return Link(
        0, 1, Conditions(**conditions), latency=LATENCY, rng=random.Random(1)  # type: ignore[arg-type]
    )  # fmt: skip


def test_without_a_limit_all_rpcs_of_a_write_arrive_together_after_the_latency() -> None:
    made = link()
    assert made.room(0.0) == UNBOUNDED_TAKE
    assert made.carry(frame(b"one") + frame(b"two"), 2.0) == [(2.25, [b"one", b"two"])]
    assert made.carry(frame(b"three"), 2.0) == [(2.25, [b"three"])]


def test_an_rpc_in_pieces_arrives_with_its_last_piece() -> None:
    made = link()
    data = frame(b"x" * 300)
    assert made.carry(data[:100], 0.0) == []
    assert made.carry(data[100:], 1.0) == [(1.25, [b"x" * 300])]


def test_with_a_limit_an_rpc_arrives_when_its_last_byte_has_passed() -> None:
    made = link(bandwidth=1024.0)
    first, second = b"a" * 127, b"b" * 255
    # With their prefixes of one and two bytes, 128 and 257 bytes.
    arrivals = made.carry(frame(first) + frame(second), 2.0)
    assert arrivals == [
        (2.0 + 128 / 1024 + LATENCY, [first]),
        (2.0 + 385 / 1024 + LATENCY, [second]),
    ]
    # The next write waits until the first one has passed.
    assert made.carry(frame(first), 2.0) == [(2.0 + 513 / 1024 + LATENCY, [first])]
    # And after a pause it does not.
    assert made.carry(frame(first), 10.0) == [(10.0 + 128 / 1024 + LATENCY, [first])]


def test_with_a_limit_an_rpc_over_two_writes() -> None:
    made = link(bandwidth=1000.0)
    data = frame(b"a" * 99) + frame(b"b" * 99)
    assert made.carry(data[:150], 0.0) == [(0.1 + LATENCY, [b"a" * 99])]
    [(when, frames)] = made.carry(data[150:], 0.0)
    assert when == pytest.approx(0.2 + LATENCY, abs=1e-12)
    assert frames == [b"b" * 99]


def test_room_shrinks_with_what_is_taken_and_grows_as_it_leaves() -> None:
    made = link(bandwidth=1000.0, buffer=500)
    assert made.room(0.0) == 500
    made.carry(bytes(300), 0.0)
    assert made.room(0.0) == 200
    assert made.room(0.1) == 300
    made.carry(bytes(200), 0.0)
    assert made.room(0.0) == 0
    assert made.roomy_at() == 0.25
    assert made.room(0.25) == 250
    assert made.room(9.0) == 500


def test_nothing_overtakes_even_when_jitter_would_let_it() -> None:
    made = link(jitter=Uniform(0.0, 1.0))
    arrivals = [made.carry(frame(b"%d" % n), n / 100)[0][0] for n in range(100)]
    assert arrivals == sorted(arrivals)
    assert all(when >= n / 100 + LATENCY for n, when in enumerate(arrivals))
    assert arrivals[-1] > 0.99 + LATENCY


def test_loss_takes_its_share_and_is_counted() -> None:
    made = link(loss=0.25)
    arrived = sum(len(frames) for _, frames in made.carry(frame(b"x") * 4000, 0.0))
    assert arrived + made.lost == 4000
    assert 900 < made.lost < 1100
    assert link(loss=1.0).carry(frame(b"x"), 0.0) == []


def test_what_is_lost_has_used_its_bandwidth() -> None:
    made = link(bandwidth=100.0, loss=1.0)
    assert made.carry(frame(b"x" * 99), 0.0) == []
    made.conditions = Conditions(bandwidth=100.0)
    assert made.carry(frame(b"y" * 99), 0.0) == [(2.0 + LATENCY, [b"y" * 99])]


def test_what_is_carried_whole_takes_bandwidth_and_is_never_lost() -> None:
    made = link(bandwidth=1000.0, loss=1.0)
    assert made.carry_whole(500, 1.0) == 1.5 + LATENCY
    assert made.carry_whole(500, 1.0) == 2.0 + LATENCY
    assert made.room(1.0) == Conditions().buffer - 1000
    free = link(jitter=Uniform(0.0, 1.0))
    arrivals = [free.carry_whole(10, 1.0) for _ in range(50)]
    assert arrivals == sorted(arrivals)
    assert 1.25 < arrivals[0] < arrivals[-1] < 2.25


def test_links_of_one_wire_share_its_bandwidth() -> None:
    wire, rng = Wire(), random.Random(1)
    first, second = (
        Link(0, to, Conditions(bandwidth=1000.0), latency=LATENCY, rng=rng, wire=wire)
        for to in (1, 2)
    )
    assert first.carry(frame(b"a" * 99), 0.0) == [(0.1 + LATENCY, [b"a" * 99])]
    assert second.carry_whole(100, 0.0) == 0.2 + LATENCY
    assert first.room(0.0) == second.room(0.0) == Conditions().buffer - 200


def test_latencies_are_drawn_as_described() -> None:
    rng = random.Random(1)
    assert Fixed(0.05).sample(rng) == 0.05
    drawn = [Uniform(0.1, 0.2).sample(rng) for _ in range(1000)]
    assert 0.1 <= min(drawn) < 0.101
    assert 0.199 < max(drawn) <= 0.2
    drawn = sorted(LogNormal(0.05, 0.5).sample(rng) for _ in range(1001))
    assert 0.045 < drawn[500] < 0.055
    assert drawn[-1] > 0.15


@pytest.mark.parametrize(
    "wrong", [{"bandwidth": 0}, {"bandwidth": -1.0}, {"buffer": 1}, {"loss": -0.1}, {"loss": 1.1}]
)
def test_impossible_conditions_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ParamError, match=next(iter(wrong))):
        Conditions(**wrong)  # type: ignore[arg-type]
