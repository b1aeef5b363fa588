"""Whole peers and their identities: who is let in, and who has to go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.actions import CloseConnection
from pubsub.fabric.identities import serialize_identity
from pubsub.fabric.make_certificates import BACKDATED
from pubsub.fabric.make_config import ChannelProfile
from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric.msp import Role
from tests.sim.fabric_people import (
    SALES,
    SETTLED,
    START_NS,
    WHEN,
    blocks,
    genesis_of,
    maker_after,
    organization,
    profile,
    profile_of,
    settle,
)
from tests.sim.fabric_town import Resident, Town


@pytest.fixture
def town() -> Town:
    return Town(START_NS)


def short_lived(number: int, lifetime: timedelta) -> OrganizationMaker:
    """An organization of three peers; the certificate of its peer3 is good for `lifetime`."""
    domain, entropy = f"org{number}.example", Random(number).randbytes
    made = OrganizationMaker(domain, f"Org{number}MSP", entropy=entropy, when=WHEN)
    made.add_peers(3, when=WHEN)
    last = made.add("peer3", Role.PEER, when=WHEN)
    issued = made.authority.issue(
        last.name, when=WHEN, units=["peer"], lifetime=BACKDATED + lifetime
    )
    made.members[last.name] = replace(last, identity=issued)
    return made


# -- Proofs of identity


def of_an_unknown_organization(org: OrganizationMaker) -> tuple[bytes, bytes]:
    signer = organization(3).members["peer0.org3.example"].signer
    return signer.pki_id, signer.identity


def under_the_name_of_another(org: OrganizationMaker) -> tuple[bytes, bytes]:
    one, another = (org.members[f"peer{n}.org1.example"].signer for n in (1, 2))
    return one.pki_id, another.identity


def whose_certificate_has_ended(org: OrganizationMaker) -> tuple[bytes, bytes]:
    signer = org.members["peer3.org1.example"].signer
    return signer.pki_id, signer.identity


def of_an_authority_that_only_bears_the_name(org: OrganizationMaker) -> tuple[bytes, bytes]:
    entropy = Random(99).randbytes
    double = OrganizationMaker(org.domain, org.msp_id, entropy=entropy, when=WHEN)
    signer = double.add_peers(1, when=WHEN)[0].signer
    return signer.pki_id, signer.identity


def without_a_certificate(org: OrganizationMaker) -> tuple[bytes, bytes]:
    return bytes(32), serialize_identity(org.msp_id, b"")


def that_is_no_identity(org: OrganizationMaker) -> tuple[bytes, bytes]:
    return bytes(32), b"\xff"


PROOFS: list[tuple[Callable[[OrganizationMaker], tuple[bytes, bytes]], str]] = [
    (of_an_unknown_organization, "MSP 'Org3MSP' is not known"),
    (under_the_name_of_another, "the PKI-ID is not that of the identity"),
    (whose_certificate_has_ended, "expired"),
    (of_an_authority_that_only_bears_the_name, "signed by an unknown authority"),
    (without_a_certificate, "there is no PEM block"),
    (that_is_no_identity, "malformed"),
]


def test_each_bad_identity_is_refused_with_its_own_error_and_nothing_comes_of_it(
    town: Town,
) -> None:
    org = short_lived(1, timedelta(seconds=5))
    resident = town.moves_in(org, "peer0", external=False)
    neighbour = town.moves_in(org, "peer1", external=False, bootstrap=["peer0"])
    town.until(SETTLED)
    known = set(resident.core.membership.members)
    texts = []
    for proof, text in PROOFS:
        peer, identity = proof(org)
        if peer == neighbour.core.pki_id:
            town.unlinks(resident, peer)
        event = ev.PeerProven(peer, identity)
        warning, closed = resident.core.handle(event, now=town.now, wall_ns=town.wall_ns)
        assert warning.key == "peer.identity"
        assert text in warning.text, warning.text
        assert closed == CloseConnection(peer)
        assert resident.core.access.org_of(peer) is None
        said = ev.StreamMessage(peer, "/fabric/gossip/membership/1.0.0", b"")
        (blamed,) = resident.core.handle(said, now=town.now, wall_ns=town.wall_ns)
        assert isinstance(blamed, fx.Blamed)
        assert "may not know" in blamed.why
        texts.append(warning.text.split(":", 1)[1])
    assert len(set(texts)) == len(PROOFS)
    assert set(resident.core.membership.members) == known


# -- Those who have to go


def is_gone(town: Town, resident: Resident, other: Resident) -> bool:
    peer = other.core.pki_id
    membership, channel = resident.core.membership, resident.core.channel(SALES)
    assert channel is not None
    return (
        membership.lookup(peer) is None
        and channel.state_of(peer) is None
        and resident.core.access.org_of(peer) is None
        and peer not in resident.linked
        and CloseConnection(peer) in town.seen(resident, CloseConnection)
    )


def heard_from(resident: Resident, other: Resident) -> int:
    return sum(sender == other.core.pki_id for sender, _, _ in resident.received)


@pytest.mark.slow
def test_one_whose_certificate_ends_vanishes_from_all_views_and_is_heard_no_more(
    town: Town,
) -> None:
    ours, theirs = short_lived(1, timedelta(seconds=SETTLED + 5)), organization(2)
    genesis = genesis_of(profile_of(SALES, ours, theirs))
    residents = []
    for org, names in ((ours, "0123"), (theirs, "012")):
        for n in names:
            bootstrap = () if n == "0" else ("peer0",)
            resident = town.moves_in(org, f"peer{n}", external=n != "2", bootstrap=bootstrap)
            town.joins(resident, genesis)
            residents.append(resident)
    ending = residents.pop(3)
    others = [each for each in residents if each.name != "peer2.Org2MSP"]
    town.until(SETTLED + 4)
    assert all(ending.name in town.view(each) for each in others)
    town.until(SETTLED + 5.1)
    assert all(is_gone(town, each, ending) for each in others)
    before = [heard_from(each, ending) for each in residents]
    town.until(SETTLED + 60)
    assert [heard_from(each, ending) for each in residents] == before
    assert not any(ending.name in town.view(each) for each in residents)
    assert "peer.certificate" in {warning.key for warning in town.warnings(ending)}


def with_revoked(channel: ChannelProfile, org: OrganizationMaker, name: str) -> ChannelProfile:
    """The same channel, in which `org` has taken a certificate back."""
    revoked = [org.members[name].identity.certificate]
    listed = org.authority.revocation_list(revoked, when=WHEN)
    msp = org.msp_config(revocation_lists=[listed])
    organizations = [
        replace(each, msp=msp) if each.msp.name == org.msp_id else each
        for each in channel.organizations
    ]
    return replace(channel, organizations=organizations)


@pytest.mark.slow
def test_one_whose_certificate_is_revoked_vanishes_from_the_other_organizations_views(
    town: Town,
) -> None:
    residents = settle(town)
    ours, revoked = residents[:3], residents[4]
    assert all(revoked.name in town.view(each) for each in ours[:2])
    town.orders(SALES, blocks(1)[0])
    changed = with_revoked(profile(SALES, 1, 2), organization(2), "peer1.org2.example")
    update = maker_after(blocks(1)[0]).next_config(changed, when=WHEN)
    town.orders(SALES, update)
    town.until(town.now + 1)
    assert all(each.ledgers[SALES].height == 3 for each in residents)
    assert all(is_gone(town, each, revoked) for each in ours[:2])
    before = [heard_from(each, revoked) for each in ours]
    town.until(town.now + 60)
    assert [heard_from(each, revoked) for each in ours] == before
    assert not any(revoked.name in town.view(each) for each in ours)
    # Its own organization goes by its own files, where nothing was revoked.
    assert revoked.name in town.view(residents[3])
