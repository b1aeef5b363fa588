"""libp2p pubsub interface specification: the MUSTs that unit tests of one module do not show."""

from __future__ import annotations

import pytest

from pubsub.params import Params, Signing
from pubsub.pb import rpc_pb2
from pubsub.router.events import Subscribe
from pubsub.router.message import SIGN_PREFIX
from tests.unit.router.dialogue import US, A, B, Dialogue, signed


def sent(signing: Signing) -> rpc_pb2.Message:
    dialogue = Dialogue(params=Params(signing=signing))
    dialogue.do(dialogue.publish())
    (raw,) = rpc_pb2.RPC.FromString(dialogue.published[0].message.encoded).publish
    return rpc_pb2.Message.FromString(raw)


def test_signature_policy_options_strict_sign_producing() -> None:
    """On the producing side: build messages with the signature, key, from and seqno fields.

    `key` may be left out where `from` contains it.
    """
    message = sent(Signing.STRICT)
    assert message.author == US.id
    assert len(message.seqno) == 8
    assert message.signature
    assert US.id.public_key is not None


def test_signature_policy_options_strict_no_sign_producing() -> None:
    """Build messages without the signature, key, from and seqno fields: absent, not empty."""
    message = sent(Signing.NONE)
    for field in ("author", "seqno", "signature", "key"):
        assert not message.HasField(field)


def test_message_signing_prefix_and_payload() -> None:
    """The signature covers `libp2p-pubsub:` and the message without signature."""
    message = sent(Signing.STRICT)
    signature = message.signature
    message.ClearField("signature")
    assert SIGN_PREFIX == b"libp2p-pubsub:"
    payload = b"libp2p-pubsub:" + message.SerializeToString()
    assert US.key.public_key.verify(payload, signature)


@pytest.mark.parametrize("field", ["signature", "author"])
def test_signature_policy_options_strict_sign_consuming(field: str) -> None:
    """Enforce the fields to be present, reject otherwise; propagate only if valid."""
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), A.connects(), B.connects(), B.subscribes("news"))
    raw = signed(A, author=A.id, data=b"x", seqno=bytes(8), topic="news")
    dialogue.do(A.sends(raw))
    message = rpc_pb2.Message.FromString(A.message(2))
    message.ClearField(field)
    dialogue >> A.sends(message.SerializeToString()) << []


def test_the_topic_descriptor_is_gone_topics_are_plain_names() -> None:
    """A topic is a UTF-8 string, compared as it is."""
    dialogue = Dialogue()
    dialogue.do(Subscribe("é"), A.connects())
    (
        dialogue
        >> A.subscribes("e\u0301", "é")
        << [
            "A joined e\u0301",
            "A joined é",
            "A: GRAFT é",
        ]
    )
