from __future__ import annotations

import pytest

from pubsub.errors import RemoteError
from pubsub.fabric.actions import Send
from pubsub.fabric.block_store import BlockPullStore
from pubsub.fabric.block_verification import BlockSignatureError
from pubsub.fabric.envelope import GossipEnvelope, wrap_message
from pubsub.fabric.pull_requester import Pulled
from pubsub.fabric.pull_store import blocks_of
from tests.unit.fabric.making import block
from tests.unit.fabric.pull_dialogue import A, B, digest, engine, hello, nonces, request, update

LABEL = blocks_of(b"sales")
OURS, FOREIGN = A, B


class Sales:
    """A channel whose blocks are good unless they say otherwise."""

    def __init__(self, height: int = 0) -> None:
        self.height = height
        self.window = 1 << 64
        self.verified: list[int] = []

    def knows(self, number: int) -> bool:
        return number < self.height

    def has_use(self, number: int) -> bool:
        return 0 <= number - self.height < self.window

    def verify(self, number: int, raw: bytes) -> None:
        self.verified.append(number)
        if raw.startswith(b"bad"):
            raise RemoteError("a bad block")
        if raw.startswith(b"new"):
            raise BlockSignatureError("orderers that are not known")

    def may_pull(self, peer: bytes) -> bool:
        return peer != FOREIGN


def envelope(number: int, data: bytes = b"block") -> GossipEnvelope:
    return wrap_message(block(number, data))


def filled(*numbers: int, height: int = 0, max_bytes: int = 1 << 20) -> BlockPullStore:
    store = BlockPullStore(b"sales", Sales(height), max_bytes=max_bytes)
    for number in numbers:
        assert store.put(envelope(number), 0.0)
    return store


def test_of_many_blocks_the_newest_are_shown() -> None:
    store = filled(*range(100))
    assert store.numbers() == list(range(89, 100))
    assert store.digests(OURS) == [b"%d" % number for number in range(89, 100)]
    assert store.held_bytes == sum(len(envelope(number).raw) for number in range(89, 100))


def test_order_does_not_matter_within_the_window() -> None:
    store = filled(20, 15, 10, 18)
    assert not store.put(envelope(9), 0.0)
    assert not store.put(envelope(15), 0.0)
    assert store.numbers() == [10, 15, 18, 20]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (b"12", True),
        (b"10", True),
        (b"9", False),
        (b"15", False),
        (b"16", True),
        (b"18446744073709551615", True),
        (b"18446744073709551616", False),
        (b"012", False),
        (b"+12", False),
        (b" 12", False),
        (b"1_2", False),
        (b"-1", False),
        (b"", False),
        (b"twelve", False),
        (b"\xd9\xa1\xd9\xa2", False),
        (b"1" * 5000, False),
    ],
)
def test_wanted_is_what_neither_the_ledger_nor_the_store_has(asked: bytes, expected: bool) -> None:
    assert filled(15, height=10).wanted(asked) is expected


def test_what_would_not_be_kept_is_not_wanted() -> None:
    store = filled(30, height=5)
    assert not store.wanted(b"19")
    assert store.wanted(b"20")
    assert filled(height=5).wanted(b"19")


def test_blocks_of_the_ledger_are_not_asked_for() -> None:
    store = BlockPullStore(b"sales", Sales(height=10))
    ours = engine(store, OURS, label=LABEL)
    nonce = nonces(ours.tick(4.0))[OURS]
    offered = [b"%d" % number for number in range(5, 15)]
    ours.on_message(OURS, digest(nonce, *offered, label=LABEL), 4.1)
    asked = [b"%d" % number for number in range(10, 15)]
    assert ours.tick(5.0) == [Send(OURS, request(nonce, *asked, label=LABEL))]


def test_blocks_too_far_ahead_of_the_ledger_are_not_asked_for() -> None:
    channel = Sales(height=10)
    channel.window = 20
    store = BlockPullStore(b"sales", channel)
    assert store.wanted(b"29")
    assert not store.wanted(b"30")


def test_a_block_that_came_another_way_meanwhile_is_neither_verified_nor_kept() -> None:
    channel = Sales()
    store = BlockPullStore(b"sales", channel)
    ours = engine(store, OURS, label=LABEL)
    nonce = nonces(ours.tick(4.0))[OURS]
    ours.on_message(OURS, digest(nonce, b"1", b"2", label=LABEL), 4.1)
    assert ours.tick(5.0) == [Send(OURS, request(nonce, b"1", b"2", label=LABEL))]
    channel.height = 2
    both = update(nonce, envelope(1, b"bad").raw, envelope(2).raw, label=LABEL)
    (pulled,) = ours.on_message(OURS, both, 5.1)
    assert isinstance(pulled, Pulled)
    assert [item.digest for item in pulled.items] == [b"2"]
    assert channel.verified == [2]
    assert store.numbers() == [2]


def test_a_block_that_the_ledger_lacks_is_good_though_too_old_to_be_kept() -> None:
    store = filled(5, height=3)
    item = store.check(envelope(4).raw)
    for number in range(6, 16):
        store.put(envelope(number), 0.0)
    assert store.add(item, 0.0)
    assert 4 not in store.numbers()


