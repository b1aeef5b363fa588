import pytest

from pubsub.host.liveness import PING_VALUES, Liveness
from pubsub.host.params import HostParams


@pytest.fixture
def liveness() -> Liveness:
    return Liveness(HostParams(ping_interval=10, idle_timeout=25, write_timeout=30), now=100.0)


def test_silence_is_answered_with_a_ping_once_per_interval(liveness: Liveness) -> None:
    assert liveness.ping_due(109.9) is None
    assert liveness.ping_due(110.0) is not None
    assert liveness.ping_due(119.9) is None
    assert liveness.ping_due(120.0) is not None


def test_a_peer_that_talks_is_not_pinged(liveness: Liveness) -> None:
    liveness.last_received = 105.0
    assert liveness.ping_due(114.9) is None
    assert liveness.ping_due(115.0) is not None


def test_a_silent_peer_is_lost(liveness: Liveness) -> None:
    assert liveness.loss(124.9, None) is None
    assert liveness.loss(125.0, None) == ("dead_connections", "nothing received for 25 s")


def test_a_peer_that_does_not_read_is_lost(liveness: Liveness) -> None:
    liveness.last_received = 140.0
    assert liveness.loss(140.0, write_began=111.0) is None
    lost = liveness.loss(141.0, write_began=111.0)
    assert lost == ("stalled_connections", "peer has not read for 30 s")


def test_the_round_trip_is_that_of_the_last_ping(liveness: Liveness) -> None:
    first = liveness.ping_due(110.0)
    second = liveness.ping_due(120.0)
    assert first is not None
    assert second is not None
    liveness.pong(first, 120.5)
    assert liveness.round_trip is None
    liveness.pong(second, 120.25)
    assert liveness.round_trip == 0.25


def test_values_come_again_so_that_unanswered_pings_stay_few(liveness: Liveness) -> None:
    values = {liveness.ping_due(100.0 + 10 * n) for n in range(1, 100)}
    assert len(values) == PING_VALUES


def test_the_watcher_looks_often_enough_to_find_a_dead_peer_within_30_s() -> None:
    params = HostParams()
    assert params.idle_timeout + Liveness(params, 0.0).step < 30


def test_a_probe_leaves_doubt_until_it_is_answered(liveness: Liveness) -> None:
    assert not liveness.in_doubt
    value = liveness.probe(101.0)
    assert liveness.in_doubt
    liveness.pong((value + 1) % PING_VALUES, 101.5)
    assert liveness.in_doubt
    liveness.pong(value, 101.5)
    assert not liveness.in_doubt
    assert liveness.round_trip == 0.5
    assert liveness.probe_over(101.0) is None
    # It counts as the ping of this interval.
    assert liveness.ping_due(110.9) is None


def test_a_probe_in_vain_is_a_loss(liveness: Liveness) -> None:
    liveness.probe(101.0)
    assert liveness.probe_over(101.0) == ("dead_connections", "no answer to a ping within 3 s")


@pytest.mark.parametrize(("heard_at", "lost"), [(102.0, True), (103.0, False)])
def test_bytes_that_come_late_in_a_probe_are_a_sign_of_life(
    liveness: Liveness, heard_at: float, lost: bool
) -> None:
    liveness.probe(101.0)
    liveness.last_received = heard_at
    assert (liveness.probe_over(101.0) is not None) is lost
    assert not liveness.in_doubt


def test_the_end_of_an_answered_probe_says_nothing_about_the_next(liveness: Liveness) -> None:
    liveness.pong(liveness.probe(101.0), 101.1)
    liveness.probe(103.0)
    assert liveness.probe_over(101.0) is None
    assert liveness.in_doubt
    assert liveness.probe_over(103.0) is not None
