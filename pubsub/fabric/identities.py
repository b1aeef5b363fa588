"""Identities as they travel, and a local one that signs.

serialized identity = (MSP id, certificate in PEM)
PKI-ID              = SHA-256 of the MSP id followed by the PEM
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.protobuf.message import DecodeError

from pubsub.errors import ParamError
from pubsub.fabric.certificates import CertificateError, certificate_from_pem
from pubsub.fabric.identity_errors import MalformedIdentityError, UnknownMspError
from pubsub.fabric.msp import Identity, Msp
from pubsub.fabric.signatures import PrivateKey, is_private_key, sign
from pubsub.pb.fabric import msp_pb2

MAX_IDENTITY_BYTES = 64 * 1024
"Twice what a certificate may take (ours)."


@dataclass(frozen=True, slots=True)
class SerializedIdentity:
    """Who somebody claims to be: nothing of it is checked yet."""

    msp_id: str
    id_bytes: bytes = field(repr=False)

    @property
    def pki_id(self) -> bytes:
        return hashlib.sha256(self.msp_id.encode() + self.id_bytes).digest()


def serialize_identity(msp_id: str, id_bytes: bytes) -> bytes:
    """Encode an identity, as Fabric's messages and signature headers hold it."""
    return msp_pb2.SerializedIdentity(mspid=msp_id, id_bytes=id_bytes).SerializeToString()


def parse_identity(encoded: bytes) -> SerializedIdentity:
    """Decode an identity. Raises MalformedIdentityError."""
    if not encoded:
        raise MalformedIdentityError("there is no identity")
    if len(encoded) > MAX_IDENTITY_BYTES:
        raise MalformedIdentityError(f"identity of {len(encoded)} bytes")
    try:
        message = msp_pb2.SerializedIdentity.FromString(encoded)
    except DecodeError as error:
        raise MalformedIdentityError("malformed serialized identity") from error
    return SerializedIdentity(message.mspid, message.id_bytes)


def pki_id_of(encoded: bytes) -> bytes:
    """The PKI-ID of a serialized identity. Raises MalformedIdentityError."""
    return parse_identity(encoded).pki_id


def identify(encoded: bytes, msps: Mapping[str, Msp]) -> Identity:
    """The validated identity that `encoded` is in one of `msps`; raises IdentityError."""
    claimed = parse_identity(encoded)
    msp = msps.get(claimed.msp_id)
    if msp is None:
        raise UnknownMspError(f"MSP {claimed.msp_id[:100]!r} is not known")
    return msp.identity(claimed.id_bytes)


@final
class Signer:
    """A local identity with its private key. Raises ParamError if the two do not fit."""

    def __init__(self, msp_id: str, certificate: bytes, key: PrivateKey) -> None:
        try:
            parsed = certificate_from_pem(certificate)
        except CertificateError as error:
            raise ParamError(f"certificate of the local identity: {error}") from error
        if not is_private_key(key) or parsed.key != key.public_key():
            raise ParamError(f"the key is not that of {parsed.common_name!r}'s certificate")
        self._key = key
        self.msp_id = msp_id
        self.certificate = parsed.pem
        "Written anew, because a PKI-ID is a hash over this text."

        self.identity = serialize_identity(msp_id, self.certificate)
        self.pki_id = pki_id_of(self.identity)

    @classmethod
    def from_pem(cls, msp_id: str, certificate: bytes, key: bytes) -> Signer:
        """A signer from two PEM files, as cryptogen and fabric-ca write them."""
        try:
            private = load_pem_private_key(key, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ParamError(f"private key of the local identity: {error}") from error
        if not is_private_key(private):
            raise ParamError(f"keys like {type(private).__name__} are not for identities")
        return cls(msp_id, certificate, private)

    def __repr__(self) -> str:
        return f"Signer({self.msp_id!r}, {self.pki_id.hex()[:16]})"

    def sign(self, data: bytes) -> bytes:
        """The signature of this identity over `data`."""
        return sign(self._key, data)
