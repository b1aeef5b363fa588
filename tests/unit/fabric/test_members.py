from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.fabric.envelope import strip_secret
from pubsub.fabric.members import (
    MAX_ENVELOPE,
    Alive,
    Change,
    Freshness,
    Member,
    Members,
    State,
)
from pubsub.pb.fabric.gossip_pb2 import AliveMessage, GossipMessage, PeerTime
from pubsub.pb.fabric.gossip_pb2 import Member as MemberMessage
from tests.unit.fabric.gossiping import sign

P, Q, R = (bytes([n]) * 32 for n in (1, 2, 3))
LIFE = 500.0


def alive(peer: bytes = P, *time: int, endpoint: str = "p:1", internal: str = "") -> Alive:
    assert len(time) == 2
    return Alive(peer, (time[0], time[1]), endpoint, internal, b"", b"envelope" + internal.encode())


def members(*, most: int = 10, lasting: tuple[str, ...] = ()) -> Members:
    return Members(max_members=most, is_lasting=lambda member: member.endpoint in lasting)


def test_an_alive_message_is_read_by_its_parts() -> None:
    message = AliveMessage(
        membership=MemberMessage(endpoint="p:1", metadata=b"m", pki_id=P),
        timestamp=PeerTime(inc_num=2**64 - 1, seq_num=7),
    )
    envelope = sign(GossipMessage(tag=GossipMessage.EMPTY, alive_msg=message), "in:1")
    read = Alive.of(envelope)
    assert read == Alive(P, (2**64 - 1, 7), "p:1", "in:1", b"m", envelope.raw)
    assert repr(read) == f"Alive(01010101, ({2**64 - 1}, 7), <{len(envelope.raw)}b>)"
    assert Alive.of(strip_secret(envelope)).internal_endpoint == ""


def test_a_peer_is_learned_refreshed_and_moves() -> None:
    table = members()
    assert table.hear(alive(P, 5, 1), 0) is Change.LEARNED
    assert table.hear(alive(P, 5, 2), 1) is None
    assert table.hear(alive(P, 5, 3, endpoint="q:1"), 2) is Change.MOVED
    record = table.get(P)
    assert record is not None
    assert (record.member.endpoint, record.time, record.heard_at) == ("q:1", (5, 3), 2)


@pytest.mark.parametrize(
    ("time", "freshness"),
    [
        ((5, 4), Freshness.NEW),
        ((6, 0), Freshness.NEW),
        ((2**64 - 1, 2**64 - 1), Freshness.NEW),
        ((5, 3), Freshness.SAME),
        ((5, 2), Freshness.OLD),
        ((4, 9), Freshness.OLD),
        ((0, 0), Freshness.OLD),
    ],
)
def test_times_are_compared_by_life_and_then_by_number(
    time: tuple[int, int], freshness: Freshness
) -> None:
    table = members()
    assert table.freshness(P, time) is Freshness.NEW
    table.hear(alive(P, 5, 3), 0)
    assert table.freshness(P, time) is freshness


def test_what_comes_without_the_secret_does_not_take_it_away() -> None:
    table = members()
    table.hear(alive(P, 5, 1, internal="in:1"), 0)
    assert table.hear(alive(P, 5, 2), 1) is None
    record = table.get(P)
    assert record is not None
    assert record.member.preferred_endpoint == "in:1"
    # The envelope that came last is told on, and it has none.
    assert record.envelope == b"envelope"


def test_the_same_message_may_bring_the_secret_later_and_nothing_else() -> None:
    table = members()
    table.hear(alive(P, 5, 1), 0)
    bare = table.get(P)
    assert bare is not None
    assert bare.member.preferred_endpoint == "p:1"
    assert table.hear(alive(P, 5, 1, internal="in:1"), 9) is Change.MOVED
    assert table.hear(alive(P, 5, 1, internal="in:1"), 9) is None
    assert table.hear(alive(P, 5, 1), 9) is None
    record = table.get(P)
    assert record is not None
    assert (record.member.preferred_endpoint, record.heard_at) == ("in:1", 0)
    assert record.envelope == b"envelopein:1"


def test_the_dead_return_by_a_newer_message_only() -> None:
    table = members()
    table.hear(alive(P, 5, 3), 0)
    assert table.bury(P)
    assert not table.bury(P)
    assert not table.bury(Q)
    assert table.hear(alive(P, 5, 3), 1) is None
    assert [r.member.peer for r in table.in_state(State.DEAD)] == [P]
    table.touch(P, 100)
    record = table.get(P)
    assert record is not None
    assert record.heard_at == 0
    assert table.hear(alive(P, 5, 4), 1) is Change.RETURNED
    assert [r.member.peer for r in table.in_state(State.ALIVE)] == [P]


def test_those_another_holds_for_dead_are_learned_if_unknown() -> None:
    table = members()
    table.hear(alive(P, 5, 3), 0)
    table.hear_of_dead(alive(P, 6, 1), 0)
    table.hear_of_dead(alive(Q, 6, 1), 0)
    assert [r.member.peer for r in table.in_state(State.DEAD)] == [Q]
    assert table.hear(alive(Q, 6, 1), 0) is None
    assert table.hear(alive(Q, 6, 2), 0) is Change.RETURNED


