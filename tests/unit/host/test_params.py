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
