"""gossipsub v1.0: what the heartbeat does.

docs/protocol.md names the rule that each test holds us to.
"""

from __future__ import annotations

import itertools

import pytest

from pubsub.params import Params
from pubsub.router.events import Subscribe, TimerFired, Unsubscribe
from pubsub.router.protocols import FLOODSUB
from tests.spec.scenes import SMALL, fanout, knowing, told
from tests.unit.router.dialogue import CROWD, A, B, Beat, C, D, Dialogue, Them


def test_heartbeat_runs_at_regular_intervals() -> None:
    dialogue = Dialogue(params=Params(heartbeat_interval=0.7))
    deadlines = []
    for _ in range(4):
        deadlines.append(dialogue.router.next_deadline)
        dialogue.do(Beat)
    steps = [later - earlier for earlier, later in itertools.pairwise(deadlines)]
    assert steps == pytest.approx([0.7] * 3)
    # A timer that is early is no heartbeat.
    before = dialogue.counters()["heartbeats"]
    dialogue.do(TimerFired())
    assert dialogue.counters()["heartbeats"] == before == 4


# Mesh Maintenance


def in_mesh(*peers: Them, params: Params | None = None, seed: int = 0) -> Dialogue:
    dialogue = Dialogue(params=params, seed=seed)
    dialogue.do(Subscribe("news"))
    for peer in peers:
        dialogue.do(peer.connects(), peer.grafts("news"))
    return dialogue


def test_mesh_maintenance_below_d_low_grafts_up_to_d() -> None:
    dialogue = in_mesh(*CROWD[:4])
    for peer in CROWD[4:12]:
        dialogue.do(peer.connects(), peer.subscribes("news"))
    dialogue.do(A.connects(FLOODSUB), A.subscribes("news"), CROWD[0].unsubscribes("news"))
    members = dialogue.mesh()
    assert len(members) == 3
    lines = dialogue.do(Beat)
    grafted = told(lines, "GRAFT")
    assert dialogue.mesh() == members + grafted
    assert len(dialogue.mesh()) == 6
    assert set(grafted) <= {peer.name for peer in CROWD[4:12]}
    assert len(lines) == 3


@pytest.mark.parametrize("size", [4, 11])
def test_mesh_maintenance_within_the_bounds_changes_nothing(size: int) -> None:
    dialogue = in_mesh(*CROWD[:size])
    for peer in CROWD[size:]:
        dialogue.do(peer.connects(), peer.subscribes("news"))
    dialogue >> Beat << []
    assert len(dialogue.mesh()) == size


def test_mesh_maintenance_at_d_high_prunes_down_to_d() -> None:
    dialogue = in_mesh(*CROWD[:12])
    before = dialogue.mesh()
    lines = dialogue.do(Beat)
    assert len(dialogue.mesh()) == 6
    assert set(told(lines, "PRUNE")) == set(before) - set(dialogue.mesh())
    assert len(lines) == 6


def test_mesh_maintenance_prunes_at_random() -> None:
    kept = set()
    for seed in range(6):
        dialogue = in_mesh(*CROWD[:12], seed=seed)
        dialogue.do(Beat)
        kept.add(frozenset(dialogue.mesh()))
    assert len(kept) == 6


def test_mesh_maintenance_d_high_is_a_hard_bound() -> None:
    dialogue = in_mesh(*CROWD[:12])
    dialogue.do(A.connects())
    dialogue >> A.grafts("news") << ["A joined news", "A: PRUNE news 60"]
    assert len(dialogue.mesh()) == 12


def test_mesh_maintenance_a_short_mesh_grafts_without_a_heartbeat() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"))
    lines = []
    for peer in CROWD[:6]:
        lines += dialogue.do(peer.connects(), peer.subscribes("news"))
    assert told(lines, "GRAFT") == ["P0", "P1", "P2", "P3"]


# Fanout Maintenance


