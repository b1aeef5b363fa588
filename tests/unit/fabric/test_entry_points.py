from __future__ import annotations

import math

from pubsub.fabric.actions import Warn
from pubsub.fabric.entry_points import MAX_ENTRY_POINTS, Dial, EntryPoints
from pubsub.fabric.params import V3

A, B = "a:7051", "b:7051"
PEER = bytes(32)


def unreachable(endpoint: str, why: str) -> Warn:
    return Warn("membership.unreachable", f"could not connect to {endpoint}: {why}")


def entries(*endpoints: str, own_org_only: bool = False) -> EntryPoints:
    made = EntryPoints(V3)
    for endpoint in endpoints:
        assert made.add(endpoint, own_org_only=own_org_only, now=0) == []
    return made


def test_an_endpoint_is_dialled_asked_and_then_done() -> None:
    made = entries(A, B)
    assert made.next_deadline == 0
    assert made.tick(0, alone=True) == [Dial(A), Dial(B)]
    assert made.tick(1, alone=True) == []
    assert made.reached(A, PEER, own_org=True, now=1) == (True, [])
    assert made.next_deadline == 6
    made.answered(b"another")
    assert A in made
    made.answered(PEER)
    assert A not in made
    assert len(made) == 1


def test_one_that_cannot_be_reached_is_dialled_again_after_the_reconnect_interval() -> None:
    made = entries(A)
    made.tick(0, alone=True)
    assert made.failed(A, "refused", now=3) == [unreachable(A, "refused")]
    assert made.next_deadline == 28
    assert made.tick(27.9, alone=True) == []
    assert made.tick(28, alone=True) == [Dial(A)]


def test_one_that_does_not_answer_within_five_seconds_is_dialled_again() -> None:
    made = entries(A)
    made.tick(0, alone=True)
    made.reached(A, PEER, own_org=True, now=1)
    assert made.tick(6, alone=True) == [unreachable(A, "no answer")]
    assert made.tick(31, alone=True) == [Dial(A)]


def test_a_dial_of_which_nothing_is_heard_has_failed() -> None:
    made = entries(A)
    made.tick(0, alone=True)
    assert made.next_deadline == 25
    assert made.tick(25, alone=True) == [unreachable(A, "no connection")]
    assert made.tick(50, alone=True) == [Dial(A)]


def test_a_dial_is_given_its_time_though_another_is_due_sooner() -> None:
    made = EntryPoints(V3.replaced(reconnect_interval=1.0))
    made.add(A, own_org_only=False, now=0)
    made.tick(0, alone=True)
    assert made.next_deadline == 3.0 + 2.0


def test_a_bootstrap_peer_of_another_organization_counts_as_unreachable() -> None:
    made = entries(A, own_org_only=True)
    made.tick(0, alone=True)
    why = "a peer of another organization cannot be a bootstrap peer"
    assert made.reached(A, PEER, own_org=False, now=1) == (False, [unreachable(A, why)])
    assert made.tick(26, alone=True) == [Dial(A)]
    made = entries(A)
    made.tick(0, alone=True)
    assert made.reached(A, PEER, own_org=False, now=1) == (True, [])


def dials(made: EntryPoints, end: float, *, alone: bool) -> list[object]:
    done: list[object] = []
    while made.next_deadline < end:
        now = made.next_deadline
        for action in made.tick(now, alone=alone):
            done.append(action)
            if isinstance(action, Dial):
                made.failed(action.endpoint, "refused", now=now)
    return done


def test_after_120_attempts_an_endpoint_is_given_up() -> None:
    made = entries(A)
    gave_up = Warn("membership.gave_up", "gave up on a:7051 after 120 attempts")
    assert dials(made, math.inf, alone=False) == [Dial(A)] * 120 + [gave_up]
    assert A not in made
    assert made.next_deadline == math.inf


def test_who_is_alone_does_not_give_up() -> None:
    made = entries(A)
    assert len(dials(made, 25 * 500, alone=True)) == 500
    assert dials(made, math.inf, alone=False)[0] == Warn(
        "membership.gave_up", "gave up on a:7051 after 500 attempts"
    )


def test_an_endpoint_added_twice_goes_on_and_one_dropped_is_gone() -> None:
    made = entries(A)
    made.tick(0, alone=True)
    made.add(A, own_org_only=False, now=1)
    assert made.tick(1, alone=True) == []
    made.drop(A)
    made.drop(A)
    assert made.next_deadline == math.inf
    assert made.failed(A, "refused", now=2) == []
    assert made.reached(A, PEER, own_org=False, now=2) == (True, [])


def test_endpoints_are_bounded() -> None:
    made = entries(*(f"p{n}:7051" for n in range(MAX_ENTRY_POINTS)))
    assert made.add(A, own_org_only=False, now=0) == [
        Warn("membership.entry_points", "too many endpoints: a:7051 is left out")
    ]
    assert len(made) == MAX_ENTRY_POINTS
