"""Gossip envelopes: a message as its author signed it, and the secret beside it.

    Envelope ─┬─ payload          an encoded GossipMessage
              ├─ signature        over the payload; empty for contents that nobody signs
              └─ secret envelope ─┬─ payload      the author's internal endpoint
                                  └─ signature    over that payload, by the same key

Signatures are over the bytes as they came: nothing that was received is encoded
again. The secret is for the author's own organization and can be taken off
without touching the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, final

from google.protobuf.message import DecodeError

from pubsub.errors import ParamError, RemoteError
from pubsub.fabric.bounds import check_entries
from pubsub.fabric.content import (
    SIGNED,
    Content,
    MalformedMessageError,
    author_of,
    check_shape,
    content_of,
)
from pubsub.pb.fabric import gossip_pb2

MAX_ENVELOPE_BYTES = 100 * 1024 * 1024
"What Fabric accepts (internal/pkg/comm/config.go)."
MAX_SIGNATURE_BYTES = 1024
"ECDSA on P-521 takes 139 (ours)."
MAX_SECRET_BYTES = 1024
"An address of 249 characters and its field (ours)."

Verifier: TypeAlias = Callable[[bytes, bytes], None]
"An identity's check: takes data and signature, raises RemoteError if that is not its signature."


class Signer(Protocol):
    """A local identity."""

    @property
    def identity(self) -> bytes:
        """The identity as it travels."""

    @property
    def pki_id(self) -> bytes:
        """The identity's PKI-ID."""

    def sign(self, data: bytes) -> bytes:
        """This identity's signature over `data`."""


class UnsignedError(RemoteError):
    """An envelope without the signature that its content needs."""


@final
@dataclass(frozen=True, slots=True)
class Secret:
    """What an author tells its own organization alone."""

    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    internal_endpoint: str


@final
@dataclass(frozen=True, slots=True)
class GossipEnvelope:
    """An envelope, decoded and whole. Its signatures are not checked by that.

    Two are equal if their bytes are. `message` is for reading only.
    """

    raw: bytes = field(repr=False)
    payload: bytes = field(repr=False, compare=False)
    signature: bytes = field(repr=False, compare=False)
    secret: Secret | None = field(compare=False)
    message: gossip_pb2.GossipMessage = field(repr=False, compare=False)
    content: Content = field(compare=False)

    @property
    def author(self) -> bytes:
        """The PKI-ID of who claims to have signed this; empty where nobody signs."""
        return author_of(self.message)


def decode_envelope(raw: bytes, *, limit: int = MAX_ENVELOPE_BYTES) -> GossipEnvelope:
    """Read one envelope of at most `limit` bytes, also one that came inside another message.

    Raises MalformedMessageError if it is not one, or its message lacks something.
    """
    if len(raw) > limit:
        raise MalformedMessageError(f"envelope of {len(raw)} bytes; at most {limit}")
    try:
        envelope = gossip_pb2.Envelope.FromString(raw)
        payload = envelope.payload
        check_entries(payload)
        message = gossip_pb2.GossipMessage.FromString(payload)
    except DecodeError as error:
        raise MalformedMessageError("malformed envelope") from error
    if not payload:
        raise MalformedMessageError("envelope without payload")
    _check_length(envelope.signature, MAX_SIGNATURE_BYTES, "signature")
    secret = _secret(envelope.secret_envelope) if envelope.HasField("secret_envelope") else None
    content = check_shape(message)
    return GossipEnvelope(raw, payload, envelope.signature, secret, message, content)


def _secret(envelope: gossip_pb2.SecretEnvelope) -> Secret:
    _check_length(envelope.payload, MAX_SECRET_BYTES, "secret")
    _check_length(envelope.signature, MAX_SIGNATURE_BYTES, "secret's signature")
    try:
        secret = gossip_pb2.Secret.FromString(envelope.payload)
    except DecodeError as error:
        raise MalformedMessageError("malformed secret") from error
    return Secret(envelope.payload, envelope.signature, secret.internal_endpoint)


def _check_length(part: bytes, limit: int, name: str) -> None:
    if len(part) > limit:
        raise MalformedMessageError(f"{name} of {len(part)} bytes; at most {limit}")


