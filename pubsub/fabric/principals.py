"""Whom a policy names: a role or a unit in an organization, or one identity.

What Fabric's principals are is decided once, when a policy is read; whether an
identity is meant is then asked of plain data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, assert_never

from google.protobuf.message import DecodeError

from pubsub.fabric.identities import SerializedIdentity, parse_identity
from pubsub.fabric.identity_errors import IdentityError
from pubsub.fabric.msp import Identity, Msp, Role
from pubsub.pb.fabric import msp_pb2

MAX_DEPTH = 16
MAX_PRINCIPALS = 1024
"In one combined principal (both ours: Fabric has no bound)."

NOMINAL = (b"", b"\x08\x00")
"MSPIdentityAnonymity in either encoding of its zero."


@dataclass(frozen=True, slots=True)
class RolePrincipal:
    """Everybody of an organization, or those in one role."""

    msp_id: str
    role: Role


@dataclass(frozen=True, slots=True)
class UnitPrincipal:
    """Those with an organizational unit, certified below one chain of authorities."""

    msp_id: str
    unit: str
    certifiers: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class IdentityPrincipal:
    """One identity."""

    identity: SerializedIdentity


@dataclass(frozen=True, slots=True)
class AnonymityPrincipal:
    """Everybody, or (with `anonymous`) nobody who has a certificate."""

    anonymous: bool


@dataclass(frozen=True, slots=True)
class Nobody:
    """A principal that we cannot read. It does not spoil the policy, as in Fabric."""

    why: str


@dataclass(frozen=True, slots=True)
class AllOf:
    """Those whom every one of the principals means."""

    principals: tuple[Principal, ...]


Principal: TypeAlias = (
    RolePrincipal | UnitPrincipal | IdentityPrincipal | AnonymityPrincipal | AllOf | Nobody
)


def is_meant(identity: Identity, principal: Principal, msps: Mapping[str, Msp]) -> bool:
    """True if `identity` satisfies `principal`."""
    match principal:
        case RolePrincipal(msp_id, role):
            return msp_id == identity.msp_id and identity.has_role(role)
        case UnitPrincipal(msp_id, unit, certifiers):
            return msp_id == identity.msp_id and identity.has_unit(unit, certifiers)
        case IdentityPrincipal(claimed):
            return claimed.msp_id == identity.msp_id and _is_same(identity, claimed, msps)
        case AnonymityPrincipal(anonymous):
            return not anonymous
        case AllOf(principals):
            return all(is_meant(identity, each, msps) for each in principals)
        case Nobody():
            return False
    assert_never(principal)


def _is_same(identity: Identity, claimed: SerializedIdentity, msps: Mapping[str, Msp]) -> bool:
    # By way of the MSP, because one certificate has several texts.
    try:
        return msps[claimed.msp_id].identity(claimed.id_bytes).fingerprint == identity.fingerprint
    except (KeyError, IdentityError):
        return False


def principal_of(message: msp_pb2.MSPPrincipal) -> Principal:
    """Read a principal of a policy; one that makes no sense is `Nobody`."""
    try:
        return _read(message, MAX_DEPTH)
    except (DecodeError, IdentityError):
        return Nobody("malformed principal")


def _read(message: msp_pb2.MSPPrincipal, depth: int) -> Principal:
    kinds = msp_pb2.MSPPrincipal
    content = message.principal
    match message.principal_classification:
        case kinds.ROLE:
            role = msp_pb2.MSPRole.FromString(content)
            if not 0 <= role.role <= max(Role):
                return Nobody(f"role {role.role} is not known")
            return RolePrincipal(role.msp_identifier, Role(role.role))
        case kinds.ORGANIZATION_UNIT:
            unit = msp_pb2.OrganizationUnit.FromString(content)
            return UnitPrincipal(
                unit.msp_identifier, unit.organizational_unit_identifier, unit.certifiers_identifier
            )
        case kinds.IDENTITY:
            return IdentityPrincipal(parse_identity(content))
        case kinds.ANONYMITY:
            return AnonymityPrincipal(content not in NOMINAL)
        case kinds.COMBINED:
            if depth == 0:
                return Nobody("principals are combined too deeply")
            parts = msp_pb2.CombinedPrincipal.FromString(content).principals
            if not 0 < len(parts) <= MAX_PRINCIPALS:
                return Nobody(f"{len(parts)} principals are combined")
            return AllOf(tuple(_read(part, depth - 1) for part in parts))
    return Nobody(f"principal of kind {message.principal_classification}")
