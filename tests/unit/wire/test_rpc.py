"""RPCs: read with limits, written in parts, and the same as plain protobuf makes of the schema."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.errors import RemoteError
from pubsub.pb import rpc_pb2
from pubsub.wire.rpc import (
    Control,
    OfferedPeer,
    PrunedTopic,
    Rpc,
    decode_rpc,
    encode_control,
    publish_field,
)
from tests.fuzz import COUNT, hostile_bytes


def decode(payload: bytes, *, max_publish: int = 100, max_control: int = 100) -> Rpc:
    return decode_rpc(payload, max_publish=max_publish, max_control=max_control)


def full() -> rpc_pb2.RPC:
    """One of everything that the schema has."""
    rpc = rpc_pb2.RPC(publish=[b"one", b"", bytes(300)])
    rpc.subscriptions.add(subscribe=True, topic_id="in")
    rpc.subscriptions.add(subscribe=False, topic_id="out")
    rpc.subscriptions.add(topic_id="silent")
    rpc.control.ihave.add(topic_id="news", message_ids=[b"\xff\x00", b""])
    rpc.control.iwant.add(message_ids=[b"1", b"2"])
    rpc.control.iwant.add(message_ids=[b"3"])
    rpc.control.graft.add(topic_id="zürich")
    rpc.control.prune.add(topic_id="a")
    rpc.control.prune.add(topic_id="b", backoff=2**64 - 1).peers.add(peer_id=b"somebody")
    rpc.control.idontwant.add(message_ids=[b"4"])
    return rpc


def test_everything_is_read() -> None:
    rpc = decode(full().SerializeToString())
    assert rpc.subscriptions == [("in", True), ("out", False), ("silent", False)]
    assert list(rpc.publish) == [b"one", b"", bytes(300)]
    assert rpc.control == Control(
        ihave=[("news", [b"\xff\x00", b""])],
        iwant=[b"1", b"2", b"3"],
        graft=["zürich"],
        prune=[PrunedTopic("a"), PrunedTopic("b", 2**64 - 1, (OfferedPeer(b"somebody", b""),))],
        idontwant=[b"4"],
    )


def test_an_empty_rpc() -> None:
    rpc = decode(b"")
    assert (rpc.subscriptions, list(rpc.publish), rpc.control) == ([], [], None)
    rpc = decode(b"\x1a\x00")
    assert rpc.control is not None
    assert not rpc.control


def test_unknown_fields_are_passed_over() -> None:
    # Extensions and partial messages of later versions.
    later = b"\x52\x03abc" + b"\xa2\xb4\x8a\x19\x00"
    assert decode(full().SerializeToString() + later) == decode(full().SerializeToString())


def test_topics_that_are_not_text_are_passed_over() -> None:
    raw = full().SerializeToString()
    for name, other in (b"in", b"\xff\xff"), (b"news", b"n\xffws"), (b"\xc3\xbc", b"\xc3\xff"):
        raw = raw.replace(name, other)
    raw = raw.replace(b"\x0a\x01a", b"\x0a\x01\xfe")
    rpc = decode(raw)
    assert rpc.subscriptions == [("out", False), ("silent", False)]
    assert rpc.control is not None
    assert rpc.control.ihave == rpc.control.graft == []
    assert [entry.topic for entry in rpc.control.prune] == ["b"]


def test_counts_are_limited() -> None:
    raw = full().SerializeToString()
    decode(raw, max_publish=3, max_control=7)
    with pytest.raises(RemoteError, match="3 messages; at most 2"):
        decode(raw, max_publish=2)
    with pytest.raises(RemoteError, match="7 control entries; at most 5"):
        decode(raw, max_control=5)
    with pytest.raises(RemoteError, match="3 control entries; at most 2"):
        decode(raw, max_control=2)


def test_cut_off_anywhere() -> None:
    raw = full().SerializeToString()
    whole = decode(raw)
    for cut in range(len(raw)):
        try:
            found = decode(raw[:cut])
        except RemoteError:
            continue
        assert found != whole


def test_hostile_bytes_raise_only_the_declared_error() -> None:
    rng = random.Random(4)
    small = rpc_pb2.RPC(publish=[b"x"])
    small.control.graft.add(topic_id="news")
    refused = 0
    valid = [full().SerializeToString(), small.SerializeToString()]
    for data in hostile_bytes(rng, valid, COUNT):
        try:
            decode(data, max_publish=5, max_control=5)
        except RemoteError:
            refused += 1
    assert 0 < refused < COUNT


def test_publish_field_is_what_protobuf_writes() -> None:
    for size in (0, 1, 127, 128, 20_000):
        raw = bytes(size)
        assert publish_field(raw) == rpc_pb2.RPC(publish=[raw]).SerializeToString()
    joined = publish_field(b"a") + publish_field(b"b")
    assert list(decode(joined).publish) == [b"a", b"b"]


TOPICS = st.text(max_size=40)
IDS = st.lists(st.binary(max_size=60), max_size=40)
CONTROL = st.builds(
    Control,
    ihave=st.lists(st.tuples(TOPICS, IDS.filter(bool)), max_size=3),
    iwant=IDS,
    graft=st.lists(TOPICS, max_size=5),
    prune=st.lists(
        st.builds(
            PrunedTopic,
            TOPICS,
            st.none() | st.integers(0, 2**64 - 1),
            st.lists(
                st.builds(OfferedPeer, st.binary(max_size=40), st.binary(max_size=200)), max_size=3
            ).map(tuple),
        ),
        max_size=5,
    ),
)


@given(st.lists(st.tuples(TOPICS, st.booleans()), max_size=8), CONTROL, st.integers(300, 2000))
def test_what_is_written_is_read(
    subscriptions: list[tuple[str, bool]], control: Control, limit: int
) -> None:
    found = Control()
    topics: list[tuple[str, bool]] = []
    for payload in encode_control(subscriptions, control, limit=limit):
        assert 0 < len(payload) <= limit
        rpc = decode(payload)
        assert list(rpc.publish) == []
        topics += rpc.subscriptions
        if rpc.control is not None:
            for topic, ids in rpc.control.ihave:
                if found.ihave and found.ihave[-1][0] == topic:
                    found.ihave[-1][1].extend(ids)
                else:
                    found.ihave.append((topic, list(ids)))
            found.iwant += rpc.control.iwant
            found.graft += rpc.control.graft
            found.prune += rpc.control.prune
    expected: list[tuple[str, list[bytes]]] = []
    for topic, ids in control.ihave:
        if expected and expected[-1][0] == topic:
            expected[-1][1].extend(ids)
        else:
            expected.append((topic, list(ids)))
    assert topics == subscriptions
    assert found == Control(expected, control.iwant, control.graft, control.prune)


def test_what_says_nothing_is_not_written() -> None:
    assert list(encode_control([], Control(), limit=1024)) == []
    assert list(encode_control([], Control(ihave=[("news", [])]), limit=1024)) == []


def test_an_entry_longer_than_the_limit_stands_alone() -> None:
    control = Control(graft=["a", "x" * 500, "b"], iwant=[b"y" * 500, b"z"])
    parts = [rpc_pb2.RPC.FromString(p) for p in encode_control([], control, limit=100)]
    assert [len(part.control.graft) for part in parts] == [1, 1, 1, 0, 0]
    assert sum(len(want.message_ids) for part in parts for want in part.control.iwant) == 2


def test_long_names_in_many_bytes_count_in_bytes() -> None:
    topic = "€" * 341  # 1,023 bytes
    parts = list(encode_control([], Control(ihave=[(topic, [b"12345678"] * 900)]), limit=2048))
    assert max(map(len, parts)) <= 2048
    assert (
        sum(
            len(have.message_ids) for p in parts for have in rpc_pb2.RPC.FromString(p).control.ihave
        )
        == 900
    )
