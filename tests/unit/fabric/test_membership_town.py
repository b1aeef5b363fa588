"""Memberships among each other: convergence, disclosure, partition, restarts."""

from __future__ import annotations

import pytest

from pubsub.fabric.actions import Warn
from pubsub.fabric.members import Change
from pubsub.fabric.membership import MemberChanged
from tests.unit.fabric.gossiping import ORG1, ORG2, START_NS, Town, alive_in
from tests.unit.fabric.making import pki_id


def changes(town: Town, name: str, change: Change) -> list[float]:
    """When somebody's view of anybody changed so."""
    return [
        at
        for at, action in town.residents[name].log
        if isinstance(action, MemberChanged) and action.change is change
    ]


def deaths(town: Town) -> int:
    return sum(len(changes(town, name, Change.DIED)) for name in town.residents)


@pytest.mark.slow
def test_twenty_one_peers_with_one_bootstrap_know_each_other_soon() -> None:
    town = Town()
    town.moves_in("boot")
    for n in range(20):
        town.moves_in(f"p{n}", bootstrap=["boot"])
    town.until(9)
    assert town.all_see_all()
    town.until(120)
    assert town.all_see_all()
    assert deaths(town) == 0

    town.residents["p19"].membership.update(metadata=b"new")
    town.until(130)
    for name, resident in town.residents.items():
        if name != "p19":
            member = resident.membership.lookup(pki_id("p19"))
            assert member is not None
            assert member.metadata == b"new"


@pytest.mark.slow
def test_disjoint_groups_meet_through_one_that_knows_them_and_survive_it() -> None:
    town = Town()
    leads = ["a0", "b0", "c0"]
    for lead in leads:
        town.moves_in(lead)
        for n in (1, 2, 3):
            town.moves_in(f"{lead[0]}{n}", bootstrap=[lead])
        town.splits()
    for n, lead in enumerate(leads):
        for member in range(4):
            town.parts[f"{lead[0]}{member}"] = n
    town.until(30)
    groups = [[f"{lead[0]}{n}" for n in range(4)] for lead in leads]
    assert all(town.all_see_all(*group) for group in groups)

    town.meets_again()
    town.moves_in("bridge", bootstrap=leads)
    town.until(45)
    assert town.all_see_all()
    town.dies("bridge")
    town.until(80)
    rest = [name for name in town.residents if name != "bridge"]
    assert town.all_see_all(*rest)
    assert all(town.dead(name) == ["bridge"] for name in rest)


def test_parts_bury_each_other_and_know_each_other_again_when_they_meet() -> None:
    town = Town()
    town.moves_in("p0")
    for n in range(1, 8):
        town.moves_in(f"p{n}", bootstrap=["p0"])
    town.until(20)
    town.splits("p5", "p6", "p7")
    town.until(60)
    assert town.all_see_all("p5", "p6", "p7")
    assert town.all_see_all("p0", "p1", "p2", "p3", "p4")
    assert town.dead("p0") == ["p5", "p6", "p7"]
    town.meets_again()
    town.until(60 + 25 + 5)
    assert town.all_see_all()
    assert town.dead("p0") == []


def test_parts_meet_again_through_their_anchors_after_all_else_is_forgotten() -> None:
    town = Town()
    town.moves_in("anchor", anchors=[("far", ORG1)])
    town.moves_in("far", anchors=[("anchor", ORG1)])
    town.moves_in("p1", bootstrap=["anchor"])
    town.moves_in("p2", bootstrap=["far"])
    town.until(20)
    town.splits("far", "p2")
    town.until(20 + 25 + 500 + 60)
    assert town.dead("anchor") == ["far"]
    assert town.dead("p1") == []
    town.meets_again()
    town.until(town.now + 25 + 10)
    assert town.all_see_all()


def two_orgs() -> Town:
    town = Town()
    anchors = [("a0", ORG1), ("b0", ORG2)]
    for org, letter in ((ORG1, "a"), (ORG2, "b")):
        for n in range(5):
            town.moves_in(
                f"{letter}{n}", org, external=n < 2, bootstrap=[f"{letter}0"], anchors=anchors
            )
    return town