def verify_envelope(envelope: GossipEnvelope, verify: Verifier) -> None:
    """Check the signatures of a signed content with its author's `verify`.

    Raises what `verify` raises, and UnsignedError where a signature is missing: that
    of the message or, if there is a secret, that of the secret. A secret in place of
    the message would verify as well, so that contents which nobody signs never do.
    """
    if envelope.content not in SIGNED:
        raise UnsignedError(f"{envelope.content or 'unknown content'} is signed by nobody")
    _verify_part(envelope.payload, envelope.signature, "message", verify)
    if envelope.secret is not None:
        _verify_part(envelope.secret.payload, envelope.secret.signature, "secret", verify)


def _verify_part(payload: bytes, signature: bytes, name: str, verify: Verifier) -> None:
    if not payload or not signature:
        raise UnsignedError(f"{name} without {'signature' if payload else 'payload'}")
    verify(payload, signature)


def sign_message(
    message: gossip_pb2.GossipMessage, signer: Signer, *, internal_endpoint: str = ""
) -> GossipEnvelope:
    """Put a message of our own into a signed envelope.

    `internal_endpoint` goes into a secret, with AliveMessages only. Raises ParamError
    if the message is of a content that nobody signs, or has another author.
    """
    content = content_of(message)
    if content not in SIGNED:
        raise ParamError(f"{content or 'a message without content'} is not signed: wrap it instead")
    if author_of(message) != signer.pki_id:
        raise ParamError(f"{content}: its PKI-ID is not that of the signer")
    payload = message.SerializeToString()
    envelope = gossip_pb2.Envelope(payload=payload, signature=signer.sign(payload))
    if internal_endpoint:
        if content is not Content.ALIVE:
            raise ParamError(f"{content} has no secret: only an AliveMessage has")
        secret = gossip_pb2.Secret(internal_endpoint=internal_endpoint).SerializeToString()
        envelope.secret_envelope.payload = secret
        envelope.secret_envelope.signature = signer.sign(secret)
    return _own(envelope)


def wrap_message(message: gossip_pb2.GossipMessage) -> GossipEnvelope:
    """Put a message of our own into an envelope without signature.

    Raises ParamError if the message is of a content that must be signed.
    """
    content = content_of(message)
    if content in SIGNED or content is Content.UNKNOWN:
        raise ParamError(f"{content or 'a message without content'} does not travel unsigned")
    return _own(gossip_pb2.Envelope(payload=message.SerializeToString()))


def _own(envelope: gossip_pb2.Envelope) -> GossipEnvelope:
    try:
        return decode_envelope(envelope.SerializeToString())
    except MalformedMessageError as error:
        raise ParamError(f"no peer would accept this message: {error}") from error


def is_bare(envelope: GossipEnvelope) -> bool:
    """Whether there is nothing in it or about it that its author did not put there.

    Nobody signs the envelope itself, nor a block's message: with fields that nobody reads
    one message would become any number of them, good all alike. Only AliveMessages have
    secrets; one is good wherever it stands.
    """
    bare = gossip_pb2.Envelope(payload=envelope.payload, signature=envelope.signature)
    if envelope.secret is not None:
        if envelope.content is not Content.ALIVE:
            return False
        bare.secret_envelope.payload = envelope.secret.payload
        bare.secret_envelope.signature = envelope.secret.signature
    if bare.ByteSize() != len(envelope.raw) or bare.SerializeToString() != envelope.raw:
        return False
    return envelope.content is not Content.DATA or _is_bare_block(envelope)


def _is_bare_block(envelope: GossipEnvelope) -> bool:
    message, block = envelope.message, envelope.message.data_msg.payload
    bare = gossip_pb2.GossipMessage(channel=message.channel, tag=message.tag)
    bare.data_msg.payload.seq_num = block.seq_num
    bare.data_msg.payload.data = block.data
    return not envelope.signature and bare.SerializeToString() == envelope.payload


def strip_secret(envelope: GossipEnvelope) -> GossipEnvelope:
    """The same envelope without its secret, as it may leave the author's organization."""
    if envelope.secret is None:
        return envelope
    bare = gossip_pb2.Envelope(payload=envelope.payload, signature=envelope.signature)
    return GossipEnvelope(
        bare.SerializeToString(),
        envelope.payload,
        envelope.signature,
        None,
        envelope.message,
        envelope.content,
    )
