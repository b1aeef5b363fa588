"""The heartbeat's rules for one mesh, as tables: degree, score, quota, opportunity."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from pubsub.identity import PeerId
from pubsub.mesh.balance import degree, make_room, misbehaved, opportunity, quota
from pubsub.mesh.rules import Changes, Refusal, join, refusal, welcome
from pubsub.mesh.selection import gossip_targets
from pubsub.mesh.standing import EQUAL
from pubsub.mesh.topic import Backoff, TopicState
from pubsub.params import Params

PEERS = [PeerId(b"%d" % number) for number in range(20)]
PARAMS = Params()
FULL = Refusal.MESH_FULL


class Judge:
    """Scores and directions as a test wants them; 0 and inbound by default."""

    def __init__(self, scores: Mapping[int, float] | None = None, dialled: tuple[int, ...] = ()):
        self.scores = {PEERS[number]: value for number, value in (scores or {}).items()}
        self.dialled = {PEERS[number] for number in dialled}

    def score(self, peer: PeerId) -> float:
        return self.scores.get(peer, 0.0)

    def outbound(self, peer: PeerId) -> bool:
        return peer in self.dialled


def rng() -> random.Random:
    return random.Random(5)


def topic(peers: int = 0, mesh: int = 0) -> TopicState:
    state = TopicState("news", subscribed=True, peers=dict.fromkeys(PEERS[:peers], True))
    state.mesh = dict.fromkeys(PEERS[:mesh], 0.0)
    return state


def numbers(peers: tuple[PeerId, ...]) -> list[int]:
    return sorted(PEERS.index(peer) for peer in peers)


@pytest.mark.parametrize(
    ("peers", "mesh", "grafts", "prunes"),
    [
        (0, 0, 0, 0),
        (20, 0, 6, 0),
        (20, 3, 3, 0),
        (4, 3, 1, 0),
        (20, 4, 0, 0),
        (20, 11, 0, 0),
        (20, 12, 0, 6),
        (20, 13, 0, 7),
        (20, 20, 0, 14),
    ],
)
def test_the_degree_is_kept_within_its_bounds(
    peers: int, mesh: int, grafts: int, prunes: int
) -> None:
    state = topic(peers, mesh)
    changes = degree(state, PARAMS, rng(), now=0.0)
    assert len(set(changes.graft)) == grafts
    assert len(set(changes.prune)) == prunes
    assert set(changes.graft).isdisjoint(state.mesh)
    assert set(changes.prune) <= set(state.mesh)


def test_a_short_mesh_waits_for_backoffs() -> None:
    state = topic(4)
    state.backoff = {peer: Backoff(10, 11) for peer in PEERS[:3]}
    assert degree(state, PARAMS, rng(), now=10.5).graft == (PEERS[3],)
    assert len(degree(state, PARAMS, rng(), now=11.0).graft) == 4


def test_members_with_a_negative_score_leave() -> None:
    changes = misbehaved(topic(5, 5), Judge({1: -0.1, 3: -5, 4: 2}))
    assert changes == Changes(prune=(PEERS[1], PEERS[3]))


def test_nobody_with_a_negative_score_is_grafted() -> None:
    judge = Judge(dict.fromkeys(range(3, 20), -1.0))
    state = topic(20, 2)
    assert degree(state, PARAMS, rng(), now=0.0, standing=judge).graft == (PEERS[2],)
    assert join(state, PARAMS, rng(), now=0.0, standing=judge).graft == (PEERS[2],)
    assert welcome(state, PEERS[3], PARAMS, now=0.0, standing=judge) == Changes()
    why = refusal(state, PEERS[3], PARAMS, now=0.0, standing=judge)
    assert why is Refusal.LOW_SCORE
    assert refusal(state, PEERS[2], PARAMS, now=0.0, standing=judge) is None


def test_gossip_passes_over_those_below_the_threshold() -> None:
    judge = Judge({3: -10.1, 4: -10.0})
    chosen = gossip_targets(
        topic(6, 2), d_lazy=6, factor=0.25, rng=rng(), least=-10.0, standing=judge
    )
    assert numbers(tuple(chosen)) == [2, 4, 5]


@pytest.mark.parametrize("seed", range(5))
def test_a_mesh_that_is_too_large_keeps_its_best_and_its_quota(seed: int) -> None:
    judge = Judge({0: 9, 5: 8, 10: 7, 15: 6, 1: 5}, dialled=(18, 19))
    pruned = degree(topic(20, 20), PARAMS, random.Random(seed), now=0.0, standing=judge).prune
    kept = set(range(20)) - set(numbers(pruned))
    assert len(kept) == 6
    assert kept >= {0, 5, 10, 15, 18, 19}


@pytest.mark.parametrize(
    ("mesh", "dialled", "grafted"),
    [
        (6, (), []),  # there are none to be had
        (6, (7, 8, 9), [7, 8, 9]),  # two of these
        (6, (0, 7, 8), [7, 8]),  # one of these
        (6, (0, 1, 7), []),
        (3, (7, 8), []),  # a short mesh is filled by another rule
        (12, (17, 18), []),  # there is no room
        (11, (17, 18), [17, 18]),  # one of these
    ],
)
def test_the_quota_of_peers_that_we_dialled(
    mesh: int, dialled: tuple[int, ...], grafted: list[int]
) -> None:
    judge = Judge(dialled=dialled)
    changes = quota(topic(20, mesh), PARAMS, rng(), now=0.0, standing=judge)
    have = sum(number < mesh for number in dialled)
    expected = min(max(0, 2 - have), len(grafted), 12 - mesh)
    assert len(changes.graft) == expected
    assert set(numbers(changes.graft)) <= set(grafted)
    assert changes.prune == ()


@pytest.mark.parametrize(("dialled", "why"), [((12,), None), ((0, 12), None), ((0, 1, 12), FULL)])
def test_a_full_mesh_lets_in_those_that_the_quota_lacks(
    dialled: tuple[int, ...], why: Refusal | None
) -> None:
    judge = Judge(dialled=dialled)
    state = topic(20, 12)
    assert refusal(state, PEERS[12], PARAMS, now=0.0, standing=judge) is why
    assert refusal(state, PEERS[13], PARAMS, now=0.0, standing=judge) is FULL


def test_room_is_made_by_the_worst_of_those_that_dialled_us() -> None:
    judge = Judge({0: -2.0, 1: -1.0}, dialled=(0,))
    assert make_room(topic(20, 11), PARAMS, rng(), judge) == Changes()
    assert make_room(topic(20, 12), PARAMS, rng(), judge) == Changes(prune=(PEERS[1],))


def test_the_quota_waits_for_backoffs() -> None:
    state = topic(8, 6)
    state.backoff = {PEERS[7]: Backoff(10, 11)}
    judge = Judge(dialled=(7,))
    assert quota(state, PARAMS, rng(), now=5.0, standing=judge) == Changes()
    assert quota(state, PARAMS, rng(), now=11.0, standing=judge).graft == (PEERS[7],)


@pytest.mark.parametrize(
    ("scores", "grafted"),
    [
        ({0: 1, 1: 2, 2: 3, 7: 9, 8: 9, 9: 9}, 2),  # a poor mesh, better ones outside
        ({0: 1, 1: 2, 2: 3, 7: 9}, 1),
        ({0: 1, 1: 2, 2: 3, 7: 2}, 0),  # no better than the median
        ({0: 1, 1: 30, 2: 30, 7: 99}, 0),  # the median is good enough
    ],
)
def test_opportunistic_grafts(scores: dict[int, float], grafted: int) -> None:
    judge = Judge(scores)
    changes = opportunity(topic(10, 3), PARAMS, rng(), now=0.0, threshold=20.0, standing=judge)
    assert len(changes.graft) == grafted
    assert all(judge.score(peer) > 2 for peer in changes.graft)


def test_a_mesh_of_one_has_no_median() -> None:
    assert opportunity(topic(9, 1), PARAMS, rng(), now=0.0, threshold=20.0) == Changes()


def test_where_scoring_is_off_everybody_is_equal() -> None:
    assert (EQUAL.score(PEERS[0]), EQUAL.outbound(PEERS[0])) == (0.0, False)
