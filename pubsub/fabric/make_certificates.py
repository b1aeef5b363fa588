"""A certificate authority in memory, as cryptogen and fabric-ca make them.

Everything follows from the arguments: keys and serial numbers from `entropy`, dates
from `when`. So the same arguments give the same certificates, PKI-IDs included.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias, final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pubsub.fabric.certificates import (
    Certificate,
    certificate_from_der,
    replace_signature,
)
from pubsub.fabric.signatures import ORDERS, PrivateKey, PublicKey, sign

Entropy: TypeAlias = Callable[[int], bytes]
"Gives as many random bytes as asked for: `os.urandom`, or of a seeded generator in tests."

LIFETIME = timedelta(days=3650)
BACKDATED = timedelta(minutes=5)
"Both as cryptogen has them."
TLS_USAGES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A private key and a certificate for it."""

    certificate: Certificate
    key: PrivateKey = field(repr=False)

    @property
    def key_pem(self) -> bytes:
        """The private key as PKCS #8, as cryptogen writes it."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_key(entropy: Entropy, curve: ec.EllipticCurve | None = None) -> PrivateKey:
    """A private key on `curve`, P-256 if none is given."""
    curve = curve or ec.SECP256R1()
    order = ORDERS[curve.name]
    number = int.from_bytes(entropy(curve.key_size // 8 + 16), "big")
    return ec.derive_private_key(number % (order - 1) + 1, curve)


def make_ed25519_key(entropy: Entropy) -> PrivateKey:
    """An Ed25519 key, for channels with capability V3_0."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(entropy(32))


@final
class Authority:
    """A root or, with `parent`, an intermediate authority that issues and revokes."""

    def __init__(
        self,
        name: str,
        organization: str,
        *,
        entropy: Entropy,
        when: datetime,
        parent: Authority | None = None,
        path_length: int | None = None,
    ) -> None:
        self._entropy = entropy
        self._key = make_key(entropy)
        issuer = self if parent is None else parent
        self._subject = _subject(name, organization=organization)
        builder = _builder(self._subject, self._key.public_key(), entropy, when, LIFETIME)
        builder = builder.issuer_name(issuer._subject)
        builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
        usages = x509.ExtendedKeyUsage(reversed(TLS_USAGES))
        builder = builder.add_extension(usages, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(True, path_length), critical=True)
        key_id = x509.SubjectKeyIdentifier(_key_id(self._key.public_key()))
        builder = builder.add_extension(key_id, critical=False)
        if parent is not None:
            builder = builder.add_extension(parent._key_identifier(), critical=False)
        self.certificate = _signed(builder, issuer._key)

    @property
    def name(self) -> str:
        return self.certificate.common_name

    @property
    def key_pair(self) -> KeyPair:
        return KeyPair(self.certificate, self._key)

    def issue(
        self,
        name: str,
        *,
        when: datetime,
        units: Sequence[str] = (),
        hosts: Sequence[str] = (),
        is_tls: bool = False,
        key: PrivateKey | None = None,
        lifetime: timedelta = LIFETIME,
        extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    ) -> KeyPair:
        """A certificate for `name` that begins five minutes before `when`, with its key.

        `extensions` are further ones, each with whether it is critical.
        """
        key = key or make_key(self._entropy)
        builder = _builder(
            _subject(name, units=units), key.public_key(), self._entropy, when, lifetime
        )
        builder = builder.issuer_name(self._subject)
        builder = builder.add_extension(_key_usage(enciphers=is_tls), critical=True)
        if is_tls:
            builder = builder.add_extension(x509.ExtendedKeyUsage(TLS_USAGES), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
        builder = builder.add_extension(self._key_identifier(), critical=False)
        if hosts:
            names = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return KeyPair(_signed(builder, self._key), key)

    def revocation_list(self, revoked: Iterable[Certificate], *, when: datetime) -> bytes:
        """A list, in PEM, that takes back these certificates."""
        builder = x509.CertificateRevocationListBuilder()
        builder = builder.issuer_name(self._subject).last_update(when)
        builder = builder.next_update(when + LIFETIME)
        builder = builder.add_extension(self._key_identifier(), critical=False)
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial)
            builder = builder.add_revoked_certificate(entry.revocation_date(when).build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier(_key_id(self._key.public_key()), None, None)


def _builder(
    subject: x509.Name, key: PublicKey, entropy: Entropy, when: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    begin = when.replace(second=0, microsecond=0) - BACKDATED
    serial = int.from_bytes(entropy(16), "big") >> 1 | 1
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key)
    builder = builder.serial_number(serial)
    return builder.not_valid_before(begin).not_valid_after(begin + lifetime)


def _signed(builder: x509.CertificateBuilder, key: PrivateKey) -> Certificate:
    # The builder takes its signature's nonce from the system; ours follows from the content.
    draft = builder.sign(key, hashes.SHA256())
    signature = sign(key, draft.tbs_certificate_bytes)
    return certificate_from_der(
        replace_signature(draft.public_bytes(Encoding.DER), draft, signature)
    )


def _subject(name: str, *, organization: str = "", units: Sequence[str] = ()) -> x509.Name:
    parts = [
        (NameOID.COUNTRY_NAME, "US"),
        (NameOID.STATE_OR_PROVINCE_NAME, "California"),
        (NameOID.LOCALITY_NAME, "San Francisco"),
        *((NameOID.ORGANIZATION_NAME, value) for value in [organization] if value),
        *((NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units),
        (NameOID.COMMON_NAME, name),
    ]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def _key_usage(*, signs_certificates: bool = False, enciphers: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=enciphers or signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_id(key: PublicKey) -> bytes:
    # RFC 7093, section 2, method 4, as cryptogen.
    if isinstance(key, ec.EllipticCurvePublicKey):
        encoded = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    else:
        encoded = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(encoded).digest()


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
