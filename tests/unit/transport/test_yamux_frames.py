"""Limits and sizes of Yamux."""

import pytest

from pubsub.errors import ParamError
from pubsub.transport.noise_session import MAX_PLAINTEXT
from pubsub.transport.yamux_frames import HEADER_SIZE, INITIAL_WINDOW, MAX_BODY, YamuxLimits


def test_a_full_data_frame_fills_a_noise_frame() -> None:
    assert HEADER_SIZE == 12
    assert HEADER_SIZE + MAX_BODY == MAX_PLAINTEXT


@pytest.mark.parametrize(
    "wrong",
    [
        {"receive_window": INITIAL_WINDOW - 1},
        {"receive_window": 2**24 + 1},
        {"inbound_streams": -1},
        {"control_bytes": 11},
    ],
)
def test_impossible_limits_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ParamError):
        YamuxLimits(**wrong)


def test_the_defaults_are_possible() -> None:
    assert YamuxLimits().receive_window == 256 * 1024
