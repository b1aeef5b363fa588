"""Publishing: who is chosen, what the receipt says, and what happens where there is no room."""

from __future__ import annotations

import pytest

from pubsub.errors import LocalError, NotEnoughPeersError, ParamError
from pubsub.params import Params, Signing
from pubsub.pb import rpc_pb2
from pubsub.router.events import Patience, Subscribe, Unsubscribe
from pubsub.router.protocols import FLOODSUB, GOSSIPSUB_V10
from tests.unit.router.dialogue import CROWD, US, A, B, Beat, C, Dialogue


def crowd(dialogue: Dialogue, count: int) -> None:
    for peer in CROWD[:count]:
        dialogue.do(peer.connects(), peer.subscribes("news"))


def receivers(dialogue: Dialogue) -> list[str]:
    lines = dialogue.do(dialogue.publish())
    return lines[-1].removeprefix("published to ").split(", ")


def test_a_message_goes_to_the_mesh() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"))
    for peer in CROWD[:6]:
        dialogue.do(peer.connects(), peer.grafts("news"))
    for peer in CROWD[6:]:
        dialogue.do(peer.connects(), peer.subscribes("news"))
    assert receivers(dialogue) == dialogue.mesh()


def test_while_the_mesh_is_small_others_get_it_too_up_to_d() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"))
    crowd(dialogue, 10)
    assert len(dialogue.mesh()) == 4
    chosen = receivers(dialogue)
    assert chosen[:4] == dialogue.mesh()
    assert len(set(chosen)) == 6


def test_a_backoff_forbids_links_not_messages() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"), B.prunes("news"))
    dialogue >> dialogue.publish() << ["B: MESSAGE us1 news: hello", "published to B"]


def test_floodsub_and_old_gossipsub_peers_get_everything_they_should() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), A.connects(FLOODSUB), B.connects(GOSSIPSUB_V10))
    dialogue.do(C.connects(FLOODSUB), A.subscribes("news"))
    dialogue >> B.subscribes("news") << ["B joined news", "B: GRAFT news"]
    (
        dialogue
        >> dialogue.publish()
        << [
            "B: MESSAGE us1 news: hello",
            "A: MESSAGE us1 news: hello",
            "published to B, A",
        ]
    )
    assert dialogue.beats(5) == []


def test_nobody_there_is_said_and_not_an_error() -> None:
    Dialogue() >> Dialogue().publish() << "published to nobody"


def test_fanout_is_chosen_once_and_kept() -> None:
    dialogue = Dialogue()
    crowd(dialogue, 20)
    chosen = receivers(dialogue)
    assert len(set(chosen)) == 6
    dialogue.beats(30)
    assert receivers(dialogue) == chosen


def test_fanout_turns_into_mesh() -> None:
    dialogue = Dialogue()
    crowd(dialogue, 20)
    chosen = receivers(dialogue)
    dialogue.do(Subscribe("news"))
    assert sorted(dialogue.mesh()) == sorted(chosen)
    assert dialogue.router.snapshot()["fanout"] == {}


def test_what_is_published_is_numbered_signed_and_not_taken_back() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"))
    dialogue >> dialogue.publish(b"one") << ["B: MESSAGE us1 news: one", "published to B"]
    dialogue >> dialogue.publish(b"two") << ["B: MESSAGE us2 news: two", "published to B"]
    first = dialogue.published[0].message
    assert (first.author, first.seqno, first.received_from) == (US.id, 1, US.id)
    dialogue >> B.sends(first.encoded[3:] if first.encoded[1] >= 128 else first.encoded[2:]) << []
    assert dialogue.counters()["duplicate"] == 1
    assert dialogue.delivered == []


def test_the_receipt_names_the_watermark_of_each_peer() -> None:
    dialogue = Dialogue()
    dialogue.do(A.connects(), A.subscribes("news"))
    dialogue.do(dialogue.publish(), B.connects(), B.subscribes("news"))
    dialogue.do(dialogue.publish())
    receipt = dialogue.published[1]
    assert dict(zip(receipt.peers, receipt.marks, strict=True)) == {A.id: 2, B.id: 1}
    assert dialogue.router.watermark(A.id) == (2, 2)


def test_the_size_limit_counts_data_only() -> None:
    dialogue = Dialogue(params=Params(max_message_size=10))
    dialogue >> dialogue.publish(b"x" * 10) << "published to nobody"
    with pytest.raises(LocalError, match="max_message_size"):
        dialogue.do(dialogue.publish(b"x" * 11))


def full_queue() -> Dialogue:
    """B is in the mesh, and has no room."""
    dialogue = Dialogue(params=Params(queue_messages=1))
    dialogue.do(Subscribe("news"))
    for peer in (A, B):
        dialogue.do(peer.connects(), peer.subscribes("news"))
    dialogue.router.handle(dialogue.publish(), dialogue.now)
    dialogue.take(A.id)
    assert not dialogue.router.has_room(B.id)
    return dialogue


