"""gossipsub v1.1 §Spam Protection Measures: what answers cost us is bounded, and costs them."""

from __future__ import annotations

import pytest

from pubsub.params import Params
from pubsub.router.events import SetValidation, Unsubscribe, Validation
from tests.spec.scenes import knowing, score
from tests.unit.router.dialogue import A, B, Beat, C, D, Late, signed


def forged(seqno: int) -> bytes:
    """A message that says it is C's, and is not."""
    fields = {"author": bytes(C.id), "seqno": seqno.to_bytes(8, "big"), "topic": "news"}
    return signed(D, data=b"forged", **fields)


def asked(lines: list[str]) -> int:
    """How many ids IWANT asked for."""
    return sum(line.count(",") + 1 for line in lines if "IWANT" in line)


# GRAFT


def test_graft_for_an_unknown_topic_is_ignored() -> None:
    """No PRUNE, and no record of topics that only the peer knows."""
    dialogue = knowing()
    dialogue.do(A.connects())
    dialogue >> A.grafts(*[f"guess {number}" for number in range(50)]) << []
    assert dialogue.router.snapshot()["backoff"] == {}


def test_graft_for_a_topic_that_only_others_are_in_is_ignored() -> None:
    """Known from a SUBSCRIBE, or left by us: there is no mesh to be in."""
    dialogue = knowing(A)
    dialogue.do(A.subscribes("sport"), Unsubscribe("news"), B.connects())
    dialogue >> A.grafts("news", "sport") << []
    dialogue >> B.grafts("news", "sport") << []
    dialogue >> dialogue.publish(topic="sport") << ["A: MESSAGE us1 sport: hello", "published to A"]


# IWANT


def test_iwant_is_answered_three_times_for_each_message_and_peer() -> None:
    dialogue = knowing(B)
    dialogue.do(A.connects(), B.sends(C.message(1)))
    assert dialogue.do(*[A.wants(C.id_of(1))] * 20) == ["A: MESSAGE C1 news: hello"] * 3
    dialogue.do(D.connects())
    assert len(dialogue.do(*[D.wants(C.id_of(1))] * 20)) == 3


def test_iwant_repeats_do_not_begin_again_with_the_next_heartbeat() -> None:
    dialogue = knowing(B)
    dialogue.do(A.connects(), B.sends(C.message(1)), *[A.wants(C.id_of(1))] * 3, Beat)
    dialogue >> A.wants(C.id_of(1)) << []


def test_iwant_number_of_answers_is_a_parameter() -> None:
    dialogue = knowing(B, params=Params(gossip_retransmission=1))
    dialogue.do(A.connects(), B.sends(C.message(1)))
    assert dialogue.do(*[A.wants(C.id_of(1))] * 5) == ["A: MESSAGE C1 news: hello"]


def test_iwant_a_peer_gets_so_many_answers_between_heartbeats() -> None:
    """Ours, beyond the text: by ids, whatever messages they are."""
    dialogue = knowing(B, params=Params(max_iwant_length=4))
    dialogue.do(A.connects(), *[B.sends(C.message(number)) for number in range(6)])
    wants = A.wants(*[C.id_of(number) for number in range(6)])
    assert len(dialogue.do(wants)) == 4
    assert len(dialogue.do(Beat, wants)) == 4


# IHAVE


def test_ihave_messages_beyond_the_limit_of_a_heartbeat_are_ignored() -> None:
    """Ten by default, from each peer."""
    dialogue = knowing()
    dialogue.do(A.connects(), B.connects())
    haves = [A.has("news", C.id_of(number)) for number in range(15)]
    assert asked(dialogue.do(*haves)) == 10
    assert asked(dialogue.do(B.has("news", C.id_of(14)))) == 1
    assert asked(dialogue.do(Beat, *haves[10:])) == 5


def test_ihave_ids_beyond_the_limit_of_a_heartbeat_are_ignored() -> None:
    """Summed over the IHAVE messages of the heartbeat; 5,000 by default."""
    assert Params().max_ihave_length == 5000
    dialogue = knowing(params=Params(max_ihave_length=5))
    dialogue.do(A.connects())
    haves = [A.has("news", *[b"%d %d" % (part, n) for n in range(3)]) for part in range(4)]
    assert [asked(dialogue.do(have)) for have in haves] == [3, 2, 0, 0]
    assert dialogue.drops()["iwant_budget"] == 1 + 3 + 3
    dialogue.do(Beat)
    assert asked(dialogue.do(haves[3])) == 3


