"""GRAFT and PRUNE: links made, refused and ended, and the backoffs that follow."""

from __future__ import annotations

import pytest

from pubsub.params import Params
from pubsub.router.events import PeerConnected, Subscribe, Unsubscribe
from pubsub.router.protocols import FLOODSUB, GOSSIPSUB_V10, GOSSIPSUB_V11
from tests.unit.router.dialogue import CROWD, A, B, Beat, Dialogue, Them, rpc


def in_news(*peers: Them, params: Params | None = None) -> Dialogue:
    """A router in the topic, with peers that are not in it yet."""
    dialogue = Dialogue(params=params)
    dialogue.do(Subscribe("news"), *[peer.connects() for peer in peers])
    return dialogue


def test_an_accepted_graft_is_not_answered() -> None:
    dialogue = in_news(B)
    dialogue >> B.grafts("news") << "B joined news"  # GRAFT implies SUBSCRIBE
    assert dialogue.mesh() == ["B"]
    dialogue >> B.grafts("news") << []
    assert dialogue.counters() == {"graft_received": 2}


def test_a_graft_for_a_topic_that_we_are_not_in_is_ignored() -> None:
    dialogue = in_news(B)
    dialogue >> B.grafts("sport") << []
    dialogue.do(B.subscribes("sport"))
    dialogue >> B.grafts("sport") << []
    assert dialogue.drops() == {"graft_unknown_topic": 2}


def test_a_graft_of_a_floodsub_peer_is_ignored() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(FLOODSUB), B.subscribes("news"))
    dialogue >> B.grafts("news") << []
    assert dialogue.mesh() == []
    assert dialogue.drops() == {"control_from_floodsub": 1}


def test_a_full_mesh_refuses_whoever_comes() -> None:
    dialogue = in_news(*CROWD[:13])
    for peer in CROWD[:12]:
        dialogue.do(peer.grafts("news"))
    dialogue >> CROWD[12].grafts("news") << ["P12 joined news", "P12: PRUNE news 60"]
    assert len(dialogue.mesh()) == 12
    assert dialogue.router.snapshot()["faults"][str(CROWD[12].id)] == 0


def test_a_mesh_full_of_those_that_dialled_us_makes_room_for_one_that_we_dialled() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"))
    for peer in CROWD[:12]:
        dialogue.do(PeerConnected(peer.id, GOSSIPSUB_V11, outbound=False), peer.grafts("news"))
    dialogue.do(A.connects())
    lines = dialogue.do(A.grafts("news"))
    assert lines[0] == "A joined news"
    assert [line.partition(": ")[2] for line in lines[1:]] == ["PRUNE news 60"]
    assert len(dialogue.mesh()) == 12
    assert "A" in dialogue.mesh()


def test_a_graft_that_brings_one_topic_too_many_is_refused() -> None:
    dialogue = in_news(B, params=Params(max_topics_per_peer=1))
    dialogue.do(B.subscribes("sport"))
    dialogue >> B.grafts("news") << "B: PRUNE news 60"
    assert dialogue.mesh() == []


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (None, 60),
        (0, 60),
        (5, 5),
        (60, 60),
        (600, 600),
        (3600, 3600),
        (3601, 3600),
        (2**64 - 1, 3600),
    ],
)
def test_a_prune_keeps_us_away_for_as_long_as_it_says(given: int | None, seconds: int) -> None:
    dialogue = in_news(B)
    dialogue.do(B.subscribes("news"))
    dialogue >> B.prunes("news", given) << []
    assert dialogue.mesh() == []
    pruned_at = dialogue.now
    dialogue.now += seconds - 0.1
    dialogue.router._core.next_heartbeat = dialogue.now
    dialogue >> Beat << []
    while dialogue.do(Beat) != ["B: GRAFT news"]:
        assert dialogue.now - pruned_at < seconds + 3
    # The slack of a heartbeat, and the jitter.
    assert dialogue.now - pruned_at >= seconds + 1


def test_peers_pruned_together_do_not_come_back_together() -> None:
    dialogue = in_news(*CROWD)
    dialogue.do(*[peer.subscribes("news") for peer in CROWD])
    dialogue.do(*[peer.prunes("news", 20) for peer in CROWD])
    ends = [
        backoff.graft_after for backoff in dialogue.router._core.topics["news"].backoff.values()
    ]
    assert len(set(ends)) == len(CROWD)
    assert all(21 <= end - dialogue.now <= 22 for end in ends)


def test_a_prune_for_another_topic_changes_nothing() -> None:
    dialogue = in_news(B)
    dialogue.do(B.subscribes("news"))
    dialogue >> B.prunes("sport") << []
    assert dialogue.mesh() == ["B"]
    assert dialogue.router.snapshot()["backoff"] == {}


