from datetime import UTC, datetime

from pubsub.fabric.moment import Moment


def test_nanoseconds_become_a_date():
    moment = Moment(1.5, 1_780_315_200_000_001_999)
    assert moment.when == datetime(2026, 6, 1, 12, 0, 0, 1, tzinfo=UTC)
