"""The rules of the mesh, as tables: what is decided, given a topic and the time."""

from __future__ import annotations

import random

import pytest

from pubsub.identity import PeerId
from pubsub.mesh.rules import (
    Changes,
    Refusal,
    backoff_for,
    fanout_expired,
    join,
    one_sided,
    refill_fanout,
    refusal,
    welcome,
)
from pubsub.mesh.topic import Backoff, TopicState
from pubsub.params import Params

PEERS = [PeerId(b"%d" % number) for number in range(20)]
A, B, C = PEERS[:3]
PARAMS = Params()
LONG_AGO = -1e18


def rng() -> random.Random:
    return random.Random(5)


def topic(peers: int = 0, mesh: int = 0) -> TopicState:
    state = TopicState("news", subscribed=True, peers=dict.fromkeys(PEERS[:peers], True))
    state.mesh = dict.fromkeys(PEERS[:mesh], 0.0)
    return state


@pytest.mark.parametrize(
    ("state", "backoff", "why"),
    [
        (topic(1), None, None),
        (topic(), None, None),  # GRAFT before SUBSCRIBE
        (topic(12, 11), None, None),
        (topic(12, 12), None, Refusal.MESH_FULL),
        (topic(14, 14), None, Refusal.MESH_FULL),
        (topic(1), Backoff(100, 101), None),
        (topic(1), Backoff(100.1, 101), Refusal.BACKOFF),
        (topic(1), Backoff(100.1, 101, pruned_at=91), Refusal.FLOOD),
        (topic(1), Backoff(100.1, 101, pruned_at=90), Refusal.BACKOFF),
        (topic(12, 12), Backoff(100.1, 101), Refusal.BACKOFF),
    ],
)
def test_who_is_refused(state: TopicState, backoff: Backoff | None, why: Refusal | None) -> None:
    candidate = PeerId(b"candidate")
    state.backoff = {} if backoff is None else {candidate: backoff}
    assert refusal(state, candidate, PARAMS, now=100.0) is why


def test_floodsub_peers_are_refused_first() -> None:
    state = TopicState("news", peers={A: False}, backoff={A: Backoff(200, 201)})
    assert refusal(state, A, PARAMS, now=100.0) is Refusal.UNMESHED


@pytest.mark.parametrize(("seconds", "lasts"), [(0, 0), (10, 10), (3600, 3600), (1e300, 3600)])
def test_how_long_a_backoff_lasts(seconds: float, lasts: float) -> None:
    for number in range(20):
        backoff = backoff_for(seconds, PARAMS, random.Random(number), now=50.0, ours=False)
        assert backoff.until == 50 + lasts
        assert 1 <= backoff.graft_after - backoff.until <= 2
        assert backoff.pruned_at == LONG_AGO
    assert backoff_for(seconds, PARAMS, rng(), now=50.0, ours=True).pruned_at == 50


def test_joining_takes_fanout_peers_first() -> None:
    state = topic(20)
    state.fanout = dict.fromkeys(PEERS[10:14])
    chosen = join(state, PARAMS, rng(), now=0.0).graft
    assert len(set(chosen)) == 6
    assert set(chosen[:4]) == set(PEERS[10:14])


def test_joining_respects_backoff_and_stops_at_d() -> None:
    state = topic(20)
    state.fanout = dict.fromkeys(PEERS[:10])
    state.backoff = {peer: Backoff(10, 11) for peer in PEERS[:5]}
    chosen = join(state, PARAMS, rng(), now=0.0).graft
    assert len(chosen) == 6
    assert set(chosen) & set(PEERS[:5]) == set()
    assert set(PEERS[5:10]) < set(chosen)


@pytest.mark.parametrize(
    ("state", "backoff", "welcomed"),
    [
        (topic(4, 3), None, True),
        (topic(5, 4), None, False),
        (topic(4, 3), Backoff(90, 101), False),
        (topic(4, 3), Backoff(90, 100), True),
        (TopicState("news", peers={PEERS[3]: True}), None, False),  # not subscribed
        (TopicState("news", subscribed=True, peers={PEERS[3]: False}), None, False),  # floodsub
        (TopicState("news", subscribed=True), None, False),  # not in the topic
    ],
)
def test_who_is_welcomed(state: TopicState, backoff: Backoff | None, welcomed: bool) -> None:
    peer = PEERS[len(state.peers) - 1] if len(state.peers) > 1 else PEERS[3]
    state.backoff = {} if backoff is None else {peer: backoff}
    changes = welcome(state, peer, PARAMS, now=100.0)
    assert changes == Changes(graft=(peer,) if welcomed else ())


def test_who_is_in_the_mesh_is_not_welcomed_again() -> None:
    assert welcome(topic(3, 3), A, PARAMS, now=0.0) == Changes()


def test_one_sided_links_are_settled_in_the_second_heartbeat() -> None:
    state = topic(14, 3)
    state.stray_now = dict.fromkeys([PEERS[10], PEERS[11], A])
    assert one_sided(state, PARAMS, now=0.0) == Changes()
    assert state.strays == {PEERS[10]: 1, PEERS[11]: 1}
    state.stray_now = dict.fromkeys([PEERS[11], PEERS[10]])
    # The mesh has room for one more below D_low.
    assert one_sided(state, PARAMS, now=0.0) == Changes(graft=(PEERS[11],), prune=(PEERS[10],))
    assert one_sided(state, PARAMS, now=0.0) == Changes()
    assert state.strays == {}


def test_who_is_not_known_to_subscribe_is_told_that_it_is_not_in_the_mesh() -> None:
    """Its SUBSCRIBE was lost together with its GRAFT."""
    state = topic(2)
    stranger = PeerId(b"stranger")
    for expected in (Changes(), Changes(prune=(stranger,))):
        state.stray_now = {stranger: None}
        assert one_sided(state, PARAMS, now=0.0) == expected


def test_a_one_sided_link_in_backoff_is_pruned() -> None:
    state = topic(2)
    state.backoff[A] = Backoff(10, 11)
    state.strays = {A: 1}
    state.stray_now = {A: None}
    assert one_sided(state, PARAMS, now=0.0) == Changes(prune=(A,))


def test_fanout_is_filled_up_to_d() -> None:
    state = TopicState("news", peers=dict.fromkeys(PEERS, True), fanout={A: None, B: None})
    state.peers[C] = False
    more = refill_fanout(state, PARAMS, rng())
    assert len(set(more)) == 4
    assert set(more).isdisjoint({A, B, C})
    state.fanout.update(dict.fromkeys(more))
    assert refill_fanout(state, PARAMS, rng()) == ()


def test_fanout_expires() -> None:
    state = TopicState("news", fanout={A: None}, last_publish=100.0)
    assert not fanout_expired(state, PARAMS, now=220.0)
    assert fanout_expired(state, PARAMS, now=220.1)
    assert not fanout_expired(TopicState("news"), PARAMS, now=220.1)
