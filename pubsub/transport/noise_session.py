"""Noise after the handshake: frames of a two-byte length and a ChaCha20-Poly1305 text.

Nonces count up from zero in each direction, so a frame that was lost, repeated,
reordered or changed ends the session.
"""

from __future__ import annotations

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from pubsub.errors import LocalError, RemoteError
from pubsub.transport.noise_state import TAG_SIZE

MAX_FRAME = 65535
MAX_PLAINTEXT = MAX_FRAME - TAG_SIZE
MAX_NONCE = 2**64 - 2
"The last one is reserved by the Noise specification (section 5.1)."

_NONCE = struct.Struct("<4xQ").pack
_LENGTH = struct.Struct(">H").pack


class NoiseSession:
    """Encrypts what we send and decrypts what the peer sends."""

    def __init__(self, *, send_key: bytes, receive_key: bytes) -> None:
        self._encrypt = ChaCha20Poly1305(send_key).encrypt
        self._decrypt = ChaCha20Poly1305(receive_key).decrypt
        self._send_nonce = 0
        self._receive_nonce = 0
        self._partial = bytearray()
        "The beginning of a frame, its length included; empty between frames."

    def encrypt(self, plaintext: bytes) -> bytes:
        """Encrypt into as few frames as possible."""
        size = len(plaintext)
        if not size:
            return b""
        nonce = self._send_nonce
        if nonce + size // MAX_PLAINTEXT > MAX_NONCE:
            raise LocalError("the session has used up its nonces: open a new connection")
        encrypt = self._encrypt
        if size <= MAX_PLAINTEXT:
            self._send_nonce = nonce + 1
            return _LENGTH(size + TAG_SIZE) + encrypt(_NONCE(nonce), plaintext, None)
        parts: list[bytes] = []
        view = memoryview(plaintext)
        for start in range(0, size, MAX_PLAINTEXT):
            ciphertext = encrypt(_NONCE(nonce), view[start : start + MAX_PLAINTEXT], None)
            parts += (_LENGTH(len(ciphertext)), ciphertext)
            nonce += 1
        self._send_nonce = nonce
        return b"".join(parts)

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take in bytes of the peer and return the plaintext of each frame they complete.

        Raises RemoteError if a frame is not authentic.
        """
        plaintexts: list[bytes] = []
        start = self._complete_partial(data, plaintexts) if self._partial else 0
        size = len(data)
        view = memoryview(data)
        while size - start >= 2:
            end = start + 2 + (data[start] << 8 | data[start + 1])
            if end > size:
                break
            self._open(view[start + 2 : end], plaintexts)
            start = end
        if start < size:
            self._partial += view[start:]
        return plaintexts

    def _complete_partial(self, data: bytes, plaintexts: list[bytes]) -> int:
        """Add to the begun frame what belongs to it; return how much of `data` that was."""
        partial = self._partial
        taken = 0
        if len(partial) < 2:
            partial += data[:1]
            taken = 1
            if len(partial) < 2:
                return taken
        missing = 2 + (partial[0] << 8 | partial[1]) - len(partial)
        with memoryview(data) as view:
            partial += view[taken : taken + missing]
        if len(data) - taken < missing:
            return len(data)
        with memoryview(partial) as view:
            self._open(view[2:], plaintexts)
        self._partial = bytearray()
        return taken + missing

    def _open(self, frame: memoryview, plaintexts: list[bytes]) -> None:
        nonce = self._receive_nonce
        if nonce > MAX_NONCE:
            raise RemoteError("peer has used up its nonces")
        try:
            plaintext = self._decrypt(_NONCE(nonce), frame, None)
        except InvalidTag as error:
            raise RemoteError("frame cannot be decrypted") from error
        self._receive_nonce = nonce + 1
        if plaintext:
            plaintexts.append(plaintext)
