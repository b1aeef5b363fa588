"""Stores: the latest of each author, the newest blocks, and the same as Fabric's list keeps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pubsub.errors import ParamError
from pubsub.fabric.comparator import BY_AUTHOR, Verdict, compare
from pubsub.fabric.content import SIGNED, Content
from pubsub.fabric.envelope import GossipEnvelope, sign_message, wrap_message
from pubsub.fabric.message_store import REFUSED, Added, BlockStore, LatestStore
from tests.unit.fabric.making import (
    ToySigner,
    alive,
    block,
    identity,
    leadership,
    one_of_each,
    pki_id,
    state_info,
)

TTL = 10.0
LAST = 2**64 - 1


def latest(content: Content = Content.ALIVE, *, ttl: float = TTL, limit: int = 100) -> LatestStore:
    return LatestStore(content, ttl=ttl, limit=limit)


def said(name: str, inc: int = 1, seq: int = 1) -> GossipEnvelope:
    return sign_message(alive(name, inc, seq), ToySigner(name))


def numbered(number: int, data: bytes = b"block") -> GossipEnvelope:
    return wrap_message(block(number, data))


def test_the_latest_of_an_author_displaces_the_one_before() -> None:
    store = latest()
    old, new, other = said("ann", 1, 1), said("ann", 1, 2), said("ben")
    assert store.add(old, 0) == Added(True)
    assert store.add(other, 1) == Added(True)
    assert store.add(new, 2) == Added(True, displaced=(old,))
    assert list(store) == [other, new]
    assert (store.get(pki_id("ann")), store.get(pki_id("eve"))) == (new, None)
    assert len(store) == 2


@pytest.mark.parametrize("stamp", [(2, 5), (2, 4), (1, 9)])
def test_what_is_not_later_is_refused(stamp: tuple[int, int]) -> None:
    store = latest()
    held = said("ann", 2, 5)
    store.add(held, 0)
    assert not store.is_news(said("ann", *stamp))
    assert store.add(said("ann", *stamp), 1) == REFUSED
    assert list(store) == [held]


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (Content.STATE_INFO, [state_info(seq=1), state_info(seq=2)]),
        (Content.LEADERSHIP, [leadership(seq=1), leadership(seq=2)]),
    ],
)
def test_other_timed_contents_are_kept_alike(content: Content, messages: list[object]) -> None:
    old, new = [sign_message(message, ToySigner()) for message in messages]
    store = latest(content)
    store.add(old, 0)
    assert store.add(new, 0) == Added(True, displaced=(old,))
    assert store.add(old, 0) == REFUSED


def test_the_first_identity_of_an_author_stays() -> None:
    store = latest(Content.IDENTITY)
    first, again = identity(), identity()
    again.peer_identity.metadata = b"again"
    store.add(sign_message(first, ToySigner()), 0)
    assert store.add(sign_message(again, ToySigner()), 0) == REFUSED


def test_an_expired_message_is_gone_and_still_refuses_stale_ones() -> None:
    store = latest()
    held = said("ann", 1, 5)
    store.add(held, 0)
    assert store.expire(9.9) == ()
    assert store.expire(10) == (held,)
    assert (len(store), store.get(pki_id("ann")), list(store)) == (0, None, [])
    assert store.expire(19.9) == ()
    assert store.add(said("ann", 1, 5), 19.9) == REFUSED
    assert store.expire(20) == ()
    assert store.add(said("ann", 1, 5), 20) == Added(True)


def test_a_later_message_lives_although_the_one_before_had_expired() -> None:
    store = latest()
    store.add(said("ann", 1, 5), 0)
    store.expire(10)
    back = said("ann", 1, 6)
    assert store.add(back, 11) == Added(True)
    assert store.expire(20) == ()
    assert list(store) == [back]
    assert store.expire(21) == (back,)


def test_a_refreshed_author_lives_longer_than_one_that_was_later_and_silent() -> None:
    store = latest()
    ann, ben, again = said("ann"), said("ben"), said("ann", 2)
    store.add(ann, 0)
    store.add(ben, 1)
    store.add(again, 2)
    assert store.expire(11) == (ben,)
    assert store.expire(12) == (again,)


def test_a_late_call_expires_and_forgets_at_once() -> None:
    store = latest()
    held = said("ann")
    store.add(held, 0)
    assert store.expire(100) == (held,)
    assert store.add(held, 100) == Added(True)


def test_the_next_deadline_is_when_something_happens() -> None:
    store = latest()
    assert store.next_deadline == math.inf
    store.add(said("ann"), 0)
    store.add(said("ben"), 3)
    assert store.next_deadline == 10
    store.expire(10)
    assert store.next_deadline == 13
    store.expire(13)
    assert store.next_deadline == 20
    store.expire(20)
    assert store.next_deadline == 23
    store.expire(23)
    assert store.next_deadline == math.inf


def test_a_store_without_a_time_to_live_keeps_what_it_has() -> None:
    store = latest(ttl=math.inf)
    store.add(said("ann"), 0)
    assert (store.expire(1e12), len(store), store.next_deadline) == ((), 1, math.inf)


def test_a_full_store_lets_the_oldest_go() -> None:
    store = latest(limit=2)
    ann, ben, cid, dee = (said(name) for name in ("ann", "ben", "cid", "dee"))
    store.add(ann, 0)
    store.add(ben, 1)
    assert store.add(cid, 2) == Added(True, evicted=(ann,))
    # An expired one goes before a live one.
    assert store.expire(11) == (ben,)
    assert store.add(dee, 11) == Added(True)
    assert (list(store), store.evicted) == ([cid, dee], 2)
    assert store.is_news(ben)


def test_what_is_purged_is_forgotten_wholly() -> None:
    store = latest()
    ann, ben = said("ann"), said("ben")
    store.add(ann, 0)
    store.add(ben, 0)
    assert store.purge(lambda envelope: envelope.author == pki_id("ann")) == (ann,)
    assert (list(store), store.purge(lambda envelope: False)) == ([ben], ())
    assert store.add(ann, 1) == Added(True)


def test_one_store_for_several_channels_tells_them_apart() -> None:
    def mac(envelope: GossipEnvelope) -> bytes:
        return envelope.message.state_info.channel_mac

    store = LatestStore(Content.STATE_INFO, ttl=TTL, limit=9, key=mac)
    sales = sign_message(state_info(inc=9, channel="sales"), ToySigner())
    stock = sign_message(state_info(inc=1, channel="stock"), ToySigner())
    assert store.add(sales, 0) == store.add(stock, 0) == Added(True)
    assert store.get(mac(sales)) == sales


def test_a_store_takes_its_own_content_only() -> None:
    for content, message in one_of_each().items():
        make = sign_message if content in SIGNED else lambda message, _: wrap_message(message)
        envelope = make(message, ToySigner())
        for store in (latest(Content.ALIVE), BlockStore(ttl=TTL, window=3)):
            if content is (Content.DATA if isinstance(store, BlockStore) else Content.ALIVE):
                assert store.add(envelope, 0) == Added(True)
            else:
                with pytest.raises(ParamError, match=content):
                    store.add(envelope, 0)


def test_stores_that_make_no_sense() -> None:
    for content in {*Content} - BY_AUTHOR:
        with pytest.raises(ParamError, match="latest"):
            latest(content)
    for broken in (
        lambda: latest(ttl=0),
        lambda: latest(limit=0),
        lambda: BlockStore(ttl=-1, window=3),
        lambda: BlockStore(ttl=1, window=-1),
    ):
        with pytest.raises(ParamError):
            broken()


def test_blocks_are_kept_within_a_window_below_the_highest() -> None:
    store = BlockStore(ttl=TTL, window=3)
    blocks = {number: numbered(number) for number in (0, 1, 2, 3, 4, 9, LAST)}
    for number in (3, 1, 2, 0):
        assert store.add(blocks[number], 0) == Added(True)
    assert store.add(blocks[4], 0) == Added(True, displaced=(blocks[0],))
    assert store.add(blocks[0], 0) == REFUSED
    assert list(store) == [blocks[3], blocks[1], blocks[2], blocks[4]]
    assert store.add(blocks[9], 0).displaced == tuple(blocks[n] for n in (1, 2, 3, 4))
    assert store.add(blocks[LAST], 0) == Added(True, displaced=(blocks[9],))
    assert (store.get(LAST), store.get(9)) == (blocks[LAST], None)


def test_a_block_number_counts_once_until_it_is_forgotten() -> None:
    store = BlockStore(ttl=TTL, window=3)
    first, again = numbered(5), numbered(5, b"the same number, other bytes")
    store.add(first, 0)
    assert not store.is_news(again)
    assert store.expire(10) == (first,)
    assert store.add(again, 15) == REFUSED
    # What has expired still says how far the chain is.
    assert store.add(numbered(1), 15) == REFUSED
    assert store.add(numbered(2), 15) == Added(True)
    store.expire(20)
    assert store.add(again, 20) == Added(True)


def test_an_expired_block_is_displaced_without_a_word() -> None:
    store = BlockStore(ttl=TTL, window=3)
    store.add(numbered(1), 0)
    store.expire(10)
    assert store.add(numbered(9), 11) == Added(True)


def test_the_highest_block_purged_no_longer_counts() -> None:
    store = BlockStore(ttl=TTL, window=3)
    store.add(numbered(50), 0)
    assert store.purge(lambda envelope: True) == (numbered(50),)
    assert store.add(numbered(1), 0) == Added(True)


@dataclass
class Listed:
    envelope: GossipEnvelope
    created: float
    expired: bool = False


@dataclass
class ListOfMessages:
    """Fabric's own way: every new message is compared with every one that is there."""

    window: int
    entries: list[Listed] = field(default_factory=list)

    def add(self, envelope: GossipEnvelope, now: float) -> tuple[bool, set[GossipEnvelope]]:
        verdicts = [
            compare(envelope.message, entry.envelope.message, window=self.window)
            for entry in self.entries
        ]
        if Verdict.INVALIDATED in verdicts:
            return False, set()
        out = [e for e, v in zip(self.entries, verdicts, strict=True) if v is Verdict.INVALIDATES]
        self.entries = [entry for entry in self.entries if entry not in out]
        self.entries.append(Listed(envelope, now))
        return True, {entry.envelope for entry in out if not entry.expired}

    def expire(self, now: float) -> list[GossipEnvelope]:
        fresh = [e for e in self.entries if not e.expired and e.created + TTL <= now]
        for entry in fresh:
            entry.expired = True
        self.entries = [e for e in self.entries if e.created + 2 * TTL > now]
        return [entry.envelope for entry in fresh]

    def purge(self, unwanted: Callable[[GossipEnvelope], bool]) -> list[GossipEnvelope]:
        out = [e for e in self.entries if not e.expired and unwanted(e.envelope)]
        self.entries = [entry for entry in self.entries if entry not in out]
        return [entry.envelope for entry in out]

    def live(self) -> list[GossipEnvelope]:
        return [entry.envelope for entry in self.entries if not entry.expired]


