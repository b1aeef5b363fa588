"""Peer ids: the multihash of a public key (specs: peer-ids/peer-ids.md).

Keys of up to 42 encoded bytes (Ed25519, secp256k1) are their own "hash"
(identity multihash), so the key can be read back from the id; the others are
hashed with SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache

import base58

from pubsub.errors import ParamError, RemoteError
from pubsub.identity.keys import PublicKey, cached_public_key

MAX_INLINE_KEY = 42
IDENTITY, SHA2_256 = 0x00, 0x12
CID_V1, LIBP2P_KEY = 0x01, 0x72
MAX_TEXT = 128
"Longer texts are not decoded: base58 takes quadratic time."
BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


class PeerId(bytes):
    """A peer's id: the raw multihash. `str()` gives the base58 text."""

    def __str__(self) -> str:
        return _base58(bytes(self))

    def __repr__(self) -> str:
        return f"<PeerId {_base58(bytes(self))[-6:]}>"

    @property
    def cid(self) -> str:
        """The id as a CIDv1 in base32, the other text form of the specification."""
        body = bytes((CID_V1, LIBP2P_KEY)) + self
        return "b" + base64.b32encode(body).decode("ascii").rstrip("=").lower()

    @property
    def public_key(self) -> PublicKey | None:
        """The key, if the id contains it (Ed25519 and secp256k1), else None."""
        if len(self) < 2 or self[0] != IDENTITY or self[1] != len(self) - 2:
            return None
        return cached_public_key(bytes(self[2:]))

    def matches(self, key: PublicKey) -> bool:
        """True if this is the id of `key`."""
        return self == peer_id_of(key)


@lru_cache(maxsize=8192)
def _base58(raw: bytes) -> str:
    return base58.b58encode(raw).decode("ascii")


def peer_id_of(key: PublicKey) -> PeerId:
    """Derive the id of `key`."""
    encoded = key.protobuf
    if len(encoded) <= MAX_INLINE_KEY:
        return PeerId(bytes((IDENTITY, len(encoded))) + encoded)
    return PeerId(bytes((SHA2_256, 32)) + hashlib.sha256(encoded).digest())


def peer_id_from_bytes(raw: bytes) -> PeerId:
    """Check an id sent by a peer.

    Raises RemoteError if it is neither of the two multihashes that ids may be.
    """
    if len(raw) >= 2 and raw[1] == len(raw) - 2:
        if raw[0] == SHA2_256 and raw[1] == 32:
            return PeerId(raw)
        if raw[0] == IDENTITY and 0 < raw[1] <= MAX_INLINE_KEY:
            return PeerId(raw)
    raise RemoteError(f"{len(raw)} bytes that are not a peer id")


def parse_peer_id(text: str) -> PeerId:
    """Read an id written in base58 (`12D3…`, `Qm…`) or as a CIDv1 (`bafz…`, `k51…`).

    Raises ParamError if it is neither.
    """
    try:
        if len(text) > MAX_TEXT:
            raise ValueError("too long")
        if text.startswith(("Qm", "1")):
            return peer_id_from_bytes(base58.b58decode(text))
        raw = _decode_multibase(text)
        if raw[:2] != bytes((CID_V1, LIBP2P_KEY)):
            raise ValueError("not the CID of a libp2p key")
        return peer_id_from_bytes(raw[2:])
    except (ValueError, RemoteError) as error:
        raise ParamError(f"{text[:80]!r} is not a peer id (12D3…, Qm… or bafz…)") from error


def _decode_multibase(text: str) -> bytes:
    code, body = text[:1], text[1:]
    if code in ("b", "B"):
        return base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    if code == "z":
        return base58.b58decode(body)
    if code in ("f", "F"):
        return bytes.fromhex(body)
    if code in ("k", "K"):
        digits = body.lower()
        number = int(digits, 36) if digits and all(c in BASE36 for c in digits) else 0
        return number.to_bytes((number.bit_length() + 7) // 8, "big")
    if code in ("m", "u"):
        alphabet = b"-_" if code == "u" else b"+/"
        return base64.b64decode(body + "=" * (-len(body) % 4), alphabet, validate=True)
    raise ValueError("unknown multibase prefix")
