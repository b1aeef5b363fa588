import random
from collections.abc import Callable
from typing import Any

import pytest

from pubsub.errors import ParamError
from pubsub.identity import PeerId
from pubsub.score import GaterParams, PeerGater

A, B, C = (PeerId(name) for name in (b"a", b"b", b"c"))
FAR = "203.0.113.7"


def make(*, overloaded: bool = True, **params: Any) -> PeerGater:
    gater = PeerGater(GaterParams(**params))
    for peer, ip in ((A, FAR), (B, FAR), (C, "198.51.100.1")):
        gater.connected(peer, [ip], now=0.0)
    if overloaded:
        gater.validated()
        gater.throttled(now=0.0)
    return gater


def share(gater: PeerGater, peer: PeerId, *, now: float = 0.0, tries: int = 4000) -> float:
    rng = random.Random(7)
    return sum(gater.accept(peer, now=now, rng=rng) for _ in range(tries)) / tries


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("threshold", 0, "above 0"),
        ("global_decay", 1, "above 0 and below 1"),
        ("source_decay", 0, "above 0 and below 1"),
        ("decay_interval", 0.5, "at least 1 s"),
        ("decay_to_zero", 1, "above 0 and below 1"),
        ("retain", -1, "at least 0"),
        ("source_limit", 0, "at least 1"),
        ("quiet", 0.5, "at least 1 s"),
        ("duplicate_weight", 0, "above 0"),
        ("ignore_weight", 0.5, "at least 1"),
        ("reject_weight", 0.5, "at least 1"),
        ("topic_delivery_weights", {"t": 0}, "above 0"),
    ],
)
def test_broken_rules_are_named(field: str, value: Any, rule: str) -> None:
    with pytest.raises(ParamError, match=f"^{field}(\\['t'\\])? must be {rule}"):
        GaterParams(**{field: value})


def test_defaults_are_gos() -> None:
    params = GaterParams()
    assert params.global_decay == pytest.approx(0.9623506)  # 0.01 ** (1 / 120)
    assert params.source_decay == pytest.approx(0.9987216)  # 0.01 ** (1 / 3600)


@pytest.mark.parametrize(
    ("event", "accepted"),
    [
        (PeerGater.duplicate, 1 / (1 + 8 * 0.125)),
        (PeerGater.ignored, 1 / (1 + 8 * 1.0)),
        (PeerGater.rejected, 1 / (1 + 8 * 16.0)),
        (lambda gater, peer: gater.delivered(peer, "t"), 1.0),
    ],
)
def test_bad_sources_pass_with_the_chance_they_earned(
    event: Callable[[PeerGater, PeerId], None], accepted: float
) -> None:
    gater = make()
    for _ in range(8):
        event(gater, A)
    assert share(gater, A) == pytest.approx(accepted, abs=0.03)
    assert share(gater, B) == share(gater, A)  # the same address
    assert share(gater, C) == 1.0


def test_good_deliveries_make_up_for_bad_ones_by_topic() -> None:
    gater = make(topic_delivery_weights={"precious": 4.0})
    for _ in range(3):
        gater.delivered(A, "t")
    gater.delivered(A, "precious")
    gater.ignored(A)
    for _ in range(8):
        gater.ignored(A)
    assert share(gater, A) == pytest.approx((1 + 7) / (1 + 7 + 9), abs=0.03)


def test_equal_seeds_give_equal_decisions() -> None:
    gater = make()
    gater.ignored(A)
    runs = [
        [gater.accept(A, now=0.0, rng=rng) for _ in range(50)]
        for rng in (random.Random(3), random.Random(3))
    ]
    assert runs[0] == runs[1]
    assert set(runs[0]) == {True, False}


def test_everything_passes_while_validation_keeps_up() -> None:
    gater = make(overloaded=False)
    for _ in range(8):
        gater.rejected(A)
    assert not gater.active(now=0.0)
    assert share(gater, A, tries=100) == 1.0


@pytest.mark.parametrize(("validated", "active"), [(0, True), (3, True), (4, False)])
def test_the_gater_wakes_at_its_ratio(validated: int, active: bool) -> None:
    gater = make(overloaded=False)
    gater.throttled(now=0.0)
    for _ in range(validated):
        gater.validated()
    assert gater.active(now=0.0) is active  # 1/3 > 0.33 > 1/4


