"""Keys as libp2p writes and uses them (specs: peer-ids/peer-ids.md, "Keys").

We sign with Ed25519. The other three types are verified, because peers that
use them exist (RSA: old nodes; secp256k1: Ethereum clients).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from google.protobuf.message import DecodeError
from nacl.bindings import (
    crypto_sign,
    crypto_sign_BYTES,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import CryptoError

from pubsub.errors import ParamError, RemoteError
from pubsub.pb import keys_pb2

MAX_KEY_BYTES = 4096
"A protobuf-encoded key longer than this is refused (an RSA-8192 key takes about 1,100 bytes)."


class KeyType(enum.IntEnum):
    RSA = 0
    ED25519 = 1
    SECP256K1 = 2
    ECDSA = 3


KEY_SIZES = {KeyType.ED25519: 32, KeyType.SECP256K1: 33}
"Other forms of the same key (an uncompressed point) would give it a second peer id."


@dataclass(frozen=True)
class PublicKey:
    """A public key; `data` is in the form the key's type prescribes (Ed25519: 32 bytes)."""

    type: KeyType
    data: bytes

    @classmethod
    def from_protobuf(cls, encoded: bytes) -> PublicKey:
        """Read a key sent by a peer.

        Raises RemoteError if it is not a key of a known type.
        """
        if len(encoded) > MAX_KEY_BYTES:
            raise RemoteError(f"public key of {len(encoded)} bytes; at most {MAX_KEY_BYTES}")
        try:
            message = keys_pb2.PublicKey.FromString(encoded)
        except DecodeError as error:
            raise RemoteError("public key is not a valid protobuf") from error
        # The parser does not insist on required fields, and puts a type it does
        # not know aside: without this check such a key would pass as an RSA key.
        if not message.HasField("type") or not message.HasField("data"):
            raise RemoteError("public key has no data, or no known type")
        key = cls(KeyType(message.type), message.data)
        size = KEY_SIZES.get(key.type)
        if size is not None and len(key.data) != size:
            raise RemoteError(f"{key.type.name} key of {len(key.data)} bytes; must be {size}")
        return key

    @cached_property
    def protobuf(self) -> bytes:
        """The deterministic encoding, from which the peer id is derived."""
        # Two fields, in order, minimal varints: upb's output for this schema is
        # exactly that, and the vectors of the specification hold it to it.
        message = keys_pb2.PublicKey(type=int(self.type), data=self.data)  # type: ignore[arg-type]
        return message.SerializeToString()

    def verify(self, message: bytes, signature: bytes) -> bool:
        """True if `signature` over `message` is this key's. Never raises."""
        if self.type is not KeyType.ED25519:
            from pubsub.identity import other_keys

            return other_keys.verify(int(self.type), self.data, message, signature)
        return verify_ed25519(self.data, message, signature)


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Ed25519 as libsodium understands it: small-order and non-canonical keys are refused."""
    if len(signature) != crypto_sign_BYTES or len(public_key) != 32:
        return False
    try:
        crypto_sign_open(signature + message, public_key)
    except CryptoError:
        return False
    return True


@dataclass(frozen=True)
class PrivateKey:
    """An Ed25519 private key.

    Made by `generate`, or from its 32-byte seed. `repr` never shows it.
    """

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != 32:
            raise ParamError(f"an Ed25519 seed is 32 bytes, not {len(self.seed)}")

    @classmethod
    def generate(cls, entropy: Callable[[int], bytes]) -> PrivateKey:
        return cls(entropy(32))

    @classmethod
    def from_protobuf(cls, encoded: bytes) -> PrivateKey:
        """Read a stored key.

        Raises ParamError if it is damaged or of a type that we cannot sign with.
        """
        try:
            message = keys_pb2.PrivateKey.FromString(encoded)
        except DecodeError as error:
            raise ParamError("not a libp2p private key") from error
        if not message.HasField("type") or not message.HasField("data"):
            raise ParamError("not a libp2p private key")
        key_type = KeyType(message.type)
        if key_type is not KeyType.ED25519:
            raise ParamError(f"the key is of type {key_type.name}; only ED25519 keys can sign here")
        # Old keys append the public key a second time (96 bytes): the
        # specification asks readers to accept that if both copies agree.
        data = message.data
        if len(data) == 96 and data[32:64] == data[64:96]:
            data = data[:64]
        if len(data) != 64:
            raise ParamError(f"an Ed25519 private key is 64 bytes, not {len(data)}")
        key = cls(data[:32])
        if key.public_key.data != data[32:]:
            raise ParamError("the private key does not match the public key stored with it")
        return key

    @cached_property
    def protobuf(self) -> bytes:
        """The encoding in which keys are stored: seed, then public key."""
        message = keys_pb2.PrivateKey(
            type=int(KeyType.ED25519),  # type: ignore[arg-type]
            data=self.seed + self.public_key.data,
        )
        return message.SerializeToString()

    @cached_property
    def public_key(self) -> PublicKey:
        return PublicKey(KeyType.ED25519, crypto_sign_seed_keypair(self.seed)[0])

    @cached_property
    def _expanded(self) -> bytes:
        return crypto_sign_seed_keypair(self.seed)[1]

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature over `message`."""
        return crypto_sign(message, self._expanded)[:crypto_sign_BYTES]


@lru_cache(maxsize=4096)
def cached_public_key(encoded: bytes) -> PublicKey | None:
    """`PublicKey.from_protobuf` remembered for keys met again and again; None if it is no key."""
    try:
        return PublicKey.from_protobuf(encoded)
    except RemoteError:
        return None
