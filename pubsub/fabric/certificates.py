"""X.509 certificates as an MSP reads them, from bytes that may be anybody's.

A `Certificate` is parsed once and holds plainly what path validation asks for.
Its signature is part of its bytes, and an ECDSA signature has two forms;
`with_low_s` gives the one form that identifies the certificate.
"""

from __future__ import annotations

import base64
import binascii
import re
import warnings
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Usage
from cryptography.x509.oid import ExtensionOID, NameOID

from pubsub.errors import RemoteError
from pubsub.fabric.der import BIT_STRING, SEQUENCE, der_element
from pubsub.fabric.signatures import ORDERS, is_public_key, low_s

MAX_CERTIFICATE_BYTES = 32 * 1024
"Fabric has no bound of its own; its certificates take about 700 bytes (ours)."
MAX_RSA_BITS = 8192

HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
UNDERSTOOD = {
    ExtensionOID.KEY_USAGE,
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.CRL_DISTRIBUTION_POINTS,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
}
"Critical extensions that go's verifier knows; any other makes a certificate unusable."

_BLOCK = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]*)-----[ \t]*\r?\n(.*?)\r?\n-----END \1-----[ \t]*(\r?\n)?", re.DOTALL
)
MALFORMED = (
    *(ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion),
    *(x509.DuplicateExtension, x509.ExtensionNotFound, x509.UnsupportedGeneralNameType),
)
"What cryptography raises for certificates and lists that are badly made."


class CertificateError(RemoteError):
    """Bytes that should be a certificate or a revocation list are none."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate. Two are equal when their bytes are."""

    der: bytes = field(repr=False)
    parsed: x509.Certificate = field(repr=False, compare=False)
    common_name: str = field(compare=False)
    units: tuple[str, ...] = field(compare=False)
    "The subject's organizational units, in order."

    is_ca: bool = field(compare=False)
    path_length: int | None = field(compare=False)
    may_sign_certificates: bool = field(compare=False)
    "False if there is a key usage that leaves certificates out."

    may_serve: bool = field(compare=False)
    "False if there is an extended key usage that leaves TLS servers out."

    has_alternative_names: bool = field(compare=False)
    constrains_names: bool = field(compare=False)
    unknown_critical: str = field(compare=False)
    "The first critical extension that is not understood, or an empty string."

    key_id: bytes = field(compare=False, repr=False)
    "The subject key identifier; empty if there is none."

    @property
    def not_before(self) -> datetime:
        return self.parsed.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        return self.parsed.not_valid_after_utc

    @property
    def serial(self) -> int:
        return self.parsed.serial_number

    @property
    def key(self) -> object:
        """The public key, of whatever kind; see `signatures.is_public_key`."""
        return self.parsed.public_key()

    @property
    def pem(self) -> bytes:
        return encode_pem(self.der)


def decode_pem(
    data: bytes, *, alone: bool = False, limit: int = 2 * MAX_CERTIFICATE_BYTES
) -> bytes:
    """The content of the first PEM block in `data`.

    Raises CertificateError if there is none, or, with `alone`, if it is not a
    certificate or anything stands beside it.
    """
    if len(data) > limit:
        raise CertificateError(f"PEM text of {len(data)} bytes, at most {limit}")
    found = _BLOCK.search(data)
    if found is None:
        raise CertificateError("there is no PEM block")
    if alone and (found.start() or found.end() != len(data)):
        raise CertificateError("there are bytes beside the PEM block")
    if alone and found[1] not in (b"CERTIFICATE", b""):
        raise CertificateError(f"PEM block of type {found[1][:40].decode()}")
    try:
        return base64.b64decode(b"".join(found[2].split()), validate=True)
    except binascii.Error as error:
        raise CertificateError("the PEM block is not base64") from error


def encode_pem(content: bytes, kind: str = "CERTIFICATE") -> bytes:
    """A PEM block just as Go writes it: PKI-IDs are hashes of this text."""
    text = base64.b64encode(content)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    mark = kind.encode()
    return b"\n".join([b"-----BEGIN %b-----" % mark, *lines, b"-----END %b-----\n" % mark])