def test_fanout_maintenance_expires_two_minutes_after_the_last_publish() -> None:
    dialogue = knowing(A, subscribed=False)
    dialogue.do(dialogue.publish())
    dialogue.beats(100)
    dialogue.do(dialogue.publish())
    last = dialogue.now
    while fanout(dialogue):
        dialogue.do(Beat)
    assert 120 < dialogue.now - last <= 121


def test_fanout_maintenance_expires_after_the_ttl_that_is_set() -> None:
    dialogue = knowing(A, subscribed=False, params=Params(fanout_ttl=60))
    dialogue.do(dialogue.publish())
    dialogue.beats(60)
    assert fanout(dialogue) == [str(A.id)]
    dialogue.beats(1)
    assert fanout(dialogue) == []


def test_fanout_maintenance_is_refilled_up_to_d() -> None:
    dialogue = knowing(*CROWD[:8], subscribed=False)
    dialogue.do(dialogue.publish(), A.connects(FLOODSUB), A.subscribes("news"))
    chosen = fanout(dialogue)
    gone = [peer for peer in CROWD[:8] if str(peer.id) in chosen][:2]
    dialogue.do(*[peer.unsubscribes("news") for peer in gone])
    assert len(fanout(dialogue)) == 4
    dialogue.do(Beat)
    refilled = fanout(dialogue)
    assert len(refilled) == 6
    assert {str(peer.id) for peer in gone}.isdisjoint(refilled)
    assert str(A.id) not in refilled


# Gossip Emission


def test_gossip_emission_tells_d_lazy_random_peers_outside_the_mesh() -> None:
    chosen = set()
    for seed in range(5):
        dialogue = Dialogue(params=SMALL.replaced(d_lazy=6), seed=seed)
        dialogue.do(Subscribe("news"))
        for peer in CROWD[:16]:
            dialogue.do(peer.connects(), peer.subscribes("news"))
        dialogue.do(A.connects(FLOODSUB), A.subscribes("news"), B.connects(), B.subscribes("x"))
        dialogue.do(CROWD[1].sends(C.message(1)))
        lines = dialogue.do(Beat)
        assert {line.split(": ", 1)[1] for line in lines} == {"IHAVE news: C1"}
        peers = told(lines, "IHAVE")
        assert len(set(peers)) == 6
        assert set(peers) <= {peer.name for peer in CROWD[:16]} - set(dialogue.mesh())
        chosen.add(frozenset(peers))
    assert len(chosen) == 5


def test_gossip_emission_says_nothing_when_there_is_nothing_to_tell() -> None:
    dialogue = knowing(*CROWD[:10])
    dialogue.do(A.connects(), A.subscribes("sport"))
    dialogue.do(dialogue.publish(topic="sport"))
    assert told(dialogue.beats(3), "IHAVE") == []


def test_gossip_emission_covers_the_topics_of_fanout() -> None:
    dialogue = knowing(A, B, subscribed=False, params=SMALL)
    receiver = told(dialogue.do(dialogue.publish()), "MESSAGE")
    assert told(dialogue.do(Beat), "IHAVE") == [name for name in "AB" if [name] != receiver]


def test_gossip_emission_goes_on_for_messages_that_outlive_mesh_and_fanout() -> None:
    dialogue = knowing(A)
    dialogue.do(A.sends(C.message(1)), Unsubscribe("news"))
    dialogue >> Beat << "A: IHAVE news: C1"
    late = Dialogue()
    late >> late.publish() << "published to nobody"
    late.do(D.connects(), D.subscribes("news"))
    late >> Beat << "D: IHAVE news: us1"


def test_gossip_emission_then_shifts_the_message_cache() -> None:
    """A message of just before the heartbeat is told of in that one and the two after it."""
    dialogue = knowing(A, B, params=SMALL)
    dialogue.do(A.sends(C.message(1)))
    assert [told(dialogue.do(Beat), "IHAVE") for _ in range(4)] == [["B"]] * 3 + [[]]
