"""The heartbeat: meshes kept between their bounds, one-sided links settled, fan-out forgotten."""

from __future__ import annotations

import pytest

from pubsub.params import Params
from pubsub.router.events import Subscribe, TimerFired
from pubsub.router.protocols import FLOODSUB
from tests.unit.router.dialogue import CROWD, A, B, Beat, C, D, Dialogue, Them


def crowd_in_news(dialogue: Dialogue, count: int) -> None:
    for peer in CROWD[:count]:
        dialogue.do(peer.connects(), peer.subscribes("news"))


def test_a_short_mesh_is_filled_up_to_d() -> None:
    dialogue = Dialogue()
    crowd_in_news(dialogue, 12)
    dialogue.do(Subscribe("news"))
    members = dialogue.mesh()
    assert len(members) == 6
    for name in members[:3]:
        dialogue.do(next(peer for peer in CROWD if peer.name == name).unsubscribes("news"))
    lines = dialogue.do(Beat)
    assert len(lines) == 3
    assert all(line.endswith(": GRAFT news") for line in lines)
    assert len(dialogue.mesh()) == 6
    dialogue >> Beat << []


@pytest.mark.parametrize("size", [4, 5, 6, 9, 11])
def test_a_mesh_within_its_bounds_is_left_alone(size: int) -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"))
    for peer in CROWD[:size]:
        dialogue.do(peer.connects(), peer.grafts("news"))
    for peer in CROWD[size:]:
        dialogue.do(peer.connects(), peer.subscribes("news"))
    dialogue >> Beat << []
    assert len(dialogue.mesh()) == size


def test_a_mesh_that_is_too_large_is_pruned_down_to_d() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"))
    crowd_in_news(dialogue, 20)
    topic = dialogue.router._core.topics["news"]
    for peer in CROWD[:13]:  # GRAFT cannot bring it about
        topic.mesh[peer.id] = dialogue.now
    lines = dialogue.do(Beat)
    assert len(lines) == 7
    assert all(line.endswith(": PRUNE news 60") for line in lines)
    assert len(dialogue.mesh()) == 6
    dialogue >> Beat << []


def forwards(dialogue: Dialogue, peer: Them, author: Them, number: int) -> None:
    dialogue.do(peer.sends(author.message(number)))


def test_a_peer_that_holds_us_in_its_mesh_is_pruned_if_we_need_no_more() -> None:
    dialogue = Dialogue(params=Params(d=1, d_low=1, d_high=1))
    dialogue.do(Subscribe("news"))
    for peer in (A, B):
        dialogue.do(peer.connects(), peer.subscribes("news"))
    assert dialogue.mesh() == ["A"]
    forwards(dialogue, B, C, 1)
    dialogue >> Beat << "B: IHAVE news: C1"
    forwards(dialogue, B, C, 2)
    assert dialogue.do(Beat)[0] == "B: PRUNE news 60"


def test_a_peer_that_holds_us_in_its_mesh_is_grafted_while_ours_is_short() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"))
    dialogue.do(B.prunes("news", 0))
    dialogue.router._core.topics["news"].backoff.clear()
    topic = dialogue.router._core.topics["news"]
    params = dialogue.router.params
    topic.strays[B.id] = 1
    forwards(dialogue, B, C, 1)
    dialogue >> Beat << "B: GRAFT news"
    assert params.d_low > 1
    assert dialogue.mesh() == ["B"]


def strays(dialogue: Dialogue) -> bool:
    return bool(dialogue.router._core.topics["news"].stray_now)


@pytest.mark.parametrize("author", [B, C])
def test_only_messages_of_others_count_as_forwarded(author: Them) -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"), B.prunes("news"))
    forwards(dialogue, B, author, 1)
    assert strays(dialogue) == (author is C)


def test_answers_to_iwant_and_floodsub_peers_are_not_taken_for_links() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"), B.prunes("news"))
    dialogue.do(D.connects(FLOODSUB), D.subscribes("news"))
    dialogue.do(B.has("news", C.id_of(1)))
    forwards(dialogue, B, C, 1)
    forwards(dialogue, D, C, 2)
    assert not strays(dialogue)


def test_one_message_in_flight_is_no_link() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"), B.prunes("news"))
    forwards(dialogue, B, C, 1)
    dialogue.do(Beat, Beat)
    forwards(dialogue, B, C, 2)
    dialogue.do(Beat)
    assert "prune_sent" not in dialogue.counters()


