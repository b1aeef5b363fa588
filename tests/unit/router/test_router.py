"""The router as a whole: peers come and go, streams open again, time passes, chance is injected."""

from __future__ import annotations

import random

import pytest

from pubsub.errors import LocalError, ParamError
from pubsub.params import Params
from pubsub.router import Router
from pubsub.router.events import (
    PeerConnected,
    Publish,
    RpcReceived,
    StreamOpened,
    Subscribe,
    TimerFired,
    Unsubscribe,
)
from pubsub.router.protocols import FLOODSUB, GOSSIPSUB_V10, GOSSIPSUB_V11
from tests.unit.router.dialogue import CROWD, US, A, B, Beat, Dialogue, Them, rpc


def test_hello_lists_every_topic_in_one_rpc() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), Subscribe("sport"))
    dialogue >> B.connects() << ["B: SUBSCRIBE news", "B: SUBSCRIBE sport"]


def test_hello_is_silent_without_topics() -> None:
    Dialogue() >> B.connects() << []


def test_nothing_is_lost_that_was_said_before_our_stream_stood() -> None:
    dialogue = Dialogue()
    router = dialogue.router
    router.handle(Subscribe("news"), 0.0)
    router.handle(PeerConnected(B.id, GOSSIPSUB_V11, outbound=False), 0.0)
    router.handle(B.subscribes("news"), 0.0)  # Writable comes here, and nobody can take
    dialogue >> StreamOpened(B.id, GOSSIPSUB_V11) << ["B: SUBSCRIBE news", "B: GRAFT news"]


def test_a_new_stream_repeats_the_hello_and_the_mesh() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), Subscribe("sport"), B.connects(), B.subscribes("news"))
    (
        dialogue
        >> StreamOpened(B.id, GOSSIPSUB_V11)
        << [
            "B: SUBSCRIBE news",
            "B: SUBSCRIBE sport",
            "B: GRAFT news",
        ]
    )


def test_what_we_left_while_the_stream_was_broken_is_still_said() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), Subscribe("sport"), B.connects())
    dialogue.router.handle(Unsubscribe("sport"), dialogue.now)
    assert set(dialogue.do(StreamOpened(B.id, GOSSIPSUB_V11))) == {
        "B: SUBSCRIBE news",
        "B: UNSUBSCRIBE sport",
    }


def test_a_stream_for_an_unknown_peer_changes_nothing() -> None:
    Dialogue() >> StreamOpened(B.id, GOSSIPSUB_V11) << []


def test_a_second_connection_is_the_same_peer() -> None:
    dialogue = Dialogue()
    dialogue.do(B.connects(), B.subscribes("news"))
    dialogue >> PeerConnected(B.id, GOSSIPSUB_V10, outbound=False) << []
    assert dialogue.router.peers("news") == [B.id]


def test_a_peer_that_goes_is_forgotten_everywhere() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news", "sport"))
    dialogue.do(dialogue.publish(topic="sport"))
    dialogue >> B.disconnects() << ["B left news", "B left sport"]
    assert dialogue.router.peers() == []
    assert dialogue.router.peers("sport") == []
    assert dialogue.mesh() == []
    assert dialogue.router.snapshot()["fanout"] == {}
    assert dialogue.router.take(B.id, 1000) == b""
    assert dialogue.router.watermark(B.id) is None
    assert dialogue.router.is_empty(B.id)
    assert dialogue.router.has_room(B.id)
    dialogue >> B.disconnects() << []
    dialogue >> B.subscribes("news") << []
    assert dialogue.drops() == {"unknown_peer": 1}


def test_messages_that_a_lost_peer_did_not_get_are_counted() -> None:
    dialogue = Dialogue()
    dialogue.do(B.connects(), B.subscribes("news"))
    for _ in range(3):
        dialogue.router.handle(dialogue.publish(), dialogue.now)
    assert dialogue.router.watermark(B.id) == (3, 0)
    dialogue.do(B.disconnects())
    assert dialogue.drops() == {"peer_disconnected": 3}


def test_a_backoff_outlives_the_connection() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"), B.prunes("news", 30))
    dialogue.do(B.disconnects())
    dialogue >> B.connects() << "B: SUBSCRIBE news"
    dialogue >> B.subscribes("news") << "B joined news"


def test_peers_beyond_the_limit_are_sent_away() -> None:
    dialogue = Dialogue(params=Params(max_peers=1))
    dialogue.do(A.connects())
    dialogue >> B.connects() << "disconnect B: we have too many pubsub peers"
    assert dialogue.router.peers() == [A.id]
    assert dialogue.drops() == {"too_many_peers": 1}


@pytest.mark.parametrize(
    ("peer", "protocol"), [(US, GOSSIPSUB_V11), (B, "/meshsub/9.9.9"), (B, "")]
)
def test_what_is_no_pubsub_peer_is_refused(peer: Them, protocol: str) -> None:
    with pytest.raises(ParamError):
        Dialogue().do(PeerConnected(peer.id, protocol, outbound=True))