def test_silence_is_counted_from_the_last_sign_of_life() -> None:
    table = members()
    for peer in (P, Q, R):
        table.hear(alive(peer, 1, 1), 0)
    table.hear(alive(P, 1, 2), 10)
    table.touch(Q, 12)
    table.touch(Q, 11)
    assert table.silent(10) == [R]
    assert table.silent(12) == [P, R]
    assert table.silent(12.5) == [P, Q, R]
    table.excuse(11.5, 20)
    assert table.silent(12) == [R]
    table.excuse(1e9, 20)
    assert table.silent(20) == []


def test_the_dead_are_forgotten_and_their_old_messages_with_them() -> None:
    table = members()
    table.hear(alive(P, 5, 3), 7)
    table.bury(P)
    assert table.forget(LIFE + 7, LIFE) == []
    assert table.forget(LIFE + 8, LIFE) == [P]
    assert table.forget(LIFE + 8, LIFE) == []
    (left,) = table.in_state(State.FORGOTTEN)
    assert (left.member, left.envelope, left.time) == (Member(P, "", "", b""), b"", (5, 3))
    assert table.get(P) is None
    assert len(table) == 1
    assert table.freshness(P, (5, 3)) is Freshness.SAME
    assert table.hear(alive(P, 5, 3, internal="in:1"), LIFE) is None
    table.hear_of_dead(alive(P, 5, 3), LIFE)
    assert table.get(P) is None
    assert table.hear(alive(P, 5, 4), LIFE + 2) is Change.LEARNED


def test_after_twice_as_long_nothing_is_left() -> None:
    table = members()
    table.hear(alive(P, 5, 3), 0)
    table.bury(P)
    table.forget(LIFE + 1, LIFE)
    table.forget(2 * LIFE, LIFE)
    assert len(table) == 1
    table.forget(2 * LIFE + 1, LIFE)
    assert len(table) == 0
    assert table.hear(alive(P, 1, 1), 0) is Change.LEARNED


def test_the_living_and_the_lasting_are_never_forgotten() -> None:
    table = members(lasting=("anchor:1",))
    table.hear(alive(P, 5, 3, endpoint="anchor:1"), 0)
    table.hear(alive(Q, 5, 3), 0)
    table.bury(P)
    assert table.forget(100 * LIFE, LIFE) == []
    assert [r.member.peer for r in table.in_state(State.DEAD)] == [P]
    assert [r.member.peer for r in table.in_state(State.ALIVE)] == [Q]


def test_a_purged_peer_is_learned_anew_even_by_an_old_message() -> None:
    table = members()
    table.hear(alive(P, 5, 3), 0)
    assert table.purge(P)
    assert not table.purge(P)
    assert table.hear(alive(P, 5, 3), 0) is Change.LEARNED
    table.bury(P)
    table.forget(LIFE + 1, LIFE)
    assert not table.purge(P)
    assert len(table) == 0


def test_records_are_bounded_and_the_forgotten_make_room() -> None:
    table = members(most=2)
    table.hear(alive(P, 1, 1), 0)
    table.hear(alive(Q, 1, 1), 0)
    assert not table.has_room_for(alive(R, 1, 1))
    assert table.has_room_for(alive(P, 1, 2))
    table.bury(P)
    assert not table.has_room_for(alive(R, 1, 1))
    table.forget(LIFE + 1, LIFE)
    assert table.has_room_for(alive(R, 1, 1))
    assert table.hear(alive(R, 1, 1), 0) is Change.LEARNED
    assert len(table) == 2


def test_what_is_kept_of_a_message_is_bounded() -> None:
    table = members()
    assert table.has_room_for(replace(alive(P, 1, 1), envelope=bytes(MAX_ENVELOPE)))
    assert not table.has_room_for(replace(alive(P, 1, 1), envelope=bytes(MAX_ENVELOPE + 1)))


numbers = st.integers(0, 2**64 - 1)
times = st.tuples(st.integers(0, 3), st.integers(0, 3)) | st.tuples(numbers, numbers)


@given(st.lists(st.tuples(st.sampled_from([P, Q]), times, st.booleans())))
def test_the_newest_message_of_each_peer_remains_whatever_comes(
    heard: list[tuple[bytes, tuple[int, int], bool]],
) -> None:
    table = members()
    newest: dict[bytes, tuple[int, int]] = {}
    for peer, time, dies in heard:
        message = alive(peer, *time)
        is_new = time > newest.get(peer, (-1, -1))
        assert (table.freshness(peer, time) is Freshness.NEW) is is_new
        if is_new:
            newest[peer] = time
            table.hear(message, 0)
        if dies:
            table.bury(peer)
    for peer, time in newest.items():
        record = table.get(peer)
        assert record is not None
        assert record.time == time
    assert len(table) == len(newest)


def test_the_preferred_endpoint_is_the_internal_one() -> None:
    assert Member(P, "out:1", "in:1", b"").preferred_endpoint == "in:1"
    assert Member(P, "out:1", "", b"").preferred_endpoint == "out:1"
