from __future__ import annotations

from random import Random

import pytest

from pubsub.errors import ParamError
from pubsub.fabric.announcement import (
    LAST_NUMBER,
    MAX_ANNOUNCEMENT,
    Announcement,
    announce,
    block_envelope,
    read_announcement,
    read_request,
    request,
)
from pubsub.fabric.blocks import parse_block
from pubsub.fabric.content import MAX_CHANNEL_BYTES
from pubsub.fabric.envelope import decode_envelope, wrap_message
from pubsub.fabric.message_ids import block_id, message_id
from pubsub.fabric.tags import check_tag
from pubsub.fabric.topics import Network
from pubsub.pb.fabric.gossip_pb2 import Envelope, GossipMessage, PullMsgType
from tests.fuzz import COUNT, hostile_bytes
from tests.unit.fabric.chains import chain
from tests.unit.fabric.making import Tag, alive, block

RAW = chain(2)[1]
HASH = parse_block(RAW).hash
ANNOUNCED = Announcement("sales", 1, HASH)
BLOCKS = Network("net").channel("sales", bytes(32)).blocks("Org1MSP")


def pushed(number: int = 1, raw: bytes = RAW) -> bytes:
    return block_envelope("sales", number, raw).raw


def mistagged() -> GossipMessage:
    return GossipMessage(tag=Tag.EMPTY, data_msg={"payload": {"data": RAW}})


def written(name: str = "data_dig", **changes: object) -> bytes:
    """An announcement, or a request, with some of it changed."""
    content = {"digests": [b"1", HASH], "msg_type": PullMsgType.BLOCK_MSG}
    fields = {"channel": b"sales", "tag": Tag.CHAN_AND_ORG}
    for key, value in changes.items():
        (fields if key in ("channel", "tag", "nonce") else content)[key] = value
    message = GossipMessage(**fields, **{name: content})
    return Envelope(payload=message.SerializeToString()).SerializeToString()


def test_a_block_is_announced_by_number_and_header_hash() -> None:
    raw = announce(pushed())
    assert raw == written()
    message = decode_envelope(raw).message
    check_tag(message)
    assert message.nonce == 0
    assert read_announcement(raw) == ANNOUNCED
    assert read_announcement(announce(pushed(LAST_NUMBER))).number == LAST_NUMBER


def test_it_is_asked_for_by_the_same() -> None:
    raw = request(ANNOUNCED)
    assert raw == written("data_req")
    check_tag(decode_envelope(raw).message)
    assert read_request(raw) == ANNOUNCED


def test_the_answer_is_the_block_as_it_is_pushed() -> None:
    message = block(1, RAW)
    assert block_envelope("sales", 1, RAW) == wrap_message(message)


def test_a_block_and_its_announcement_have_one_id() -> None:
    assert message_id(BLOCKS, announce(pushed())) == message_id(BLOCKS, pushed())
    assert message_id(BLOCKS, pushed()) == block_id(BLOCKS, 1, HASH)


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": 1},
        {"tag": Tag.EMPTY},
        {"channel": b""},
        {"channel": b"\xff"},
        {"channel": b"s" * (MAX_CHANNEL_BYTES + 1)},
        {"channel": b"s" * MAX_ANNOUNCEMENT},
        {"msg_type": PullMsgType.IDENTITY_MSG},
        {"digests": []},
        {"digests": [b"1"]},
        {"digests": [b"1", HASH, HASH]},
        {"digests": [HASH, b"1"]},
        {"digests": [b"01", HASH]},
        {"digests": [b"-1", HASH]},
        {"digests": [b"", HASH]},
        {"digests": [b"%d" % (LAST_NUMBER + 1), HASH]},
        {"digests": [b"1", HASH[:31]]},
        {"digests": [b"1", HASH + b"0"]},
    ],
)
def test_what_is_not_as_it_is_written_here_is_not_read(changes: dict[str, object]) -> None:
    if "nonce" not in changes:
        assert read_announcement(written(nonce=0)) == ANNOUNCED
    assert read_announcement(written(**changes)) is None
    assert read_request(written("data_req", **changes)) is None


def test_a_nonce_within_is_not_read_either() -> None:
    digest = GossipMessage.FromString(Envelope.FromString(written()).payload)
    digest.data_dig.nonce = 5
    assert (
        read_announcement(Envelope(payload=digest.SerializeToString()).SerializeToString()) is None
    )


def test_one_is_not_taken_for_the_other() -> None:
    assert read_request(announce(pushed())) is None
    assert read_announcement(request(ANNOUNCED)) is None
    assert read_announcement(pushed()) is None
    assert read_announcement(written() + b"\x12\x00") is None


@pytest.mark.parametrize(
    ("envelope", "message"),
    [
        (b"\xff", "malformed envelope"),
        (Envelope(payload=alive().SerializeToString()).SerializeToString(), "alive_msg"),
        (pushed(raw=b"\xff"), "malformed block"),
        (
            wrap_message(GossipMessage(tag=Tag.EMPTY, data_msg={"payload": {"data": RAW}})).raw,
            "tag",
        ),
    ],
)
def test_only_blocks_are_announced(envelope: bytes, message: str) -> None:
    with pytest.raises(ParamError, match=message):
        announce(envelope)


def test_any_bytes_are_no_announcement() -> None:
    for raw in hostile_bytes(Random(1), [written()], COUNT):
        found = read_announcement(raw)
        assert found is None or announce_again(found) == raw


def announce_again(found: Announcement) -> bytes:
    return written(
        channel=found.channel.encode(), digests=[b"%d" % found.number, found.header_hash]
    )
