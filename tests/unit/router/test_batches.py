"""Batches: of each message one copy leaves before any second one."""

from __future__ import annotations

import pytest

from pubsub.errors import LocalError, ParamError
from pubsub.params import Params, Signing
from pubsub.router.events import Event, Patience, PublishBatch, Subscribe
from tests.unit.router.dialogue import NAMES, A, B, C, D, Dialogue


def with_three(params: Params | None = None) -> Dialogue:
    dialogue = Dialogue(params=params)
    dialogue.do(Subscribe("news"))
    for peer in (A, B, C):
        dialogue.do(peer.connects(), peer.subscribes("news"))
    return dialogue


def batch(*texts: bytes, patience: Patience = Patience.NONE) -> Event:
    return PublishBatch([("news", text) for text in texts], patience)


def test_each_peer_gets_another_message_first() -> None:
    dialogue = with_three()
    dialogue.router.handle(batch(b"one", b"two", b"three"), dialogue.now)
    order = {peer.name: [line.split()[1] for line in dialogue.take(peer.id)] for peer in (A, B, C)}
    assert order == {
        "A": ["us1", "us3", "us2"],
        "B": ["us2", "us1", "us3"],
        "C": ["us3", "us2", "us1"],
    }


def test_the_receipts_are_in_the_order_of_the_messages() -> None:
    dialogue = with_three()
    dialogue.do(batch(b"one", b"two"))
    assert [one.message.data for one in dialogue.published] == [b"one", b"two"]
    assert [sorted(NAMES[peer] for peer in one.peers) for one in dialogue.published] == [
        ["A", "B", "C"],
        ["A", "B", "C"],
    ]
    marks = [dict(zip(one.peers, one.marks, strict=True)) for one in dialogue.published]
    assert marks == [{A.id: 1, B.id: 2, C.id: 2}, {B.id: 1, C.id: 1, A.id: 2}]


def test_topics_can_be_mixed_and_more_messages_than_peers_go_round() -> None:
    dialogue = with_three()
    dialogue.do(D.connects(), D.subscribes("sport"))
    pairs = [("news", b"%d" % number) for number in range(5)] + [("sport", b"goal")]
    lines = dialogue.do(PublishBatch(pairs))
    assert sum("MESSAGE" in line for line in lines) == 5 * 3 + 1
    assert "D: MESSAGE us6 sport: goal" in lines


@pytest.mark.parametrize("data", [bytes((1 << 20) + 1)])
def test_with_one_bad_message_none_is_sent(data: bytes) -> None:
    dialogue = with_three()
    with pytest.raises(ParamError, match="the limit is"):
        dialogue.do(batch(b"good", data))
    assert dialogue.take(A.id) == []
    dialogue.do(batch(b"good"))
    assert dialogue.published[0].message.seqno == 1


def test_one_anonymous_message_twice_is_refused_and_nothing_sent() -> None:
    dialogue = with_three(Params(signing=Signing.NONE))
    with pytest.raises(LocalError, match="one id"):
        dialogue.do(batch(b"same", b"other", b"same"))
    assert dialogue.take(A.id) == []
    dialogue.do(batch(b"same", b"other"))


def test_a_batch_waits_until_all_of_it_has_room() -> None:
    dialogue = with_three(Params(queue_messages=4))
    for number in range(3):
        dialogue.router.handle(dialogue.publish(b"%d" % number), dialogue.now)
    waiting = batch(b"one", b"two", patience=Patience.WAIT)
    dialogue >> waiting << "wait for A, B, C"
    assert not dialogue.router.has_room(A.id, 2, 6)
    for peer in (A, B, C):
        dialogue.take(peer.id)
    assert dialogue.router.has_room(A.id, 2, 6)
    assert dialogue.do(waiting)[-1] == "published to B, C, A"


def test_an_empty_batch_is_no_message() -> None:
    dialogue = with_three()
    dialogue >> batch() << []
