"""Noise_XX_25519_ChaChaPoly_SHA256 as libp2p uses it (specs: noise/README.md).

    initiator ── e ──────────────────────────────► responder
    initiator ◄── e, ee, s, es, payload ────────── responder
    initiator ── s, se, payload ─────────────────► responder
    both      ◄─► frames of at most 65,535 bytes, each with a two-byte length

A payload carries the identity key, its signature over the static Noise key, and the
muxers the sender speaks; the peer's id is derived from the key, never taken from words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from google.protobuf.message import DecodeError
from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base

from pubsub.errors import LocalError, RemoteError
from pubsub.identity import PeerId, PrivateKey, PublicKey, peer_id_of
from pubsub.pb import noise_pb2
from pubsub.transport.noise_session import NoiseSession
from pubsub.transport.noise_state import DH_SIZE, TAG_SIZE, SymmetricState

SIGNATURE_PREFIX = b"noise-libp2p-static-key:"
MAX_HANDSHAKE_MESSAGE = 4096
"ours: an RSA-8192 identity and its signature take 2.2 KiB; the format would allow 64 KiB."
MAX_MUXERS = 100
"go's bound."


class NoiseHandshake:
    """One end of the handshake; when `done`, `session()` carries on."""

    peer: PeerId
    "The peer's proven id; set when its payload has been checked."
    public_key: PublicKey
    muxer: str | None = None
    "The muxer agreed on in the payloads; None: negotiate it with multistream."
    leftover: bytes = b""

    def __init__(
        self,
        *,
        initiator: bool,
        key: PrivateKey,
        entropy: Callable[[int], bytes],
        muxers: Sequence[str] = (),
        expected_peer: PeerId | None = None,
        prologue: bytes = b"",
    ) -> None:
        self._initiator = initiator
        self._key = key
        self._muxers = tuple(muxers)
        self._expected_peer = expected_peer
        self._static = entropy(32)
        self._static_public = crypto_scalarmult_base(self._static)
        self._ephemeral = entropy(32)
        self._state = SymmetricState(prologue)
        self._remote_ephemeral = b""
        self._remote_static = b""
        self._buffer = bytearray()
        self._pending: list[bytes] = []
        self._session: NoiseSession | None = None
        if initiator:
            self._write_first()

    @property
    def done(self) -> bool:
        return self._session is not None

    def session(self) -> NoiseSession:
        """The transport that the handshake leads to."""
        if self._session is None:
            raise LocalError("the handshake is not finished")
        return self._session

    def receive_data(self, data: bytes) -> None:
        """Take in bytes of the peer.

        Raises RemoteError if the handshake fails.
        """
        if self.done:
            raise LocalError("the handshake is over: give the bytes to the session")
        buffer = self._buffer
        buffer += data
        while self._session is None and len(buffer) >= 2:
            size = buffer[0] << 8 | buffer[1]
            if size > MAX_HANDSHAKE_MESSAGE:
                raise RemoteError(f"handshake message of {size} bytes")
            if len(buffer) < 2 + size:
                return
            message = bytes(buffer[2 : 2 + size])
            del buffer[: 2 + size]
            self._on_message(message)
        if self._session is not None:
            self.leftover = bytes(buffer)
            buffer.clear()

    def data_to_send(self) -> bytes:
        """Everything that waits to be sent, handed over once."""
        data = b"".join(self._pending)
        self._pending.clear()
        return data

    def _send(self, message: bytes) -> None:
        self._pending.append(len(message).to_bytes(2, "big") + message)

    def _on_message(self, message: bytes) -> None:
        if self._initiator:
            self._read_second(message)
            self._write_third()
            self._finish()
        elif not self._remote_ephemeral:
            self._read_first(message)
            self._write_second()
        else:
            self._read_third(message)
            self._finish()

    def _write_first(self) -> None:
        ephemeral = crypto_scalarmult_base(self._ephemeral)
        self._state.mix_hash(ephemeral)
        self._send(ephemeral + self._state.encrypt_and_hash(b""))

    def _read_first(self, message: bytes) -> None:
        self._read_ephemeral(message)
        # The payload is not encrypted and says nothing we use, but it is hashed.
        self._state.decrypt_and_hash(message[DH_SIZE:])

    def _write_second(self) -> None:
        state = self._state
        ephemeral = crypto_scalarmult_base(self._ephemeral)
        state.mix_hash(ephemeral)
        state.mix_key(_exchange(self._ephemeral, self._remote_ephemeral))
        static = state.encrypt_and_hash(self._static_public)
        state.mix_key(_exchange(self._static, self._remote_ephemeral))
        self._send(ephemeral + static + state.encrypt_and_hash(self._payload()))

    def _read_second(self, message: bytes) -> None:
        state = self._state
        self._read_ephemeral(message)
        state.mix_key(_exchange(self._ephemeral, self._remote_ephemeral))
        rest = self._read_static(message[DH_SIZE:])
        state.mix_key(_exchange(self._ephemeral, self._remote_static))
        self._check_payload(state.decrypt_and_hash(rest))

    def _write_third(self) -> None:
        state = self._state
        static = state.encrypt_and_hash(self._static_public)
        state.mix_key(_exchange(self._static, self._remote_ephemeral))
        self._send(static + state.encrypt_and_hash(self._payload()))

    def _read_third(self, message: bytes) -> None:
        rest = self._read_static(message)
        self._state.mix_key(_exchange(self._ephemeral, self._remote_static))
        self._check_payload(self._state.decrypt_and_hash(rest))

    def _finish(self) -> None:
        first, second = self._state.split()
        if self._initiator:
            self._session = NoiseSession(send_key=first, receive_key=second)
        else:
            self._session = NoiseSession(send_key=second, receive_key=first)

    def _read_ephemeral(self, message: bytes) -> None:
        if len(message) < DH_SIZE:
            raise RemoteError(f"handshake message of {len(message)} bytes is too short")
        self._remote_ephemeral = message[:DH_SIZE]
        self._state.mix_hash(self._remote_ephemeral)

    def _read_static(self, message: bytes) -> bytes:
        size = DH_SIZE + TAG_SIZE
        if len(message) < size:
            raise RemoteError("handshake message is too short for a static key")
        self._remote_static = self._state.decrypt_and_hash(message[:size])
        return message[size:]

    def _payload(self) -> bytes:
        payload = noise_pb2.NoiseHandshakePayload(
            identity_key=self._key.public_key.protobuf,
            identity_sig=self._key.sign(SIGNATURE_PREFIX + self._static_public),
        )
        if self._muxers:
            payload.extensions.stream_muxers.extend(self._muxers)
        return payload.SerializeToString()

    def _check_payload(self, encoded: bytes) -> None:
        try:
            payload = noise_pb2.NoiseHandshakePayload.FromString(encoded)
            muxers = list(payload.extensions.stream_muxers)
        except (DecodeError, UnicodeDecodeError) as error:
            raise RemoteError("handshake payload is not a valid protobuf") from error
        if len(muxers) > MAX_MUXERS:
            raise RemoteError(f"peer offers {len(muxers)} muxers; at most {MAX_MUXERS}")
        key = PublicKey.from_protobuf(payload.identity_key)
        if not key.verify(SIGNATURE_PREFIX + self._remote_static, payload.identity_sig):
            raise RemoteError("the identity key did not sign the Noise key")
        peer = peer_id_of(key)
        if self._expected_peer is not None and peer != self._expected_peer:
            raise RemoteError(f"expected peer {self._expected_peer}, but {peer} answered")
        self.peer, self.public_key = peer, key
        ours, theirs = list(self._muxers), muxers
        proposed, known = (ours, theirs) if self._initiator else (theirs, ours)
        self.muxer = next((muxer for muxer in proposed if muxer in known), None)


def _exchange(secret: bytes, public: bytes) -> bytes:
    try:
        return crypto_scalarmult(secret, public)
    except RuntimeError as error:
        # libsodium's answer to a low-order point, whose shared secret is always zero.
        raise RemoteError("peer's Noise key is of low order") from error
