"""Messages as bytes: written, read, signed; ids."""

from __future__ import annotations

import random

import pytest

from pubsub.errors import RemoteError
from pubsub.identity import PeerId
from pubsub.identity.keys import MAX_KEY_BYTES, cached_public_key
from pubsub.identity.verify import SignatureCheck, Verdict, check
from pubsub.pb import rpc_pb2
from pubsub.router.message import (
    Message,
    MessageWriter,
    _author_key,
    author_key,
    parse_message,
    signature_check,
)
from tests.fuzz import COUNT, hostile_bytes
from tests.unit.router.dialogue import US


def written(size: int = 5, topic: str = "news") -> tuple[Message, bytes]:
    message = MessageWriter(US.key, 7).write(topic, bytes(size), US.id)
    (raw,) = rpc_pb2.RPC.FromString(message.encoded).publish
    return message, raw


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300, 70_000])
def test_a_message_is_written_as_protobuf_writes_it(size: int) -> None:
    message, raw = written(size, topic="zürich")
    parsed = rpc_pb2.Message.FromString(raw)
    assert parsed.SerializeToString() == raw
    assert rpc_pb2.RPC(publish=[raw]).SerializeToString() == message.encoded
    assert (parsed.author, parsed.topic, len(parsed.data)) == (US.id, "zürich", size)
    assert not parsed.HasField("key")
    found = signature_check(parsed)
    assert isinstance(found, SignatureCheck)
    assert check(found) is Verdict.GOOD


def test_numbers_go_up_by_one() -> None:
    writer = MessageWriter(US.key, 2**63)
    seqnos = [writer.write("news", b"", US.id).seqno for _ in range(3)]
    assert seqnos == [2**63, 2**63 + 1, 2**63 + 2]


def test_an_anonymous_message_has_data_and_topic_only() -> None:
    message = MessageWriter(None, 1).write("news", b"hello", US.id)
    (raw,) = rpc_pb2.RPC.FromString(message.encoded).publish
    assert raw == rpc_pb2.Message(data=b"hello", topic="news").SerializeToString()
    assert (message.author, message.seqno) == (None, None)


def test_the_text_form_shows_no_payload() -> None:
    message = Message("news", b"secret", b"\x12\x34", PeerId(b"x"))
    assert repr(message) == "<Message 1234 in 'news', 6 bytes>"


def test_rubbish_is_blamed_unless_others_read_it() -> None:
    _, raw = written()
    for tail, penalty in [
        (b"\xff", 10),
        (b"\x12\x7fabc", 10),  # longer than there is
        (b"\x3a\xff", 10),
        (b"\x01", 10),  # field 0
        (b"\x3e", 10),  # wire type 6
        (b"\x3d\x00", 10),  # fixed32 cut off
        (b"\x80" * 12, 10),
        (b"\x23", 10),  # a group in the place of the topic
        (b"\x3b\x44", 0),
        (b"\x38\x05\x39" + bytes(8) + b"\x3d" + bytes(4) + b"\x3b\x44", 0),
        (b"\x3b" * 150 + b"\x3c" * 150, 0),
        (b"\x38" + b"\xff" * 9 + b"\x01\x3b\x44", 0),  # after a varint of ten bytes
    ]:
        with pytest.raises(RemoteError) as caught:
            parse_message(raw + tail)
        assert caught.value.penalty == penalty, tail


def test_no_cache_keeps_what_is_too_long_to_be_an_author_or_a_key() -> None:
    _author_key.cache_clear()
    cached_public_key.cache_clear()
    hashed = b"\x12\x20" + bytes(32)
    for number in range(50):
        long = number.to_bytes(2, "big") + bytes(MAX_KEY_BYTES)
        assert author_key(b"\0" + long, None) is Verdict.ODD
        assert author_key(b"\1" + long, None) is Verdict.BAD
        assert author_key(US.id, long) is Verdict.ODD
        assert author_key(hashed, long) is Verdict.BAD
    # The two authors, and our key and the one that is none.
    assert _author_key.cache_info().currsize == 2
    assert cached_public_key.cache_info().currsize == 2


def test_hostile_bytes_raise_only_the_declared_error() -> None:
    rng = random.Random(3)
    _, raw = written(40)
    refused = 0
    for data in hostile_bytes(rng, [raw, raw + b"\x3b\x3c"], COUNT):
        try:
            signature_check(parse_message(data))
        except RemoteError:
            refused += 1
    assert 0 < refused < COUNT
