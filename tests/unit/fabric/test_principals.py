import random

import pytest

from pubsub.fabric.identities import SerializedIdentity, identify, serialize_identity
from pubsub.fabric.make_policies import identity_principal, role_principal
from pubsub.fabric.msp import Role
from pubsub.fabric.principals import (
    MAX_DEPTH,
    MAX_PRINCIPALS,
    AllOf,
    AnonymityPrincipal,
    IdentityPrincipal,
    Nobody,
    RolePrincipal,
    UnitPrincipal,
    is_meant,
    principal_of,
)
from pubsub.pb.fabric import msp_pb2
from tests.fuzz import hostile_bytes
from tests.unit.fabric.network import PEER0, organization
from tests.unit.fabric.test_certificates import with_high_s

ORG = organization(1)
MSPS = {"Org1MSP": ORG.msp(), "Org2MSP": organization(2).msp()}
PEER = identify(ORG.members[PEER0].signer.identity, MSPS)
Kind = msp_pb2.MSPPrincipal


def message(kind, content):
    return Kind(principal_classification=kind, principal=content)


def combined(*parts):
    content = msp_pb2.CombinedPrincipal(principals=parts).SerializeToString()
    return message(Kind.COMBINED, content)


def unit_message(**fields):
    return message(Kind.ORGANIZATION_UNIT, msp_pb2.OrganizationUnit(**fields).SerializeToString())


@pytest.mark.parametrize(
    ("principal", "meant"),
    [
        (RolePrincipal("Org1MSP", Role.MEMBER), True),
        (RolePrincipal("Org1MSP", Role.PEER), True),
        (RolePrincipal("Org1MSP", Role.ADMIN), False),
        (RolePrincipal("Org2MSP", Role.MEMBER), False),
        (UnitPrincipal("Org1MSP", "peer", PEER.certifiers), True),
        (UnitPrincipal("Org1MSP", "peer", b"others"), False),
        (UnitPrincipal("Org1MSP", "client", PEER.certifiers), False),
        (UnitPrincipal("Org2MSP", "peer", PEER.certifiers), False),
        (IdentityPrincipal(SerializedIdentity("Org1MSP", PEER.certificate.pem)), True),
        (
            IdentityPrincipal(SerializedIdentity("Org1MSP", with_high_s(PEER.certificate).pem)),
            True,
        ),
        (IdentityPrincipal(SerializedIdentity("Org2MSP", PEER.certificate.pem)), False),
        (IdentityPrincipal(SerializedIdentity("Org1MSP", b"x")), False),
        (
            IdentityPrincipal(
                SerializedIdentity("Org1MSP", ORG.members["peer1.org1.example.com"].certificate)
            ),
            False,
        ),
        (AnonymityPrincipal(anonymous=False), True),
        (AnonymityPrincipal(anonymous=True), False),
        (AllOf((RolePrincipal("Org1MSP", Role.PEER), AnonymityPrincipal(False))), True),
        (AllOf((RolePrincipal("Org1MSP", Role.PEER), AnonymityPrincipal(True))), False),
        (Nobody("because"), False),
    ],
)
def test_whom_a_principal_means(principal, meant):
    assert is_meant(PEER, principal, MSPS) is meant


def test_principals_are_read():
    assert principal_of(role_principal("M", Role.ORDERER)) == RolePrincipal("M", Role.ORDERER)
    unit = unit_message(
        msp_identifier="M", organizational_unit_identifier="u", certifiers_identifier=b"c"
    )
    assert principal_of(unit) == UnitPrincipal("M", "u", b"c")
    named = identity_principal(serialize_identity("M", b"pem"))
    assert principal_of(named) == IdentityPrincipal(SerializedIdentity("M", b"pem"))
    assert principal_of(message(Kind.ANONYMITY, b"")) == AnonymityPrincipal(False)
    assert principal_of(message(Kind.ANONYMITY, b"\x08\x01")) == AnonymityPrincipal(True)
    both = combined(role_principal("M", Role.PEER), unit)
    assert principal_of(both) == AllOf(
        (RolePrincipal("M", Role.PEER), UnitPrincipal("M", "u", b"c"))
    )


def nested(depth):
    inner = role_principal("M", Role.PEER)
    for _ in range(depth):
        inner = combined(inner)
    return inner


@pytest.mark.parametrize(
    "unreadable",
    [
        message(Kind.ROLE, b"\xff"),
        message(Kind.ROLE, b"\x10\x05"),
        message(Kind.ROLE, b"\x10" + b"\xff" * 9 + b"\x01"),
        message(Kind.IDENTITY, b""),
        message(9, b""),
        combined(),
        combined(*[role_principal("M", Role.PEER)] * (MAX_PRINCIPALS + 1)),
    ],
)
def test_what_cannot_be_read_means_nobody(unreadable):
    assert isinstance(principal_of(unreadable), Nobody)


def test_the_depth_is_bounded():
    deep, innermost = principal_of(nested(MAX_DEPTH)), principal_of(nested(MAX_DEPTH + 1))
    for _ in range(MAX_DEPTH):
        assert isinstance(deep, AllOf)
        deep, innermost = deep.principals[0], innermost.principals[0]
    assert deep == RolePrincipal("M", Role.PEER)
    assert isinstance(innermost, Nobody)


def test_hostile_principals_mean_somebody_or_nobody():
    valid = [combined(nested(2), unit_message(msp_identifier="M")).principal]
    for data in hostile_bytes(random.Random(1), valid, 2000):
        for kind in range(5):
            assert is_meant(PEER, principal_of(message(kind, data)), MSPS) in (True, False)
