"""Signing policies, both ways, and who pays for what: never the forwarder of what others accept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pubsub.identity import PublicKey, peer_id_of
from pubsub.identity.keys import KeyType
from pubsub.params import Params, Signing
from pubsub.pb import rpc_pb2
from pubsub.router import message_ids
from pubsub.router.events import Subscribe
from pubsub.router.message import SIGN_PREFIX
from tests.unit.router.dialogue import A, B, C, Dialogue, signed

TRUE = {"author": C.id, "data": b"hello", "seqno": bytes(8), "topic": "news"}


def judged(raw: bytes, signing: Signing = Signing.STRICT) -> tuple[str, float]:
    """What becomes of a message, and the faults of its sender."""
    dialogue = Dialogue(params=Params(signing=signing))
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    lines = dialogue.do(A.sends(raw))
    faults = dialogue.router.snapshot()["faults"][str(A.id)]
    return (lines or list(dialogue.drops()))[0], faults


def changed(**fields: Any) -> bytes:
    """The true message, changed after it was signed; None removes a field."""
    message = rpc_pb2.Message.FromString(signed(C, **TRUE))
    for name, value in fields.items():
        if value is None:
            message.ClearField(name)
        else:
            setattr(message, name, value)
    return message.SerializeToString()


DELIVERED = "deliver news: hello"
C_KEY = C.key.public_key.protobuf


@pytest.mark.parametrize(
    ("raw", "fate", "faults"),
    [
        (changed(), DELIVERED, 0),
        (changed(key=C_KEY), DELIVERED, 0),
        (changed(signature=None), "signing_policy", 5),
        (changed(author=None), "signing_policy", 5),
        (changed(author=b""), "signing_policy", 5),
        (changed(author=B.id), "bad_signature", 5),
        (changed(author=b"\x12\x05hello"), "bad_signature", 5),
        (changed(author=b"\x12\x20" + bytes(32)), "bad_signature", 5),
        (changed(data=b"hullo"), "bad_signature", 5),
        (changed(seqno=bytes(7) + b"1"), "bad_signature", 5),
        (changed(signature=b"short"), "bad_signature", 5),
        (changed(key=B.key.public_key.protobuf), "bad_signature", 5),
        # rust passes these on, because the id holds the key.
        (changed(key=b"rubbish"), "odd_message", 0),
        (changed(key=b""), "odd_message", 0),
        # go passes these on.
        (signed(C, author=C.id, data=b"hello", seqno=b"1", topic="news"), "odd_message", 0),
        (signed(C, author=C.id, data=b"hello", topic="news"), "odd_message", 0),
        (changed(author=b"\x00\x80\x01" + bytes(128)), "odd_message", 0),
    ],
)
def test_strict_signing(raw: bytes, fate: str, faults: float) -> None:
    assert judged(raw) == (fate, faults)


def test_an_id_that_holds_its_key_in_an_unusual_encoding() -> None:
    data = C.key.public_key.data
    inside = b"\x12\x20" + data + b"\x08\x01"  # the fields in the wrong order
    author = bytes((0, len(inside))) + inside
    raw = signed(C, author=author, data=b"hello", seqno=bytes(8), topic="news")
    assert judged(raw) == ("odd_message", 0)


@pytest.mark.parametrize(
    ("fields", "fate", "faults"),
    [
        ({}, DELIVERED, 0),
        ({"author": C.id}, "signing_policy", 5),
        ({"seqno": bytes(8)}, "signing_policy", 5),
        ({"signature": b"x"}, "signing_policy", 5),
        ({"author": b""}, "signing_policy", 5),
        ({"key": C_KEY}, "odd_message", 0),
    ],
)
def test_strict_no_sign(fields: dict[str, bytes], fate: str, faults: float) -> None:
    raw = rpc_pb2.Message(data=b"hello", topic="news", **fields).SerializeToString()
    assert judged(raw, Signing.NONE) == (fate, faults)


def test_each_policy_refuses_the_messages_of_the_other() -> None:
    anonymous = rpc_pb2.Message(data=b"hello", topic="news").SerializeToString()
    assert judged(anonymous) == ("signing_policy", 5)
    assert judged(C.message(1), Signing.NONE) == ("signing_policy", 5)


SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]


@pytest.mark.parametrize("point", SMALL_ORDER, ids=lambda point: point.hex()[:4])
def test_the_odd_key_of_an_author_costs_the_forwarder_nothing(point: bytes) -> None:
    # With a key of small order, R of small order and s = 0, many messages verify for libraries
    # that do not refuse such keys. One of a few tries fits.
    author = peer_id_of(PublicKey(KeyType.ED25519, point))
    fates = set()
    for number in range(16):
        message = rpc_pb2.Message(
            author=author, data=b"hello", seqno=number.to_bytes(8, "big"), topic="news"
        )
        for r in SMALL_ORDER:
            message.signature = r + bytes(32)
            fates.add(judged(message.SerializeToString()))
    assert ("odd_message", 0) in fates
    assert fates <= {("odd_message", 0), ("bad_signature", 5)}


def rsa_author() -> tuple[PublicKey, Callable[[bytes], bytes]]:
    key = rsa.generate_private_key(65537, 2048)
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(KeyType.RSA, der), lambda text: key.sign(
        text, padding.PKCS1v15(), hashes.SHA256()
    )


def secp256k1_author() -> tuple[PublicKey, Callable[[bytes], bytes]]:
    number = int.from_bytes(hashlib.sha256(b"secp256k1").digest(), "big")
    key = ec.derive_private_key(number, ec.SECP256K1())
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return PublicKey(KeyType.SECP256K1, point), lambda text: key.sign(
        text, ec.ECDSA(hashes.SHA256())
    )


@pytest.mark.parametrize(
    ("make", "inline"), [(rsa_author, False), (secp256k1_author, True)], ids=["rsa", "secp256k1"]
)
def test_authors_with_other_keys(make: Callable[[], Any], inline: bool) -> None:
    public, sign = make()
    message = rpc_pb2.Message(
        author=peer_id_of(public), data=b"hello", seqno=bytes(8), topic="news"
    )
    message.signature = sign(SIGN_PREFIX + message.SerializeToString())
    without = message.SerializeToString()
    assert judged(without) == ((DELIVERED, 0) if inline else ("bad_signature", 5))
    message.key = public.protobuf
    assert judged(message.SerializeToString()) == (DELIVERED, 0)
    message.data = b"hullo"
    assert judged(message.SerializeToString()) == ("bad_signature", 5)
    message.key = C_KEY
    assert judged(message.SerializeToString()) == ("bad_signature", 5)


@pytest.mark.parametrize("make", [rsa_author, secp256k1_author], ids=["rsa", "secp256k1"])
def test_ids_as_js_makes_them_hold_the_key_wherever_it_is(make: Callable[[], Any]) -> None:
    public, sign = make()
    message = rpc_pb2.Message(
        author=peer_id_of(public), data=b"hello", seqno=bytes(8), topic="news"
    )
    message.signature = sign(SIGN_PREFIX + message.SerializeToString())
    message.key = public.protobuf
    dialogue = Dialogue(message_id=message_ids.js)
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    dialogue >> A.sends(message.SerializeToString()) << DELIVERED
    assert dialogue.delivered[0].id == public.protobuf + bytes(8)


def test_a_peer_that_sends_nothing_but_forgeries_is_sent_away() -> None:
    dialogue = Dialogue(params=Params(scoring=False))
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    lines = dialogue.do(*[A.sends(changed(data=b"%d" % number)) for number in range(21)])
    assert lines == ["disconnect A: messages with bad signatures"]
    assert dialogue.counters()["peers_expelled"] == 1
