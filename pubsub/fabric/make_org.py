"""An organization made in memory, as cryptogen makes one on disk.

An authority for identities and one for TLS, and members with both: peers, orderers,
clients, admins, told apart by organizational units. For examples, tests and trials;
an organization that is to last has an authority of its own, such as fabric-ca.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import final

from pubsub.fabric.identities import Signer
from pubsub.fabric.make_certificates import Authority, Entropy, KeyPair
from pubsub.fabric.msp import Msp, Role
from pubsub.fabric.msp_config import MspConfig, NodeUnits, UnitIdentifier

UNITS = {Role.CLIENT: "client", Role.PEER: "peer", Role.ADMIN: "admin", Role.ORDERER: "orderer"}
LOOPBACK = ("localhost", "127.0.0.1")
_FOLDERS = {Role.PEER: "peers", Role.ORDERER: "orderers"}


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody of an organization: an identity and what it shows in TLS."""

    name: str
    role: Role
    identity: KeyPair
    tls: KeyPair
    msp_id: str

    @property
    def signer(self) -> Signer:
        """What signs in this member's name."""
        return Signer(self.msp_id, self.identity.certificate.pem, self.identity.key)

    @property
    def certificate(self) -> bytes:
        """The identity's certificate in PEM."""
        return self.identity.certificate.pem


@final
class OrganizationMaker:
    """An organization with its authorities. The same arguments make the same one."""

    def __init__(self, domain: str, msp_id: str, *, entropy: Entropy, when: datetime) -> None:
        self.domain = domain
        self.msp_id = msp_id
        self.authority = Authority(f"ca.{domain}", domain, entropy=entropy, when=when)
        self.tls_authority = Authority(f"tlsca.{domain}", domain, entropy=entropy, when=when)
        self.members: dict[str, Member] = {}

    def add(
        self, name: str, role: Role, *, when: datetime, hosts: Sequence[str] = LOOPBACK
    ) -> Member:
        """A new member `name`.`domain` (or `name`@`domain`, for clients and admins)."""
        short = name
        name = f"{name}{'.' if role in _FOLDERS else '@'}{self.domain}"
        names = [name, short, *hosts] if role in _FOLDERS else []
        member = Member(
            name,
            role,
            self.authority.issue(name, when=when, units=[UNITS[role]]),
            self.tls_authority.issue(name, when=when, hosts=names, is_tls=True),
            self.msp_id,
        )
        self.members[name] = member
        return member

    def add_peers(self, count: int, *, when: datetime) -> list[Member]:
        """peer0, peer1 and so on."""
        return [self.add(f"peer{number}", Role.PEER, when=when) for number in range(count)]

    def add_orderers(self, count: int, *, when: datetime) -> list[Member]:
        """orderer0, orderer1 and so on."""
        return [self.add(f"orderer{number}", Role.ORDERER, when=when) for number in range(count)]

    def msp_config(self, *, revocation_lists: Sequence[bytes] = ()) -> MspConfig:
        """The public material, as it stands in directories and channel configurations."""
        root = self.authority.certificate.pem

        def unit(role: Role) -> UnitIdentifier:
            return UnitIdentifier(UNITS[role], root)

        return MspConfig(
            name=self.msp_id,
            roots=(root,),
            revocation_lists=tuple(revocation_lists),
            node_units=NodeUnits(
                unit(Role.CLIENT), unit(Role.PEER), unit(Role.ADMIN), unit(Role.ORDERER)
            ),
            tls_roots=(self.tls_authority.certificate.pem,),
        )

    def msp(self, *, revocation_lists: Sequence[bytes] = ()) -> Msp:
        """The rules that the public material makes."""
        return Msp(self.msp_config(revocation_lists=revocation_lists))

    def files(self) -> dict[str, bytes]:
        """Everything by its path below the organization's folder, as cryptogen lays it out."""
        files = dict(self._msp_files("msp"))
        for folder, authority in (("ca", self.authority), ("tlsca", self.tls_authority)):
            files[f"{folder}/{authority.name}-cert.pem"] = authority.certificate.pem
            files[f"{folder}/priv_sk"] = authority.key_pair.key_pem
        for member in self.members.values():
            top = f"{_FOLDERS.get(member.role, 'users')}/{member.name}"
            files |= self._msp_files(f"{top}/msp")
            files[f"{top}/msp/signcerts/{member.name}-cert.pem"] = member.certificate
            files[f"{top}/msp/keystore/priv_sk"] = member.identity.key_pem
            side = "server" if member.role in _FOLDERS else "client"
            files[f"{top}/tls/ca.crt"] = self.tls_authority.certificate.pem
            files[f"{top}/tls/{side}.crt"] = member.tls.certificate.pem
            files[f"{top}/tls/{side}.key"] = member.tls.key_pem
        return files

    def _msp_files(self, folder: str) -> dict[str, bytes]:
        root = f"cacerts/{self.authority.name}-cert.pem"
        lines = ["NodeOUs:", "  Enable: true"]
        for role, unit in UNITS.items():
            lines += [
                f"  {role.name.capitalize()}OUIdentifier:",
                f"    Certificate: {root}",
                f"    OrganizationalUnitIdentifier: {unit}",
            ]
        tls = f"tlscacerts/{self.tls_authority.name}-cert.pem"
        return {
            f"{folder}/{root}": self.authority.certificate.pem,
            f"{folder}/{tls}": self.tls_authority.certificate.pem,
            f"{folder}/config.yaml": "\n".join([*lines, ""]).encode(),
        }
