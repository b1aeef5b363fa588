"""Where the recordings of a Hyperledger Fabric network are, and how to read them.

They are in `../shared/fixtures/fabric` beside the repository, or where the
environment variable FABRIC_FIXTURES says. Tests that need them are marked
`needs_recordings`.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from pubsub.errors import RemoteError
from pubsub.fabric.envelope import Verifier

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "fixtures" / "fabric"
FOLDER = Path(os.environ.get("FABRIC_FIXTURES") or BESIDE)

needs_recordings = pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason=f"no recordings of a Fabric network in {FOLDER}: name their folder in FABRIC_FIXTURES",
)

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class BadSignatureError(RemoteError):
    """The signature is not that of the certificate's key."""


class HighSError(BadSignatureError):
    """The signature has the larger of its two values of s."""


@cache
def read(name: str) -> bytes:
    """The bytes of one file of the recordings."""
    return (FOLDER / name).read_bytes()


@cache
def index(name: str) -> Any:
    """What one of the JSON files says; nothing at all where there are no recordings."""
    return json.loads(read(name)) if FOLDER.is_dir() else {}


def framed(name: str) -> list[bytes]:
    """The parts of a file in which each has its length before it, 4 bytes."""
    data, parts, start = read(name), [], 0
    while start < len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        parts.append(data[start + 4 : start + 4 + length])
        start += 4 + length
    return parts


@cache
def verifier(certificate: str) -> Verifier:
    """The check of signatures by the key in one certificate file of the recordings."""
    key = x509.load_pem_x509_certificate(read(certificate)).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)

    def verify(data: bytes, signature: bytes) -> None:
        try:
            _, s = decode_dss_signature(signature)
            if s > P256_ORDER // 2:
                raise HighSError("s in the upper half of the group order")
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError) as error:
            raise BadSignatureError("not the signature of this key") from error

    return verify
