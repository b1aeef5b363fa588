"""IHAVE and IWANT: what is told to whom, what is asked for, what is answered."""

from __future__ import annotations

from pubsub.params import Params
from pubsub.router.events import Subscribe
from pubsub.router.protocols import FLOODSUB, GOSSIPSUB_V10
from tests.unit.router.dialogue import (
    CROWD,
    A,
    B,
    Beat,
    C,
    D,
    Dialogue,
    Them,
    rpc,
)

SMALL = Params(d=1, d_low=1, d_high=1)
"A mesh of one, so that there are others to gossip with."


def with_mesh(mesh: Them, *others: Them, params: Params = SMALL) -> Dialogue:
    dialogue = Dialogue(params=params)
    dialogue.do(Subscribe("news"))
    for peer in (mesh, *others):
        dialogue.do(peer.connects(), peer.subscribes("news"))
    assert dialogue.mesh() == [mesh.name]
    return dialogue


def test_gossip_goes_to_peers_outside_the_mesh_that_speak_gossipsub() -> None:
    dialogue = with_mesh(A, B)
    dialogue.do(C.connects(GOSSIPSUB_V10), C.subscribes("news"))
    dialogue.do(D.connects(FLOODSUB), D.subscribes("news"))
    dialogue.do(dialogue.publish())
    assert sorted(dialogue.do(Beat)) == ["B: IHAVE news: us1", "C: IHAVE news: us1"]


def test_a_message_is_told_about_for_three_heartbeats_and_answered_for_five() -> None:
    dialogue = with_mesh(A, B)
    dialogue.do(dialogue.publish())
    message_id = dialogue.published[0].message.id
    assert [dialogue.do(Beat) for _ in range(4)] == [["B: IHAVE news: us1"]] * 3 + [[]]
    dialogue >> B.wants(message_id) << "B: MESSAGE us1 news: hello"
    dialogue.do(Beat)
    dialogue >> B.wants(message_id) << []
    assert dialogue.counters()["iwant_unknown"] == 1


def test_gossip_reaches_d_lazy_peers_or_a_quarter_if_that_is_more() -> None:
    for lazy, told in ((3, 5), (6, 6)):
        dialogue = with_mesh(A, *CROWD[:20], params=SMALL.replaced(d_lazy=lazy))
        dialogue.do(dialogue.publish())
        assert len(dialogue.do(Beat)) == told


def test_no_more_ids_than_the_limit_are_told_each_time_others() -> None:
    dialogue = with_mesh(A, B, params=SMALL.replaced(max_ihave_length=3))
    dialogue.do(*[dialogue.publish()] * 9)
    told = [tuple(dialogue.do(Beat)[0].removeprefix("B: IHAVE news: ").split(", ")) for _ in "123"]
    assert all(len(set(ids)) == 3 for ids in told)
    assert len(set(told)) > 1


def test_what_is_lacking_is_asked_of_three_peers_once_each() -> None:
    e, f = CROWD[:2]
    dialogue = with_mesh(A, B, C, e, f)
    ids = [D.id_of(1), D.id_of(2)]
    dialogue >> B.has("news", *ids) << "B: IWANT D1, D2"
    dialogue >> B.has("news", *ids) << []
    # Whoever was asked first may not answer, and may mean not to.
    dialogue >> C.has("news", *ids, D.id_of(3)) << "C: IWANT D1, D2, D3"
    dialogue >> e.has("news", *ids) << "P0: IWANT D1, D2"
    dialogue >> f.has("news", *ids, D.id_of(3)) << "P1: IWANT D3"
    dialogue.beats(4)
    dialogue >> f.has("news", *ids) << "P1: IWANT D1, D2"


def test_ids_that_no_function_makes_are_passed_over() -> None:
    dialogue = with_mesh(A, B)
    dialogue >> B.has("news", b"x" * 577) << []
    assert dialogue.drops() == {"id_too_long": 1}


def test_what_was_asked_for_and_came_is_not_asked_for_again() -> None:
    dialogue = with_mesh(A, B)
    dialogue.do(B.has("news", D.id_of(1)))
    dialogue >> B.sends(D.message(1)) << ["A: MESSAGE D1 news: hello", "deliver news: hello"]
    dialogue.passes(60)
    dialogue >> B.has("news", D.id_of(1)) << []


def test_nothing_is_asked_for_in_a_topic_that_we_are_not_in() -> None:
    dialogue = with_mesh(A, B)
    dialogue.do(B.subscribes("sport"))
    dialogue >> B.has("sport", D.id_of(1)) << []
    dialogue >> B.has("nowhere", D.id_of(1)) << []


