"""Who is at the other end of a connection: a signed ConnEstablish, bound to the connection's key.

    key hash = SHA-256 of the libp2p public key, as protobuf
    proof    = ConnEstablish{PKI-ID, identity, tls_cert_hash := key hash of who sends it}, signed

The connection itself proves the libp2p key, so a proof that is repeated from another peer
names the wrong key. In Fabric the hash is that of the TLS certificate, for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from pubsub.errors import RemoteError
from pubsub.fabric.content import Content, MalformedMessageError
from pubsub.fabric.envelope import Signer, decode_envelope, sign_message, verify_envelope
from pubsub.fabric.identities import pki_id_of
from pubsub.fabric.identity_errors import IdentityError, PkiIdError
from pubsub.fabric.intake_rules import MAX_CONNECTION
from pubsub.fabric.tags import EMPTY
from pubsub.identity.peer_id import PeerId
from pubsub.pb.fabric.gossip_pb2 import ConnEstablish, GossipMessage

SHA256_MULTIHASH = b"\x12\x20"
Verify = Callable[[bytes, bytes, bytes], None]
"Takes identity, data and signature; raises RemoteError if it does not count."


class ProofError(IdentityError):
    """What was sent in place of a proof is none."""


class OtherConnectionError(ProofError):
    """The proof was made for another connection."""


class ForgedProofError(ProofError):
    """The signature is not that of the identity."""


@dataclass(frozen=True, slots=True)
class Proven:
    """Who is there. That the identity counts today is still to be asked."""

    pki_id: bytes
    identity: bytes = field(repr=False)


def key_hash(peer: PeerId) -> bytes:
    """SHA-256 of a libp2p public key in protobuf form, from the id that is made of it."""
    raw = bytes(peer)
    # A long key's id is its hash already; a short one is in its id whole.
    return raw[2:] if raw.startswith(SHA256_MULTIHASH) else sha256(raw[2:]).digest()


def make_proof(signer: Signer, us: PeerId) -> bytes:
    """Our own proof, for connections of the libp2p peer `us`."""
    content = ConnEstablish(
        pki_id=signer.pki_id, identity=signer.identity, tls_cert_hash=key_hash(us)
    )
    return sign_message(GossipMessage(tag=EMPTY, conn=content), signer).raw


def check_proof(raw: bytes, peer: PeerId, verify: Verify) -> Proven:
    """The identity that the libp2p peer `peer` has proved.

    Raises IdentityError, of a class for each fault: ProofError for what is no proof or has
    no identity, PkiIdError for an identity with another PKI-ID, OtherConnectionError,
    ForgedProofError, and what `verify` raises for an identity that is nobody's.
    """
    try:
        envelope = decode_envelope(raw, limit=MAX_CONNECTION)
    except MalformedMessageError as error:
        raise ProofError(f"no proof of identity: {error}") from error
    if envelope.content is not Content.CONNECTION:
        raise ProofError(f"{envelope.content or 'unknown content'} in place of a proof of identity")
    content = envelope.message.conn
    if pki_id_of(content.identity) != content.pki_id:
        raise PkiIdError("the proof's PKI-ID is not that of its identity")
    if content.tls_cert_hash != key_hash(peer):
        raise OtherConnectionError("the proof was made for another connection")
    try:
        verify_envelope(envelope, lambda data, sign: verify(content.identity, data, sign))
    except IdentityError:
        raise
    except RemoteError as error:
        raise ForgedProofError(f"the proof's signature: {error}") from error
    return Proven(content.pki_id, content.identity)