def test_a_publisher_that_waits_is_told_for_whom_and_nothing_is_sent() -> None:
    dialogue = full_queue()
    before = dialogue.router.watermark(A.id)
    dialogue >> dialogue.publish(patience=Patience.WAIT) << "wait for B"
    assert dialogue.router.watermark(A.id) == before
    dialogue.take(B.id)
    (
        dialogue
        >> dialogue.publish(patience=Patience.WAIT)
        << [
            "A: MESSAGE us2 news: hello",
            "B: MESSAGE us2 news: hello",
            "published to A, B",
        ]
    )


def test_a_publisher_that_waits_no_more_skips_the_peer_and_says_so() -> None:
    dialogue = full_queue()
    lines = dialogue.do(dialogue.publish(patience=Patience.OVER))
    assert lines == ["A: MESSAGE us2 news: hello", "published to A; not B: its queue is full"]
    assert dialogue.mesh() == ["A"]
    assert dialogue.drops() == {"queue_full": 1}
    assert dialogue.take(B.id) == ["PRUNE news 60", "MESSAGE us1 news: hello"]


def test_a_publisher_that_never_waited_blames_nobody() -> None:
    dialogue = full_queue()
    lines = dialogue.do(dialogue.publish())
    assert lines == ["A: MESSAGE us2 news: hello", "published to A; not B: its queue is full"]
    assert dialogue.mesh() == ["A", "B"]
    assert dialogue.router.snapshot()["faults"][str(B.id)] == 0
    assert dialogue.drops() == {"queue_full": 1}


@pytest.mark.parametrize("wanted", [3, 8])
def test_a_publisher_can_ask_for_a_number_of_peers(wanted: int) -> None:
    dialogue = Dialogue()
    crowd(dialogue, 8)
    lines = dialogue.do(dialogue.publish(min_peers=wanted))
    assert len(dialogue.published[0].peers) == max(6, wanted), lines
    with pytest.raises(NotEnoughPeersError, match="8 peers would get it, where 9"):
        dialogue.do(dialogue.publish(min_peers=9))
    assert len(dialogue.published) == 1


def test_a_peer_that_was_given_up_holds_up_nobody_until_it_reads_again() -> None:
    dialogue = full_queue()
    dialogue.do(dialogue.publish(patience=Patience.OVER))
    lines = dialogue.do(dialogue.publish(patience=Patience.WAIT))
    assert lines[-1] == "published to A; not B: its queue is full"
    dialogue.take(B.id)
    # It is out of the mesh, but D peers are served while the mesh is short.
    assert dialogue.do(dialogue.publish(patience=Patience.WAIT))[-1] == "published to A, B"


def test_a_peer_without_room_loses_its_place_in_the_fanout() -> None:
    dialogue = Dialogue(params=Params(d=1, d_low=1, queue_messages=1))
    dialogue.do(A.connects(), B.connects(), A.subscribes("news"))
    dialogue.router.handle(dialogue.publish(), dialogue.now)
    dialogue.do(B.subscribes("news"), dialogue.publish(patience=Patience.OVER))
    assert dialogue.router.snapshot()["fanout"] == {}


def test_anonymous_messages_say_nothing_of_their_author() -> None:
    dialogue = Dialogue(params=Params(signing=Signing.NONE))
    dialogue.do(B.connects(), B.subscribes("news"))
    dialogue >> dialogue.publish() << ["B: MESSAGE anonymous news: hello", "published to B"]
    message = dialogue.published[0].message
    sent = rpc_pb2.RPC.FromString(message.encoded).publish[0]
    assert sent == rpc_pb2.Message(data=b"hello", topic="news").SerializeToString()
    assert (message.author, message.seqno) == (None, None)


def test_the_same_anonymous_message_twice_is_refused() -> None:
    dialogue = Dialogue(params=Params(signing=Signing.NONE))
    dialogue.do(dialogue.publish())
    with pytest.raises(LocalError, match="equal data is the same message"):
        dialogue.do(dialogue.publish())


def test_leaving_a_topic_ends_its_deliveries_but_not_its_publishing() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"), Unsubscribe("news"))
    dialogue >> B.sends(A.message(1)) << []
    dialogue >> dialogue.publish() << ["B: MESSAGE us1 news: hello", "published to B"]
    assert dialogue.drops() == {"not_subscribed": 1}


def test_topics_that_are_only_published_to_leave_no_record() -> None:
    dialogue = Dialogue()
    dialogue.do(*[dialogue.publish(topic=f"topic {number}") for number in range(50)])
    dialogue.do(Beat)
    assert dialogue.router._core.topics == {}


@pytest.mark.parametrize("topic", [None, 7, ["news"], b"news"])
def test_a_topic_that_is_no_text_is_said(topic: object) -> None:
    dialogue = Dialogue()
    for event in (dialogue.publish(topic=topic), Subscribe(topic)):
        with pytest.raises(ParamError, match="a topic is text, not "):
            dialogue.do(event)