def test_who_goes_on_forwarding_is_told_ever_more_rarely() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"), B.prunes("news", 3600))
    told = []
    for number in range(1, 40):
        forwards(dialogue, B, C, number)
        if any("PRUNE" in line for line in dialogue.do(Beat)):
            told.append(number)
    assert told == [2, 3, 4, 8, 16, 32]


def test_fanout_is_forgotten_two_minutes_after_the_last_publish() -> None:
    dialogue = Dialogue()
    dialogue.do(B.connects(), B.subscribes("news"), dialogue.publish())
    dialogue.beats(60)
    dialogue.do(dialogue.publish())
    last = dialogue.now
    while dialogue.router.snapshot()["fanout"]:
        dialogue.do(Beat)
    assert 120 < dialogue.now - last <= 121


def test_fanout_is_kept_full() -> None:
    dialogue = Dialogue(params=Params(d=2, d_low=1))
    for peer in (A, B, C):
        dialogue.do(peer.connects(), peer.subscribes("news"))
    dialogue.do(dialogue.publish())
    fanout = dialogue.router.snapshot()["fanout"]["news"]
    gone = next(peer for peer in (A, B, C) if str(peer.id) in fanout)
    dialogue.do(gone.unsubscribes("news"), Beat)
    left = dialogue.router.snapshot()["fanout"]["news"]
    assert sorted(left) == sorted(str(peer.id) for peer in (A, B, C) if peer is not gone)


def test_what_is_asked_for_is_forgotten_after_the_follow_up_time() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects(), B.has("news", b"x"))
    assert len(dialogue.router._core.asked) == 1
    dialogue.beats(4)
    assert dialogue.router._core.asked == {}


def test_a_member_that_takes_nothing_from_one_heartbeat_to_the_next_is_put_out() -> None:
    dialogue = Dialogue(params=Params(queue_messages=2))
    dialogue.do(Subscribe("news"))
    for peer in (A, B):
        dialogue.do(peer.connects(), peer.subscribes("news"))
    for _ in range(3):
        dialogue.router.handle(dialogue.publish(), dialogue.now)
        dialogue.take(A.id)
    assert not dialogue.router.has_room(B.id)
    dialogue.router.handle(TimerFired(), dialogue.router.next_deadline)
    assert dialogue.mesh() == ["A", "B"]
    dialogue.router.handle(TimerFired(), dialogue.router.next_deadline)
    assert dialogue.mesh() == ["A"]
    assert dialogue.take(B.id)[0] == "PRUNE news 60"


def test_a_queue_that_filled_just_before_the_heartbeat_is_not_given_up() -> None:
    dialogue = Dialogue(params=Params(queue_messages=2))
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"))
    for _ in range(5):
        for _ in range(2):
            dialogue.router.handle(dialogue.publish(), dialogue.now)
        assert not dialogue.router.has_room(B.id)
        dialogue.now = dialogue.router.next_deadline
        dialogue.router.handle(TimerFired(), dialogue.now)
        assert len(dialogue.take(B.id)) == 2
    assert dialogue.mesh() == ["B"]


@pytest.mark.parametrize(("waiting", "kept"), [(16, True), (20, False)])
def test_a_queue_that_would_take_too_long_to_empty_is_given_up(waiting: int, kept: bool) -> None:
    """At one message a second, 20 waiting ones take longer than the 16 seconds allowed."""
    dialogue = Dialogue(params=Params(queue_messages=waiting, queue_bytes=1 << 20))
    dialogue.do(Subscribe("news"), B.connects(), B.subscribes("news"))
    for _ in range(4):
        while dialogue.router.has_room(B.id):
            dialogue.router.handle(dialogue.publish(bytes(1000)), dialogue.now)
        watermark = dialogue.router.watermark(B.id)
        while dialogue.router.watermark(B.id) == watermark:
            dialogue.router.take(B.id, 400)
        while dialogue.router.has_room(B.id):
            dialogue.router.handle(dialogue.publish(bytes(1000)), dialogue.now)
        dialogue.now = dialogue.router.next_deadline
        dialogue.router.handle(TimerFired(), dialogue.now)
    assert (dialogue.mesh() == ["B"]) is kept