def test_foreign_peers_are_shown_and_sent_nothing() -> None:
    store = filled(1, 2)
    assert store.digests(FOREIGN) == []
    assert list(store.items([b"1"], FOREIGN)) == []
    answers = engine(store, label=LABEL)
    assert answers.on_message(FOREIGN, hello(7, LABEL), 1.0) == []
    assert len(answers.on_message(OURS, hello(7, LABEL), 1.0)) == 1


def test_items_are_the_envelopes_as_they_came() -> None:
    store = filled(1, 2)
    asked = [b"2", b"3", b"junk", b"1"]
    assert list(store.items(asked, OURS)) == [envelope(2).raw, envelope(1).raw]


def test_a_pulled_block_is_verified_and_kept() -> None:
    channel = Sales()
    store = BlockPullStore(b"sales", channel)
    item = store.check(envelope(7).raw)
    assert channel.verified == [7]
    assert item.digest == b"7"
    assert item.content == envelope(7)
    assert store.numbers() == []
    assert store.add(item, 0.0)
    assert store.numbers() == [7]


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (envelope(7, b"bad").raw, "a bad block"),
        (wrap_message(hello(7, LABEL)).raw, "hello where a block was asked for"),
        (b"\xff", "malformed"),
        (b"", "without payload"),
    ],
)
def test_what_is_not_a_good_block_is_refused(encoded: bytes, message: str) -> None:
    with pytest.raises(RemoteError, match=message):
        BlockPullStore(b"sales", Sales()).check(encoded)


def test_a_block_of_another_channel_is_refused_before_it_is_verified() -> None:
    channel = Sales()
    with pytest.raises(RemoteError, match="a block of another channel"):
        BlockPullStore(b"second", channel).check(envelope(7).raw)
    assert channel.verified == []


def test_one_bad_block_rejects_the_whole_update() -> None:
    store = BlockPullStore(b"sales", Sales())
    ours = engine(store, OURS, label=LABEL)
    nonce = nonces(ours.tick(4.0))[OURS]
    ours.on_message(OURS, digest(nonce, b"1", b"2", label=LABEL), 4.1)
    ours.tick(5.0)
    bad = update(nonce, envelope(1).raw, envelope(2, b"bad").raw, label=LABEL)
    with pytest.raises(RemoteError, match="a bad block"):
        ours.on_message(OURS, bad, 5.1)
    assert store.numbers() == []


def test_two_peers_pull_what_they_lack() -> None:
    theirs = engine(filled(1, 2, 3), label=LABEL)
    store = filled(2, height=1)
    ours = engine(store, OURS, label=LABEL)
    (greeting,) = ours.tick(4.0)
    (shown,) = theirs.on_message(OURS, greeting.message, 4.0)
    assert isinstance(shown, Send)
    assert ours.on_message(OURS, shown.message, 4.0) == []
    (asked,) = ours.tick(5.0)
    (sent,) = theirs.on_message(OURS, asked.message, 5.0)
    assert isinstance(sent, Send)
    (pulled,) = ours.on_message(OURS, sent.message, 5.0)
    assert isinstance(pulled, Pulled)
    assert [item.digest for item in pulled.items] == [b"1", b"3"]
    assert store.numbers() == [1, 2, 3]


def test_blocks_are_let_go_of_when_they_are_old() -> None:
    store = BlockPullStore(b"sales", Sales(), ttl=400.0)
    store.put(envelope(1), 0.0)
    store.put(envelope(2), 100.0)
    assert store.next_deadline == 400.0
    store.tick(400.0)
    assert store.numbers() == [2]
    assert store.held_bytes == len(envelope(2).raw)
    # It is remembered for as long again, so that a late copy does not bring it back.
    assert not store.put(envelope(1), 400.0)


def test_bytes_are_bounded_and_the_oldest_go_first() -> None:
    size = len(envelope(1, bytes(300)).raw)
    store = BlockPullStore(b"sales", Sales(), max_bytes=3 * size)
    for number in (4, 2, 3, 5, 6):
        assert store.put(envelope(number, bytes(300)), 0.0)
    assert store.numbers() == [4, 5, 6]
    assert store.held_bytes == 3 * size
    # What had to go is not fetched again.
    assert not store.wanted(b"3")
    assert store.wanted(b"7")
    # A single block is kept whatever its size.
    assert store.put(envelope(7, bytes(2000)), 0.0)
    assert store.numbers() == [7]
    assert not store.wanted(b"6")


def test_a_block_of_orderers_that_are_not_known_yet_is_nobodys_fault_and_not_kept() -> None:
    store = filled(height=5)
    item = store.check(envelope(6, b"new").raw)
    assert (item.digest, item.content) == (b"6", None)
    assert not store.add(item, 0.0)
    assert store.numbers() == []
    # Those of the ledger's next one are known.
    with pytest.raises(BlockSignatureError):
        store.check(envelope(5, b"new").raw)
