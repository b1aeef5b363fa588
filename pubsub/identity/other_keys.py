"""Verifying the key types that are not Ed25519 (specs: peer-ids/peer-ids.md, "Key Types").

Kept apart, because importing the X.509 machinery costs more than the rest of
the package and most networks never need it.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

RSA, ED25519, SECP256K1, ECDSA = range(4)
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
"go-libp2p's bounds; larger keys would make one signature cost milliseconds."
MAX_RSA_EXPONENT = 2**32
"An exponent as long as the modulus makes a check a hundred times as slow (ours)."
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
"What go's keys may be on; others are several times slower still."


def verify(key_type: int, data: bytes, message: bytes, signature: bytes) -> bool:
    """True if `signature` over `message` is that of the key in `data`. Never raises."""
    try:
        if key_type == ED25519:
            ed25519.Ed25519PublicKey.from_public_bytes(data).verify(signature, message)
            return True
        if key_type == SECP256K1:
            curve_key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), data)
            curve_key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
            return True
        key = load_der_public_key(data)
        if (
            key_type == ECDSA
            and isinstance(key, ec.EllipticCurvePublicKey)
            and isinstance(key.curve, CURVES)
        ):
            key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
            return True
        if key_type == RSA and isinstance(key, rsa.RSAPublicKey):
            if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
                return False
            if key.public_numbers().e > MAX_RSA_EXPONENT:
                return False
            key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
            return True
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return False
