"""The libp2p pubsub interface specification: RPC, messages and their ids; streams and validators.

Signing has a file of its own. docs/protocol.md names the rule that each test holds us to.
"""

from __future__ import annotations

import os

import pytest
import trio

import pubsub
from pubsub.errors import ParamError
from pubsub.identity import PrivateKey
from pubsub.node.validation import Validator
from pubsub.params import Params, Signing
from pubsub.pb import rpc_pb2
from pubsub.router.events import RpcReceived, SetValidation, Subscribe, Validation
from pubsub.router.message import Message
from tests.io.nodes import LOOPBACK, TOPIC, drops, open_pair, raw_peer, take, until
from tests.io.nodes import rpc as framed_rpc
from tests.spec.scenes import knowing, published, told
from tests.unit.router.dialogue import US, A, B, C, D, Dialogue, rpc

# Stream management


async def test_stream_management_each_side_writes_on_the_stream_that_it_opened() -> None:
    async with pubsub.open_node(listen=[LOOPBACK]) as node, raw_peer() as peer:
        node.subscribe(TOPIC)
        stream = await peer.open(node)
        back = bytearray()
        stream.set_sink(back.extend, lambda: None)
        await stream.send_all(framed_rpc(subscribe=(TOPIC,)))
        graft = rpc(graft=[TOPIC]).control.SerializeToString()
        await until(lambda: graft in peer.heard)
        assert framed_rpc(subscribe=(TOPIC,))[1:] in peer.heard
        assert len(peer.inbound) == 1
        assert back == b""


async def test_stream_management_what_comes_on_our_stream_is_read_too() -> None:
    async with pubsub.open_node(listen=[LOOPBACK]) as node, raw_peer(reads=False) as peer:
        await peer.host.connect(node.addresses[0])
        await until(lambda: peer.inbound)
        await peer.inbound[0].send_all(framed_rpc(subscribe=(TOPIC,)))
        with trio.fail_after(5):
            assert await node.wait_for_peers(TOPIC, 1) == [peer.host.peer_id]


# The RPC


def test_rpc_holds_any_number_of_subscriptions_and_messages() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), A.connects())
    dialogue >> A.says(rpc(subscribe=["x", "y"], publish=[C.message(1), C.message(2)])) << [
        "A joined x",
        "A joined y",
        "deliver news: hello",
        "deliver news: hello",
    ]  # fmt: skip
    dialogue >> RpcReceived(A.id, [b""]) << []


def test_rpc_subscribe_is_true_and_unsubscribe_false() -> None:
    dialogue = Dialogue()
    dialogue.do(A.connects())
    dialogue >> RpcReceived(A.id, [b"\x0a\x05\x08\x01\x12\x01t"]) << "A joined t"
    assert dialogue.router.peers("t") == [A.id]
    dialogue >> RpcReceived(A.id, [b"\x0a\x05\x08\x00\x12\x01t"]) << "A left t"
    assert dialogue.router.peers("t") == []


# The Message


def test_message_from_is_the_author_and_is_kept_on_the_way() -> None:
    dialogue = knowing(A, B)
    raw = C.message(1)
    dialogue >> A.sends(raw) << ["B: MESSAGE C1 news: hello", "deliver news: hello"]
    (message,) = dialogue.delivered
    assert (message.author, message.received_from) == (C.id, A.id)
    assert rpc_pb2.RPC.FromString(message.encoded).publish == [raw]


def test_message_seqno_is_a_growing_64_bit_big_endian_number() -> None:
    dialogue = Dialogue()
    for topic in ("news", "sport", "news"):
        dialogue.do(dialogue.publish(topic=topic))
    assert [message.seqno for message in published(dialogue)] == [
        bytes(7) + bytes([number]) for number in (1, 2, 3)
    ]


async def test_message_seqno_is_not_used_again_after_a_restart() -> None:
    key = PrivateKey.generate(os.urandom)
    numbers = []
    for _ in range(2):
        async with pubsub.open_node(key=key) as node:
            messages = [await node.publish(TOPIC, b"") for _ in range(3)]
            numbers += [int.from_bytes(receipt.id[-8:], "big") for receipt in messages]
    assert numbers == sorted(set(numbers))


def test_message_seqnos_of_different_peers_may_be_equal() -> None:
    dialogue = knowing(A)
    dialogue >> A.sends(C.message(1), D.message(1)) << ["deliver news: hello"] * 2


@pytest.mark.parametrize("data", [b"", bytes(range(256)), b"\xff\xfe" * 30])
def test_message_data_is_opaque(data: bytes) -> None:
    dialogue = knowing(A, B)
    dialogue.do(dialogue.publish(data), A.sends(C.message(1, data=data)))
    assert [message.data for message in published(dialogue)] == [data]
    (message,) = dialogue.delivered
    assert message.data == data
    assert rpc_pb2.RPC.FromString(message.encoded).publish == [C.message(1, data=data)]


def test_message_topic_is_required() -> None:
    dialogue = knowing(A, B)
    message = rpc_pb2.Message.FromString(C.message(1))
    message.ClearField("topic")
    dialogue >> A.sends(message.SerializeToString()) << []
    assert dialogue.drops() == {"not_subscribed": 1}
    with pytest.raises(ParamError):
        dialogue.do(dialogue.publish(topic=""))


