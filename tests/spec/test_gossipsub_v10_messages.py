"""gossipsub v1.0: what happens to messages, and how control travels.

docs/protocol.md names the rule that each test holds us to.
"""

from __future__ import annotations

import pytest

from pubsub.params import Params, Signing
from pubsub.pb import rpc_pb2
from pubsub.router.events import SetValidation, Subscribe, Unsubscribe, Validation
from pubsub.router.protocols import FLOODSUB
from tests.spec.scenes import SMALL, fanout, knowing, told
from tests.unit.router.dialogue import CROWD, A, B, Beat, C, D, Dialogue, E, rpc

# Message Processing


@pytest.mark.parametrize("verdict", [Validation.REJECT, Validation.IGNORE])
def test_message_processing_what_validation_refuses_goes_nowhere(verdict: Validation) -> None:
    dialogue = knowing(A, B, C, params=SMALL.replaced(scoring=False))
    dialogue.do(SetValidation("news", validated=True))
    dialogue >> A.sends(D.message(1)) << "validate news: hello"
    dialogue >> dialogue.validated(D.id_of(1), verdict) << []
    assert dialogue.beats(3) == []
    dialogue >> B.wants(D.id_of(1)) << []


def test_message_processing_our_own_message_is_not_forwarded() -> None:
    dialogue = knowing(A, B)
    dialogue.do(dialogue.publish())
    (raw,) = rpc_pb2.RPC.FromString(dialogue.published[0].message.encoded).publish
    dialogue >> A.sends(raw) << []
    # Nor is one from before a restart, whose id is not remembered.
    again = knowing(A, B)
    again >> A.sends(raw) << []
    assert again.drops() == {"own_message": 1}


def test_message_processing_forwards_to_floodsub_peers_and_the_mesh() -> None:
    dialogue = knowing(A, B, params=SMALL)
    for peer, topic in ((C, "news"), (D, "sport")):
        dialogue.do(peer.connects(FLOODSUB), peer.subscribes(topic))
    assert dialogue.mesh() == ["A"]
    lines = dialogue.do(B.sends(E.message(1)))
    assert sorted(told(lines, "MESSAGE")) == ["A", "C"]


def test_message_processing_payload_comes_before_control() -> None:
    """One RPC brings a message and tells of it."""
    raw = rpc_pb2.Message(data=b"hello", topic="news").SerializeToString()
    dialogue = Dialogue(
        params=Params(signing=Signing.NONE), message_id=lambda message: message.data
    )
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    both = rpc(publish=[raw], ihave=[("news", [b"hello", b"other"])])
    assert dialogue.do(A.says(both)) == ["A: IWANT other", "deliver news: hello"]


def test_message_processing_a_message_is_asked_for_while_its_signature_is_checked() -> None:
    dialogue = knowing(A)
    both = rpc(publish=[C.message(1)], ihave=[("news", [C.id_of(1)])])
    assert sorted(dialogue.do(A.says(both))) == ["A: IWANT C1", "deliver news: hello"]


def test_message_processing_graft_adds_the_sender() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), A.connects(), B.connects())
    assert dialogue.do(A.grafts("news")) == ["A joined news"]
    assert dialogue.mesh() == ["A"]
    dialogue >> B.sends(C.message(1)) << ["A: MESSAGE C1 news: hello", "deliver news: hello"]


def test_message_processing_graft_for_a_topic_not_ours_is_not_answered() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("left"), A.connects(), Unsubscribe("left"))
    dialogue >> A.grafts("left", "never") << []
    assert dialogue.mesh("left") == []


def test_message_processing_prune_removes_the_sender() -> None:
    dialogue = knowing(A, B)
    assert dialogue.mesh() == ["A", "B"]
    dialogue >> A.prunes("news") << []
    assert dialogue.mesh() == ["B"]
    dialogue >> B.sends(C.message(1)) << "deliver news: hello"


def test_message_processing_ihave_asks_for_what_was_not_seen() -> None:
    dialogue = knowing(A, B)
    dialogue.do(A.sends(C.message(1)))
    dialogue >> B.has("news", C.id_of(1), C.id_of(2)) << "B: IWANT C2"
    dialogue >> B.has("news", C.id_of(1)) << []


def test_message_processing_iwant_is_answered_from_the_cache() -> None:
    dialogue = knowing(A, B, params=SMALL)
    dialogue.do(A.sends(C.message(1)))
    dialogue >> B.wants(C.id_of(1), C.id_of(2)) << "B: MESSAGE C1 news: hello"
    dialogue.beats(5)
    dialogue >> B.wants(C.id_of(1)) << []


def test_message_processing_gossip_repairs_a_loss() -> None:
    """IHAVE, IWANT, message: and then delivered and forwarded like any other."""
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), A.connects(), A.grafts("news"), B.connects())
    dialogue >> B.has("news", C.id_of(1)) << "B: IWANT C1"
    dialogue >> B.sends(C.message(1)) << ["A: MESSAGE C1 news: hello", "deliver news: hello"]


def test_message_processing_publish_goes_to_the_mesh_and_floodsub_peers() -> None:
    dialogue = knowing(*CROWD[:12], params=Params(d=4, d_low=4))
    dialogue.do(A.connects(FLOODSUB), A.subscribes("news"))
    lines = dialogue.do(dialogue.publish())
    assert len(dialogue.mesh()) == 4
    assert told(lines, "MESSAGE") == [*dialogue.mesh(), "A"]


def test_message_processing_publish_beyond_a_small_mesh() -> None:
    dialogue = knowing(*CROWD[:12], params=Params(d=6, d_low=4))
    assert len(dialogue.mesh()) == 4
    receivers = told(dialogue.do(dialogue.publish()), "MESSAGE")
    assert receivers[:4] == dialogue.mesh()
    assert len(set(receivers)) == 6


def test_message_processing_publish_without_subscription_chooses_a_fanout_of_d() -> None:
    dialogue = knowing(*CROWD, subscribed=False)
    dialogue.do(A.connects(FLOODSUB), A.subscribes("news"))
    first = told(dialogue.do(dialogue.publish()), "MESSAGE")
    assert len(set(first)) == 7
    assert first[-1] == "A"
    assert len(fanout(dialogue)) == 6
    assert told(dialogue.do(Beat, dialogue.publish()), "MESSAGE") == first


def test_message_processing_own_publishes_are_not_delivered_to_ourselves() -> None:
    dialogue = knowing(A)
    dialogue >> dialogue.publish() << ["A: MESSAGE us1 news: hello", "published to A"]
    assert dialogue.delivered == []


# Control Message Piggybacking


def test_piggybacking_control_travels_in_one_rpc() -> None:
    """Control for one peer that waits together leaves together, for whatever topics."""
    dialogue = Dialogue()
    router = dialogue.router
    dialogue.do(A.connects(), A.subscribes("a", "b", "c"))
    for topic in "abc":
        router.handle(Subscribe(topic), dialogue.now)
    router.handle(Unsubscribe("b"), dialogue.now)
    data = router.take(A.id, 10_000)
    assert data[0] == len(data) - 1
    sent = rpc_pb2.RPC.FromString(data[1:])
    assert [entry.topic_id for entry in sent.control.graft] == ["a", "c"]
    assert [entry.topic_id for entry in sent.control.prune] == ["b"]
