from __future__ import annotations

import pytest

from pubsub.errors import ParamError
from pubsub.identity import PeerId
from pubsub.params import Params, Signing
from pubsub.pb import rpc_pb2
from pubsub.router.events import (
    Feedback,
    Recheck,
    SetDirect,
    SetFrameLimit,
    SetTopic,
    SetTrace,
    Subscribe,
    Unsubscribe,
)
from pubsub.router.topic_params import TopicParams
from pubsub.wire.framing import FrameReader
from tests.unit.router.dialogue import US, A, B, C, D, Dialogue, rpc, signed


def with_direct_a(**more: bool) -> Dialogue:
    dialogue = Dialogue(**more)
    dialogue.do(SetDirect(A.id, True), Subscribe("news"))
    return dialogue


# Direct peers (v1.1 §Explicit Peering Agreements)


def test_a_direct_peer_gets_everything_and_is_in_no_mesh() -> None:
    dialogue = with_direct_a()
    dialogue >> A.connects() << "A: SUBSCRIBE news"
    dialogue >> A.subscribes("news") << "A joined news"
    dialogue.do(B.connects(), B.subscribes("news"))
    assert dialogue.mesh() == ["B"]
    (
        dialogue
        >> dialogue.publish()
        << [
            "B: MESSAGE us1 news: hello",
            "A: MESSAGE us1 news: hello",
            "published to B, A",
        ]
    )
    dialogue >> B.sends(C.message(1)) << ["A: MESSAGE C1 news: hello", "deliver news: hello"]
    dialogue >> A.sends(C.message(2)) << ["B: MESSAGE C2 news: hello", "deliver news: hello"]


def test_a_direct_peer_gets_what_is_published_to_a_topic_that_is_not_ours() -> None:
    dialogue = Dialogue()
    dialogue.do(SetDirect(A.id, True), A.connects(), A.subscribes("news"))
    dialogue >> dialogue.publish() << ["A: MESSAGE us1 news: hello", "published to A"]


def test_a_graft_from_a_direct_peer_is_answered_by_a_prune() -> None:
    dialogue = with_direct_a()
    dialogue.do(A.connects(), A.subscribes("news"))
    dialogue >> A.grafts("news") << "A: PRUNE news 60"
    assert dialogue.mesh() == []


def test_a_direct_peer_hears_no_gossip() -> None:
    dialogue = with_direct_a()
    dialogue.do(A.connects(), A.subscribes("news"), A.sends(C.message(1)))
    assert dialogue.beats(3) == []


def test_a_direct_peer_is_heard_whatever_its_score() -> None:
    dialogue = with_direct_a()
    dialogue.do(A.connects(), A.subscribes("news"), Feedback(A.id, -100.0))
    dialogue >> A.sends(C.message(1)) << "deliver news: hello"
    dialogue >> A.has("news", C.id_of(2)) << "A: IWANT C2"
    dialogue.do(SetDirect(A.id, False))
    dialogue >> A.sends(C.message(3)) << []


def test_a_member_that_becomes_direct_leaves_the_mesh_and_one_that_is_not_can_come_back() -> None:
    dialogue = Dialogue(shows_mesh=True)
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    dialogue >> SetDirect(A.id, True) << ["A is out of the mesh of news", "A: PRUNE news 60"]
    dialogue >> SetDirect(A.id, True) << []
    dialogue >> SetDirect(A.id, False) << []
    assert dialogue.beats(61) == []
    assert dialogue.beats(2)[:2] == ["A is in the mesh of news", "A: GRAFT news"]


def test_a_direct_peer_is_not_disconnected_for_its_faults() -> None:
    dialogue = with_direct_a()
    dialogue.do(A.connects())
    bad = signed(B, author=bytes(C.id), seqno=bytes(8), topic="news", data=b"x")
    assert dialogue.do(*[A.sends(bad)] * 50) == []


def test_we_are_not_our_own_direct_peer() -> None:
    with pytest.raises(ParamError, match="its own direct peer"):
        Dialogue().do(SetDirect(US.id, True))


# Parameters of a topic


def test_topics_have_parameters_of_their_own() -> None:
    quiet = TopicParams(d=1, d_low=1, d_high=1, d_score=1, max_message_size=3, fanout_ttl=1)
    dialogue = Dialogue(topics={"quiet": quiet})
    dialogue.do(Subscribe("quiet"), Subscribe("news"))
    for peer in (A, B, C):
        dialogue.do(peer.connects(), peer.subscribes("quiet", "news"))
    assert dialogue.mesh("quiet") == ["A"]
    assert dialogue.mesh() == ["A", "B", "C"]
    with pytest.raises(ParamError, match="5 bytes; the limit is 3"):
        dialogue.do(dialogue.publish(topic="quiet"))
    assert dialogue.do(D.connects(), D.sends(C.message(1, "quiet"))) == [
        "D: SUBSCRIBE quiet",
        "D: SUBSCRIBE news",
    ]
    assert dialogue.drops() == {"too_large": 1}