def test_a_pruned_peer_may_not_graft_before_its_time() -> None:
    dialogue = in_news(*CROWD[:14], params=Params(scoring=False))
    dialogue.do(*[peer.grafts("news") for peer in CROWD[:13]])
    late = CROWD[12]
    assert late.name not in dialogue.mesh()
    dialogue.do(CROWD[0].disconnects())
    # At once: a flood, which counts twice; later: a mere breach.
    dialogue >> late.grafts("news") << "P12: PRUNE news 60"
    faults = dialogue.router.snapshot()["faults"][str(late.id)]
    assert faults == 2
    dialogue.passes(11)
    dialogue >> late.grafts("news") << "P12: PRUNE news 60"
    assert dialogue.router.snapshot()["faults"][str(late.id)] == 3
    dialogue.passes(60)
    dialogue >> late.grafts("news") << []
    assert late.name in dialogue.mesh()


def test_a_peer_that_put_us_out_may_not_graft_at_once_either() -> None:
    dialogue = in_news(B)
    dialogue.do(B.grafts("news"), B.prunes("news", 30))
    dialogue.passes(29)
    dialogue >> B.grafts("news") << "B: PRUNE news 60"
    assert dialogue.router.snapshot()["faults"][str(B.id)] == 1


def test_a_later_backoff_never_shortens_an_earlier_one() -> None:
    dialogue = in_news(B)
    dialogue.do(B.grafts("news"), B.prunes("news", 600), B.prunes("news", 1))
    dialogue.passes(599)
    dialogue >> B.grafts("news") << "B: PRUNE news 60"
    # Nor does it hide that we have just pruned the peer: this is a flood.
    dialogue >> B.grafts("news") << "B: PRUNE news 60"
    assert dialogue.router.snapshot()["faults"][str(B.id)] == 3


def test_peers_of_v10_are_pruned_without_a_backoff_but_kept_away_all_the_same() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(GOSSIPSUB_V10), B.subscribes("news"))
    dialogue >> Unsubscribe("news") << ["B: UNSUBSCRIBE news", "B: PRUNE news"]
    dialogue >> Subscribe("news") << "B: SUBSCRIBE news"


def test_a_backoff_is_announced_in_whole_seconds_and_never_too_short() -> None:
    dialogue = in_news(B, params=Params(unsubscribe_backoff=0.3))
    dialogue.do(B.subscribes("news"))
    dialogue >> Unsubscribe("news") << ["B: UNSUBSCRIBE news", "B: PRUNE news 1"]


def test_coming_back_after_leaving_respects_the_backoff() -> None:
    dialogue = in_news(A, B)
    dialogue.do(A.subscribes("news"), Unsubscribe("news"), B.subscribes("news"))
    dialogue >> Subscribe("news") << ["A: SUBSCRIBE news", "B: SUBSCRIBE news", "B: GRAFT news"]
    assert dialogue.beats(11) == []
    assert dialogue.beats(2) == ["A: GRAFT news"]


def test_a_peer_that_left_and_comes_back_is_not_grafted_during_its_backoff() -> None:
    dialogue = in_news(B)
    dialogue.do(B.subscribes("news"))
    dialogue >> B.says(rpc(unsubscribe=["news"], prune=[("news", 10)])) << "B left news"
    dialogue >> B.subscribes("news") << "B joined news"
    assert dialogue.beats(11) == []
    assert dialogue.beats(2) == ["B: GRAFT news"]


def test_a_graft_that_has_not_left_is_taken_back_when_a_prune_comes() -> None:
    dialogue = in_news(B)
    dialogue >> B.says(rpc(subscribe=["news"], prune=[("news", 60)])) << "B joined news"
    assert dialogue.mesh() == []


def test_the_last_word_on_a_topic_is_what_is_sent() -> None:
    dialogue = in_news(B)
    router = dialogue.router
    router.handle(B.subscribes("news"), dialogue.now)
    router.handle(Unsubscribe("news"), dialogue.now)
    assert dialogue.take(B.id) == ["UNSUBSCRIBE news", "PRUNE news 10"]


def test_a_peer_that_grafts_without_end_is_sent_away() -> None:
    dialogue = in_news(B, params=Params(scoring=False))
    dialogue.do(B.grafts("news"), B.prunes("news", 600))
    lines = dialogue.do(*[B.grafts("news")] * 60)
    assert "disconnect B: a flood of GRAFT" in lines


def test_backoffs_are_forgotten_when_they_are_over() -> None:
    dialogue = in_news(B)
    dialogue.do(B.subscribes("news"), B.prunes("news", 5), B.unsubscribes("news"))
    dialogue.do(Unsubscribe("news"))
    assert dialogue.router.snapshot()["backoff"] == {"news": [str(B.id)]}
    dialogue.beats(9)
    assert dialogue.router._core.topics == {}
