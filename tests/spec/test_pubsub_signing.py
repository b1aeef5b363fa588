"""The libp2p pubsub interface specification: signatures and signature policies.

docs/protocol.md names the rule that each test holds us to.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pubsub.identity import KeyType, PublicKey, peer_id_of
from pubsub.params import Params, Signing
from pubsub.pb import rpc_pb2
from pubsub.router.events import Subscribe
from pubsub.router.topic_params import TopicParams
from tests.spec.scenes import knowing, published
from tests.unit.router.dialogue import US, A, B, C, Dialogue, signed

ANONYMOUS = Params(signing=Signing.NONE)
PREFIX = b"libp2p-pubsub:"
FIELDS = ("author", "seqno", "signature", "key")


def sent(signing: Signing) -> rpc_pb2.Message:
    """What we publish."""
    dialogue = Dialogue(params=Params(signing=signing))
    dialogue.do(dialogue.publish())
    (message,) = published(dialogue)
    return message


def accepts(raw: bytes, params: Params | None = None) -> bool:
    """True if a message is delivered and forwarded, False if it is neither."""
    dialogue = knowing(A, B, params=params)
    lines = dialogue.do(A.sends(raw))
    delivered = [line for line in lines if line.startswith("deliver")]
    forwarded = [line for line in lines if line.startswith("B: MESSAGE")]
    assert len(delivered) == len(forwarded) <= 1
    assert len(lines) == len(delivered) + len(forwarded)
    return bool(delivered)


def changed(**fields: bytes | None) -> bytes:
    """A good message with some fields replaced, or taken away."""
    message = rpc_pb2.Message.FromString(C.message(1))
    for name, value in fields.items():
        message.ClearField(name)
        if value is not None:
            setattr(message, name, value)
    return message.SerializeToString()


# Message Signing


def test_message_signing_covers_the_prefix_and_the_message_without_signature() -> None:
    message = sent(Signing.STRICT)
    signature = message.signature
    message.ClearField("signature")
    payload = PREFIX + message.SerializeToString()
    assert US.key.public_key.verify(payload, signature)
    assert not US.key.public_key.verify(message.SerializeToString(), signature)


@pytest.mark.parametrize("field", ["author", "data", "seqno", "topic"])
def test_message_signing_every_signed_field_counts(field: str) -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), Subscribe("newt"), A.connects())
    values = {"author": bytes(B.id), "data": b"hullo", "seqno": bytes(8), "topic": "newt"}
    message = rpc_pb2.Message.FromString(C.message(1))
    setattr(message, field, values[field])
    dialogue >> A.sends(message.SerializeToString()) << []
    assert dialogue.drops() == {"bad_signature": 1}


def test_message_signing_covers_unknown_fields() -> None:
    unknown = b"\x3a\x02hi"
    bare = rpc_pb2.Message(author=C.id, data=b"x", seqno=bytes(8), topic="news")
    signature = C.key.sign(PREFIX + bare.SerializeToString() + unknown)
    bare.signature = signature
    assert accepts(bare.SerializeToString() + unknown)
    assert not accepts(bare.SerializeToString())
    assert not accepts(C.message(1) + unknown)


def by_stranger(key: bytes | None) -> tuple[bytes, PublicKey]:
    """A message by an author whose id does not hold the key, with `key` or else its own."""
    private = ec.derive_private_key(5, ec.SECP256R1())
    public = PublicKey(
        KeyType.ECDSA,
        private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )
    message = rpc_pb2.Message(
        author=bytes(peer_id_of(public)), data=b"x", seqno=bytes(8), topic="news"
    )
    payload = PREFIX + message.SerializeToString()
    message.signature = private.sign(payload, ec.ECDSA(hashes.SHA256()))
    message.key = public.protobuf if key is None else key
    if key == b"":
        message.ClearField("key")
    return message.SerializeToString(), public


def test_message_signing_key_is_attached_where_the_id_does_not_hold_it() -> None:
    assert accepts(by_stranger(None)[0])
    assert not accepts(by_stranger(b"")[0])
    assert not sent(Signing.STRICT).HasField("key")
    assert US.id.public_key == US.key.public_key


def test_message_signing_key_must_match_the_author() -> None:
    assert accepts(changed(key=C.key.public_key.protobuf))
    assert not accepts(changed(key=A.key.public_key.protobuf))
    assert not accepts(by_stranger(A.key.public_key.protobuf)[0])
    forged = rpc_pb2.Message.FromString(signed(A, author=C.id, seqno=bytes(8), topic="news"))
    forged.key = A.key.public_key.protobuf
    assert not accepts(forged.SerializeToString())


def test_message_signing_does_not_cover_the_key() -> None:
    """The specification excludes `signature` only; implementations exclude both."""
    message = rpc_pb2.Message(author=C.id, data=b"x", seqno=bytes(8), topic="news")
    without = C.key.sign(PREFIX + message.SerializeToString())
    message.key = C.key.public_key.protobuf
    covering = C.key.sign(PREFIX + message.SerializeToString())
    message.signature = without
    assert accepts(message.SerializeToString())
    message.signature = covering
    assert not accepts(message.SerializeToString())


def test_message_signing_a_bad_signature_ends_propagation() -> None:
    assert accepts(C.message(1))
    assert not accepts(changed(signature=bytes(64)))
    assert not accepts(changed(signature=rpc_pb2.Message.FromString(C.message(2)).signature))


# Signature Policy Options


def test_signature_policy_options_only_the_strict_ones() -> None:
    unsigned = rpc_pb2.Message(data=b"hello", topic="news").SerializeToString()
    assert accepts(C.message(1))
    assert not accepts(unsigned)
    assert accepts(unsigned, ANONYMOUS)
    assert not accepts(C.message(1), ANONYMOUS)


def test_signature_policy_options_are_configured_by_topic() -> None:
    dialogue = Dialogue(topics={"open": TopicParams(signing=Signing.NONE)})
    dialogue.do(Subscribe("news"), Subscribe("open"), A.connects())
    dialogue.do(dialogue.publish(b"1", "news"), dialogue.publish(b"2", "open"))
    assert [message.HasField("signature") for message in published(dialogue)] == [True, False]
    unsigned = {
        topic: rpc_pb2.Message(data=b"x", topic=topic).SerializeToString()
        for topic in ("news", "open")
    }
    good = [C.message(1, "news"), unsigned["open"]]
    assert sorted(dialogue.do(A.sends(*good))) == ["deliver news: hello", "deliver open: x"]
    dialogue >> A.sends(unsigned["news"], C.message(2, "open")) << []


def test_signature_policy_options_strict_sign_producing() -> None:
    message = sent(Signing.STRICT)
    assert message.author == US.id
    assert len(message.seqno) == 8
    assert len(message.signature) == 64


@pytest.mark.parametrize("value", [None, b""])
@pytest.mark.parametrize("field", ["signature", "author", "seqno"])
def test_signature_policy_options_strict_sign_consuming(field: str, value: bytes | None) -> None:
    """The fields must be there, even if the author signed the message without them."""
    assert not accepts(changed(**{field: value}))
    fields = {"author": bytes(C.id), "data": b"x", "seqno": bytes(8), "topic": "news"}
    if field != "signature":
        if value is None:
            del fields[field]
        else:
            fields[field] = value
        assert not accepts(signed(C, **fields))


@pytest.mark.parametrize("seqno", [bytes(7), bytes(9)])
def test_signature_policy_options_strict_sign_seqno_is_valid(seqno: bytes) -> None:
    assert not accepts(signed(C, author=C.id, data=b"x", seqno=seqno, topic="news"))


def test_signature_policy_options_strict_no_sign_producing() -> None:
    """The fields are absent from the encoded message, not empty."""
    message = sent(Signing.NONE)
    assert [message.HasField(field) for field in FIELDS] == [False] * 4
    assert message.SerializeToString() == b"\x12\x05hello\x22\x04news"


@pytest.mark.parametrize("value", [b"", b"x"])
@pytest.mark.parametrize("field", FIELDS)
def test_signature_policy_options_strict_no_sign_consuming(field: str, value: bytes) -> None:
    message = rpc_pb2.Message(data=b"hello", topic="news")
    assert accepts(message.SerializeToString(), ANONYMOUS)
    setattr(message, field, value)
    assert not accepts(message.SerializeToString(), ANONYMOUS)


def test_signature_policy_options_strict_no_sign_id_rests_on_the_data() -> None:
    dialogue = knowing(A, params=ANONYMOUS)
    raw = [rpc_pb2.Message(data=d, topic="news").SerializeToString() for d in (b"x", b"y", b"x")]
    dialogue >> A.sends(*raw) << ["deliver news: x", "deliver news: y"]