def certificate_from_pem(data: bytes, *, alone: bool = False) -> Certificate:
    """Parse the first certificate in `data`; see `decode_pem` for `alone`."""
    return certificate_from_der(decode_pem(data, alone=alone))


def certificate_from_der(der: bytes) -> Certificate:
    """Parse a certificate. Raises CertificateError."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise CertificateError(f"{len(der)} bytes are too long for a certificate")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old habits of CAs, which Fabric lets pass
            return _read(x509.load_der_x509_certificate(der), der)
    except MALFORMED as error:
        raise CertificateError("malformed certificate") from error


def _read(parsed: x509.Certificate, der: bytes) -> Certificate:
    # These are parsed when they are first asked for, and may raise then.
    _ = parsed.public_key(), parsed.issuer, parsed.serial_number, parsed.signature
    _ = parsed.not_valid_before_utc, parsed.not_valid_after_utc, parsed.tbs_certificate_bytes
    extensions = {extension.oid: extension for extension in parsed.extensions}
    is_ca, path_length = False, None
    sign_certificates = may_serve = True
    key_id = b""
    for extension in extensions.values():
        match extension.value:
            case x509.BasicConstraints() as basic:
                is_ca, path_length = basic.ca, basic.path_length
            case x509.KeyUsage() as usage:
                sign_certificates = usage.key_cert_sign
            case x509.ExtendedKeyUsage() as usages:
                may_serve = Usage.SERVER_AUTH in usages or Usage.ANY_EXTENDED_KEY_USAGE in usages
            case x509.SubjectKeyIdentifier() as identifier:
                key_id = identifier.digest
    unknown = [e.oid.dotted_string for e in extensions.values() if e.critical]
    unknown = [oid for oid in unknown if x509.ObjectIdentifier(oid) not in UNDERSTOOD]
    return Certificate(
        der=der,
        parsed=parsed,
        common_name=next(iter(_names(parsed.subject, NameOID.COMMON_NAME)), ""),
        units=tuple(_names(parsed.subject, NameOID.ORGANIZATIONAL_UNIT_NAME)),
        is_ca=is_ca,
        path_length=path_length,
        may_sign_certificates=sign_certificates,
        may_serve=may_serve,
        has_alternative_names=ExtensionOID.SUBJECT_ALTERNATIVE_NAME in extensions,
        constrains_names=ExtensionOID.NAME_CONSTRAINTS in extensions,
        unknown_critical=next(iter(unknown), ""),
        key_id=key_id,
    )


def _names(name: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in name.get_attributes_for_oid(oid)]


def is_issued_by(certificate: Certificate, issuer: Certificate) -> bool:
    """True if the names fit and the issuer's key made the signature. Looks at nothing else."""
    try:
        if not _has_sound_signature(certificate.parsed, issuer.key):
            return False
        certificate.parsed.verify_directly_issued_by(issuer.parsed)
    except (InvalidSignature, *MALFORMED):
        return False
    return True


def _has_sound_signature(signed: x509.Certificate, key: object) -> bool:
    """True if hash and key are ones that Go and Fabric accept in a certificate."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return True
    if not isinstance(signed.signature_hash_algorithm, HASHES):
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size <= MAX_RSA_BITS
    return is_public_key(key)


def with_low_s(certificate: Certificate, issuer: Certificate) -> Certificate:
    """The certificate with the low-S form of its issuer's ECDSA signature.

    Fabric replaces the other form by this one, so that a certificate cannot pass for two.
    """
    key = issuer.key
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return certificate
    signature = certificate.parsed.signature
    canonical = low_s(signature, ORDERS[key.curve.name])
    if canonical == signature:
        return certificate
    return certificate_from_der(replace_signature(certificate.der, certificate.parsed, canonical))


def replace_signature(der: bytes, parsed: x509.Certificate, signature: bytes) -> bytes:
    """The DER of a certificate with another signature over the same content."""
    old = der_element(BIT_STRING, b"\0" + parsed.signature)
    start = der.index(parsed.tbs_certificate_bytes)
    unsigned = der[start : len(der) - len(old)]
    return der_element(SEQUENCE, unsigned + der_element(BIT_STRING, b"\0" + signature))