@pytest.mark.parametrize(("now", "active"), [(60.0, True), (60.1, False)])
def test_the_gater_rests_after_quiet(now: float, active: bool) -> None:
    assert make(quiet=60.0).active(now=now) is active


def test_overload_decays() -> None:
    gater = make(global_decay=0.5, quiet=1000.0, decay_to_zero=0.1)
    for now in range(1, 4):
        gater.refresh(now=float(now))
        assert gater.active(now=float(now))
    gater.refresh(now=4.0)
    assert not gater.active(now=4.0)


def test_what_a_source_did_decays_while_it_is_here() -> None:
    gater = make(source_decay=0.5, global_decay=0.99, decay_to_zero=0.1)
    for event in (gater.ignored, gater.duplicate, gater.rejected):
        event(A)
    gater.delivered(A, "t")
    gater.refresh(now=3.0)
    assert share(gater, A, now=3.0, tries=100) < 1.0
    gater.refresh(now=4.0)
    assert share(gater, A, now=4.0, tries=100) == 1.0


def test_a_source_is_remembered_while_it_is_away() -> None:
    gater = make(retain=10.0, source_decay=0.5)
    gater.rejected(C)
    gater.disconnected(C, now=0.0)
    gater.refresh(now=10.0)
    gater.connected(C, ["198.51.100.1"], now=10.0)
    assert share(gater, C, now=10.0) < 0.1
    gater.disconnected(C, now=10.0)
    gater.refresh(now=20.5)
    assert "198.51.100.1" not in gater._sources


def test_a_source_that_came_back_is_not_forgotten() -> None:
    gater = make(retain=10.0)
    gater.rejected(C)
    gater.disconnected(C, now=0.0)
    gater.connected(C, ["198.51.100.1"], now=5.0)
    gater.refresh(now=11.0)
    gater.disconnected(C, now=11.0)
    gater.connected(C, ["198.51.100.1"], now=12.0)
    assert share(gater, C, now=12.0) < 0.1


def test_a_source_that_was_away_too_long_is_new() -> None:
    gater = make(retain=10.0)
    gater.rejected(C)
    gater.disconnected(C, now=0.0)
    gater.connected(C, ["198.51.100.1"], now=10.5)
    assert share(gater, C, now=10.5, tries=100) == 1.0


def test_one_of_two_peers_leaving_keeps_the_source() -> None:
    gater = make(retain=0.0)
    gater.rejected(A)
    gater.disconnected(A, now=0.0)
    gater.refresh(now=1.0)
    assert share(gater, B, now=1.0) < 0.1
    assert share(gater, A, now=1.0, tries=100) == 1.0


def test_sources_without_peers_are_bounded() -> None:
    gater = PeerGater(GaterParams(source_limit=2))
    for i in range(5):
        peer = PeerId(b"p%d" % i)
        gater.connected(peer, [f"203.0.113.{i}"], now=0.0)
        gater.disconnected(peer, now=0.0)
    assert list(gater._sources) == ["203.0.113.3", "203.0.113.4"]
    assert list(gater._deserted) == list(gater._sources)


def test_a_peer_that_moves_is_counted_at_its_new_address() -> None:
    gater = make()
    gater.rejected(A)
    gater.connected(A, [FAR], now=0.0)
    gater.connected(A, ["192.0.2.1"], now=0.0)
    assert share(gater, A, tries=100) == 1.0
    gater.disconnected(B, now=0.0)
    assert gater._sources[FAR].peers == 0


def test_peers_without_an_address_share_a_source() -> None:
    gater = make()
    for peer in (A, B):
        gater.connected(peer, [], now=0.0)
    gater.rejected(A)
    assert share(gater, B) < 0.1


def test_peers_that_are_not_known_pass_and_leave_nothing() -> None:
    gater = make()
    stranger = PeerId(b"x")
    gater.delivered(stranger, "t")
    gater.duplicate(stranger)
    gater.ignored(stranger)
    gater.rejected(stranger)
    gater.disconnected(stranger, now=0.0)
    assert share(gater, stranger, tries=100) == 1.0
    assert len(gater._peers) == 3
