"""Signed envelopes (RFC 0002).

docs/protocol.md names the rule that each test holds us to.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pubsub.errors import RemoteError
from pubsub.identity import PublicKey, peer_id_of
from pubsub.identity.envelope import seal, seal_peer_record, unseal, unseal_peer_record
from pubsub.pb import envelope_pb2, rpc_pb2
from pubsub.router.message import SIGN_PREFIX
from tests.spec.scenes import knowing
from tests.spec.test_peer_ids import public, secp256k1_key
from tests.unit.router.dialogue import US, A, B

DOMAIN, TYPE, PAYLOAD = b"domain", b"\x03\x01", b"payload"
KEY = US.key
KEY_TAG, TYPE_TAG, PAYLOAD_TAG, SIGNATURE_TAG = b"\x0a", b"\x12", b"\x1a", b"\x2a"


def by_hand(key: PublicKey, signature: bytes) -> bytes:
    """An envelope written out, field by field; nothing in it is longer than 127 bytes."""
    fields = {KEY_TAG: key.protobuf, TYPE_TAG: TYPE, PAYLOAD_TAG: PAYLOAD, SIGNATURE_TAG: signature}
    return b"".join(tag + bytes([len(value)]) + value for tag, value in fields.items())


SIGNED = b"\x06domain" + b"\x02\x03\x01" + b"\x07payload"


# Domain Separation


@pytest.mark.parametrize("other", [b"", b"domai", b"domain\x02", b"Domain"])
def test_domain_separation_a_signature_holds_for_one_domain(other: bytes) -> None:
    sealed = seal(KEY, DOMAIN, TYPE, PAYLOAD)
    assert unseal(sealed, DOMAIN, TYPE) == (KEY.public_key, PAYLOAD)
    with pytest.raises(RemoteError, match="bad signature"):
        unseal(sealed, other, TYPE)


def test_domain_separation_records_are_no_messages_and_messages_no_records() -> None:
    """What a peer signed for one purpose is presented for the other."""
    envelope = envelope_pb2.Envelope.FromString(seal_peer_record(A.key, [], 1))
    message = rpc_pb2.Message(author=A.id, data=b"x", seqno=bytes(8), topic="news")
    message.signature = envelope.signature
    dialogue = knowing(A, B)
    dialogue >> A.sends(message.SerializeToString()) << []
    message.ClearField("signature")
    envelope.signature = A.key.sign(SIGN_PREFIX + message.SerializeToString())
    with pytest.raises(RemoteError, match="bad signature"):
        unseal_peer_record(envelope.SerializeToString())


def test_domain_separation_the_domain_is_not_in_the_envelope() -> None:
    assert DOMAIN not in seal(KEY, DOMAIN, TYPE, PAYLOAD)


# Payload Type Information


def test_payload_type_is_signed_and_expected() -> None:
    sealed = seal(KEY, DOMAIN, b"/some/thing", PAYLOAD)
    assert unseal(sealed, DOMAIN, b"/some/thing")[1] == PAYLOAD
    with pytest.raises(RemoteError, match="of type"):
        unseal(sealed, DOMAIN, TYPE)
    renamed = envelope_pb2.Envelope.FromString(sealed)
    renamed.payload_type = TYPE
    with pytest.raises(RemoteError, match="bad signature"):
        unseal(renamed.SerializeToString(), DOMAIN, TYPE)


def test_payload_type_may_be_empty() -> None:
    assert unseal(seal(KEY, DOMAIN, b"", PAYLOAD), DOMAIN, b"") == (KEY.public_key, PAYLOAD)


# Wire Format


def test_wire_format_is_read_and_written_as_the_schema_numbers_it() -> None:
    encoded = by_hand(KEY.public_key, KEY.sign(SIGNED))
    assert unseal(encoded, DOMAIN, TYPE) == (KEY.public_key, PAYLOAD)
    assert seal(KEY, DOMAIN, TYPE, PAYLOAD) == encoded


def test_wire_format_the_signer_is_known_by_the_key_inside() -> None:
    key, _ = unseal(seal(A.key, DOMAIN, TYPE, PAYLOAD), DOMAIN, TYPE)
    assert peer_id_of(key) == A.id
    swapped = by_hand(B.key.public_key, A.key.sign(SIGNED))
    with pytest.raises(RemoteError, match="bad signature"):
        unseal(swapped, DOMAIN, TYPE)


@pytest.mark.parametrize("field", ["public_key", "signature"])
def test_wire_format_key_and_signature_must_be_there(field: str) -> None:
    envelope = envelope_pb2.Envelope.FromString(seal(KEY, DOMAIN, TYPE, PAYLOAD))
    envelope.ClearField(field)
    with pytest.raises(RemoteError):
        unseal(envelope.SerializeToString(), DOMAIN, TYPE)


# Signature Production / Verification


@pytest.mark.parametrize("size", [0, 127, 128, 300])
def test_signature_covers_domain_type_and_payload_with_their_lengths(size: int) -> None:
    """Lengths are unsigned varints."""
    varint = {0: b"\x00", 127: b"\x7f", 128: b"\x80\x01", 300: b"\xac\x02"}[size]
    value = b"x" * size
    envelope = envelope_pb2.Envelope.FromString(seal(KEY, value, value, value))
    assert KEY.public_key.verify((varint + value) * 3, envelope.signature)


def test_signature_does_not_cover_the_bare_concatenation() -> None:
    """Without lengths, bytes could be moved from one field to the next."""
    moved = envelope_pb2.Envelope.FromString(seal(KEY, DOMAIN, b"ab", b"c"))
    moved.payload_type, moved.payload = b"a", b"bc"
    with pytest.raises(RemoteError, match="bad signature"):
        unseal(moved.SerializeToString(), DOMAIN, b"a")


def test_signature_is_checked_as_the_type_of_the_key_prescribes() -> None:
    signature = secp256k1_key().sign(SIGNED, ec.ECDSA(hashes.SHA256()))
    encoded = by_hand(public("secp256k1"), signature)
    assert unseal(encoded, DOMAIN, TYPE) == (public("secp256k1"), PAYLOAD)
    with pytest.raises(RemoteError, match="bad signature"):
        unseal(by_hand(public("secp256k1"), KEY.sign(SIGNED)), DOMAIN, TYPE)


def test_signature_every_changed_bit_is_noticed() -> None:
    sealed = seal(KEY, DOMAIN, TYPE, PAYLOAD)
    start = sealed.index(SIGNATURE_TAG + b"\x40") + 2
    assert start + 64 == len(sealed)
    for bit in range(8 * start, 8 * len(sealed)):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RemoteError, match="bad signature"):
            unseal(bytes(damaged), DOMAIN, TYPE)
