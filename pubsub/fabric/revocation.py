"""Certificate revocation lists: which serial numbers an authority has taken back.

As in Fabric, a list counts from the moment that it is in the MSP; the dates in it
do not. A list that the authority did not sign is as good as none.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from pubsub.fabric.certificates import MALFORMED, Certificate, CertificateError, decode_pem
from pubsub.fabric.identity_errors import RevokedError

MAX_LIST_BYTES = 4 * 1024 * 1024
"About 100,000 entries (ours)."


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list, parsed; its signature is looked at when an entry would count."""

    parsed: x509.CertificateRevocationList = field(repr=False)
    authority_key_id: bytes

    def is_signed_by(self, authority: Certificate) -> bool:
        """True if `authority` made this list."""
        key = authority.key
        known = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
        try:
            return isinstance(key, known) and self.parsed.is_signature_valid(key)
        except MALFORMED:
            return False


def revocation_list(data: bytes) -> RevocationList:
    """Parse a list, PEM or DER. Raises CertificateError."""
    if len(data) > MAX_LIST_BYTES:
        raise CertificateError(f"{len(data)} bytes are too long for a revocation list")
    der = decode_pem(data, limit=MAX_LIST_BYTES) if data.startswith(b"-----BEGIN") else data
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = x509.load_der_x509_crl(der)
            key_id = parsed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except MALFORMED as error:
        raise CertificateError("malformed revocation list") from error
    return RevocationList(parsed, key_id.value.key_identifier or b"")


def check_not_revoked(
    certificate: Certificate, issuer: Certificate, lists: Sequence[RevocationList]
) -> None:
    """Raise RevokedError if a list of `issuer` names `certificate`."""
    for each in lists:
        if each.authority_key_id != issuer.key_id:
            continue
        entry = each.parsed.get_revoked_certificate_by_serial_number(certificate.serial)
        if entry is not None and each.is_signed_by(issuer):
            raise RevokedError(f"the certificate of {certificate.common_name!r} has been revoked")
