from __future__ import annotations

import random

import pytest

from pubsub.fabric.actions import Send
from pubsub.fabric.pull import PullEngine
from pubsub.fabric.pull_requester import Pulled
from pubsub.fabric.pull_store import Label, Mode, PullParams, own_kind
from pubsub.fabric.versioned_store import VersionedStore
from pubsub.pb.fabric.gossip_pb2 import GossipHello, GossipMessage
from tests.unit.fabric.pull_dialogue import (
    LABEL,
    A,
    B,
    C,
    Network,
    Shelf,
    digest,
    engine,
    good,
    hello,
    nonces,
    request,
    update,
)


def test_a_pull_has_four_steps() -> None:
    ours, theirs = engine(Shelf(b"1"), B), engine(Shelf(b"1", b"2", b"3"))
    assert ours.next_deadline == 4.0
    assert ours.tick(3.9) == []
    step1 = ours.tick(4.0)
    nonce = nonces(step1)[B]
    assert step1 == [Send(B, hello(nonce))]
    step2 = theirs.on_message(A, hello(nonce), 4.1)
    assert step2 == [Send(A, digest(nonce, b"1", b"2", b"3"))]
    assert ours.on_message(B, digest(nonce, b"1", b"2", b"3"), 4.2) == []
    assert ours.next_deadline == 5.0
    step3 = ours.tick(5.0)
    assert step3 == [Send(B, request(nonce, b"2", b"3"))]
    step4 = theirs.on_message(A, request(nonce, b"2", b"3"), 5.1)
    assert step4 == [Send(A, update(nonce, b"2=good", b"3=good"))]
    done = ours.on_message(B, update(nonce, b"2=good", b"3=good"), 5.2)
    assert done == [Pulled(B, good(b"2", b"3"))]
    assert ours.next_deadline == 8.0
    assert not ours.counters
    assert not theirs.counters


def test_the_first_round_comes_after_one_interval_and_missed_rounds_are_not_made_up_for() -> None:
    ours = engine(Shelf(), B)
    assert len(ours.tick(100.0)) == 1
    assert ours.tick(100.9) == []
    assert ours.tick(103.9) == []
    assert len(ours.tick(104.0)) == 1


def test_a_round_greets_a_sample_of_the_peers() -> None:
    peers = [bytes([n]) * 32 for n in range(10)]
    ours = engine(Shelf(), *peers)
    greeted = nonces(ours.tick(4.0))
    assert len(greeted) == 3
    assert greeted.keys() <= set(peers)
    assert len(set(greeted.values())) == 3
    assert nonces(ours.tick(8.0)).keys() != greeted.keys()
    alone = engine(Shelf())
    assert alone.tick(4.0) == []
    assert alone.next_deadline == 8.0


@pytest.mark.parametrize(
    "message",
    [
        GossipMessage(),
        GossipMessage(channel=b"mychannel", tag=GossipMessage.CHAN_AND_ORG),
        hello(7, Label(b"second", LABEL.tag, LABEL.kind)),
        hello(7, Label(b"mychannel", GossipMessage.EMPTY, LABEL.kind)),
        hello(7, Label(b"mychannel", LABEL.tag, own_kind(100))),
        LABEL.message(hello=GossipHello(nonce=7)),
    ],
)
def test_messages_with_another_label_are_ignored(message: GossipMessage) -> None:
    ours = engine(Shelf(b"1"))
    assert ours.on_message(B, message, 1.0) == []
    assert ours.counters == {"another label": 1}


def test_one_who_has_gone_is_asked_nothing_and_told_nothing() -> None:
    ours = engine(Shelf(b"9"), B, C)
    sent = nonces(ours.tick(4.0))
    missing = [b"%d" % number for number in range(20)]
    missing.remove(b"9")
    for peer in (B, C):
        ours.on_message(peer, digest(sent[peer], *missing), 4.1)
    assert len(ours.on_message(B, hello(5), 4.1)) == 1
    ours.forget(B)
    assert ours.on_message(B, request(5, b"9"), 4.2) == []
    assert ours.tick(5.0) == [Send(C, request(sent[C], *missing))]
    ours.forget(C)
    assert ours.on_message(C, update(sent[C], b"1=good"), 5.1) == []
    assert ours.next_deadline == 8.0


def test_what_has_ended_is_forgotten_by_tick() -> None:
    ours = engine(Shelf(b"1"), B)
    ours.on_message(B, hello(7), 4.0)
    ours.tick(5.4)
    assert len(ours._responder._promises) == 1
    ours.tick(5.5)
    assert not ours._responder._promises


STORE_LABEL = Label(b"", GossipMessage.EMPTY, own_kind(100))


def crowd(mode: Mode, count: int, seed: int) -> tuple[Network, list[VersionedStore]]:
    stores = [VersionedStore() for _ in range(count)]
    names = [chr(ord("A") + n) for n in range(count)]
    ids = [name.encode() * 32 for name in names]
    engines = {}
    for number, name in enumerate(names):
        others = [one for one in ids if one != name.encode() * 32]
        engines[name] = PullEngine(
            stores[number],
            STORE_LABEL,
            PullParams(mode=mode, peer_num=1),
            peers=lambda others=others: others,  # type: ignore[misc]
            rng=random.Random(seed * 1000 + number),
            now=0.0,
        )
    return Network(**engines), stores


@pytest.mark.parametrize("mode", Mode)
def test_an_update_reaches_all_in_a_number_of_rounds_that_grows_with_the_logarithm(
    mode: Mode,
) -> None:
    # 32 peers, one contact each a round: log2(32) = 5; push-pull needs no more than pull.
    for seed in range(5):
        network, stores = crowd(mode, 32, seed)
        stores[seed].put(b"key", 1, b"value")
        network.run(until=4.0 * 12 + 3.5)
        holders = sum(store.get(b"key") is not None for store in stores)
        assert holders == 32, (mode, seed)


@pytest.mark.parametrize("mode", Mode)
def test_the_newest_version_wins_wherever_it_was_written(mode: Mode) -> None:
    network, stores = crowd(mode, 8, 1)
    for number, store in enumerate(stores):
        store.put(b"shared", number % 3, b"from %d" % number)
        store.put(b"own %d" % number, 1, b"x")
    network.run(until=4.0 * 12)
    assert len(stores[0]) == 9
    found = stores[0].get(b"shared")
    assert found
    assert found.version == 2
    assert {store.get(b"shared") for store in stores} == {found}
    assert {tuple(sorted(store.digests(A))) for store in stores} == {
        tuple(sorted(stores[0].digests(A)))
    }


def test_push_and_pull_tell_by_their_first_message() -> None:
    def kinds(mode: Mode) -> list[str | None]:
        network, stores = crowd(mode, 2, 1)
        stores[0].put(b"key", 1, b"value")
        sent = network.engines[A].tick(4.0)
        return [action.message.WhichOneof("content") for action in sent]

    assert kinds(Mode.PULL) == ["hello"]
    assert kinds(Mode.PUSH) == ["data_dig"]
    assert kinds(Mode.PUSH_PULL) == ["hello", "data_dig"]
