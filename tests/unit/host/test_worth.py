import math
import random

import pytest

from pubsub.errors import ParamError
from pubsub.host.worth import Standing, Worth, to_trim
from pubsub.identity import PeerId

ALICE, BOB = PeerId(b"\x00\x05alice"), PeerId(b"\x00\x03bob")


def standing(
    name: str,
    value: float = 0,
    *,
    connections: int = 1,
    since: float = 0,
    outbound: bool = False,
    protected: bool = False,
) -> Standing:
    return Standing(PeerId(name.encode()), connections, since, outbound, value, protected)


def trimmed(standings: list[Standing], low: int, high: int, now: float = 100) -> str:
    peers = to_trim(standings, low=low, high=high, grace=20, now=now)
    return "".join(bytes(peer).decode() for peer in peers)


def test_a_value_is_the_sum_of_its_tags() -> None:
    worth = Worth()
    worth.tag(ALICE, "mesh", 20)
    worth.tag(ALICE, "friend", 5)
    worth.tag(ALICE, "mesh", 10)
    assert worth.value(ALICE) == 15
    worth.tag(ALICE, "mesh", 0)
    worth.tag(ALICE, "unknown", 0)
    assert worth.value(ALICE) == 5
    assert worth.value(BOB) == 0
    worth.left(ALICE)
    assert worth.value(ALICE) == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_are_finite(value: float) -> None:
    with pytest.raises(ParamError, match="must be a finite number"):
        Worth().tag(ALICE, "mesh", value)


def test_a_protection_ends_with_the_last_tag_and_outlives_the_connection() -> None:
    worth = Worth()
    worth.protect(ALICE, "direct")
    worth.protect(ALICE, "mesh")
    worth.left(ALICE)
    assert worth.unprotect(ALICE, "mesh")
    assert worth.is_protected(ALICE)
    assert not worth.unprotect(ALICE, "direct")
    assert not worth.is_protected(ALICE)
    assert not worth.unprotect(BOB, "direct")


def test_up_to_the_high_watermark_nobody_goes() -> None:
    assert trimmed([standing("a"), standing("b", connections=2)], low=1, high=3) == ""


def test_the_lowest_values_go_down_to_the_low_watermark() -> None:
    peers = [standing("a", 3), standing("b", -1), standing("c", 2), standing("d", 1)]
    assert trimmed(peers, low=2, high=3) == "bd"
    assert trimmed(peers, low=1, high=3) == "bdc"


def test_all_connections_of_a_peer_count_and_go_together() -> None:
    peers = [standing("a"), standing("b", 1, connections=3), standing("c", 2)]
    assert trimmed(peers, low=2, high=4) == "ab"


def test_of_equals_inbound_ones_go_first_and_then_the_newest() -> None:
    peers = [
        standing("a", since=1, outbound=True),
        standing("b", since=2),
        standing("c", since=3, outbound=True),
        standing("d", since=4),
    ]
    assert trimmed(peers, low=0, high=3) == "dbca"


def test_new_peers_are_spared() -> None:
    peers = [standing("a", since=81), standing("b", 5, since=80), standing("c", since=99)]
    assert trimmed(peers, low=1, high=2) == "b"
    assert trimmed(peers, low=1, high=2, now=101) == "ab"


def test_protected_peers_go_last_and_only_down_to_the_high_watermark() -> None:
    peers = [standing(name, protected=name in "abc") for name in "abcde"]
    assert trimmed(peers, low=1, high=4) == "de"
    assert trimmed(peers, low=1, high=2) == "dea"


def test_the_choice_depends_on_nothing_but_the_standings() -> None:
    rng = random.Random(1)
    peers = [
        standing(chr(97 + n), rng.randrange(3), since=n, outbound=rng.random() < 0.5)
        for n in range(26)
    ]
    chosen = trimmed(peers, low=10, high=20)
    for _ in range(20):
        rng.shuffle(peers)
        assert trimmed(peers, low=10, high=20) == chosen
