"""gossipsub v1.1 §Score Thresholds and §Flood Publishing: what a score opens and closes."""

from __future__ import annotations

import pytest

from pubsub.errors import ParamError
from pubsub.params import Params
from pubsub.router.events import SetValidation, Subscribe
from pubsub.router.protocols import FLOODSUB
from pubsub.score import ScoreThresholds
from tests.spec.scenes import SMALL, Scene, dials_us, score, told
from tests.unit.router.dialogue import CROWD, A, B, Beat, C, D, rpc

EDGE = ScoreThresholds(gossip=-10, publish=-50, graylist=-80, opportunistic_graft=20)


def reached(scene: Scene, topic: str = "news") -> list[str]:
    """Who gets a message of ours."""
    lines = scene.do(scene.publish(topic=topic))
    return sorted(told(lines, "MESSAGE"))


# 0


def test_baseline_threshold_below_it_a_peer_is_pruned_and_at_it_is_not() -> None:
    scene = Scene({A: 0.0, B: 1.0})
    scene.do(Subscribe("news"))
    scene.gather(A, B)
    scene.rates(B, -0.01)
    assert scene.beats(2) == ["B: PRUNE news 60"]
    assert scene.mesh() == ["A"]


@pytest.mark.parametrize(
    "way", ["subscribing", "their subscribing", "heartbeat", "quota", "better"]
)
def test_baseline_threshold_below_it_no_peer_is_grafted_by_any_way(way: str) -> None:
    """A is below, B is not, and each is as near to the mesh as the other."""
    scene = Scene({A: -0.01, B: 0.01}, params=Params(opportunistic_graft_ticks=2))
    if way == "subscribing":
        scene.gather(A, B)
        scene.do(Subscribe("news"))
    elif way == "their subscribing":
        scene.do(Subscribe("news"))
        scene.gather(A, B)
    elif way == "heartbeat":
        scene.do(Subscribe("news"), A.connects(), B.connects())
        scene.do(A.prunes("news", 1), B.prunes("news", 1), A.subscribes("news"))
        scene.do(B.subscribes("news"))
        assert scene.mesh() == []
    else:
        scene.do(Subscribe("news"))
        for peer in CROWD[:5]:
            scene.do(dials_us(peer) if way == "quota" else peer.connects(), peer.grafts("news"))
        for peer in (A, B):
            scene.do(peer.connects() if way == "quota" else dials_us(peer), peer.subscribes("news"))
        assert not {"A", "B"} & {*scene.mesh()}
    if "subscribing" not in way:
        scene.beats(5)
    assert "B" in scene.mesh()
    assert "A" not in scene.mesh()


def test_baseline_threshold_below_it_a_graft_is_refused() -> None:
    scene = Scene({A: -0.01, B: 0.0})
    scene.do(Subscribe("news"), A.connects(), B.connects())
    scene >> A.grafts("news") << ["A joined news", "A: PRUNE news 60"]
    scene >> B.grafts("news") << "B joined news"


# GossipThreshold


@pytest.mark.parametrize(("opinion", "heard"), [(-10.0, True), (-10.01, False)])
def test_gossip_threshold_below_it_no_gossip_is_emitted(opinion: float, heard: bool) -> None:
    scene = Scene({B: opinion}, params=SMALL, thresholds=EDGE)
    scene.do(Subscribe("news"))
    scene.gather(A, B)
    scene.do(A.sends(C.message(1)))
    assert ("B: IHAVE news: C1" in scene.do(Beat)) is heard


@pytest.mark.parametrize(("opinion", "heard"), [(-10.0, True), (-10.01, False)])
def test_gossip_threshold_below_it_gossip_is_ignored(opinion: float, heard: bool) -> None:
    """IHAVE is not followed up, IWANT is not answered."""
    scene = Scene({B: opinion}, params=SMALL, thresholds=EDGE)
    scene.do(Subscribe("news"))
    scene.gather(A, B)
    scene.do(A.sends(C.message(1)))
    scene >> B.has("news", C.id_of(2)) << ["B: IWANT C2"] * heard
    scene >> B.wants(C.id_of(1)) << ["B: MESSAGE C1 news: hello"] * heard


def test_gossip_threshold_below_it_messages_are_still_taken() -> None:
    scene = Scene({B: -79.0}, thresholds=EDGE)
    scene.do(Subscribe("news"))
    scene.gather(B)
    scene >> B.sends(C.message(1)) << "deliver news: hello"


# PublishThreshold and flood publishing


def test_publish_threshold_below_it_the_fan_out_gets_nothing() -> None:
    scene = Scene({A: -50.0, B: -50.01}, thresholds=EDGE)
    scene.gather(A, B)
    assert reached(scene) == ["A"]


def test_publish_threshold_a_member_that_falls_below_it_gets_nothing() -> None:
    """Even before the heartbeat puts it out of the mesh, or out of the fan-out."""
    scene = Scene(thresholds=EDGE)
    scene.do(Subscribe("news"), Subscribe("weather"))
    scene.gather(A, B)
    scene.do(B.subscribes("sport"), D.connects(), D.subscribes("sport"))
    assert reached(scene) == ["A", "B"]
    assert reached(scene, "sport") == ["B", "D"]
    scene.do(B.prunes("weather"), B.grafts("weather"), B.grafts("weather"))
    assert score(scene, B) == -90.0
    assert scene.mesh() == ["A", "B"]
    assert reached(scene) == ["A"]
    assert reached(scene, "sport") == ["D"]


