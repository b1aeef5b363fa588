"""Whole peers that learn of each other, lose each other and meet again."""

from __future__ import annotations

import pytest

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.intake_rules import Reason, Verdict
from pubsub.fabric.members import Change
from pubsub.fabric.membership import MemberChanged
from tests.sim.fabric_people import START_NS, genesis_of, organization, profile_of
from tests.sim.fabric_town import NETWORK, Resident, Town

pytestmark = pytest.mark.timeout(60)

ORG, OTHER = organization(1, 24), organization(2, 5)
HOME = NETWORK.org_alive(ORG.msp_id)


@pytest.fixture
def town() -> Town:
    return Town(START_NS, strangers_meet=False)


def group(town: Town, numbers: range) -> list[Resident]:
    """Peers of one organization, of which the first is known to the others."""
    first = f"peer{numbers[0]}"
    return [
        town.moves_in(ORG, f"peer{n}", external=False, bootstrap=() if n == numbers[0] else [first])
        for n in numbers
    ]


def all_see_all(town: Town, residents: list[Resident]) -> bool:
    names = sorted(each.name for each in residents)
    return all(sorted([*town.view(each), each.name]) == names for each in residents)


def changes(resident: Resident, other: Resident, after: float = 0.0) -> list[Change]:
    return [
        effect.change
        for at, effect in resident.effects
        if isinstance(effect, MemberChanged) and effect.peer == other.core.pki_id and at > after
    ]


@pytest.mark.slow
def test_twenty_one_peers_with_one_bootstrap_know_each_other_and_what_each_says(town: Town) -> None:
    residents = group(town, range(21))
    town.until(10)
    assert all_see_all(town, residents)
    last = residents[-1]
    town.tells(last, ev.SetMetadata(b"new"))
    town.until(16)
    for resident in residents[:-1]:
        member = resident.core.membership.lookup(last.core.pki_id)
        assert member is not None
        assert member.metadata == b"new"
    assert not any(town.warnings(each) for each in residents)


@pytest.mark.slow
def test_groups_that_meet_through_one_peer_survive_it(town: Town) -> None:
    groups = [group(town, range(n, n + 4)) for n in (0, 4, 8)]
    town.until(15)
    assert all(all_see_all(town, each) for each in groups)
    bridge = town.moves_in(ORG, "peer20", external=False, bootstrap=("peer0", "peer4", "peer8"))
    everyone = [*groups[0], *groups[1], *groups[2]]
    town.until(40)
    assert all_see_all(town, [*everyone, bridge])
    town.dies(bridge)
    town.until(40 + 25 + 5)
    assert all_see_all(town, everyone)
    for resident in everyone:
        assert [each.peer for each in resident.core.membership.dead] == [bridge.core.pki_id]


@pytest.mark.slow
def test_organizations_know_of_each_other_only_who_may_be_known(town: Town) -> None:
    genesis = genesis_of(profile_of("sales", ORG, OTHER))
    residents = []
    for org in (ORG, OTHER):
        for n in range(5):
            bootstrap = ["peer0"] if n else []
            resident = town.moves_in(org, f"peer{n}", external=n < 2, bootstrap=bootstrap)
            town.joins(resident, genesis)
            residents.append(resident)
    town.until(40)
    assert [len(town.members(each)) for each in residents] == [6, 6, 4, 4, 4] * 2
    crossed = 0
    for resident in residents:
        theirs = [each for each in residents if each.core.org != resident.core.org]
        hidden = [each.core.pki_id for each in theirs if each.name[4] in "234"]
        for sender, place, raw in resident.received:
            if sender in [each.core.pki_id for each in theirs]:
                crossed += 1
                assert b":17051" not in raw, place
                assert not any(peer in raw for peer in hidden), place
            else:
                # Nor does it come by way of a peer of its own organization.
                domain = OTHER.domain if resident.core.org == ORG.msp_id else ORG.domain
                assert f"{domain}:17051".encode() not in raw, place
                assert not any(peer in raw for peer in hidden), place
    assert crossed > 100


def test_the_silent_die_are_not_raised_by_their_old_words_and_return_by_new_ones(
    town: Town,
) -> None:
    residents = group(town, range(4))
    town.until(12)
    quiet, others = residents[3], residents[:3]
    said = [effect.envelope for effect in town.seen(quiet, fx.Publish) if effect.topic == HOME]
    town.silent[quiet.core.pki_id] = None
    town.until(12 + 25 - 1)
    assert all(quiet.name in town.view(each) for each in others)
    town.until(12 + 25 + 2.5 + 0.1)
    for resident in others:
        assert changes(resident, quiet) == [Change.LEARNED, Change.DIED]
        assert quiet.core.pki_id not in resident.linked
    relay, hearer = others[:2]
    for late in said:
        event = ev.TopicMessage(relay.core.pki_id, HOME, late)
        done = hearer.core.handle(event, now=town.now, wall_ns=town.wall_ns)
        assert done == [fx.Validated(None, Verdict.IGNORE, Reason.STALE)]
    del town.silent[quiet.core.pki_id]
    town.until(town.now + 30)
    assert all_see_all(town, residents)
    for resident in others:
        assert changes(resident, quiet) == [Change.LEARNED, Change.DIED, Change.RETURNED]


def test_a_bootstrap_peer_of_another_organization_is_refused_and_another_used(town: Town) -> None:
    wrong = town.moves_in(OTHER, "peer0", external=True)
    right = town.moves_in(ORG, "peer0", external=False)
    entries = [f"peer0.{OTHER.domain}:17051", "peer0"]
    resident = town.moves_in(ORG, "peer1", external=True, bootstrap=entries)
    town.until(20)
    assert town.view(resident) == [right.name]
    assert town.view(right) == [resident.name]
    assert (town.view(wrong), wrong.received, wrong.linked) == ([], [], {})


def test_nor_is_one_whose_organization_is_known_from_a_channel(town: Town) -> None:
    genesis = genesis_of(profile_of("sales", ORG, OTHER))
    wrong = town.moves_in(OTHER, "peer1", external=True)
    town.joins(wrong, genesis)
    right = town.moves_in(ORG, "peer0", external=False)
    entry = f"peer1.{OTHER.domain}:17051"
    resident = town.moves_in(ORG, "peer1", external=True, bootstrap=[entry, "peer0"])
    town.joins(resident, genesis)
    town.until(20)
    text = (
        f"could not connect to {entry}: a peer of another organization cannot be a bootstrap peer"
    )
    assert ("membership.unreachable", text) in [(w.key, w.text) for w in town.warnings(resident)]
    assert right.name in town.view(resident)
