"""One MSP: whose certificates belong to an organization, and in which role.

An `Identity` exists only validated: chained to a root, of no authority, not
revoked, with units that fit. What it says nothing about is the date; see
`Identity.check_date`, which is for live peers and not for old signatures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519

from pubsub.fabric.certificates import (
    Certificate,
    CertificateError,
    certificate_from_pem,
    is_issued_by,
    with_low_s,
)
from pubsub.fabric.chains import unique_chain
from pubsub.fabric.identity_errors import (
    CaAsIdentityError,
    ExpiredError,
    IdentityError,
    MalformedIdentityError,
    NotALeafAuthorityError,
    NotYetValidError,
    RevokedError,
    UnitsError,
    UnsupportedKeyError,
)
from pubsub.fabric.msp_config import MspConfig, MspConfigError, UnitIdentifier
from pubsub.fabric.revocation import check_not_revoked, revocation_list
from pubsub.fabric.signatures import PublicKey, is_public_key, verify_signature

CACHED_IDENTITIES = 256
CLOCK_SKEW = timedelta(minutes=5)
"How far ahead a certificate may begin; cryptogen dates its own back by as much (ours)."

SIGNATURE_HASHES: dict[str, hashes.HashAlgorithm] = {
    "SHA2": hashes.SHA256(),
    "SHA3": hashes.SHA3_256(),
}
IDENTITY_HASHES = {"SHA256": "sha256", "SHA384": "sha384", "SHA3_256": "sha3_256"}


class MspVersion(IntEnum):
    """Which of Fabric's rules hold; a channel's capabilities say so."""

    V1_0 = 0
    V1_1 = 1
    V1_3 = 2
    V1_4_3 = 3
    V3_0 = 4


class Role(IntEnum):
    """What an identity may be in its organization (numbers as in MSPRole)."""

    MEMBER = 0
    ADMIN = 1
    CLIENT = 2
    PEER = 3
    ORDERER = 4


@final
@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """A member of an MSP, validated. Two are the same if `fingerprint` is."""

    msp: Msp = field(repr=False)
    certificate: Certificate
    chain: tuple[Certificate, ...] = field(repr=False)
    key: PublicKey = field(repr=False)
    certifiers: bytes = field(repr=False)
    "Hash of the chain above the certificate."

    @property
    def msp_id(self) -> str:
        return self.msp.name

    @property
    def fingerprint(self) -> tuple[str, bytes]:
        """The MSP and the certificate in its one canonical form."""
        return (self.msp.name, self.certificate.der)

    @property
    def not_after(self) -> datetime:
        return self.certificate.not_after

    def verify(self, data: bytes, signature: bytes) -> None:
        """Raise SignatureError unless this identity signed `data`."""
        verify_signature(self.key, data, signature, self.msp.hash)

    def check_date(self, when: datetime) -> None:
        """Raise ExpiredError or NotYetValidError unless `when` is within the certificate's days."""
        name = self.certificate.common_name
        if when > self.certificate.not_after:
            raise ExpiredError(f"the certificate of {name!r} expired")
        if when + CLOCK_SKEW < self.certificate.not_before:
            raise NotYetValidError(f"the certificate of {name!r} is not valid yet")

    def has_role(self, role: Role) -> bool:
        """True if the MSP counts this identity as `role`."""
        return self.msp.has_role(self, role)

    def has_unit(self, unit: str, certifiers: bytes) -> bool:
        """True if the certificate has this unit and stands below these authorities."""
        return unit in self.certificate.units and certifiers == self.certifiers


