from __future__ import annotations

from pubsub.sim.fabric_record import CityRecord, Tenure


def test_checks_are_counted_for_each_life() -> None:
    record = CityRecord()
    for peer, life, number in ((0, 1, 5), (0, 1, 5), (0, 2, 5), (1, 1, 5)):
        record.verified(peer, life, number)
    assert record.checks == {(0, 1, 5): 2, (0, 2, 5): 1, (1, 1, 5): 1}


def test_commits_are_kept_in_their_order() -> None:
    record = CityRecord()
    for number, now in ((1, 0.5), (2, 0.75), (3, 0.75)):
        record.committed(4, number, now)
    assert list(record.commits[4].items()) == [(1, 0.5), (2, 0.75), (3, 0.75)]


def test_a_tenure_ends_when_the_peer_steps_down_or_stops() -> None:
    record = CityRecord()
    record.led(0, True, 1.0)
    record.led(1, True, 2.0)
    record.led(0, False, 3.0)
    record.stopped(1, 4.0, 9.0)
    record.led(1, True, 12.0)
    assert record.tenures == [Tenure(0, 1.0, 3.0), Tenure(1, 2.0, 4.0), Tenure(1, 12.0)]


def test_who_was_up() -> None:
    record = CityRecord()
    record.stopped(0, 10.0, 15.0)
    record.stopped(0, 30.0, 31.0)
    assert record.was_up(0, 1.0, 10.0)
    assert record.was_up(0, 15.0, 29.0)
    assert not record.was_up(0, 9.0, 11.0)
    assert not record.was_up(0, 1.0, 20.0)
    assert not record.was_up(0, 14.0, 16.0)
    assert not record.was_up(0, 20.0, 40.0)
    assert record.was_up(1, 0.0, 100.0)
