import pytest

from pubsub.score import TopicScoreParams
from pubsub.score.peer_record import PeerRecord, TopicRecord

STRICT = TopicScoreParams(
    topic_weight=0.5,
    time_in_mesh_weight=2.0,
    time_in_mesh_quantum=1.0,
    time_in_mesh_cap=4.0,
    first_message_deliveries_weight=3.0,
    first_message_deliveries_decay=0.9,
    first_message_deliveries_cap=5.0,
    mesh_message_deliveries_weight=-1.0,
    mesh_message_deliveries_decay=0.5,
    mesh_message_deliveries_cap=8.0,
    mesh_message_deliveries_threshold=6.0,
    mesh_message_deliveries_activation=5.0,
    mesh_failure_penalty_weight=-2.0,
    mesh_failure_penalty_decay=0.5,
    invalid_message_deliveries_weight=-4.0,
    invalid_message_deliveries_decay=0.25,
)


def member(*, since: float = 0.0, now: float = 0.0) -> TopicRecord:
    record = TopicRecord(STRICT)
    record.grafted(now=since)
    record.decay(0, 0.01, now=now)
    return record


@pytest.mark.parametrize(
    ("now", "p1"), [(0.9, 0.0), (1.0, 1.0), (1.9, 1.0), (3.0, 3.0), (4.0, 4.0), (60.0, 4.0)]
)
def test_v11_p1_counts_whole_quanta_up_to_the_cap(now: float, p1: float) -> None:
    assert member(now=now).parts().p1 == p1  # weight 2, topic weight 0.5


def test_v11_p1_survives_the_rounding_of_small_quanta() -> None:
    params = TopicScoreParams(topic_weight=1.0, time_in_mesh_quantum=0.001, time_in_mesh_cap=3600.0)
    record = TopicRecord(params)
    record.grafted(now=0.1)
    record.decay(1, 0.01, now=1.1)
    assert record.parts().p1 == 1000.0


def test_v11_p1_is_lazy() -> None:
    record = member(now=0.0)
    record.delivered_first()
    assert record.parts().p1 == 0.0
    assert record.mesh_time == 0.0


def test_v11_p2_stops_at_its_cap() -> None:
    record = TopicRecord(STRICT)
    values = []
    for _ in range(7):
        record.delivered_first()
        values.append(record.parts().p2)
    assert values == [1.5, 3.0, 4.5, 6.0, 7.5, 7.5, 7.5]


@pytest.mark.parametrize(
    ("now", "near_first", "p3"),
    [
        (5.0, 0, 0.0),  # activation is not over until it is exceeded
        (5.1, 0, -18.0),  # 6 squared, times 0.5
        (5.1, 4, -2.0),
        (5.1, 6, 0.0),
        (5.1, 8, 0.0),
    ],
)
def test_v11_p3_is_the_squared_deficit_after_activation(
    now: float, near_first: int, p3: float
) -> None:
    record = member(now=now)
    for _ in range(near_first):
        record.delivered_near_first()
    assert record.parts().p3 == p3


def test_v11_p3_stops_at_its_cap_and_counts_members_only() -> None:
    record = member()
    for _ in range(20):
        record.delivered_near_first()
    assert record.near_first == 8.0
    stranger = TopicRecord(STRICT)
    stranger.delivered_near_first()
    assert stranger.near_first == 0.0


def test_v11_p3b_is_the_deficit_at_prune_and_adds_up() -> None:
    record = member(now=6.0)
    for _ in range(2):
        record.delivered_near_first()
    record.left_mesh()
    assert record.failures == 16.0
    assert record.parts() == (0.0, 0.0, 0.0, -16.0, 0.0)  # weight -2, topic weight 0.5
    record.left_mesh()
    assert record.failures == 16.0
    record.grafted(now=10.0)
    record.decay(0, 0.01, now=16.0)
    record.left_mesh()
    assert record.failures == 32.0


def test_v11_p3b_needs_an_active_deficit() -> None:
    early = member(now=5.0)
    early.left_mesh()
    good = member(now=6.0)
    for _ in range(6):
        good.delivered_near_first()
    good.left_mesh()
    assert early.failures == good.failures == 0.0


def test_p3b_of_weight_zero_leaves_nothing_behind() -> None:
    record = TopicRecord(TopicScoreParams())
    record.grafted(now=0.0)
    record.decay(1, 0.01, now=60.0)
    record.left_mesh()
    assert record.idle


def test_grafting_a_member_again_does_not_restart_its_time() -> None:
    record = member(now=6.0)
    record.grafted(now=6.0)
    record.decay(0, 0.01, now=6.0)
    assert record.active
    assert record.parts().p1 == 4.0


def test_v11_p3_starts_anew_after_a_prune() -> None:
    record = member(now=6.0)
    record.left_mesh()
    assert record.parts().p3 == 0.0
    record.grafted(now=7.0)
    record.decay(0, 0.01, now=12.0)
    assert record.parts().p3 == 0.0
    record.decay(0, 0.01, now=12.1)
    assert record.parts().p3 == -18.0


@pytest.mark.parametrize(("count", "p4"), [(1, -2.0), (2, -8.0), (10, -200.0)])
def test_v11_p4_is_the_squared_count(count: int, p4: float) -> None:
    record = TopicRecord(STRICT)
    record.invalid = float(count)
    assert record.parts().p4 == p4


def test_v11_parameter_decay() -> None:
    record = TopicRecord(STRICT)
    record.first, record.near_first, record.failures, record.invalid = 10.0, 8.0, 6.0, 4.0
    assert record.decay(1, 0.01, now=1.0)
    counters = (record.first, record.near_first, record.failures, record.invalid)
    assert counters == pytest.approx((9.0, 4.0, 3.0, 1.0))
    assert record.decay(2, 0.01, now=3.0)
    counters = (record.first, record.near_first, record.failures, record.invalid)
    assert counters == pytest.approx((7.29, 1.0, 0.75, 0.0625))


def test_v11_parameter_decay_ends_at_zero() -> None:
    record = TopicRecord(STRICT)
    record.first = record.near_first = record.failures = record.invalid = 1.0
    assert not record.idle
    steps = 0
    while not record.idle:
        record.decay(1, 0.1, now=0.0)
        steps += 1
    assert steps == 22  # 0.9 ** 21 = 0.109, 0.9 ** 22 = 0.098
    assert not record.decay(1, 0.1, now=0.0)


def test_decaying_at_once_equals_decaying_in_steps() -> None:
    once, steps = TopicRecord(STRICT), TopicRecord(STRICT)
    once.first = steps.first = 5.0
    once.invalid = steps.invalid = 3.0
    once.decay(5, 0.01, now=5.0)
    for now in range(1, 6):
        steps.decay(1, 0.01, now=now)
    assert once.first == pytest.approx(steps.first)
    assert once.invalid == steps.invalid == 0.0


def test_a_capped_member_that_does_nothing_stays_fresh() -> None:
    record = member(now=6.0)
    record.fresh = True
    assert not record.decay(1, 0.01, now=7.0)
    assert record.fresh


def test_a_record_starts_with_nothing() -> None:
    assert TopicRecord(STRICT).parts() == (0, 0, 0, 0, 0)
    assert TopicRecord(STRICT).idle
    assert PeerRecord().score == 0.0