def test_they_can_change_while_the_topic_is_used() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), *(peer.connects() for peer in (A, B, C)))
    dialogue.do(*(peer.subscribes("news") for peer in (A, B, C)))
    dialogue.do(SetTopic("news", TopicParams(d=1, d_low=1, d_high=2, d_score=1, d_out=0)))
    assert sum("PRUNE" in line for line in dialogue.beats(1)) == 2
    dialogue.do(SetTopic("news", None))
    assert len(dialogue.mesh()) == 1


def test_the_limits_of_a_topic_may_exceed_those_of_the_node() -> None:
    large = TopicParams(max_message_size=1 << 21)
    dialogue = Dialogue(params=Params(max_message_size=100), topics={"large": large})
    dialogue.do(Subscribe("large"), Subscribe("news"), A.connects(), A.subscribes("large", "news"))
    data = bytes(20_000)
    dialogue >> A.sends(C.message(1, "large", data)) << "deliver large: 20000 bytes"
    dialogue >> A.sends(C.message(2, "news", data)) << []
    assert dialogue.drops() == {"too_large": 1}


def test_topics_are_signed_or_anonymous_each_by_itself() -> None:
    dialogue = Dialogue(topics={"open": TopicParams(signing=Signing.NONE)})
    dialogue.do(Subscribe("open"), Subscribe("news"), A.connects(), A.subscribes("open", "news"))
    dialogue >> dialogue.publish() << ["A: MESSAGE us1 news: hello", "published to A"]
    (
        dialogue
        >> dialogue.publish(topic="open")
        << [
            "A: MESSAGE anonymous open: hello",
            "published to A",
        ]
    )
    dialogue >> A.sends(C.message(1, "open")) << []
    dialogue >> A.sends(C.message(1)) << "deliver news: hello"
    assert dialogue.drops() == {"signing_policy": 1}


def test_topics_have_a_message_id_function_of_their_own() -> None:
    named = TopicParams(message_id=lambda message: b"named " + message.data)
    dialogue = Dialogue(topics={"named": named})
    dialogue.do(Subscribe("named"), A.connects(), A.sends(C.message(1, "named", b"one")))
    assert dialogue.delivered[0].id == b"named one"
    dialogue >> A.sends(C.message(2, "named", b"one")) << []


def test_a_topic_of_fanout_only_is_not_subscribed() -> None:
    dialogue = Dialogue(topics={"out": TopicParams(fanout_only=True)})
    with pytest.raises(ParamError, match="fanout_only"):
        dialogue.do(Subscribe("out"))
    dialogue.do(A.connects(), A.subscribes("out"))
    dialogue >> dialogue.publish(topic="out") << ["A: MESSAGE us1 out: hello", "published to A"]


def test_a_topic_that_becomes_fanout_only_goes_on_and_is_not_subscribed_again() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("out"), A.connects(), A.subscribes("out"))
    dialogue.do(SetTopic("out", TopicParams(fanout_only=True)))
    with pytest.raises(ParamError, match="fanout_only"):
        dialogue.do(Subscribe("out"))
    assert dialogue.mesh("out") == ["A"]
    dialogue >> A.sends(B.message(1, "out")) << "deliver out: hello"
    dialogue >> Unsubscribe("out") << ["A: UNSUBSCRIBE out", "A: PRUNE out 10"]
    with pytest.raises(ParamError, match="fanout_only"):
        dialogue.do(Subscribe("out"))


def test_impossible_parameters_are_refused_with_the_name_of_the_topic() -> None:
    with pytest.raises(ParamError, match=r"topic 'news': d_low <= d <= d_high"):
        Dialogue(topics={"news": TopicParams(d=20)})
    dialogue = Dialogue()
    with pytest.raises(ParamError, match=r"topic 'news': d must be"):
        dialogue.do(SetTopic("news", TopicParams(d=-1)))


# Who may know what, when that changes


def test_who_may_know_a_topic_no_more_is_parted_in_silence() -> None:
    outsiders: dict[PeerId, None] = {}
    dialogue = Dialogue(may_know=lambda peer, topic: peer not in outsiders, shows_mesh=True)
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"), B.connects())
    dialogue.do(B.subscribes("news"))
    outsiders[A.id] = None
    (
        dialogue
        >> Recheck()
        << [
            "A is out of the mesh of news",
            "A left news",
            "B: SUBSCRIBE news",
        ]
    )
    dialogue >> dialogue.publish() << ["B: MESSAGE us1 news: hello", "published to B"]
    dialogue >> A.sends(C.message(1)) << []
    dialogue >> A.grafts("news") << []
    dialogue >> A.wants(US.id_of(1)) << []
    assert dialogue.do(A.subscribes("news"), Unsubscribe("news")) == [
        "B: UNSUBSCRIBE news",
        "B: PRUNE news 10",
        "B is out of the mesh of news",
    ]