def test_organizations_know_of_each_other_only_those_with_external_endpoints() -> None:
    town = two_orgs()
    town.until(60)
    ours = ["a0", "a1", "a2", "a3", "a4"]
    for name in ours:
        others = [other for other in ours if other != name]
        foreign = ["b0", "b1"] if name in ("a0", "a1") else []
        assert town.view(name) == others + foreign
    assert town.view("b4") == ["b0", "b1", "b2", "b3"]


def test_nothing_internal_crosses_between_organizations() -> None:
    town = two_orgs()
    town.until(60)
    assert town.crossed
    for sender, receiver, sent in town.crossed:
        for name in town.residents:
            # An internal endpoint is the name and the port, without the domain.
            assert f"{name}:7051".encode() not in sent, (sender, receiver)
        for hidden in ("a2", "a3", "a4", "b2", "b3", "b4"):
            assert pki_id(hidden) not in sent or town.org_of[pki_id(hidden)] in (
                town.residents[receiver].org,
            ), (sender, receiver)


def test_those_without_external_endpoint_pass_foreign_anchors_over() -> None:
    town = Town()
    resident = town.moves_in("a9", anchors=[("b0", ORG2)])
    assert [action for _, action in resident.log] == [
        Warn(
            "membership.no_external_endpoint",
            "anchor peers of Org2MSP are passed over: we have no external endpoint",
        )
    ]


def test_a_bootstrap_peer_of_another_organization_is_refused_and_another_used() -> None:
    town = Town(share_a_channel=False)
    town.moves_in("wrong", ORG2, external=True)
    town.moves_in("right")
    town.moves_in("p", bootstrap=["wrong", "right"], external=True)
    town.until(10)
    assert town.view("p") == ["right"]
    assert town.view("wrong") == []
    assert town.residents["wrong"].linked == {}
    assert (
        "membership.unreachable",
        "could not connect to wrong:7051: "
        "a peer of another organization cannot be a bootstrap peer",
    ) in [(a.key, a.text) for _, a in town.residents["p"].log if isinstance(a, Warn)]


@pytest.mark.slow
def test_lost_messages_kill_nobody() -> None:
    town = Town(loss=0.3)
    town.moves_in("p0")
    for n in range(1, 12):
        town.moves_in(f"p{n}", bootstrap=["p0"])
    town.until(300)
    assert town.all_see_all()
    assert deaths(town) == 0


def test_a_peer_that_restarts_with_its_clock_behind_is_known_again_at_once() -> None:
    town = Town()
    for name in ("p0", "p1", "p2"):
        town.moves_in(name, bootstrap=["p0"] if name != "p0" else [])
    town.until(20)
    town.dies("p2")
    town.until(60)
    assert town.dead("p0") == ["p2"]
    town.moves_in("p2", bootstrap=["p0"], started_ns=START_NS - 10**15)
    town.until(70)
    assert town.all_see_all()
    warnings = [a.key for _, a in town.residents["p2"].log if isinstance(a, Warn)]
    assert warnings == ["membership.clock"]


def test_nobody_speaks_to_an_empty_room() -> None:
    town = Town()
    resident = town.moves_in("p0")
    town.until(100)
    assert resident.log == []


def test_the_secret_goes_to_our_organization_alone_in_requests_and_answers() -> None:
    town = two_orgs()
    town.until(10)
    secrets: dict[tuple[str, str], set[bool]] = {}
    for resident in town.residents.values():
        for _, action in resident.log:
            message = getattr(action, "message", None)
            if message is None:
                continue
            requests = [message.mem_req.self_information] if message.HasField("mem_req") else []
            for raw in [*requests, *message.mem_res.alive, *message.mem_res.dead]:
                pair = (resident.org, town.org_of[action.peer])
                secrets.setdefault(pair, set()).add(bool(alive_in(raw).internal_endpoint))
    assert secrets == {
        (ORG1, ORG1): {True},
        (ORG2, ORG2): {True},
        (ORG1, ORG2): {False},
        (ORG2, ORG1): {False},
    }
