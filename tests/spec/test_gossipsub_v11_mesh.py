"""gossipsub v1.1 §Outbound Mesh Quotas, §Heartbeat Maintenance, §Opportunistic Grafting."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pubsub.params import Params
from pubsub.router.events import Subscribe
from pubsub.score import ScoreThresholds
from tests.spec.scenes import Scene, crowd, dials_us, told
from tests.unit.router.dialogue import CROWD, A, B, Beat, C, D, Them

DIALLED, INBOUND = CROWD[:4], CROWD[4:16]


def full_mesh(scene: Scene, members: Sequence[Them], dialled: Sequence[Them] = ()) -> None:
    """These peers graft us, and we took them all."""
    scene.do(Subscribe("news"))
    for peer in members:
        scene.do(peer.connects() if peer in dialled else dials_us(peer), peer.grafts("news"))
    assert scene.mesh() == [peer.name for peer in members]


# Outbound Mesh Quotas


@pytest.mark.parametrize(
    ("params", "quota"),
    [
        (Params(), 2),
        (Params(d_out=3), 3),
        (Params(d_out=9), 3),  # below D_low, which is 4
        (Params(d_out=9, d_low=6), 3),  # D / 2
        (Params(d_out=9, d_low=1), 0),
    ],
)
def test_outbound_quotas_d_out_is_below_d_low_and_at_most_half_of_d(
    params: Params, quota: int
) -> None:
    """A larger D_out is not refused: it counts as what the bounds allow."""
    assert params.outbound_quota == quota
    scene = Scene(params=params.replaced(d_high=12))
    full_mesh(scene, INBOUND[:7])
    scene.do(*[peer.connects() for peer in DIALLED])
    scene.do(*[peer.subscribes("news") for peer in DIALLED])
    assert len(told(scene.do(Beat), "GRAFT")) == quota


@pytest.mark.parametrize("seed", range(10))
def test_outbound_quotas_a_mesh_that_is_pruned_keeps_d_out_that_we_dialled(seed: int) -> None:
    """Even if they score worse than all others."""
    dialled = DIALLED[:2]
    scene = Scene(dict.fromkeys(INBOUND, 5.0), seed=seed)
    full_mesh(scene, [*INBOUND[:10], *dialled], dialled)
    pruned = told(scene.do(Beat), "PRUNE news 60")
    assert len(pruned) == 6
    assert not {peer.name for peer in dialled} & {*pruned}


def test_outbound_quotas_a_full_mesh_refuses_a_graft() -> None:
    """At D_high; of an inbound peer, as the text says."""
    scene = Scene()
    full_mesh(scene, INBOUND)
    scene.do(dials_us(A))
    scene >> A.grafts("news") << ["A joined news", "A: PRUNE news 60"]


def test_outbound_quotas_in_a_full_mesh_a_dialled_peer_takes_the_place_of_another() -> None:
    """We deviate: up to the quota, and another leaves, because D_high is a bound for everybody."""
    scene = Scene()
    full_mesh(scene, INBOUND)
    for peer in (A, B):
        scene.do(peer.connects())
        lines = scene.do(peer.grafts("news"))
        assert lines[0] == f"{peer.name} joined news"
        assert sum("PRUNE news 60" in line for line in lines[1:]) == len(lines) - 1 == 1
        assert peer.name in scene.mesh()
        assert len(scene.mesh()) == 12
    scene.do(C.connects())
    scene >> C.grafts("news") << ["C joined news", "C: PRUNE news 60"]


def test_outbound_quotas_a_mesh_that_is_not_full_takes_inbound_peers() -> None:
    scene = Scene()
    full_mesh(scene, INBOUND[:11])
    scene.do(dials_us(A))
    scene >> A.grafts("news") << "A joined news"
    assert "A" in scene.mesh()


def test_outbound_quotas_the_heartbeat_grafts_as_many_dialled_peers_as_are_missing() -> None:
    scene = Scene()
    full_mesh(scene, INBOUND[:5])
    inbound, dialled = INBOUND[5:10], DIALLED
    scene.do(*[event for peer in inbound for event in (dials_us(peer), peer.subscribes("news"))])
    scene.gather(*dialled)
    grafted = told(scene.do(Beat), "GRAFT")
    assert len(grafted) == 2
    assert {*grafted} <= {peer.name for peer in dialled}
    assert told(scene.do(Beat), "GRAFT") == []


# Heartbeat Maintenance


def test_heartbeat_maintenance_negative_scores_are_pruned_from_all_meshes() -> None:
    scene = Scene()
    scene.do(Subscribe("news"), Subscribe("sport"), A.connects(), B.connects())
    scene.do(A.grafts("news", "sport"), B.grafts("news", "sport"))
    scene.rates(A, -0.1)
    lines = scene.beats(2)
    assert lines == ["A: PRUNE news 60", "A: PRUNE sport 60"]
    assert scene.mesh("news") == scene.mesh("sport") == ["B"]


@pytest.mark.parametrize("seed", range(10))
def test_heartbeat_maintenance_oversubscription_keeps_the_best_d_score(seed: int) -> None:
    best = INBOUND[::3]
    scene = Scene({peer: 1.0 + n for n, peer in enumerate(best)}, seed=seed)
    full_mesh(scene, INBOUND)
    assert len(told(scene.do(Beat), "PRUNE news 60")) == 6
    assert {peer.name for peer in best} <= {*scene.mesh()}
    assert len(scene.mesh()) == 6


def test_heartbeat_maintenance_oversubscription_keeps_others_by_chance() -> None:
    """D - D_score of them, whatever they score; each of them at one time or another."""
    scores = {peer: float(20 - n) for n, peer in enumerate(INBOUND)}
    kept: set[str] = set()
    for seed in range(40):
        scene = Scene(scores, seed=seed)
        full_mesh(scene, INBOUND)
        scene.do(Beat)
        kept |= {*scene.mesh()} - {peer.name for peer in INBOUND[:4]}
    assert kept == {peer.name for peer in INBOUND[4:]}


@pytest.mark.parametrize("seed", range(10))
def test_heartbeat_maintenance_dialled_peers_replace_random_and_lower_scoring_ones(
    seed: int,
) -> None:
    """The best D_score stay; two of the four dialled ones take the other places."""
    best = INBOUND[:4]
    scene = Scene({**dict.fromkeys(best, 9.0), **dict.fromkeys(INBOUND[4:], 1.0)}, seed=seed)
    full_mesh(scene, [*INBOUND[:8], *DIALLED], DIALLED)
    scene.do(Beat)
    members = crowd(scene.mesh())
    assert [peer for peer in members if peer in best] == best
    assert len([peer for peer in members if peer in DIALLED]) == 2


def test_heartbeat_maintenance_a_full_mesh_is_pruned_to_d() -> None:
    """At D_high, where no GRAFT is taken any more: so newcomers find room."""
    scene = Scene()
    full_mesh(scene, INBOUND)
    scene.do(Beat)
    scene.do(dials_us(A))
    scene >> A.grafts("news") << "A joined news"


def test_heartbeat_maintenance_undersubscription_ignores_negative_scores() -> None:
    scene = Scene({A: -1.0, B: -0.001, C: 0.0})
    scene.do(Subscribe("news"))
    scene.gather(A, B, C)
    scene.beats(3)
    assert scene.mesh() == ["C"]
    scene.gather(D)
    scene.do(C.disconnects())
    scene.beats(3)
    assert scene.mesh() == ["D"]


# Opportunistic Grafting


MEMBERS = dict(zip(CROWD[:5], (1.0, 2.0, 3.0, 4.0, 5.0), strict=True))
"Their median is 3."


def around(others: dict[Them, float], params: Params | None = None, *, least: float) -> Scene:
    """The five members, and peers outside; a median below `least` is too low."""
    thresholds = ScoreThresholds(opportunistic_graft=least)
    scene = Scene({**MEMBERS, **others}, params=params, thresholds=thresholds)
    full_mesh(scene, [*MEMBERS], [*MEMBERS])
    for peer in others:
        scene.do(dials_us(peer), peer.subscribes("news"))
    return scene


def test_opportunistic_grafting_takes_in_two_peers_above_the_median_each_minute() -> None:
    better = dict.fromkeys(CROWD[10:15], 3.1)
    scene = around({**better, **dict.fromkeys(CROWD[15:], 3.0)}, least=3.01)
    assert told(scene.beats(59), "GRAFT") == []
    grafted = told(scene.do(Beat), "GRAFT")
    assert len(grafted) == 2
    assert {*grafted} <= {peer.name for peer in better}
    assert scene.now - 1000.0 == pytest.approx(60.0, abs=1.0)
    # Seven members, of whom the fourth scores 3.1.
    assert told(scene.beats(60), "GRAFT") == []


def test_opportunistic_grafting_is_not_needed_at_the_threshold() -> None:
    scene = around(dict.fromkeys(CROWD[10:], 9.0), least=3.0)
    assert told(scene.beats(60), "GRAFT") == []


def test_opportunistic_grafting_takes_nobody_who_is_no_better_than_the_median() -> None:
    scene = around(dict.fromkeys(CROWD[10:], 3.0), least=20.0)
    assert told(scene.beats(60), "GRAFT") == []


def test_opportunistic_grafting_period_and_number_are_the_applications_choice() -> None:
    params = Params(opportunistic_graft_ticks=5, opportunistic_graft_peers=4)
    scene = around(dict.fromkeys(CROWD[10:], 9.0), params, least=20.0)
    assert [len(told(scene.do(Beat), "GRAFT")) for _ in range(5)] == [0, 0, 0, 0, 4]


def test_opportunistic_grafting_stops_at_d_high() -> None:
    """We deviate: the bound holds here too; the text sets none."""
    params = Params(opportunistic_graft_ticks=5, opportunistic_graft_peers=4, d_high=7)
    scene = around(dict.fromkeys(CROWD[10:], 9.0), params, least=20.0)
    assert len(told(scene.beats(5), "GRAFT")) == 2