@pytest.mark.parametrize("limit", [None, 100])
def test_message_size_is_limited(limit: int | None) -> None:
    """1 MiB if nothing else is set."""
    params = Params() if limit is None else Params(max_message_size=limit)
    most = limit or 1024 * 1024
    dialogue = knowing(A, B, params=params)
    assert "deliver" in dialogue.do(A.sends(C.message(1, data=bytes(most))))[-1]
    dialogue >> A.sends(C.message(2, data=bytes(most + 1))) << []
    assert dialogue.drops() == {"too_large": 1}
    dialogue.do(dialogue.publish(bytes(most)))
    with pytest.raises(ParamError, match="the limit is"):
        dialogue.do(dialogue.publish(bytes(most + 1)))


# Message Identification


def test_message_identification_default_is_from_and_seqno() -> None:
    dialogue = knowing(A)
    dialogue.do(A.sends(C.message(7)))
    assert dialogue.delivered[0].id == bytes(C.id) + bytes(7) + b"\x07"
    # Of one author, what has the same number is the same message.
    dialogue >> A.sends(C.message(7, data=b"other")) << []


def test_message_identification_takes_a_function_of_the_message() -> None:
    seen: list[Message] = []

    def by_data(message: Message) -> bytes:
        seen.append(message)
        return message.data

    dialogue = Dialogue(message_id=by_data)
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    dialogue >> A.sends(C.message(1, data=b"x")) << "deliver news: x"
    dialogue >> A.sends(D.message(2, data=b"x")) << []
    dialogue >> A.sends(C.message(3, data=b"y")) << "deliver news: y"
    assert {(message.topic, message.author) for message in seen} == {
        ("news", C.id),
        ("news", D.id),
    }


def test_message_identification_of_anonymous_messages_is_by_data() -> None:
    dialogue = knowing(A, params=Params(signing=Signing.NONE))
    raw = rpc_pb2.Message(data=b"x", topic="news").SerializeToString()
    dialogue >> A.sends(raw, raw) << "deliver news: x"


# The Topic Descriptor


def test_topic_descriptor_is_not_used_topics_are_plain_names() -> None:
    """A topic is a text, compared as it is."""
    dialogue = Dialogue()
    dialogue.do(Subscribe("é"), A.connects())
    lines = dialogue.do(A.subscribes("e\u0301", "é"))
    assert lines == ["A joined e\u0301", "A joined é", "A: GRAFT é"]


# Topic Validation


async def test_topic_validation_is_attached_to_topics_and_sees_the_message() -> None:
    seen: list[pubsub.Message] = []

    def is_short(message: pubsub.Message) -> bool:
        seen.append(message)
        return len(message.data) < 5

    async with open_pair() as (ann, bob):
        validated, free = bob.subscribe("validated"), bob.subscribe("free")
        bob.set_validator("validated", is_short)
        for topic in ("validated", "free"):
            await ann.wait_for_peers(topic, 1)
            for data in (b"too long", b"good"):
                await ann.publish(topic, data)
        assert await take(validated, 1) == [b"good"]
        assert await take(free, 2) == [b"too long", b"good"]
        assert [(m.topic, m.data) for m in seen] == [
            ("validated", b"too long"),
            ("validated", b"good"),
        ]
        assert {(m.author, m.received_from) for m in seen} == {(ann.peer_id, ann.peer_id)}
        assert drops(bob, "rejected_by_validator") == 1


@pytest.mark.parametrize("verdict", list(Validation))
def test_topic_validation_decides_on_propagation(verdict: Validation) -> None:
    dialogue = knowing(A, B)
    dialogue.do(SetValidation("news", validated=True))
    dialogue >> A.sends(C.message(1)) << "validate news: hello"
    lines = dialogue.do(dialogue.validated(C.id_of(1), verdict))
    accepted = verdict is Validation.ACCEPT
    assert told(lines, "MESSAGE") == ["B"] * accepted
    assert ("deliver news: hello" in lines) is accepted


async def test_topic_validation_passes_only_if_all_validators_do() -> None:
    node_wide: list[Validator] = [lambda m: b"a" not in m.data, lambda m: b"b" not in m.data]
    async with (
        pubsub.open_node() as ann,
        pubsub.open_node(listen=[LOOPBACK], validators=node_wide) as bob,
        bob.subscribe(TOPIC) as messages,
    ):
        bob.set_validator(TOPIC, lambda m: b"c" not in m.data)
        await ann.connect(bob.addresses[0])
        await ann.wait_for_peers(TOPIC, 1)
        for data in (b"a", b"b", b"c", b"good"):
            await ann.publish(TOPIC, data)
        assert await take(messages, 1) == [b"good"]
        assert drops(bob, "rejected_by_validator") == 3


async def test_topic_validation_can_be_added_and_removed_at_runtime() -> None:
    async with open_pair() as (ann, bob), bob.subscribe(TOPIC) as messages:
        await ann.wait_for_peers(TOPIC, 1)
        bob.set_validator(TOPIC, lambda message: False)
        await ann.publish(TOPIC, b"1")
        await until(lambda: drops(bob, "rejected_by_validator") == 1)
        # The latest validator is the only one.
        bob.set_validator(TOPIC, lambda message: True)
        await ann.publish(TOPIC, b"2")
        assert await take(messages, 1) == [b"2"]
        bob.set_validator(TOPIC, lambda message: False)
        bob.set_validator(TOPIC, None)
        await ann.publish(TOPIC, b"3")
        assert await take(messages, 1) == [b"3"]


def test_topic_validation_own_publishes_are_not_validated() -> None:
    dialogue = knowing(A)
    dialogue.do(SetValidation("news", validated=True))
    dialogue >> dialogue.publish() << ["A: MESSAGE us1 news: hello", "published to A"]
    assert dialogue.published[0].message.origin == US.id
