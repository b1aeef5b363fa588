"""gossipsub v1.1 §Adaptive Gossip Dissemination: how many hear of a message, and who."""

from __future__ import annotations

import pytest

from pubsub.errors import ParamError
from pubsub.params import Params
from pubsub.router.events import Subscribe
from tests.spec.scenes import SMALL, Scene, told
from tests.unit.router.dialogue import CROWD, Beat, them

MANY = [them(f"M{number}") for number in range(81)]


def audience(params: Params, peers: int, *, beats: int = 1, seed: int = 0) -> list[list[str]]:
    """Who hears IHAVE of one message in each heartbeat; so many peers are outside the mesh."""
    scene = Scene(params=params, seed=seed)
    scene.do(Subscribe("news"))
    scene.gather(*MANY[: peers + 1])
    assert len(scene.mesh()) == 1
    scene.do(scene.publish())
    return [told(scene.do(Beat), "IHAVE") for _ in range(beats)]


@pytest.mark.parametrize(
    ("peers", "factor", "heard"),
    [
        (4, 0.25, 4),
        (6, 0.25, 6),
        (24, 0.25, 6),
        (28, 0.25, 7),
        (80, 0.25, 20),
        (80, 0.5, 40),
        (80, 1.0, 80),
        (80, 0.0, 6),
    ],
)
def test_adaptive_gossip_goes_to_a_share_of_the_peers_and_to_d_lazy_at_least(
    peers: int, factor: float, heard: int
) -> None:
    [names] = audience(SMALL.replaced(gossip_factor=factor), peers)
    assert len(names) == len({*names}) == heard


def test_adaptive_gossip_share_is_of_the_peers_above_the_gossip_threshold() -> None:
    """48 outside, 20 of them below: a quarter of 28."""
    poor = MANY[29:49]
    scene = Scene(dict.fromkeys(poor, -10.01), params=SMALL)
    scene.do(Subscribe("news"))
    scene.gather(*MANY[:49])
    scene.do(scene.publish())
    names = told(scene.do(Beat), "IHAVE")
    assert len(names) == 7
    assert not {*names} & {peer.name for peer in poor}


def test_adaptive_gossip_never_goes_to_the_mesh() -> None:
    scene = Scene()
    scene.do(Subscribe("news"))
    scene.gather(*CROWD[:8])
    scene.do(scene.publish())
    names = {*told(scene.do(Beat), "IHAVE")}
    assert names == {peer.name for peer in CROWD[:8]} - {*scene.mesh()}
    assert names


def test_adaptive_gossip_chooses_by_chance_each_time() -> None:
    beats = audience(SMALL, 80, beats=3)
    assert len({tuple(sorted(names)) for names in beats}) == 3
    assert audience(SMALL, 80, beats=3, seed=1) != beats
    assert audience(SMALL, 80, beats=3) == beats


def test_adaptive_gossip_three_rounds_reach_more_than_half() -> None:
    """Default factor and history: each peer hears of a message with probability 0.58."""
    assert (Params().gossip_factor, Params().history_gossip) == (0.25, 3)
    shares = []
    for seed in range(20):
        rounds = audience(SMALL, 80, beats=4, seed=seed)
        assert rounds[3] == []
        shares.append(len({name for names in rounds for name in names}) / 80)
    assert sum(shares) / len(shares) == pytest.approx(1 - 0.75**3, abs=0.03)
    assert min(shares) >= 0.5


@pytest.mark.parametrize("factor", [-0.01, 1.01])
def test_adaptive_gossip_factor_is_between_0_and_1(factor: float) -> None:
    with pytest.raises(ParamError, match="gossip_factor"):
        Params(gossip_factor=factor)