def test_what_waits_for_a_parted_peer_is_taken_back() -> None:
    outsiders: dict[PeerId, None] = {}
    dialogue = Dialogue(may_know=lambda peer, topic: topic == "all" or peer not in outsiders)
    dialogue.do(Subscribe("news"), Subscribe("all"), A.connects(), A.subscribes("news", "all"))
    router, now = dialogue.router, dialogue.now
    for topic in ("news", "all", "news"):
        router.handle(dialogue.publish(topic=topic), now)
    outsiders[A.id] = None
    router.handle(Recheck(), now)
    assert dialogue.take(A.id) == ["SUBSCRIBE all", "MESSAGE us2 all: hello"]
    assert dialogue.drops()["may_not_know"] == 2
    assert router.watermark(A.id) == (3, 3)


def test_who_may_know_a_topic_at_last_is_let_in_without_asking_again() -> None:
    insiders: dict[PeerId, None] = {}
    dialogue = Dialogue(may_know=lambda peer, topic: peer in insiders)
    dialogue.do(Subscribe("news"))
    dialogue >> A.connects() << []
    dialogue >> A.subscribes("news") << []
    insiders[A.id] = None
    # What is said in one RPC is taken at the first chance.
    dialogue >> Recheck() << ["A: SUBSCRIBE news", "A: GRAFT news", "A joined news"]


def test_who_left_meanwhile_is_not_let_in() -> None:
    insiders: dict[PeerId, None] = {}
    dialogue = Dialogue(may_know=lambda peer, topic: peer in insiders)
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"), A.unsubscribes("news"))
    insiders[A.id] = None
    dialogue >> Recheck() << "A: SUBSCRIBE news"


def test_who_is_let_in_again_hears_that_we_left_meanwhile() -> None:
    known = {A.id}
    dialogue = Dialogue(may_know=lambda peer, _: peer in known)
    dialogue.do(Subscribe("news"), A.connects(), A.subscribes("news"))
    known.clear()
    dialogue.do(Recheck())
    dialogue >> Unsubscribe("news") << []
    known.add(A.id)
    dialogue >> Recheck() << ["A joined news", "A: UNSUBSCRIBE news"]
    dialogue >> Recheck() << []


# What a peer is known to take


def test_a_peer_gets_nothing_larger_than_it_is_known_to_take() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), SetFrameLimit(A.id, 5000))
    for peer in (A, B):
        dialogue.do(peer.connects(), peer.subscribes("news"))
    (
        dialogue
        >> dialogue.publish(bytes(6000))
        << [
            "B: MESSAGE us1 news: 6000 bytes",
            "published to B; not A: the message is larger than it takes",
        ]
    )
    dialogue >> B.sends(C.message(1, data=bytes(6000))) << "deliver news: 6000 bytes"
    assert dialogue.drops() == {"over_frame_limit": 2}
    dialogue.do(SetFrameLimit(A.id, None))
    assert "published to A, B" in dialogue.do(dialogue.publish(bytes(6000)))


def test_what_goes_together_is_split_to_fit() -> None:
    dialogue = Dialogue()
    dialogue.do(A.connects(), SetFrameLimit(A.id, 3000))
    for number in range(100):
        dialogue.router.handle(Subscribe(f"{number:0100}"), dialogue.now)
    dialogue.do(A.subscribes("news"), Subscribe("news"))
    for _ in range(5):
        dialogue.router.handle(dialogue.publish(bytes(1000)), dialogue.now)
    frames = FrameReader(1 << 24).feed(dialogue.router.take(A.id, 1 << 20))
    assert max(map(len, frames)) <= 3000
    messages = [len(rpc_pb2.RPC.FromString(frame).publish) for frame in frames]
    assert [count for count in messages if count] == [2, 2, 1]


def test_a_frame_limit_must_leave_room_for_control() -> None:
    with pytest.raises(ParamError, match="at least 2048"):
        Dialogue().do(SetFrameLimit(A.id, 100))


# Feedback and traces


def test_feedback_moves_a_score() -> None:
    dialogue = Dialogue()
    dialogue.do(A.connects(), Feedback(A.id, 0.5), Feedback(A.id, -1.0))
    assert dialogue.router.snapshot()["scores"] == {str(A.id): -5.0}


def test_feedback_needs_scores() -> None:
    with pytest.raises(ParamError, match="scoring is off"):
        Dialogue(params=Params(scoring=False)).do(Feedback(A.id, 1.0))


def test_each_drop_is_told_while_the_router_is_traced() -> None:
    dialogue = Dialogue()
    dialogue.do(SetTrace(True), A.connects())
    dialogue >> A.sends(C.message(1)) << "drop 1: not_subscribed (A, news)"
    dialogue >> A.grafts("news") << "drop 1: graft_unknown_topic (A, news)"
    dialogue.do(Subscribe("news"))
    bad = signed(B, author=bytes(C.id), seqno=(1).to_bytes(8, "big"), topic="news", data=b"x")
    dialogue >> A.sends(bad) << "drop 1: bad_signature (A, news, C1)"
    dialogue.do(SetTrace(False))
    dialogue >> A.says(rpc(graft=["sport"])) << []
    assert dialogue.drops()["graft_unknown_topic"] == 2
