from __future__ import annotations

from dataclasses import replace

from pubsub.fabric.actions import Warn
from pubsub.fabric.envelope import GossipEnvelope
from pubsub.fabric.heartbeat import LAST_INCARNATION, Heartbeat, Us
from pubsub.fabric.members import Alive
from pubsub.fabric.params import V3
from pubsub.pb.fabric.gossip_pb2 import AliveMessage, GossipMessage, Member, PeerTime
from tests.unit.fabric.gossiping import START_NS, sign
from tests.unit.fabric.making import pki_id

ME = pki_id("me")
EARLIER = START_NS - 10**15


def heartbeat(started_ns: int = START_NS) -> Heartbeat:
    us = Us(ME, "Org1MSP", "me.example:7051", "me:7051", b"cert", b"meta")
    return Heartbeat(us, V3, sign=sign, started_ns=started_ns, now=100.0)


def time_of(envelope: GossipEnvelope) -> tuple[int, int]:
    return Alive.of(envelope).time


def test_a_message_says_who_we_are_where_and_in_which_life() -> None:
    envelope = heartbeat().beat(100.0)
    assert Alive.of(envelope).internal_endpoint == "me:7051"
    assert envelope.message == GossipMessage(
        tag=GossipMessage.EMPTY,
        alive_msg=AliveMessage(
            membership=Member(endpoint="me.example:7051", metadata=b"meta", pki_id=ME),
            timestamp=PeerTime(inc_num=START_NS, seq_num=1),
            identity=b"cert",
        ),
    )


def test_the_identity_goes_along_for_the_first_ten_seconds() -> None:
    beats = heartbeat()
    identities = [beats.beat(at).message.alive_msg.identity for at in (100, 109.9, 110, 200)]
    assert identities == [b"cert", b"cert", b"", b""]


def test_each_beat_has_the_next_number_and_answers_use_a_recent_one() -> None:
    beats = heartbeat()
    first = beats.recent(100)
    assert beats.recent(104.9) is first
    assert time_of(beats.recent(105)) == (START_NS, 2)
    assert time_of(beats.beat(106)) == (START_NS, 3)
    assert time_of(beats.recent(107)) == (START_NS, 3)


def test_a_change_is_in_the_next_message() -> None:
    beats = heartbeat()
    beats.recent(100)
    beats.update(metadata=b"new", endpoint=None)
    changed = Alive.of(beats.recent(100))
    assert (changed.metadata, changed.endpoint) == (b"new", "me.example:7051")
    beats.update(metadata=None, endpoint="")
    changed = Alive.of(beats.recent(100))
    assert (changed.metadata, changed.endpoint) == (b"new", "")


def ours(time: tuple[int, int]) -> Alive:
    return Alive(ME, time, "me.example:7051", "me:7051", b"meta", b"envelope")


def test_our_own_messages_come_back_and_mean_nothing() -> None:
    beats = heartbeat()
    for _ in range(3):
        beats.beat(100)
    assert beats.hear_of_us(ours((START_NS, 3))) == []
    assert beats.hear_of_us(ours((EARLIER, 9))) == []
    assert beats.hear_of_us(replace(ours((START_NS, 2)), internal_endpoint="")) == []
    beats.update(metadata=None, endpoint="moved.example:7051")
    assert beats.hear_of_us(ours((START_NS, 2))) == []
    assert time_of(beats.beat(100)) == (START_NS, 4)


def test_a_later_life_that_we_had_is_surpassed() -> None:
    beats = heartbeat(EARLIER)
    beats.recent(100)
    (warning,) = beats.hear_of_us(ours((START_NS, 17)))
    assert warning.key == "membership.clock"
    assert time_of(beats.recent(100)) == (START_NS + 1, 1)
    assert beats.hear_of_us(ours((START_NS, 17))) == []


def test_more_messages_than_we_made_in_this_life_are_surpassed() -> None:
    beats = heartbeat()
    assert len(beats.hear_of_us(ours((START_NS, 17)))) == 1
    assert time_of(beats.beat(100)) == (START_NS + 1, 1)


def test_the_last_number_cannot_be_surpassed() -> None:
    beats = heartbeat()
    assert beats.hear_of_us(ours((LAST_INCARNATION, 0))) == [
        Warn("membership.clock", "no incarnation number is left above our last one")
    ]
    assert time_of(beats.beat(100)) == (START_NS, 1)


def test_our_pki_id_at_another_endpoint_is_bad_configuration() -> None:
    beats = heartbeat()
    for twin in (
        replace(ours((START_NS + 5, 1)), endpoint="other.example:7051"),
        replace(ours((EARLIER, 1)), internal_endpoint="other:7051"),
    ):
        (warning,) = beats.hear_of_us(twin)
        assert warning.key == "membership.twin"
        assert "bad configuration" in warning.text
        assert "other" in warning.text or "me:7051" in warning.text
    assert time_of(beats.beat(100)) == (START_NS, 1)
