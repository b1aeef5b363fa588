"""What waits for a peer: its order, its bounds, and the same bytes however they are cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.params import Params
from pubsub.pb import rpc_pb2
from pubsub.router.outbox import Outbox
from pubsub.wire.framing import FrameReader
from pubsub.wire.rpc import PrunedTopic, publish_field
from tests.unit.router.dialogue import rpc, script


def plain(number: int, size: int = 3) -> bytes:
    return rpc_pb2.Message(data=b"%d" % number + bytes(size - 1), topic="t").SerializeToString()


def everything(outbox: Outbox, max_bytes: int | Callable[[], int] = 1 << 20) -> list[rpc_pb2.RPC]:
    reader = FrameReader(1 << 24)
    found: list[rpc_pb2.RPC] = []
    while data := outbox.take(max_bytes if isinstance(max_bytes, int) else max_bytes()):
        found += map(rpc_pb2.RPC.FromString, reader.feed(data))
    assert reader.buffered == 0
    assert outbox.empty
    return found


def test_everything_in_the_order_of_its_weight() -> None:
    outbox = Outbox(Params())
    outbox.ihave("news", [b"1"])
    outbox.message(b"", publish_field(plain(1)))
    outbox.iwant([b"2"])
    outbox.prune(PrunedTopic("sport", 60))
    outbox.graft("news")
    outbox.subscription("late", joined=False)
    outbox.hello(["news"])
    control, message, gossip = everything(outbox)
    assert control == rpc(
        subscribe=["news"],
        unsubscribe=["late"],
        graft=["news"],
        prune=[("sport", 60)],
        iwant=[b"2"],
    )
    assert message == rpc(publish=[plain(1)])
    assert gossip == rpc(ihave=[("news", [b"1"])])


def test_messages_share_rpcs_up_to_a_size() -> None:
    outbox = Outbox(Params(rpc_batch_bytes=30))
    for number in range(7):
        outbox.message(b"", publish_field(plain(number)))  # 10 bytes each
    assert [len(found.publish) for found in everything(outbox)] == [3, 3, 1]
    outbox.message(b"", publish_field(plain(1, size=100)))
    outbox.message(b"", publish_field(plain(2)))
    assert [len(found.publish) for found in everything(outbox)] == [1, 1]


def test_control_is_cut_so_that_rust_accepts_it() -> None:
    outbox = Outbox(Params())
    outbox.iwant([b"%040d" % number for number in range(5000)])
    outbox.ihave("news", [b"%040d" % number for number in range(5000)])
    found = everything(outbox)
    assert max(part.ByteSize() for part in found) <= 12 * 1024
    wanted = [i for part in found for want in part.control.iwant for i in want.message_ids]
    told = [i for part in found for have in part.control.ihave for i in have.message_ids]
    assert wanted == told == [b"%040d" % number for number in range(5000)]


def test_gossip_waits_for_messages() -> None:
    outbox = Outbox(Params())
    outbox.ihave("news", [b"1"])
    outbox.message(b"", publish_field(plain(1, size=500)))
    assert outbox.take(100)
    assert not outbox.empty
    assert outbox.take(1000)
    assert b"news" in outbox.take(1000)
    assert outbox.empty


def test_newer_gossip_of_a_topic_replaces_what_waits() -> None:
    outbox = Outbox(Params(queue_gossip=3))
    assert outbox.ihave("news", [b"1", b"2"]) == 0
    assert outbox.ihave("news", [b"3", b"4", b"5", b"6"]) == 1
    assert outbox.ihave("sport", [b"7"]) == 1
    assert everything(outbox) == [rpc(ihave=[("news", [b"3", b"4", b"5"])])]
    assert outbox.ihave("sport", [b"7"]) == 0


def test_the_last_word_on_a_mesh_counts() -> None:
    outbox = Outbox(Params())
    outbox.graft("a")
    outbox.prune(PrunedTopic("a", 60))
    outbox.prune(PrunedTopic("b"))
    outbox.graft("b")
    outbox.graft("c")
    outbox.withdraw_graft("c")
    outbox.withdraw_graft("a")  # a PRUNE stays
    outbox.withdraw_graft("nowhere")
    assert everything(outbox) == [rpc(graft=["b"], prune=[("a", 60)])]


def test_full_by_count_and_by_bytes() -> None:
    for params in (Params(queue_messages=2), Params(queue_bytes=15)):
        outbox = Outbox(params)
        outbox.message(b"", publish_field(plain(1)))
        assert not outbox.full
        outbox.message(b"", publish_field(plain(2)))
        assert outbox.full
        assert (len(outbox), outbox.waiting_bytes) == (2, 20)
        outbox.take(1000)
        assert not outbox.full
        assert (len(outbox), outbox.waiting_bytes) == (0, 0)


def test_control_is_never_refused_but_seen() -> None:
    outbox = Outbox(Params(queue_control=3))
    outbox.iwant([b"1", b"2", b"1"])
    outbox.subscription("news", joined=True)
    assert not outbox.overgrown
    outbox.graft("news")
    assert outbox.overgrown


def test_a_message_has_left_when_its_last_byte_has() -> None:
    outbox = Outbox(Params())
    outbox.message(b"", publish_field(plain(1, size=100)))
    outbox.message(b"", publish_field(plain(2)))
    assert outbox.queued == 2
    outbox.take(60)
    assert outbox.taken == 0
    outbox.take(30)
    assert outbox.taken == 0
    outbox.take(1000)
    assert outbox.taken == 1
    outbox.take(1000)
    assert outbox.taken == 2


def test_a_new_stream_begins_with_a_whole_frame() -> None:
    outbox = Outbox(Params())
    outbox.message(b"", publish_field(plain(1, size=100)))
    outbox.message(b"", publish_field(plain(2)))
    outbox.subscription("old", joined=True)
    outbox.subscription("left", joined=False)
    outbox.take(5)  # control goes first
    outbox.take(1000)
    outbox.take(50)
    outbox.flagged = True
    assert outbox.hello(["news"]) == 1
    assert not outbox.flagged
    assert outbox.taken == 1
    assert everything(outbox) == [rpc(subscribe=["news"]), rpc(publish=[plain(2)])]
    assert outbox.taken == outbox.queued == 2
    assert outbox.hello([]) == 0
    assert everything(outbox) == []


def test_no_room_no_bytes() -> None:
    outbox = Outbox(Params())
    outbox.message(b"", publish_field(plain(1)))
    assert outbox.take(0) == outbox.take(-1) == b""
    assert len(outbox) == 1


ENTRIES = st.one_of(
    st.tuples(st.just("message"), st.integers(1, 300)),
    st.tuples(st.just("graft"), st.integers(0, 5)),
    st.tuples(st.just("iwant"), st.integers(0, 50)),
    st.tuples(st.just("ihave"), st.integers(0, 50)),
)


def fill(outbox: Outbox, entries: list[tuple[str, int]]) -> list[bytes]:
    messages = []
    for number, (kind, size) in enumerate(entries):
        if kind == "message":
            messages.append(plain(number, size=size + 9))
            outbox.message(b"", publish_field(messages[-1]))
        elif kind == "graft":
            outbox.graft(f"topic {size}")
        elif kind == "iwant":
            outbox.iwant([bytes((number,)) * size])
        else:
            outbox.ihave(f"topic {number}", [bytes((number,)) * size])
    return messages


@given(
    entries=st.lists(ENTRIES, max_size=25),
    cuts=st.lists(st.integers(1, 400), min_size=1, max_size=10),
    batch=st.sampled_from([1, 50, 200, 32768]),
)
def test_however_it_is_cut_the_same_arrives(
    entries: list[tuple[str, int]], cuts: list[int], batch: int
) -> None:
    outbox = Outbox(Params(rpc_batch_bytes=batch, control_batch_bytes=1024))
    messages = fill(outbox, entries)
    turn = 0

    reader = FrameReader(1 << 20)
    arrived: list[bytes] = []
    lines: list[str] = []
    while True:
        size = cuts[turn % len(cuts)]
        turn += 1
        data = outbox.take(size)
        assert len(data) <= size
        if not data:
            break
        for frame in reader.feed(data):
            message = rpc_pb2.RPC.FromString(frame)
            arrived += message.publish
            message.ClearField("publish")
            lines += script(message)
        # What counts as taken has arrived; at most what is cut may lag behind.
        assert outbox.taken <= len(arrived)
        assert len(arrived) - outbox.taken <= 1
    assert arrived == messages
    assert outbox.taken == outbox.queued == len(messages)
    assert outbox.waiting_bytes == 0
    assert reader.buffered == 0
    whole = Outbox(Params(control_batch_bytes=1024))
    fill(whole, entries)
    expected = [line for found in everything(whole) for line in script(found)]
    assert sorted(lines) == sorted(line for line in expected if not line.startswith("MESSAGE"))


@pytest.mark.parametrize("size", range(90, 130))
def test_every_window_size_about_the_length_of_a_message(size: int) -> None:
    outbox = Outbox(Params())
    for number in range(4):
        outbox.message(b"", publish_field(plain(number, size=100)))
    assert len([raw for found in everything(outbox, size) for raw in found.publish]) == 4
    assert outbox.taken == 4