def test_a_peer_whose_stream_turns_out_to_be_floodsub_leaves_the_mesh() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), PeerConnected(B.id, GOSSIPSUB_V11, outbound=True))
    dialogue.do(B.grafts("news"))
    assert dialogue.mesh() == ["B"]
    dialogue >> StreamOpened(B.id, FLOODSUB) << "B: SUBSCRIBE news"
    assert dialogue.mesh() == []
    dialogue >> dialogue.publish() << ["B: MESSAGE us1 news: hello", "published to B"]


def test_a_peer_may_turn_out_to_speak_gossipsub() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), PeerConnected(B.id, FLOODSUB, outbound=True))
    dialogue.do(B.subscribes("news"))
    dialogue.do(StreamOpened(B.id, GOSSIPSUB_V11))
    dialogue >> Beat << "B: GRAFT news"


@pytest.mark.parametrize("junk", [b"\xff", b"\x12\x05abc", b"\x0a\x01", b"\x1a\x03\x0a\x01\x0a"])
def test_rubbish_ends_the_connection(junk: bytes) -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects())
    good = rpc(subscribe=["news"]).SerializeToString()
    (
        dialogue
        >> RpcReceived(B.id, [good, junk, good])
        << [
            "B joined news",
            "B: GRAFT news",
            "disconnect B: malformed RPC",
        ]
    )
    assert dialogue.drops() == {"malformed_rpc": 1}


def test_a_message_that_is_none_ends_the_connection() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects())
    dialogue >> B.sends(b"\xff\xff") << "disconnect B: malformed message"


def test_empty_frames_are_passed_over() -> None:
    dialogue = Dialogue()
    dialogue.do(B.connects())
    dialogue >> RpcReceived(B.id, [b"", b"", b""]) << []


def test_too_many_entries_end_the_connection() -> None:
    dialogue = Dialogue(params=Params(max_control_per_rpc=3, max_publish_per_rpc=2))
    dialogue.do(B.connects())
    (
        dialogue
        >> B.subscribes("a", "b", "c", "d")
        << ("disconnect B: an RPC with 4 control entries; at most 3")
    )
    (
        dialogue
        >> B.grafts("a", "b", "c", "d")
        << ("disconnect B: an RPC with 4 control entries; at most 3")
    )
    dialogue >> B.sends(b"", b"", b"") << "disconnect B: an RPC with 3 messages; at most 2"


def test_heartbeats_come_in_their_interval_and_are_not_caught_up() -> None:
    params = Params(heartbeat_initial_delay=0.25, heartbeat_interval=2.0)
    router = Router(US.key, params, rng=random.Random(0), now=10.0, first_seqno=1)
    assert router.params is params
    assert router.next_deadline == 10.25
    router.handle(TimerFired(), 10.1)  # too early
    assert router.next_deadline == 10.25
    router.handle(TimerFired(), 10.25)
    assert router.next_deadline == 12.25
    router.handle(TimerFired(), 12.5)  # late
    assert router.next_deadline == 14.25
    router.handle(TimerFired(), 99.0)  # after a stall
    assert router.next_deadline == 101.0
    assert router.snapshot()["counters"]["heartbeats"] == 3


def test_a_command_that_cannot_be_followed_changes_nothing() -> None:
    dialogue = Dialogue()
    dialogue.do(B.connects())
    before = dialogue.router.snapshot()
    for command in (
        Subscribe(""),
        Subscribe("\ud800"),
        Subscribe("x" * 2000),
        Publish("", b""),
        Publish("\ud800", b""),
        Publish("news", bytes((1 << 20) + 1)),
    ):
        with pytest.raises(LocalError):
            dialogue.router.handle(command, dialogue.now)
    assert dialogue.router.snapshot() == before


def test_the_same_chance_makes_the_same_choices() -> None:
    def story(seed: int) -> list[str]:
        dialogue = Dialogue(seed=seed)
        for peer in CROWD:
            dialogue.do(peer.connects(), peer.subscribes("news"))
        lines = dialogue.do(Subscribe("news"), dialogue.publish())
        return lines + dialogue.beats(4)

    assert story(1) == story(1)
    assert story(1) != story(2)


def test_control_that_waits_for_a_peer_that_turns_out_to_be_floodsub_is_withdrawn() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), PeerConnected(B.id, GOSSIPSUB_V11, outbound=True))
    router = dialogue.router
    router.handle(B.subscribes("news"), dialogue.now)
    router.handle(B.has("news", b"something"), dialogue.now)
    dialogue >> StreamOpened(B.id, FLOODSUB) << "B: SUBSCRIBE news"


def test_a_message_cut_off_with_its_stream_is_counted() -> None:
    dialogue = Dialogue()
    dialogue.do(B.connects(), B.subscribes("news"))
    router = dialogue.router
    router.handle(dialogue.publish(bytes(1000)), dialogue.now)
    assert len(router.take(B.id, 100)) == 100
    assert router.watermark(B.id) == (1, 0)
    dialogue >> StreamOpened(B.id, GOSSIPSUB_V11) << []
    assert router.watermark(B.id) == (1, 1)
    assert dialogue.drops() == {"stream_broken": 1}
