"""gossipsub v1.1 §Recommendations for Network Operators: a network that begins at one node."""

from __future__ import annotations

import pubsub
from pubsub.params import Params
from pubsub.router.events import Subscribe
from pubsub.router.scoring import Scoring
from pubsub.score import ScoreParams, ScoreThresholds
from tests.io.nodes import LOOPBACK, TOPIC, is_linked, know, mesh, take, until
from tests.spec.scenes import Scene, score, told
from tests.unit.router.dialogue import CROWD, A, B, C, Dialogue, signed

BOOTSTRAPPER = Params(d=0, d_low=0, d_high=0, d_out=0, peer_exchange=True)
MESHED = CROWD[:5]


def bootstrapper() -> Dialogue:
    dialogue = Dialogue(params=BOOTSTRAPPER)
    dialogue.do(Subscribe("news"))
    for peer in MESHED:
        dialogue.do(peer.connects(), peer.subscribes("news"))
    return dialogue


def test_operators_a_bootstrapper_has_no_mesh_and_sends_who_asks_to_others() -> None:
    dialogue = bootstrapper()
    assert dialogue.beats(3) == []
    [line] = dialogue.do(MESHED[0].grafts("news"))
    what, _, others = line.partition(" and try ")
    assert what == "P0: PRUNE news 60"
    assert sorted(others.split(", ")) == ["P1", "P2", "P3", "P4"]
    assert dialogue.mesh() == []


def test_operators_a_bootstrapper_takes_part_in_gossip() -> None:
    """It asks for what it hears of, answers who asks, and tells others."""
    dialogue = bootstrapper()
    dialogue >> MESHED[0].has("news", C.id_of(1)) << "P0: IWANT C1"
    dialogue >> MESHED[0].sends(C.message(1)) << "deliver news: hello"
    assert len(told(dialogue.beats(1), "IHAVE news: C1")) == 5
    dialogue >> MESHED[1].wants(C.id_of(1)) << "P1: MESSAGE C1 news: hello"


def test_operators_a_bootstrapper_scores_peers_and_names_no_bad_ones() -> None:
    dialogue = bootstrapper()
    forged = signed(B, author=bytes(C.id), seqno=bytes(8), topic="news", data=b"x")
    dialogue.do(MESHED[1].sends(forged))
    assert score(dialogue, MESHED[1]) < 0.0
    [line] = dialogue.do(MESHED[0].grafts("news"))
    assert "P1" not in line
    [line] = dialogue.do(MESHED[1].grafts("news"))
    assert line == "P1: PRUNE news 60"


def test_operators_the_application_may_admit_peers_by_its_own_rules() -> None:
    """Such as a handshake: who has not done it is not named, nor told of others."""
    scene = Scene({A: -1.0}, params=BOOTSTRAPPER)
    scene.do(Subscribe("news"))
    scene.gather(A, B, *MESHED[:2])
    assert scene.do(A.grafts("news")) == ["A: PRUNE news 60"]
    [line] = scene.do(B.grafts("news"))
    assert sorted(line.removeprefix("B: PRUNE news 60 and try ").split(", ")) == ["P0", "P1"]


async def test_operators_a_network_bootstraps_by_peer_exchange_alone() -> None:
    """Two nodes that know a bootstrapper only end up in each other's mesh."""
    hub_id = A.id
    trusting = Scoring(
        params=ScoreParams(app_specific_weight=1.0),
        thresholds=ScoreThresholds(accept_px=100.0),
        app_score=lambda peer: 200.0 if peer == hub_id else 0.0,
    )
    async with (
        pubsub.open_node(listen=[LOOPBACK], key=A.key, params=BOOTSTRAPPER) as hub,
        pubsub.open_node(listen=[LOOPBACK], scoring=trusting) as one,
        pubsub.open_node(listen=[LOOPBACK], scoring=trusting) as two,
        hub.subscribe(TOPIC),
        one.subscribe(TOPIC),
    ):
        await one.connect(hub.addresses[0])
        await know(hub, TOPIC)
        async with two.subscribe(TOPIC) as messages:
            await two.connect(hub.addresses[0])
            await until(lambda: is_linked(one, two))
            await until(lambda: mesh(one) and mesh(two))
            assert mesh(two) == [str(one.peer_id)]
            await one.publish(TOPIC, b"hello")
            assert await take(messages, 1) == [b"hello"]
