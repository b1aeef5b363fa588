"""Contents: which a message holds, whose word it is, and what it must not lack."""

from __future__ import annotations

import pytest

from pubsub.fabric.content import (
    SIGNED,
    Content,
    MalformedMessageError,
    author_of,
    check_shape,
    content_of,
)
from pubsub.pb.fabric import gossip_pb2
from tests.unit.fabric.making import GossipMessage, alive, one_of_each, pki_id, state_info


def test_every_content_of_the_schema_has_a_name() -> None:
    fields = gossip_pb2.GossipMessage.DESCRIPTOR.oneofs_by_name["content"].fields
    assert {field.name for field in fields} == {*Content} - {Content.UNKNOWN}
    assert one_of_each().keys() == {*Content} - {Content.UNKNOWN}


@pytest.mark.parametrize("content", one_of_each())
def test_a_message_is_what_it_holds(content: Content) -> None:
    message = one_of_each()[content]
    assert content_of(message) is content
    assert check_shape(message) is content
    assert author_of(message) == (pki_id("ann") if content in SIGNED else b"")


def test_a_message_of_a_later_fabric_holds_nothing_known() -> None:
    message = GossipMessage.FromString(b"\xf2\x01\x00")  # field 30
    assert check_shape(message) is Content.UNKNOWN
    assert author_of(message) == b""


def without(content: Content, *path: str) -> GossipMessage:
    message = one_of_each()[content]
    part = getattr(message, content)
    for name in path[:-1]:
        part = getattr(part, name)
    part.ClearField(path[-1])
    return message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (without(Content.ALIVE, "membership"), "PKI-ID of 0 bytes"),
        (without(Content.ALIVE, "timestamp"), "no timestamp"),
        (without(Content.STATE_INFO, "pki_id"), "PKI-ID of 0 bytes"),
        (without(Content.STATE_INFO, "timestamp"), "no timestamp"),
        (without(Content.STATE_INFO, "properties"), "no properties"),
        (without(Content.STATE_INFO, "channel_mac"), "no channel MAC"),
        (without(Content.STATE_INFO_REQUEST, "channel_mac"), "no channel MAC"),
        (without(Content.LEADERSHIP, "pki_id"), "PKI-ID of 0 bytes"),
        (without(Content.LEADERSHIP, "timestamp"), "no timestamp"),
        (without(Content.IDENTITY, "pki_id"), "PKI-ID of 0 bytes"),
        (without(Content.IDENTITY, "cert"), "no identity"),
        (without(Content.CONNECTION, "pki_id"), "PKI-ID of 0 bytes"),
        (without(Content.CONNECTION, "identity"), "no identity"),
        (without(Content.MEMBERSHIP_REQUEST, "self_information"), "no own information"),
        (without(Content.DATA, "payload"), "no payload"),
        (without(Content.PRIVATE_DATA, "payload"), "no payload"),
    ],
)
def test_what_lacks_something_is_refused(message: GossipMessage, reason: str) -> None:
    with pytest.raises(MalformedMessageError, match=reason):
        check_shape(message)


@pytest.mark.parametrize("length", [31, 33])
def test_a_pki_id_has_32_bytes(length: int) -> None:
    message = alive()
    message.alive_msg.membership.pki_id = bytes(length)
    with pytest.raises(MalformedMessageError, match=f"PKI-ID of {length} bytes"):
        check_shape(message)


@pytest.mark.parametrize("length", [31, 33])
def test_a_mac_has_32_bytes(length: int) -> None:
    message = state_info()
    message.state_info.channel_mac = bytes(length)
    with pytest.raises(MalformedMessageError, match="MAC"):
        check_shape(message)


def test_a_channel_name_is_as_long_as_fabric_allows() -> None:
    message = alive()
    message.channel = b"c" * 249
    check_shape(message)
    message.channel = b"c" * 250
    with pytest.raises(MalformedMessageError, match="channel name of 250 bytes"):
        check_shape(message)