def test_publish_threshold_below_it_a_floodsub_peer_gets_nothing_either() -> None:
    scene = Scene({A: -50.0, B: -50.01}, thresholds=EDGE)
    scene.do(A.connects(FLOODSUB), A.subscribes("news"), B.connects(FLOODSUB), B.subscribes("news"))
    assert reached(scene) == ["A"]


def test_publish_threshold_a_fan_out_peer_that_falls_below_it_is_replaced() -> None:
    scene = Scene(params=Params(d=1, d_low=1), thresholds=EDGE)
    scene.gather(A)
    assert reached(scene) == ["A"]
    scene.gather(B)
    scene.rates(A, -50.01)
    scene.beats(2)
    assert reached(scene) == ["B"]
    assert list(scene.router.snapshot()["fanout"]["news"]) == [str(B.id)]


@pytest.mark.parametrize("subscribed", [True, False])
def test_publish_threshold_and_flood_publishing_everybody_else_gets_our_messages(
    subscribed: bool,
) -> None:
    """Whether or not we subscribe ourselves."""
    scene = Scene(
        {CROWD[20]: -50.0, CROWD[21]: -50.01}, params=Params(flood_publish=True), thresholds=EDGE
    )
    if subscribed:
        scene.do(Subscribe("news"))
    scene.gather(*CROWD[:22])
    assert reached(scene) == sorted(peer.name for peer in CROWD[:21])


def test_flood_publishing_others_messages_go_to_the_mesh_only() -> None:
    scene = Scene(params=Params(flood_publish=True))
    scene.do(Subscribe("news"))
    scene.gather(*CROWD[:20])
    lines = scene.do(A.connects(), A.sends(C.message(1)))
    assert sorted(told(lines, "MESSAGE")) == sorted(scene.mesh())
    assert len(scene.mesh()) < 20


def test_flood_publishing_is_off_by_default() -> None:
    """We deviate, as go does: D copies leave us, gossip reaches the others."""
    scene = Scene()
    scene.do(Subscribe("news"))
    scene.gather(*CROWD[:20])
    assert len(reached(scene)) == 6
    told_of = {*told(scene.do(Beat), "IHAVE")}
    assert len(told_of) == 6


def test_flood_publishing_keeps_fan_out_and_gossip() -> None:
    """We deviate: the text calls them superfluous; they repair what a full queue lost."""
    scene = Scene(params=Params(flood_publish=True))
    scene.gather(*CROWD[:10])
    assert len(reached(scene)) == 10
    assert len(scene.router.snapshot()["fanout"]["news"]) == 6
    assert len(told(scene.do(Beat), "IHAVE")) == 4


# GraylistThreshold


@pytest.mark.parametrize(("opinion", "heard"), [(-80.0, True), (-80.01, False)])
def test_graylist_threshold_below_it_rpcs_are_ignored(opinion: float, heard: bool) -> None:
    scene = Scene({B: opinion}, thresholds=EDGE)
    scene.do(Subscribe("news"), SetValidation("news", validated=True), B.connects())
    everything = rpc(publish=[C.message(1)], iwant=[b"x"], ihave=[("news", [b"y"])], graft=["news"])
    lines = scene.do(B.says(everything))
    assert ("validate news: hello" in lines) is heard
    assert ("B: PRUNE news 60" in lines) is heard
    assert (lines == []) is not heard


def test_graylist_threshold_below_it_subscriptions_are_still_heard() -> None:
    """We deviate, as go does: the topics that a peer left would stay with us for ever."""
    scene = Scene({B: -100.0}, thresholds=EDGE)
    scene.do(B.connects())
    scene >> B.subscribes("news") << "B joined news"
    scene >> B.unsubscribes("news") << "B left news"


# What thresholds may be


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"gossip": 0.0}, "gossip must be below 0"),
        ({"publish": 0.0}, "publish must be below 0"),
        ({"publish": -9.9}, "publish must be at most gossip"),
        ({"graylist": 0.0}, "graylist must be below 0"),
        ({"graylist": -50.0}, "graylist must be below publish"),
        ({"accept_px": -0.1}, "accept_px must be at least 0"),
        ({"opportunistic_graft": -0.1}, "opportunistic_graft must be at least 0"),
    ],
)
def test_score_thresholds_constraints(changes: dict[str, float], rule: str) -> None:
    with pytest.raises(ParamError, match=rule):
        ScoreThresholds(**changes)


def test_score_thresholds_the_defaults_are_such_and_the_limits_themselves_are_allowed() -> None:
    default = ScoreThresholds()
    assert 0 > default.gossip >= default.publish > default.graylist
    assert min(default.accept_px, default.opportunistic_graft) > 0
    edge = ScoreThresholds(
        gossip=-1, publish=-1, graylist=-1.01, accept_px=0, opportunistic_graft=0
    )
    assert edge.publish == edge.gossip
