"""The symmetric half of a Noise handshake (Noise specification, section 5.2).

A chaining key and a hash absorb everything both ends have seen; as soon as a key
has been mixed in, what is written is encrypted under it and bound to the hash.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from pubsub.errors import RemoteError

PROTOCOL_NAME = b"Noise_XX_25519_ChaChaPoly_SHA256"
DH_SIZE = 32
TAG_SIZE = 16


class SymmetricState:
    """Chaining key, handshake hash and the current cipher."""

    def __init__(self, prologue: bytes = b"") -> None:
        # The name has exactly the size of a hash, so it is taken as it is.
        self._chaining_key = self.hash = PROTOCOL_NAME
        self._cipher: ChaCha20Poly1305 | None = None
        self._nonce = 0
        self.mix_hash(prologue)

    def mix_hash(self, data: bytes) -> None:
        self.hash = hashlib.sha256(self.hash + data).digest()

    def mix_key(self, secret: bytes) -> None:
        self._chaining_key, key = _derive(self._chaining_key, secret)
        self._cipher, self._nonce = ChaCha20Poly1305(key), 0

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        if self._cipher is None:
            ciphertext = plaintext
        else:
            ciphertext = self._cipher.encrypt(self._next_nonce(), plaintext, self.hash)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        if self._cipher is None:
            plaintext = ciphertext
        else:
            try:
                plaintext = self._cipher.decrypt(self._next_nonce(), ciphertext, self.hash)
            except InvalidTag as error:
                raise RemoteError("handshake message cannot be decrypted") from error
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        """The two transport keys: the initiator's for sending, then the responder's."""
        return _derive(self._chaining_key, b"")

    def _next_nonce(self) -> bytes:
        nonce = bytes(4) + self._nonce.to_bytes(8, "little")
        self._nonce += 1
        return nonce


def _derive(chaining_key: bytes, secret: bytes) -> tuple[bytes, bytes]:
    base = hmac.digest(chaining_key, secret, "sha256")
    first = hmac.digest(base, b"\x01", "sha256")
    return first, hmac.digest(base, first + b"\x02", "sha256")
