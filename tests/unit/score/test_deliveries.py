from pubsub.identity import PeerId
from pubsub.score.deliveries import Copy, DeliveryRecords

A, B, C = (PeerId(name) for name in (b"a", b"b", b"c"))


def make(ttl: float = 100.0, limit: int = 1000) -> DeliveryRecords:
    return DeliveryRecords(ttl=ttl, limit=limit)


def test_copies_before_the_verdict_are_returned_with_it_once_each() -> None:
    records = make()
    records.arrived(b"m", now=0.0)
    for peer in (B, A, B, C):
        assert records.copied(b"m", peer, now=0.1) is Copy.NOTHING
    assert list(records.accepted(b"m", A, until=None)) == [B, C]
    assert len(records) == 0


def test_copies_within_the_window_count_once_and_never_for_the_first() -> None:
    records = make()
    records.arrived(b"m", now=0.0)
    records.copied(b"m", B, now=0.0)
    records.accepted(b"m", A, until=1.5)
    assert records.copied(b"m", A, now=1.0) is Copy.NOTHING
    assert records.copied(b"m", B, now=1.0) is Copy.NOTHING
    assert records.copied(b"m", C, now=1.5) is Copy.NEAR_FIRST
    assert records.copied(b"m", C, now=1.5) is Copy.NOTHING


def test_copies_after_the_window_count_for_nothing() -> None:
    records = make()
    records.accepted(b"m", A, until=1.5)
    assert records.copied(b"m", B, now=1.501) is Copy.NOTHING


def test_every_copy_of_an_invalid_message_is_invalid() -> None:
    records = make()
    records.arrived(b"m", now=0.0)
    records.copied(b"m", B, now=0.0)
    assert list(records.refused(b"m", A, now=0.0)) == [B]
    assert [records.copied(b"m", C, now=1.0) for _ in range(2)] == [Copy.INVALID] * 2


def test_a_dropped_message_and_an_unknown_one_count_for_nothing() -> None:
    records = make()
    records.arrived(b"m", now=0.0)
    records.dropped(b"m")
    records.dropped(b"other")
    assert records.copied(b"m", A, now=0.0) is Copy.NOTHING
    assert len(records) == 0


def test_a_verdict_needs_no_arrival() -> None:
    records = make()
    assert records.accepted(b"m", A, until=1.0) == {}
    assert records.refused(b"n", A, now=0.0) == {}
    assert records.copied(b"n", B, now=0.0) is Copy.INVALID


def test_a_later_verdict_of_good_lifts_that_of_invalid() -> None:
    records = make()
    records.refused(b"m", A, now=0.0)
    records.accepted(b"m", B, until=None)
    assert records.copied(b"m", C, now=0.0) is Copy.NOTHING


def test_a_second_arrival_changes_nothing() -> None:
    records = make()
    records.arrived(b"m", now=0.0)
    records.copied(b"m", B, now=0.0)
    records.arrived(b"m", now=1.0)
    assert list(records.refused(b"m", A, now=1.0)) == [B]
    records.arrived(b"m", now=2.0)
    assert records.copied(b"m", B, now=2.0) is Copy.INVALID
    records.accepted(b"n", A, until=9.0)
    records.arrived(b"n", now=2.0)
    assert records.copied(b"n", B, now=2.0) is Copy.NEAR_FIRST


def test_records_expire() -> None:
    records = make(ttl=10.0)
    records.arrived(b"pending", now=0.0)
    records.refused(b"invalid", A, now=1.0)
    records.accepted(b"accepted", A, until=2.0)
    sizes = []
    for now in (2.0, 2.1, 10.0, 10.1, 11.0, 11.1):
        records.expire(now=now)
        sizes.append(len(records))
    assert sizes == [3, 2, 2, 1, 1, 0]
    assert records.evicted == 0


def test_records_are_bounded_by_number_and_the_oldest_go_first() -> None:
    records = make(limit=2)
    for i in range(3):
        records.arrived(b"p%d" % i, now=0.0)
        records.accepted(b"a%d" % i, A, until=9.0)
        records.refused(b"i%d" % i, A, now=0.0)
    assert len(records) == 6
    assert records.evicted == 3
    assert records.copied(b"i0", B, now=0.0) is Copy.NOTHING
    assert records.copied(b"i2", B, now=0.0) is Copy.INVALID
    assert records.copied(b"a0", B, now=0.0) is Copy.NOTHING
    assert records.copied(b"a2", B, now=0.0) is Copy.NEAR_FIRST
