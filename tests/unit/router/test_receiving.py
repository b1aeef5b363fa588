"""Messages from peers: delivered once, forwarded along the mesh, dropped for a stated reason.

An id counts as seen only once its signature is good: whatever comes before,
the true message gets through.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pubsub.identity import KeyType, PublicKey, peer_id_of
from pubsub.identity.verify import check_all
from pubsub.params import Params, Signing
from pubsub.pb import rpc_pb2
from pubsub.router.effects import Verify
from pubsub.router.events import RpcReceived, Subscribe, Unsubscribe, Verified
from pubsub.router.message import SIGN_PREFIX
from pubsub.router.protocols import FLOODSUB
from tests.unit.router.dialogue import US, A, B, Beat, C, D, Dialogue, E, Late, Them, rpc, signed


def in_news(*peers: Them, **options: Params) -> Dialogue:
    dialogue = Dialogue(**options)
    dialogue.do(Subscribe("news"))
    for peer in peers:
        dialogue.do(peer.connects(), peer.subscribes("news"))
    return dialogue


def forged(author: Them, seqno: int, data: bytes = b"hello") -> bytes:
    """The true message with a signature that is not its own."""
    message = rpc_pb2.Message.FromString(author.message(seqno, data=data))
    message.signature = bytes(64)
    return message.SerializeToString()


def test_a_message_is_delivered_once_and_forwarded_to_the_rest_of_the_mesh() -> None:
    dialogue = in_news(A, B, C)
    (
        dialogue
        >> A.sends(D.message(1))
        << [
            "B: MESSAGE D1 news: hello",
            "C: MESSAGE D1 news: hello",
            "deliver news: hello",
        ]
    )
    dialogue >> B.sends(D.message(1)) << []
    dialogue >> A.sends(D.message(1), D.message(1)) << []
    (message,) = dialogue.delivered
    assert (message.author, message.seqno, message.received_from) == (D.id, 1, A.id)
    assert message.id == D.id_of(1)
    assert dialogue.counters()["duplicate"] == 3


def test_neither_sender_nor_author_gets_it_back() -> None:
    dialogue = in_news(A, B, C)
    dialogue >> A.sends(B.message(1)) << ["C: MESSAGE B1 news: hello", "deliver news: hello"]


def test_floodsub_peers_get_everything() -> None:
    dialogue = in_news(A)
    dialogue.do(D.connects(FLOODSUB), E.connects(FLOODSUB), D.subscribes("news"))
    dialogue >> A.sends(B.message(1)) << ["D: MESSAGE B1 news: hello", "deliver news: hello"]
    dialogue >> D.sends(B.message(2)) << ["A: MESSAGE B2 news: hello", "deliver news: hello"]


def test_messages_of_one_rpc_keep_their_order() -> None:
    dialogue = in_news(A)
    messages = [D.message(number, data=b"%d" % number) for number in range(5)]
    dialogue >> A.sends(*messages) << [f"deliver news: {number}" for number in range(5)]


def test_the_bytes_are_forwarded_as_they_came() -> None:
    dialogue = in_news(A, B)
    message = rpc_pb2.Message.FromString(D.message(1))
    backwards = b"".join(
        rpc_pb2.Message(**{field.name: value}).SerializeToString()
        for field, value in reversed(message.ListFields())
    )
    (check,) = dialogue.router.handle(A.sends(backwards), dialogue.now)
    assert isinstance(check, Verify)
    dialogue.router.handle(Verified(check.batch, check_all(check.checks)), dialogue.now)
    assert backwards in dialogue.router.take(B.id, 10_000)


def test_unknown_topics_are_dropped_in_silence() -> None:
    dialogue = in_news(A)
    dialogue >> A.sends(D.message(1, topic="sport")) << []
    assert dialogue.drops() == {"not_subscribed": 1}
    assert dialogue.router.snapshot()["faults"][str(A.id)] == 0


def test_our_own_messages_do_not_come_back() -> None:
    dialogue = in_news(A)
    dialogue >> A.sends(US.message(77)) << []
    assert dialogue.drops() == {"own_message": 1}
    assert dialogue.router.snapshot()["faults"][str(A.id)] == 0


def test_messages_over_the_size_limit_are_dropped() -> None:
    dialogue = in_news(A, params=Params(max_message_size=5))
    dialogue >> A.sends(D.message(1, data=b"12345")) << "deliver news: 12345"
    dialogue >> A.sends(D.message(2, data=b"123456")) << []
    assert dialogue.drops() == {"too_large": 1}


def test_a_forgery_that_comes_first_does_not_suppress_the_true_message() -> None:
    dialogue = in_news(A, B)
    dialogue >> A.sends(forged(C, 1)) << []
    dialogue >> B.sends(C.message(1)) << ["A: MESSAGE C1 news: hello", "deliver news: hello"]
    assert dialogue.drops() == {"bad_signature": 1}


def test_a_forgery_and_the_true_message_in_one_rpc() -> None:
    for order in ([forged(C, 1), C.message(1)], [C.message(1), forged(C, 1)]):
        dialogue = in_news(A)
        dialogue >> A.sends(*order) << "deliver news: hello"
        dialogue = in_news(A)
        both = [rpc(publish=[raw]).SerializeToString() for raw in order]
        dialogue >> RpcReceived(A.id, both) << "deliver news: hello"
        assert dialogue.drops() == {"bad_signature": 1}


def test_a_forgery_whose_verdict_comes_late() -> None:
    dialogue = in_news(A, B)
    dialogue >> Late(A.sends(forged(C, 1))) << "verify 1"
    dialogue >> Late(B.sends(C.message(1))) << "verify 1"
    dialogue >> dialogue.verify(1) << ["A: MESSAGE C1 news: hello", "deliver news: hello"]
    dialogue >> dialogue.verify(0) << []
    assert dialogue.drops() == {"bad_signature": 1}


def test_a_copy_that_comes_while_the_first_is_checked_is_a_duplicate() -> None:
    dialogue = in_news(A, B)
    dialogue >> Late(A.sends(C.message(1))) << "verify 1"
    dialogue >> Late(B.sends(C.message(1))) << "verify 1"
    dialogue >> dialogue.verify() << ["B: MESSAGE C1 news: hello", "deliver news: hello"]
    dialogue >> dialogue.verify() << []
    assert dialogue.counters()["duplicate"] == 1


def test_a_verdict_that_comes_after_its_sender_has_gone() -> None:
    dialogue = in_news(A, B)
    dialogue >> Late(A.sends(C.message(1), forged(C, 2))) << "verify 2"
    dialogue.do(A.disconnects())
    dialogue >> dialogue.verify() << ["B: MESSAGE C1 news: hello", "deliver news: hello"]


def test_checks_that_wait_are_bounded() -> None:
    dialogue = in_news(A, params=Params(verify_pending=3))
    dialogue >> Late(A.sends(C.message(1), C.message(2))) << "verify 2"
    dialogue >> Late(A.sends(C.message(3), C.message(4))) << "verify 1"
    dialogue >> Late(A.sends(C.message(5))) << []
    assert dialogue.drops() == {"verify_queue_full": 2}
    dialogue >> dialogue.verify() << ["deliver news: hello"] * 2
    dialogue >> Late(A.sends(C.message(5))) << "verify 1"


def test_an_id_is_remembered_for_two_minutes() -> None:
    dialogue = in_news(A)
    dialogue.do(A.sends(C.message(1)))
    start = dialogue.now
    while dialogue.now - start < 119:
        dialogue.do(Beat)
    dialogue >> A.sends(C.message(1)) << []
    dialogue.beats(3)
    dialogue >> A.sends(C.message(1)) << "deliver news: hello"


def test_a_full_queue_costs_the_slow_peer_its_copy_and_nobody_else() -> None:
    dialogue = in_news(A, B, C, params=Params(queue_messages=1))
    dialogue.router.handle(dialogue.publish(), dialogue.now)
    dialogue.take(A.id)
    dialogue.take(C.id)
    dialogue >> A.sends(D.message(1)) << ["C: MESSAGE D1 news: hello", "deliver news: hello"]
    assert dialogue.drops() == {"queue_full": 1}


def test_a_topic_left_while_a_message_is_checked() -> None:
    dialogue = in_news(A)
    dialogue >> Late(A.sends(C.message(1))) << "verify 1"
    dialogue.do(Unsubscribe("news"))
    dialogue >> dialogue.verify() << []
    assert dialogue.drops() == {"not_subscribed": 1}


@pytest.mark.parametrize(
    "tail", [b"\x3b\x44", b"\x3b" * 200 + b"\x3c" * 200], ids=["wrong end", "deep"]
)
def test_an_encoding_that_others_accept_costs_the_forwarder_nothing(tail: bytes) -> None:
    dialogue = in_news(A)
    dialogue >> A.sends(C.message(1) + tail, C.message(2)) << "deliver news: hello"
    assert dialogue.drops() == {"odd_message": 1}
    assert dialogue.router.snapshot()["faults"][str(A.id)] == 0


def test_unknown_fields_are_signed_and_forwarded() -> None:
    dialogue = in_news(A, B)
    body = rpc_pb2.Message.FromString(
        rpc_pb2.Message(author=C.id, data=b"x", seqno=bytes(8), topic="news").SerializeToString()
        + b"\x3a\x02hi"
    )
    raw = signed(C, author=C.id, data=b"x", seqno=bytes(8), topic="news")
    dialogue >> A.sends(raw + b"\x3a\x02hi") << []
    body.signature = C.key.sign(SIGN_PREFIX + body.SerializeToString())
    (
        dialogue
        >> A.sends(body.SerializeToString())
        << [
            "B: MESSAGE C0 news: x",
            "deliver news: x",
        ]
    )


def test_anonymous_messages_are_the_same_if_their_data_is() -> None:
    dialogue = in_news(A, B, params=Params(signing=Signing.NONE))
    raw = rpc_pb2.Message(data=b"hello", topic="news").SerializeToString()
    dialogue >> A.sends(raw) << ["B: MESSAGE anonymous news: hello", "deliver news: hello"]
    dialogue >> B.sends(raw) << []
    assert dialogue.delivered[0].author is None
    assert dialogue.delivered[0].seqno is None


def test_an_id_function_of_the_application_decides_what_is_the_same() -> None:
    dialogue = Dialogue(message_id=lambda message: message.data[:1])
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    dialogue >> A.sends(C.message(1, data=b"ab")) << "deliver news: ab"
    dialogue >> A.sends(C.message(2, data=b"ac")) << []
    dialogue >> A.sends(C.message(3, data=b"bb")) << "deliver news: bb"


def checks_for(dialogue: Dialogue, *messages: bytes) -> int:
    """How many signatures an event leaves to be checked."""
    effects = dialogue.router.handle(A.sends(*messages), dialogue.now)
    return sum(len(effect.checks) for effect in effects if isinstance(effect, Verify))


def test_copies_in_one_event_are_checked_once_but_forgeries_hide_nothing() -> None:
    dialogue = in_news(A)
    true, false = C.message(1), forged(C, 1)
    assert checks_for(dialogue, true, true, true) == 1
    dialogue = in_news(A)
    assert checks_for(dialogue, false, false, true, true) >= 2
    dialogue = in_news(A)
    assert "deliver news: hello" in dialogue.do(A.sends(false, false, true, true))


def test_slow_keys_get_so_many_checks_in_one_event_and_no_more() -> None:
    dialogue = in_news(A)
    key = ec.generate_private_key(ec.SECP256R1())
    public = PublicKey(
        KeyType.ECDSA,
        key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )
    messages = [
        rpc_pb2.Message(
            author=bytes(peer_id_of(public)),
            seqno=number.to_bytes(8, "big"),
            topic="news",
            key=public.protobuf,
            signature=b"not looked at yet",
        ).SerializeToString()
        for number in range(70)
    ]
    assert checks_for(dialogue, *messages) == 64
    assert dialogue.drops() == {"slow_keys": 6}


def test_a_message_that_somebody_made_longer_is_dropped_and_nobody_blamed() -> None:
    """A repeated field changes neither meaning nor signature."""
    dialogue = in_news(A, params=Params(max_message_size=1000))
    padding = b"\x12" + b"\xc0\x84\x3d" + bytes(1_000_000)
    dialogue >> A.sends(padding + C.message(1)) << []
    assert dialogue.drops() == {"too_large": 1}
    assert dialogue.router.snapshot()["faults"][str(A.id)] == 0
    dialogue >> A.sends(C.message(1)) << ["deliver news: hello"]


def test_messages_without_a_topic_are_rubbish() -> None:
    dialogue = in_news(A)
    lines = dialogue.do(*[A.sends(b"")] * 21)
    assert lines == ["disconnect A: messages without a topic"]


def test_who_goes_on_when_nobody_listens_is_sent_away() -> None:
    dialogue = in_news(A)
    dialogue.do(A.sends(*[forged(C, number) for number in range(14)]))
    assert dialogue.router.snapshot()["scores"][str(A.id)] < -80
    lines = dialogue.do(*[A.sends(C.message(99))] * 100)
    assert lines == ["disconnect A: it goes on below the graylist threshold"]