@final
class Msp:
    """The rules of one organization, made from its material.

    Raises MspConfigError if the material is not sound; Fabric then refuses it as well.
    """

    def __init__(self, config: MspConfig, version: MspVersion = MspVersion.V3_0) -> None:
        self.config = config
        self.name = config.name
        self.version = version
        self._identities: dict[bytes, Identity] = {}
        try:
            self.hash = SIGNATURE_HASHES[config.signature_hash_family]
            self._identity_hash = IDENTITY_HASHES[config.identity_hash]
        except KeyError as error:
            raise MspConfigError(f"MSP {self.name!r}: unknown hash {error}") from error
        try:
            self._set_up()
        except (CertificateError, IdentityError) as error:
            raise MspConfigError(f"MSP {self.name!r}: {error}") from error

    def identity(self, id_bytes: bytes) -> Identity:
        """The identity whose certificate is the first in this PEM text.

        Raises IdentityError, or the subclass that says why, if it is none of this MSP.
        What stands beside the certificate does not matter, as in policies and consenter
        mappings, which hold files as people gave them; see `Trust` for peers.
        """
        known = self._identities.pop(id_bytes, None)
        if known is None:
            try:
                certificate = certificate_from_pem(id_bytes)
            except CertificateError as error:
                raise MalformedIdentityError(str(error)) from error
            known = self._validated(certificate)
            if len(self._identities) >= CACHED_IDENTITIES:
                del self._identities[next(iter(self._identities))]
        self._identities[id_bytes] = known
        return known

    def has_role(self, identity: Identity, role: Role) -> bool:
        """True if `identity`, which is one of this MSP, counts as `role`."""
        if role is Role.MEMBER:
            return True
        if role is Role.ADMIN and identity.certificate in self._admins:
            return True
        return role in self._node_units and (
            self._node_units[role].unit in identity.certificate.units
        )

    def _validated(self, certificate: Certificate) -> Identity:
        key = certificate.key
        if certificate.is_ca:
            raise CaAsIdentityError("the certificate is that of an authority")
        modern = self.version >= MspVersion.V3_0
        if not is_public_key(key) or (isinstance(key, ed25519.Ed25519PublicKey) and not modern):
            raise UnsupportedKeyError(f"keys like {type(key).__name__} are not for identities here")
        chain = unique_chain(certificate, self.roots, self.intermediates)
        if len(chain) < 2 or chain[1] in self._inner:
            raise NotALeafAuthorityError("the issuer has other authorities below it")
        certificate = with_low_s(certificate, chain[1])
        check_not_revoked(certificate, chain[1], self._revocation_lists)
        certifiers = self._certifiers_identifier(chain[1:])
        identity = Identity(self, certificate, chain, key, certifiers)
        self._check_units(identity)
        return identity

    def _check_units(self, identity: Identity) -> None:
        units = identity.certificate.units
        if self._units and not any((unit, identity.certifiers) in self._units for unit in units):
            raise UnitsError(f"none of the units {list(units)} is one of MSP {self.name!r}")
        if not self._enforced:
            return
        allowed = {entry.unit: entry for entry in self._node_units.values()}
        found = [allowed[unit] for unit in units if unit in allowed]
        for entry in found:
            if entry.certifiers and entry.certifiers != identity.certifiers:
                raise UnitsError(f"unit {entry.unit!r} does not count below this authority")
        if len(found) != 1:
            raise UnitsError(
                f"the units {list(units)} give {len(found)} roles in MSP {self.name!r}, not one"
            )

    # Setting up, in Fabric's order.

    def _set_up(self) -> None:
        self._set_up_authorities()
        self._revocation_lists = tuple(map(revocation_list, self.config.revocation_lists))
        self._check_authorities()
        self.tls_roots, self.tls_intermediates = self._tls_authorities()
        self._units = {(u.unit, self._certifiers_of(u)) for u in self.config.units}
        self._set_up_node_units()
        self._set_up_admins()

    def _set_up_authorities(self) -> None:
        if not self.config.roots:
            raise MspConfigError(f"MSP {self.name!r} has no root certificate")
        raw_roots = [certificate_from_pem(pem) for pem in self.config.roots]
        raw = [certificate_from_pem(pem) for pem in self.config.intermediates]
        for root in raw_roots:
            if not is_issued_by(root, root):
                raise MspConfigError(f"root {root.common_name!r} is not signed by itself")
            unique_chain(root, raw_roots, ())
        self.roots = tuple(with_low_s(root, root) for root in raw_roots)
        chains = [unique_chain(each, raw_roots, raw) for each in raw]
        # A root may stand among the intermediates too; it is its own issuer there.
        self.intermediates = tuple(
            with_low_s(chain[0], chain[1] if len(chain) > 1 else chain[0]) for chain in chains
        )

    def _check_authorities(self) -> None:
        self._inner: set[Certificate] = set()
        for authority in (*self.roots, *self.intermediates):
            chain = self._check_authority(authority, self.roots, self.intermediates)
            if len(chain) > 1:
                check_not_revoked(authority, chain[1], self._revocation_lists)
            self._inner.update(chain[1:])

    def _check_authority(
        self,
        authority: Certificate,
        roots: Sequence[Certificate],
        intermediates: Sequence[Certificate],
    ) -> tuple[Certificate, ...]:
        if not authority.is_ca:
            raise MspConfigError(f"{authority.common_name!r} is not marked as an authority")
        if not authority.key_id:
            raise MspConfigError(f"{authority.common_name!r} has no subject key identifier")
        return unique_chain(authority, roots, intermediates)

    def _tls_authorities(self) -> tuple[tuple[Certificate, ...], tuple[Certificate, ...]]:
        roots = tuple(map(certificate_from_pem, self.config.tls_roots))
        intermediates = tuple(map(certificate_from_pem, self.config.tls_intermediates))
        for authority in (*roots, *intermediates):
            self._check_authority(authority, roots, intermediates)
        return roots, intermediates

    def _certifiers_of(self, identifier: UnitIdentifier) -> bytes:
        """Hash of the chain that begins with the authority named; empty if none is named."""
        if not identifier.certificate:
            return b""
        content = certificate_from_pem(identifier.certificate).parsed.tbs_certificate_bytes
        for authority in (*self.roots, *self.intermediates):
            if authority.parsed.tbs_certificate_bytes != content:
                continue
            if authority in self.roots or authority not in self._inner:
                chain = unique_chain(authority, self.roots, self.intermediates)
                return self._certifiers_identifier(chain)
        raise MspConfigError(f"unit {identifier.unit!r} is bound to no authority that may issue")

    def _certifiers_identifier(self, chain: Sequence[Certificate]) -> bytes:
        return hashlib.new(self._identity_hash, b"".join(c.der for c in chain)).digest()

    def _set_up_node_units(self) -> None:
        units = self.config.node_units
        self._node_units: dict[Role, _NodeUnit] = {}
        self._enforced = False
        if units is None or not units.enabled or self.version < MspVersion.V1_1:
            return
        given = {Role.CLIENT: units.client, Role.PEER: units.peer}
        if self.version >= MspVersion.V1_4_3:
            given |= {Role.ADMIN: units.admin, Role.ORDERER: units.orderer}
        elif not (units.client and units.client.unit and units.peer and units.peer.unit):
            raise MspConfigError(f"MSP {self.name!r} does not name units of clients and peers")
        for role, unit in given.items():
            if unit is not None:
                self._node_units[role] = _NodeUnit(unit.unit, self._certifiers_of(unit))
        self._enforced = bool(self._node_units)

    def _set_up_admins(self) -> None:
        self._admins: tuple[Certificate, ...] = ()
        pems = self.config.admins
        if self.version >= MspVersion.V1_4_3 and not (pems or Role.ADMIN in self._node_units):
            raise MspConfigError(f"MSP {self.name!r} has no admins and no unit for them")
        self._admins = tuple(filter(None, map(self._admin, pems)))

    def _admin(self, pem: bytes) -> Certificate | None:
        try:
            admin = self._validated(certificate_from_pem(pem))
        except (RevokedError, UnitsError):
            # With node units Fabric does not ask this of admins when it sets an MSP up.
            if not self._enforced:
                raise
            return None
        if self._enforced and not (admin.has_role(Role.CLIENT) or admin.has_role(Role.ADMIN)):
            name = admin.certificate.common_name
            raise MspConfigError(f"admin {name!r} is neither a client nor an admin")
        return admin.certificate


@dataclass(frozen=True, slots=True)
class _NodeUnit:
    unit: str
    certifiers: bytes