class Stores(RuleBasedStateMachine):
    """The stores do as a list of messages does in which all are compared with all."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.latest, self.model = latest(), ListOfMessages(0)
        self.blocks, self.chain = BlockStore(ttl=TTL, window=3), ListOfMessages(3)

    @rule(name=st.sampled_from("abc"), inc=st.integers(0, 2), seq=st.integers(0, 2))
    def somebody_speaks(self, name: str, inc: int, seq: int) -> None:
        self._add(self.latest, self.model, said(name, inc, seq))

    @rule(number=st.integers(0, 12))
    def a_block_comes(self, number: int) -> None:
        self._add(self.blocks, self.chain, numbered(number))

    def _add(
        self, store: LatestStore | BlockStore, model: ListOfMessages, envelope: GossipEnvelope
    ) -> None:
        news = store.is_news(envelope)
        added = store.add(envelope, self.now)
        accepted, displaced = model.add(envelope, self.now)
        assert (added.accepted, set(added.displaced)) == (accepted, displaced)
        assert (news, added.evicted) == (accepted, ())

    @rule(seconds=st.sampled_from([0.5, 4.0, 10.0, 25.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def somebody_sweeps(self) -> None:
        assert list(self.latest.expire(self.now)) == self.model.expire(self.now)
        assert list(self.blocks.expire(self.now)) == self.chain.expire(self.now)
        assert self.latest.next_deadline > self.now
        assert self.blocks.next_deadline > self.now

    @rule(odd=st.booleans())
    def some_are_purged(self, odd: bool) -> None:
        def unwanted(envelope: GossipEnvelope) -> bool:
            return sum(envelope.raw) % 2 == odd

        assert list(self.latest.purge(unwanted)) == self.model.purge(unwanted)
        assert list(self.blocks.purge(unwanted)) == self.chain.purge(unwanted)

    @invariant()
    def both_hold_the_same(self) -> None:
        assert list(self.latest) == self.model.live()
        assert list(self.blocks) == self.chain.live()
        assert len(self.latest) <= 3
        assert len(self.blocks) <= 4


TestStores = Stores.TestCase


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=60), st.integers(1, 5))
def test_a_store_never_holds_more_than_its_limit(words: list[tuple[int, int]], limit: int) -> None:
    store = latest(limit=limit)
    for now, (name, seq) in enumerate(words):
        store.add(said(str(name), 1, seq), now)
        store.expire(now)
        assert len(store._live) + len(store._expired) <= limit
