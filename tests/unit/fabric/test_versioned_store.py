from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.errors import ParamError, RemoteError
from pubsub.fabric.versioned_store import MAX_KEY_BYTES, Entry, VersionedStore
from pubsub.pb.fabric.gossip_pb2 import Envelope

PEER = b"P" * 32


def carry(source: VersionedStore, target: VersionedStore) -> None:
    wanted = [one for one in source.digests(PEER) if target.wanted(one)]
    for encoded in source.items(wanted, PEER):
        item = target.check(encoded)
        assert item.digest in wanted
        assert target.add(item, 0.0)


def test_the_higher_version_stays() -> None:
    store = VersionedStore()
    assert store.get(b"key") is None
    assert store.put(b"key", 2, b"two")
    assert not store.put(b"key", 1, b"one")
    assert not store.put(b"key", 2, b"two")
    assert store.get(b"key") == Entry(2, b"two")
    assert store.put(b"key", 3, b"three")
    assert store.get(b"key") == Entry(3, b"three")
    assert len(store) == 1


@pytest.mark.parametrize(("key", "value"), [("key", b"value"), (b"key", "value"), (None, b"")])
def test_what_is_no_bytes_is_refused(key: Any, value: Any) -> None:
    with pytest.raises(ParamError, match="key and value are bytes"):
        VersionedStore().put(key, 1, value)


puts = st.lists(st.tuples(st.binary(min_size=1, max_size=2), st.integers(0, 3), st.binary()))


@given(puts, puts)
def test_two_stores_that_have_heard_each_other_hold_the_same(
    ones: list[tuple[bytes, int, bytes]], others: list[tuple[bytes, int, bytes]]
) -> None:
    one, other = VersionedStore(), VersionedStore()
    for store, writes in ((one, ones), (other, others)):
        for write in writes:
            store.put(*write)
    carry(one, other)
    carry(other, one)
    assert sorted(one.digests(PEER)) == sorted(other.digests(PEER))
    keys = {key for key, _, _ in ones + others}
    assert {key: one.get(key) for key in keys} == {key: other.get(key) for key in keys}
    for key, version, _ in ones + others:
        found = one.get(key)
        assert found
        assert found.version >= version


@given(st.binary(max_size=60))
def test_any_bytes_are_an_item_or_a_remote_error(payload: bytes) -> None:
    store = VersionedStore()
    assert store.wanted(payload) in (True, False)
    for encoded in (payload, Envelope(payload=payload).SerializeToString()):
        try:
            item = store.check(encoded)
        except RemoteError:
            continue
        assert store.add(item, 0.0)
        assert item.digest in store.digests(PEER)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "cut or too long"),
        (bytes(8) + b"\0\x00value", "cut or too long"),
        (bytes(8) + b"\0\x05key", "cut or too long"),
        (bytes(8) + b"\0\xff" + bytes(255), "cut or too long"),
        (bytes(8) + b"\0\x01k" + bytes(11), "too large"),
    ],
)
def test_bad_items_are_refused(payload: bytes, message: str) -> None:
    store = VersionedStore(max_value_bytes=10)
    with pytest.raises(RemoteError, match=message):
        store.check(Envelope(payload=payload).SerializeToString())
    with pytest.raises(RemoteError, match="no envelope"):
        store.check(b"\xff")


def test_a_value_may_be_as_large_as_the_bound() -> None:
    source, store = (VersionedStore(max_value_bytes=10) for _ in range(2))
    assert source.put(b"k" * MAX_KEY_BYTES, (1 << 64) - 1, bytes(10))
    carry(source, store)
    assert store.get(b"k" * MAX_KEY_BYTES) == Entry((1 << 64) - 1, bytes(10))


def test_a_full_store_wants_no_new_keys_but_newer_versions() -> None:
    source, store = VersionedStore(), VersionedStore(max_keys=1)
    source.put(b"a", 2, b"new")
    source.put(b"b", 1, b"other")
    store.put(b"a", 1, b"old")
    newer, other = source.digests(PEER)
    assert store.wanted(newer)
    assert not store.wanted(other)
    items = [store.check(encoded) for encoded in source.items([newer, other], PEER)]
    assert [store.add(item, 0.0) for item in items] == [True, False]
    assert len(store) == 1
    with pytest.raises(ParamError, match="full: 1 keys"):
        store.put(b"b", 1, b"other")


def test_what_a_peer_may_not_see_it_is_neither_shown_nor_sent() -> None:
    store = VersionedStore(may_see=lambda peer, key: peer == PEER or key == b"open")
    store.put(b"open", 1, b"x")
    store.put(b"secret", 1, b"y")
    everything = store.digests(PEER)
    assert len(everything) == 2
    assert store.digests(b"other") == everything[:1]
    assert len(list(store.items(everything, b"other"))) == 1
    assert len(list(store.items(everything, PEER))) == 2


@pytest.mark.parametrize("length", [0, 1, MAX_KEY_BYTES, MAX_KEY_BYTES + 1])
def test_a_digest_whose_key_could_not_be_kept_is_not_wanted(length: int) -> None:
    digest = bytes(16) + b"k" * length
    assert VersionedStore().wanted(digest) is (1 <= length <= MAX_KEY_BYTES)
    assert not VersionedStore().wanted(digest[:15])


def test_a_digest_of_an_older_version_names_nothing() -> None:
    store = VersionedStore()
    store.put(b"key", 1, b"one")
    old = store.digests(PEER)
    store.put(b"key", 2, b"two")
    assert list(store.items([*old, b"", b"x" * 20], PEER)) == []


@pytest.mark.parametrize(
    ("key", "version", "value", "message"),
    [
        (b"", 1, b"", "a key has 1 to 200 bytes"),
        (b"k" * (MAX_KEY_BYTES + 1), 1, b"", "a key has 1 to 200 bytes"),
        (b"k", -1, b"", "a version has 64 bits"),
        (b"k", 1 << 64, b"", "a version has 64 bits"),
        (b"k", 1, bytes(11), "a value has at most 10 bytes, not 11"),
    ],
)
def test_own_writes_are_checked(key: bytes, version: int, value: bytes, message: str) -> None:
    with pytest.raises(ParamError, match=message):
        VersionedStore(max_value_bytes=10).put(key, version, value)
