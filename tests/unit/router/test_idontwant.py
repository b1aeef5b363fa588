"""IDONTWANT (v1.2): which copies we ask not to get, and which we do not send."""

from __future__ import annotations

import pytest

from pubsub.params import Params
from pubsub.router.events import SetValidation, Subscribe, Validation
from pubsub.router.protocols import GOSSIPSUB_V11, GOSSIPSUB_V12
from tests.unit.router.dialogue import A, B, Beat, C, D, Dialogue, Them, rpc

LARGE = bytes(1024)


def mesh_of(*peers: Them, params: Params | None = None) -> Dialogue:
    dialogue = Dialogue(params=params)
    dialogue.do(Subscribe("news"))
    for peer in peers:
        dialogue.do(peer.connects(GOSSIPSUB_V12), peer.grafts("news"))
    return dialogue


def said(lines: list[str]) -> list[str]:
    return [line for line in lines if "IDONTWANT" in line]


def test_the_mesh_is_told_of_a_large_message_but_not_its_sender_or_author() -> None:
    dialogue = mesh_of(A, B, C, D)
    lines = dialogue.do(A.sends(B.message(1, data=LARGE)))
    assert said(lines) == ["C: IDONTWANT B1", "D: IDONTWANT B1"]


@pytest.mark.parametrize(("size", "told"), [(1023, 0), (1024, 1)])
def test_only_large_messages_are_worth_it(size: int, told: int) -> None:
    dialogue = mesh_of(A, B)
    assert len(said(dialogue.do(A.sends(C.message(1, data=bytes(size)))))) == told


def test_older_peers_are_told_nothing() -> None:
    dialogue = mesh_of(A)
    dialogue.do(B.connects(GOSSIPSUB_V11), B.grafts("news"))
    lines = dialogue.do(A.sends(C.message(1, data=LARGE)))
    assert [line.split(" ")[:2] for line in lines] == [["B:", "MESSAGE"], ["deliver", "news:"]]


def test_it_is_said_before_the_validators_are_done_and_after_the_signature() -> None:
    dialogue = mesh_of(A, B)
    dialogue.do(SetValidation("news", validated=True))
    forged = C.message(1, data=LARGE).replace(b"news", b"news", 1)
    forged = forged[:-1] + bytes((forged[-1] ^ 1,))
    assert said(dialogue.do(A.sends(forged))) == []
    lines = dialogue.do(A.sends(C.message(1, data=LARGE)))
    assert said(lines) == ["B: IDONTWANT C1"]
    assert not any("MESSAGE" in line for line in lines)
    assert dialogue.do(dialogue.validated(C.id_of(1), Validation.ACCEPT))[0].startswith(
        "B: MESSAGE C1"
    )


def test_our_own_message_follows_its_announcement() -> None:
    dialogue = mesh_of(A)
    lines = dialogue.do(dialogue.publish(LARGE))
    assert [line.split(" ")[1] for line in lines] == ["IDONTWANT", "MESSAGE", "to"]


def test_ten_ids_share_an_rpc() -> None:
    dialogue = mesh_of(A, B)
    dialogue.take(B.id)
    messages = [C.message(number, data=LARGE) for number in range(12)]
    lines = said(dialogue.do(A.sends(*messages)))
    assert [line.count("C") for line in lines] == [10, 2]


def test_what_a_peer_has_is_not_forwarded_to_it() -> None:
    dialogue = mesh_of(A, B)
    dialogue >> B.has_no_use_for(C.id_of(1)) << []
    dialogue >> A.sends(C.message(1)) << ["deliver news: hello"]
    assert dialogue.counters()["idontwant_heeded"] == 1


def test_what_is_queued_already_is_cancelled() -> None:
    dialogue = mesh_of(A, B)
    for number in (1, 2, 3):
        dialogue.router.handle(dialogue.publish(b"%d" % number), dialogue.now)
    dialogue.router.handle(
        B.has_no_use_for(*(dialogue.router.id + n.to_bytes(8, "big") for n in (1, 3))), dialogue.now
    )
    assert dialogue.take(B.id) == ["MESSAGE us2 news: 2"]
    assert dialogue.router.watermark(B.id) == (3, 3)
    assert dialogue.counters()["idontwant_cancelled"] == 2
    dialogue.do(B.disconnects())
    assert dialogue.counters()["idontwant_cancelled"] == 2


def test_it_is_forgotten_after_three_heartbeats() -> None:
    dialogue = mesh_of(A, B)
    dialogue.do(B.has_no_use_for(C.id_of(1), C.id_of(2)))
    dialogue.beats(2)
    dialogue >> A.sends(C.message(1)) << ["deliver news: hello"]
    dialogue.beats(1)
    dialogue >> A.sends(C.message(2)) << ["B: MESSAGE C2 news: hello", "deliver news: hello"]


def test_who_asks_gets_it_all_the_same() -> None:
    dialogue = mesh_of(A, B)
    dialogue.do(B.has_no_use_for(C.id_of(1)), A.sends(C.message(1)))
    dialogue >> B.wants(C.id_of(1)) << "B: MESSAGE C1 news: hello"


def test_an_answer_that_waits_is_cancelled_and_another_question_brings_it_back() -> None:
    dialogue = mesh_of(A, B)
    dialogue.do(B.has_no_use_for(C.id_of(1)), A.sends(C.message(1)))
    dialogue.router.handle(B.wants(C.id_of(1)), dialogue.now)
    dialogue.router.handle(B.has_no_use_for(C.id_of(1)), dialogue.now)
    assert dialogue.take(B.id) == []
    assert dialogue.counters()["idontwant_cancelled"] == 1
    dialogue >> B.wants(C.id_of(1)) << "B: MESSAGE C1 news: hello"


def test_so_many_ids_are_remembered_between_heartbeats_and_no_more() -> None:
    dialogue = mesh_of(A, B, params=Params(max_idontwant_length=2))
    dialogue.do(B.has_no_use_for(*(C.id_of(n) for n in (1, 2, 3))))
    assert dialogue.drops() == {"idontwant_flood": 1}
    dialogue.do(B.has_no_use_for(C.id_of(4)))
    assert dialogue.drops() == {"idontwant_flood": 2}
    dialogue >> A.sends(C.message(3)) << ["B: MESSAGE C3 news: hello", "deliver news: hello"]
    dialogue.do(Beat, B.has_no_use_for(C.id_of(5)))
    dialogue >> A.sends(C.message(5)) << ["deliver news: hello"]


def test_floodsub_and_unknown_peers_have_no_say() -> None:
    dialogue = Dialogue()
    dialogue.do(Subscribe("news"), B.connects("/floodsub/1.0.0"), B.subscribes("news"))
    dialogue.do(B.says(rpc(idontwant=[dialogue.router.id + (1).to_bytes(8, "big")])))
    assert dialogue.do(dialogue.publish())[-1] == "published to B"
