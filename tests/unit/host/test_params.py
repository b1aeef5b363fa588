import math

import pytest

from pubsub.errors import ParamError
from pubsub.host.params import HostParams


def test_the_defaults_are_possible() -> None:
    HostParams()


@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_nothing_may_be_zero_or_below(value: float) -> None:
    with pytest.raises(ParamError, match="dial_timeout must be above 0"):
        HostParams(dial_timeout=value)


def test_pings_must_come_before_a_peer_is_taken_for_dead() -> None:
    with pytest.raises(ParamError, match="ping_interval must be below idle_timeout"):
        HostParams(ping_interval=30, idle_timeout=25)


def test_watermarks_follow_the_limit_unless_they_are_given() -> None:
    assert HostParams().watermarks == (160, 192)
    assert HostParams(max_connections=1).watermarks == (1, 1)
    assert HostParams(max_connections=1000).watermarks == (625, 750)
    assert HostParams(high_water=12).watermarks == (10, 12)
    assert HostParams(low_water=3, high_water=4).watermarks == (3, 4)
    with pytest.raises(ParamError, match="low_water must not be above high_water: 5, 4"):
        HostParams(low_water=5, high_water=4)
    with pytest.raises(ParamError, match="high_water must be above 0"):
        HostParams(high_water=0)
