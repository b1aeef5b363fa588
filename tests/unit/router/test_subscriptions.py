"""Who wants which topic: announced, noted, bounded, and kept from those who may not know."""

from __future__ import annotations

import pytest

from pubsub.params import Params
from pubsub.pb import rpc_pb2
from pubsub.router.events import RpcReceived, Subscribe, Unsubscribe
from pubsub.router.protocols import FLOODSUB
from tests.unit.router.dialogue import A, B, Beat, C, Dialogue, rpc


def test_subscribing_is_announced_to_every_peer_then_the_mesh_is_built() -> None:
    dialogue = Dialogue()
    dialogue.do(A.connects(), B.connects(), A.subscribes("news"))
    dialogue >> Subscribe("news") << ["A: SUBSCRIBE news", "A: GRAFT news", "B: SUBSCRIBE news"]
    dialogue >> Subscribe("news") << []


def test_unsubscribing_is_announced_then_the_mesh_is_pruned() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), A.connects(), B.connects(), A.subscribes("news"))
    (
        dialogue
        >> Unsubscribe("news")
        << [
            "A: UNSUBSCRIBE news",
            "A: PRUNE news 10",
            "B: UNSUBSCRIBE news",
        ]
    )
    dialogue >> Unsubscribe("news") << []
    dialogue >> Unsubscribe("never") << []
    assert dialogue.mesh() == []


def test_a_peer_is_grafted_at_once_while_the_mesh_is_short() -> None:
    dialogue = Dialogue(params=Params(d=2, d_low=2))
    dialogue.do(Subscribe("news"), A.connects(), B.connects(), C.connects())
    dialogue >> A.subscribes("news") << ["A joined news", "A: GRAFT news"]
    dialogue >> B.subscribes("news") << ["B joined news", "B: GRAFT news"]
    dialogue >> C.subscribes("news") << ["C joined news"]
    assert dialogue.mesh() == ["A", "B"]


def test_no_graft_for_a_topic_that_we_do_not_want() -> None:
    dialogue = Dialogue()
    dialogue.do(B.connects())
    dialogue >> B.subscribes("news") << "B joined news"


def test_floodsub_peers_are_not_grafted() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(FLOODSUB))
    dialogue >> B.subscribes("news") << "B joined news"
    assert dialogue.mesh() == []


def test_a_repeated_subscription_is_one() -> None:
    dialogue = Dialogue()
    dialogue.do(B.connects())
    dialogue >> B.subscribes("news", "news") << "B joined news"
    dialogue >> B.subscribes("news") << []
    dialogue >> B.unsubscribes("news", "news") << "B left news"
    dialogue >> B.unsubscribes("news") << []


def test_within_an_rpc_the_last_word_counts() -> None:
    dialogue = Dialogue()
    dialogue.do(B.connects())
    message = rpc_pb2.RPC()
    for joined in (True, False, True):
        message.subscriptions.add(subscribe=joined, topic_id="news")
    dialogue >> B.says(message) << ["B joined news", "B left news", "B joined news"]


def test_a_peer_that_leaves_is_out_of_the_mesh_and_no_graft_follows_it() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects())
    both = [rpc(subscribe=["news"]), rpc(unsubscribe=["news"])]
    dialogue >> B.says(*both) << ["B joined news", "B left news"]
    assert dialogue.mesh() == []


@pytest.mark.parametrize("name", ["", "x" * 9])
def test_topics_that_cannot_be_are_not_noted(name: str) -> None:
    dialogue = Dialogue(params=Params(max_topic_length=8))
    dialogue.do(B.connects())
    dialogue >> B.subscribes(name) << []
    assert dialogue.drops() == {"subscription_refused": 1}


def test_a_topic_that_is_not_text_is_passed_over() -> None:
    dialogue = Dialogue()
    dialogue.do(B.connects())
    raw = b"\x0a\x06\x08\x01\x12\x02\xff\xfe" + rpc(subscribe=["news"]).SerializeToString()
    dialogue >> RpcReceived(B.id, [raw]) << "B joined news"


def test_topics_of_others_leave_no_record_and_are_known_when_they_matter() -> None:
    dialogue = Dialogue()
    dialogue.do(A.connects(), B.connects(), A.subscribes("a", "b"), B.subscribes("b"))
    router = dialogue.router
    assert router._core.topics == {}
    assert (router.peers("a"), router.peers("b")) == ([A.id], [A.id, B.id])
    assert "A: GRAFT a" in dialogue.do(Subscribe("a"))
    lines = dialogue.do(dialogue.publish(topic="b"))
    assert sorted(lines[:2]) == ["A: MESSAGE us1 b: hello", "B: MESSAGE us1 b: hello"]
    assert list(router._core.topics) == ["a", "b"]
    dialogue.do(Unsubscribe("a"), B.unsubscribes("b"), A.disconnects())
    assert router.peers("a") == router.peers("b") == []


def test_who_comes_to_a_topic_a_moment_late_is_told_of_what_was_published() -> None:
    dialogue = Dialogue()
    dialogue.do(A.connects(), dialogue.publish())
    dialogue.do(Beat, A.subscribes("news"))
    assert dialogue.do(Beat) == ["A: IHAVE news: us1"]
    assert dialogue.router._core.topics == {}


def test_subscriptions_of_one_peer_are_bounded() -> None:
    dialogue = Dialogue(params=Params(max_topics_per_peer=2))
    dialogue.do(B.connects())
    dialogue >> B.subscribes("a", "b", "c") << ["B joined a", "B joined b"]
    dialogue >> B.unsubscribes("a") << "B left a"
    dialogue >> B.subscribes("c") << "B joined c"
    assert dialogue.drops() == {"subscription_refused": 1}


def test_topic_names_of_one_peer_are_bounded_in_length_together() -> None:
    dialogue = Dialogue()
    dialogue.do(B.connects())
    names = [f"{number:1000}" for number in range(300)]
    assert len(dialogue.do(B.subscribes(*names))) == 262
    dialogue.do(B.unsubscribes(*names))
    assert len(dialogue.do(B.subscribes(*names))) == 262


def test_an_empty_topic_leaves_no_record() -> None:
    dialogue = Dialogue()
    dialogue.do(B.connects(), B.subscribes("news"), B.unsubscribes("news"))
    assert dialogue.router._core.topics == {}


def test_who_may_not_know_hears_nothing_and_is_not_noted() -> None:
    dialogue = Dialogue(may_know=lambda peer, topic: peer != B.id or topic != "secret")
    dialogue.do(Subscribe("secret"), A.connects())
    dialogue >> B.connects() << []
    dialogue >> A.subscribes("secret") << ["A joined secret", "A: GRAFT secret"]
    dialogue >> B.subscribes("secret") << []
    dialogue >> B.grafts("secret") << []
    (
        dialogue
        >> dialogue.publish(topic="secret")
        << [
            "A: MESSAGE us1 secret: hello",
            "published to A",
        ]
    )
    message_id = dialogue.published[0].message.id
    dialogue >> B.wants(message_id) << []
    dialogue >> B.has("secret", b"something") << []
    dialogue >> Unsubscribe("secret") << ["A: UNSUBSCRIBE secret", "A: PRUNE secret 10"]
    dialogue >> Subscribe("secret") << ["A: SUBSCRIBE secret"]
    assert dialogue.beats(3) == ["A: IHAVE secret: us1"] * 3
    assert dialogue.drops() == {"graft_unknown_topic": 1, "may_not_know": 1}
