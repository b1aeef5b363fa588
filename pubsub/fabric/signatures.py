"""Signatures as Fabric makes and checks them.

ECDSA over SHA-256 on a NIST curve, DER, with s in the lower half of the group
order: of the two values of s that verify only the smaller counts, so that nobody
can make a second signature out of a first. Ed25519 from channel capability V3_0 on.
"""

from __future__ import annotations

from typing import TypeAlias, TypeGuard

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from pubsub.errors import RemoteError

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

SHA256 = hashes.SHA256()

ORDERS: dict[str, int] = {
    "secp224r1": 2**224 - 0xE95D1F470FC1EC22D6BAA3A3D5C3,
    "secp256r1": 2**256 - 2**224 + 2**192 - 0x4319055258E8617B0C46353D039CDAAF,
    "secp384r1": 2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D,
    "secp521r1": 2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
}
"Order of each curve's group (FIPS 186-4, D.1.2); other curves are not for identities."


class SignatureError(RemoteError):
    """A signature does not verify."""


class HighSError(SignatureError):
    """The signature would verify, but its s is in the upper half of the group order."""


def is_public_key(key: object) -> TypeGuard[PublicKey]:
    """True for keys that an identity may have."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.name in ORDERS
    return isinstance(key, ed25519.Ed25519PublicKey)


def is_private_key(key: object) -> TypeGuard[PrivateKey]:
    """True for keys that a local identity may have."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.curve.name in ORDERS
    return isinstance(key, ed25519.Ed25519PrivateKey)


def verify_signature(
    key: PublicKey, data: bytes, signature: bytes, algorithm: hashes.HashAlgorithm = SHA256
) -> None:
    """Raise SignatureError unless `signature` is that of `key` over `data`."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
            return
        r, s = decode_dss_signature(signature)
        half = ORDERS[key.curve.name] // 2
        if r <= 0 or s <= 0:
            raise SignatureError("signature with a number that is not positive")
        if s > half:
            raise HighSError(f"s of the signature is {s}, at most {half} is allowed")
        key.verify(signature, data, ec.ECDSA(algorithm))
    except (InvalidSignature, ValueError) as error:
        raise SignatureError("the signature is not valid") from error


def sign(key: PrivateKey, data: bytes) -> bytes:
    """Sign `data` so that every Fabric node accepts it.

    The same key and data give the same signature wherever OpenSSL can do so (RFC 6979).
    """
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    try:
        signature = key.sign(data, ec.ECDSA(SHA256, deterministic_signing=True))
    except (UnsupportedAlgorithm, TypeError):  # cryptography before 43, OpenSSL before 3.2
        signature = key.sign(data, ec.ECDSA(SHA256))
    return low_s(signature, ORDERS[key.curve.name])


def low_s(signature: bytes, order: int) -> bytes:
    """The same DER signature with the smaller of its two values of s."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, min(s, order - s))