# Promises: IWANT in flight


def test_promises_a_message_that_does_not_come_costs_p7() -> None:
    dialogue = knowing(A)
    dialogue.do(A.has("news", C.id_of(1)))
    dialogue.beats(3)
    assert score(dialogue, A) >= 0.0
    before = score(dialogue, A)
    dialogue.beats(1)
    assert dialogue.counters()["broken_promises"] == 1
    assert score(dialogue, A) < before - 5.0


@pytest.mark.parametrize("sender", [A, B], ids=["the peer itself", "another"])
def test_promises_are_kept_by_a_message_from_any_peer(sender: object) -> None:
    assert sender in (A, B)
    dialogue = knowing(A, B)
    dialogue.do(A.has("news", C.id_of(1)), sender.sends(C.message(1)))
    dialogue.beats(5)
    assert "broken_promises" not in dialogue.counters()


def test_promises_one_id_by_chance_stands_for_all() -> None:
    """Of five, four are sent: the peer is found out in about one of five cases."""
    found = 0
    for seed in range(100):
        dialogue = knowing(A, seed=seed)
        dialogue.do(A.has("news", *[C.id_of(number) for number in range(5)]))
        dialogue.do(A.sends(*[C.message(number) for number in range(4)]))
        dialogue.beats(5)
        found += dialogue.counters().get("broken_promises", 0)
    assert 10 <= found <= 32


def test_promises_are_made_by_each_ihave_that_we_follow() -> None:
    dialogue = knowing(A)
    dialogue.do(*[A.has("news", C.id_of(number)) for number in range(3)])
    dialogue.do(A.has("news", C.id_of(0)))  # asked for already
    dialogue.beats(5)
    assert dialogue.counters()["broken_promises"] == 3


def test_promises_broken_by_a_forgery() -> None:
    """What does not verify is not the message."""
    dialogue = knowing(A)
    dialogue.do(A.has("news", C.id_of(1)), A.sends(forged(1)))
    dialogue.beats(5)
    assert dialogue.counters()["broken_promises"] == 1


def test_promises_of_what_we_were_too_busy_to_check_are_kept() -> None:
    """The message was received; that it was dropped is our doing."""
    dialogue = knowing(A, B, params=Params(verify_pending=1))
    dialogue >> Late(B.sends(C.message(9))) << "verify 1"
    dialogue.do(A.has("news", C.id_of(1)), A.sends(C.message(1)))
    assert dialogue.drops()["verify_queue_full"] == 1
    dialogue.beats(5)
    assert "broken_promises" not in dialogue.counters()


def test_promises_a_flood_of_ihave_is_flagged_and_graylisted_quickly() -> None:
    """Ten messages with bogus ids: when their time is over the peer is not even read."""
    dialogue = knowing(A)
    dialogue.do(*[A.has("news", b"bogus %d" % number) for number in range(10)])
    dialogue.beats(4)
    assert score(dialogue, A) < -80.0
    dialogue >> A.sends(C.message(1)) << []
    assert dialogue.drops()["graylisted"] == 1


# Invalid messages


def test_invalid_messages_soon_graylist_their_sender() -> None:
    dialogue = knowing(A)
    dialogue.do(*[A.sends(forged(number)) for number in range(13)])
    assert score(dialogue, A) < -80.0
    verified = dialogue.drops()["bad_signature"]
    dialogue.do(A.sends(forged(99)))
    assert dialogue.drops()["bad_signature"] == verified


def test_invalid_messages_that_were_asked_for_cost_the_same() -> None:
    dialogue = knowing(A, B)
    dialogue.do(SetValidation("news", validated=True))
    dialogue.do(A.has("news", C.id_of(1)), A.sends(C.message(1)), B.sends(C.message(2)))
    for number in (1, 2):
        dialogue.do(dialogue.validated(C.id_of(number), Validation.REJECT))
    assert score(dialogue, A) == score(dialogue, B) == -0.5


def test_invalid_messages_are_forgiven_in_time() -> None:
    """The score decays; that the application then shuts the peer out is its own affair."""
    dialogue = knowing(A)
    dialogue.do(*[A.sends(forged(number)) for number in range(13)])
    dialogue.beats(10)
    assert score(dialogue, A) == 0.0
    dialogue >> A.sends(C.message(1)) << "deliver news: hello"