def test_ihave_is_heard_ten_times_between_heartbeats() -> None:
    dialogue = with_mesh(A, B)
    dialogue.do(Beat)
    for number in range(10):
        dialogue >> B.has("news", D.id_of(number)) << f"B: IWANT D{number}"
    dialogue >> B.has("news", D.id_of(10)) << []
    assert dialogue.drops() == {"ihave_flood": 1}
    dialogue.do(Beat)
    dialogue >> B.has("news", D.id_of(10)) << "B: IWANT D10"


def test_a_peer_is_asked_for_so_many_ids_between_heartbeats_and_no_more() -> None:
    dialogue = with_mesh(A, B, C, params=SMALL.replaced(max_ihave_length=5))
    ids = [D.id_of(number) for number in range(20)]
    # Of one list, only so many are looked at; from several, a sample is asked for.
    asked = dialogue.do(B.says(rpc(ihave=[("news", ids[:10]), ("news", ids[10:])])))
    chosen = asked[0].removeprefix("B: IWANT ").split(", ")
    assert len(chosen) == 5
    assert chosen != [f"D{number}" for number in range(5)]
    assert {"D15", "D16", "D17", "D18", "D19"}.isdisjoint(chosen)
    dialogue >> B.has("news", b"other") << []
    assert dialogue.drops() == {"iwant_budget": 6}
    dialogue >> C.has("news", b"other") << "C: IWANT other"
    dialogue.do(Beat)
    dialogue >> B.has("news", b"next") << "B: IWANT next"


def test_default_limit_is_five_thousand_ids() -> None:
    dialogue = with_mesh(A, B)
    ids = [D.id_of(number) for number in range(6000)]
    lines = dialogue.do(B.says(rpc(ihave=[("news", ids[:3000]), ("news", ids[3000:])])))
    assert sum(line.count("D") for line in lines) == 5000


def test_an_answer_comes_three_times_and_to_each_peer() -> None:
    dialogue = with_mesh(A, B, C)
    dialogue.do(dialogue.publish())
    message_id = dialogue.published[0].message.id
    answer = "B: MESSAGE us1 news: hello"
    dialogue >> B.wants(message_id, message_id) << [answer, answer]
    dialogue >> B.wants(message_id) << answer
    dialogue >> B.wants(message_id) << []
    dialogue >> C.wants(message_id) << "C: MESSAGE us1 news: hello"
    assert dialogue.drops() == {"iwant_repeated": 1}


def test_forwarded_messages_are_answered_byte_for_byte() -> None:
    dialogue = with_mesh(A, B)
    odd_order = D.message(1)
    dialogue.do(A.sends(odd_order))
    dialogue.router.handle(B.wants(D.id_of(1)), dialogue.now)
    assert odd_order in dialogue.router.take(B.id, 10_000)


def test_answers_are_limited_between_heartbeats() -> None:
    dialogue = with_mesh(A, B, params=SMALL.replaced(max_iwant_length=2))
    dialogue.do(dialogue.publish())
    message_id = dialogue.published[0].message.id
    dialogue >> B.wants(b"x", b"y", message_id) << []
    assert dialogue.drops() == {"iwant_flood": 1}
    dialogue.do(Beat)
    dialogue >> B.wants(b"x", message_id) << "B: MESSAGE us1 news: hello"


def test_an_answer_for_which_there_is_no_room_is_dropped_and_counted() -> None:
    dialogue = with_mesh(A, B, params=SMALL.replaced(queue_messages=1))
    dialogue.do(dialogue.publish())
    message_id = dialogue.published[0].message.id
    dialogue.router.handle(B.wants(message_id, message_id), dialogue.now)
    assert dialogue.drops() == {"queue_full": 1}


def test_gossip_for_which_there_is_no_room_is_dropped_and_counted() -> None:
    dialogue = with_mesh(A, B, params=SMALL.replaced(queue_gossip=3))
    dialogue.do(*[dialogue.publish()] * 5)
    dialogue >> Beat << "B: IHAVE news: us1, us2, us3"
    assert dialogue.drops() == {"gossip_queue_full": 2}


def test_a_peer_that_takes_nothing_is_sent_away_when_too_much_control_waits() -> None:
    dialogue = with_mesh(A, B, params=SMALL.replaced(queue_control=4))
    ids = [D.id_of(number) for number in range(5)]
    dialogue.router.handle(B.has("news", *ids), dialogue.now)
    dialogue >> Beat << "disconnect B: it does not read what it is sent"


def test_gossip_about_a_topic_of_which_nobody_is_left() -> None:
    dialogue = with_mesh(A)
    dialogue.do(dialogue.publish(topic="sport"))
    assert dialogue.beats(3) == []


def test_gossip_in_a_topic_that_we_only_publish_to() -> None:
    dialogue = Dialogue(params=SMALL)
    for peer in (A, B):
        dialogue.do(peer.connects(), peer.subscribes("news"))
    (published,) = [line for line in dialogue.do(dialogue.publish()) if "published" in line]
    other = "B" if published == "published to A" else "A"
    dialogue >> Beat << f"{other}: IHAVE news: us1"
