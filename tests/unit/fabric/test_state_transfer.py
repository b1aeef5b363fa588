from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from pubsub.errors import ParamError, RemoteError
from pubsub.fabric.actions import Send
from pubsub.fabric.block_verification import BlockSignatureError
from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric.params import V14, GossipParams
from pubsub.fabric.payload_buffer import PayloadBuffer, Pushed
from pubsub.fabric.state_responder import StateResponder
from pubsub.fabric.state_transfer import (
    Fetched,
    GaveUp,
    StateParams,
    StateTransfer,
    StragglerWatch,
    Straggling,
)
from pubsub.pb.fabric.gossip_pb2 import (
    GossipMessage,
    Payload,
    RemoteStateRequest,
    RemoteStateResponse,
)
from tests.unit.fabric.chains import chain

B, C, D = (letter * 32 for letter in (b"B", b"C", b"D"))
HIGHEST = (1 << 64) - 1


class Sales:
    """A channel as its own ledger and its peers make it."""

    def __init__(self, first_missing: int = 0, **heights: int) -> None:
        self.first_missing = first_missing
        self.has_room = True
        self.waiting: set[int] = set()
        self.height = first_missing
        self.newly_signed_from = HIGHEST
        self.verified: list[int] = []
        self.advertised = {letter.encode() * 32: height for letter, height in heights.items()}

    def heights(self) -> dict[bytes, int]:
        return self.advertised

    def knows(self, number: int) -> bool:
        return number < self.first_missing or number in self.waiting

    def verify(self, number: int, raw: bytes) -> None:
        self.verified.append(number)
        if raw.startswith(b"bad"):
            raise RemoteError("a bad block")
        if number >= self.newly_signed_from:
            raise BlockSignatureError("orderers that are not known")


def transfer(channel: Any, *, seed: int = 1, **params: Any) -> StateTransfer:
    return StateTransfer(b"sales", channel, StateParams(**params), rng=random.Random(seed), now=0.0)


def request(nonce: int, first: int, last: int, channel: bytes = b"sales") -> GossipMessage:
    asked = RemoteStateRequest(start_seq_num=first, end_seq_num=last)
    return GossipMessage(
        nonce=nonce, channel=channel, tag=GossipMessage.CHAN_OR_ORG, state_request=asked
    )


def payloads(*numbers: int, data: bytes = b"block") -> tuple[Payload, ...]:
    return tuple(Payload(seq_num=number, data=data) for number in numbers)


def response(nonce: int, found: Sequence[Payload] = (), channel: bytes = b"sales") -> GossipMessage:
    return GossipMessage(
        nonce=nonce,
        channel=channel,
        tag=GossipMessage.CHAN_OR_ORG,
        state_response=RemoteStateResponse(payloads=found),
    )


def asked(actions: Sequence[Any]) -> tuple[bytes, int, int, int]:
    """Peer, nonce, first and last of the one request in `actions`."""
    (action,) = actions
    assert isinstance(action, Send)
    message = action.message
    found = message.state_request
    assert message == request(message.nonce, found.start_seq_num, found.end_seq_num)
    return action.peer, message.nonce, found.start_seq_num, found.end_seq_num


def test_blocks_are_fetched_in_batches_of_one_more_than_the_batch_size() -> None:
    channel = Sales(5, B=30)
    ours = transfer(channel)
    assert ours.next_deadline == 10.0
    assert ours.tick(9.9) == []
    peer, nonce, first, last = asked(ours.tick(10.0))
    assert (peer, first, last) == (B, 5, 15)
    found = payloads(*range(5, 16))
    assert ours.on_response(B, response(nonce, found), 10.1) == [Fetched(B, found)]
    assert ours.next_deadline == 10.1
    channel.first_missing = 16
    _, nonce, first, last = asked(ours.tick(10.1))
    assert (first, last) == (16, 26)
    ours.on_response(B, response(nonce, payloads(*range(16, 27))), 10.2)
    channel.first_missing = 27
    _, nonce, first, last = asked(ours.tick(10.2))
    assert (first, last) == (27, 29)
    ours.on_response(B, response(nonce, payloads(27, 28, 29)), 10.3)
    channel.first_missing = 30
    assert ours.tick(10.3) == []
    assert not ours.is_running
    assert ours.next_deadline == 20.3
    assert not ours.counters


def test_what_came_another_way_meanwhile_is_not_verified_again() -> None:
    channel = Sales(5, B=10)
    ours = transfer(channel)
    peer, nonce, first, last = asked(ours.tick(10.0))
    channel.first_missing, channel.waiting = 6, {8}
    (fetched,) = ours.on_response(peer, response(nonce, payloads(*range(first, last + 1))), 10.1)
    assert fetched == Fetched(B, payloads(6, 7, 9))
    assert channel.verified == [6, 7, 9]


@pytest.mark.parametrize("heights", [{}, {"B": 5}, {"B": 3, "C": 1}])
def test_who_is_as_high_as_any_asks_for_nothing(heights: dict[str, int]) -> None:
    ours = transfer(Sales(5, **heights))
    assert ours.tick(10.0) == []
    assert not ours.is_running
    assert ours.next_deadline == 20.0


def test_who_lacks_one_block_asks_for_one() -> None:
    assert asked(transfer(Sales(4, B=5)).tick(10.0))[2:] == (4, 4)


def test_whoever_sent_one_batch_may_be_asked_for_the_next() -> None:
    peers = set()
    for seed in range(10):
        channel = Sales(0, B=30, C=14)
        ours = transfer(channel, seed=seed)
        peer, nonce, *_ = asked(ours.tick(10.0))
        peers.add(peer)
        ours.on_response(peer, response(nonce, payloads(*range(11))), 10.1)
        channel.first_missing = 11
        # Only B has the last of the second batch.
        again, _, *span = asked(ours.tick(10.1))
        assert (again, span) == (B, [11, 21])
    assert peers == {B, C}


def test_those_who_have_the_last_of_the_batch_are_asked() -> None:
    seen = set()
    for seed in range(20):
        peer, _, first, last = asked(transfer(Sales(0, B=9, C=10, D=50), seed=seed).tick(10.0))
        assert (first, last) == (0, 10)
        seen.add(peer)
    assert seen == {C, D}


def test_what_is_not_answered_is_asked_of_another_with_a_new_nonce() -> None:
    ours = transfer(Sales(0, B=5, C=5))
    first, nonce, *_ = asked(ours.tick(10.0))
    assert ours.next_deadline == 13.0
    assert ours.tick(12.9) == []
    second, other, *span = asked(ours.tick(13.0))
    assert {first, second} == {B, C}
    assert nonce != other
    assert span == [0, 4]
    assert ours.on_response(first, response(nonce, payloads(0)), 13.1) == []
    assert ours.counters == {"not answered": 1, "late or unasked": 1}


def test_after_four_attempts_it_gives_up_until_the_next_check() -> None:
    ours = transfer(Sales(0, B=5))
    for when in (10.0, 13.0, 16.0, 19.0):
        assert asked(ours.tick(when))[0] == B
    assert ours.tick(22.0) == [GaveUp(0, 4)]
    assert not ours.is_running
    assert ours.next_deadline == 32.0
    assert ours.tick(31.9) == []
    assert asked(ours.tick(32.0))[0] == B


def test_attempts_are_counted_anew_for_each_batch() -> None:
    channel = Sales(0, B=20)
    ours = transfer(channel, max_retries=0)
    _, nonce, *_ = asked(ours.tick(10.0))
    ours.on_response(B, response(nonce, payloads(*range(11))), 10.1)
    channel.first_missing = 11
    assert asked(ours.tick(10.1))[2:] == (11, 19)
    assert ours.tick(13.1) == [GaveUp(11, 19)]


def test_a_shorter_answer_is_continued_from_where_it_ends() -> None:
    channel = Sales(0, B=20)
    ours = transfer(channel)
    _, nonce, *_ = asked(ours.tick(10.0))
    assert ours.on_response(B, response(nonce, payloads(0, 1, 2)), 10.1) == [
        Fetched(B, payloads(0, 1, 2))
    ]
    channel.first_missing = 3
    assert asked(ours.tick(10.1))[2:] == (3, 13)


def test_a_gap_is_asked_for_again_and_what_is_behind_it_is_taken() -> None:
    channel = Sales(0, B=6, C=6)
    ours = transfer(channel)
    peer, nonce, *_ = asked(ours.tick(10.0))
    found = payloads(4, 0, 2)
    assert ours.on_response(peer, response(nonce, found), 10.1) == [
        Fetched(peer, payloads(0, 2, 4))
    ]
    channel.first_missing = 1
    assert asked(ours.tick(10.1))[2:] == (1, 5)


def test_what_the_buffer_does_not_keep_is_fetched_again() -> None:
    channel = Sales(0, B=20)
    ours = transfer(channel)
    _, nonce, *_ = asked(ours.tick(10.0))
    ours.on_response(B, response(nonce, payloads(*range(11))), 10.1)
    channel.first_missing, channel.has_room = 4, False
    assert ours.tick(10.1) == []
    channel.has_room = True
    assert asked(ours.tick(ours.next_deadline))[2:] == (4, 14)


@pytest.mark.parametrize("found", [(), (2, 3)])
def test_an_answer_without_the_first_block_counts_as_none(found: tuple[int, ...]) -> None:
    ours = transfer(Sales(0, B=5, C=5))
    peer, nonce, *_ = asked(ours.tick(10.0))
    taken = ours.on_response(peer, response(nonce, payloads(*found)), 10.1)
    assert taken == ([Fetched(peer, payloads(*found))] if found else [])
    assert ours.counters == {"nothing of use": 1}
    other, *_, first, last = asked(ours.tick(10.1))
    assert other != peer
    assert (first, last) == (0, 4)


def test_an_answer_with_another_nonce_peer_or_channel_is_ignored() -> None:
    ours = transfer(Sales(0, B=5))
    assert ours.on_response(B, response(7, payloads(0)), 5.0) == []
    _, nonce, *_ = asked(ours.tick(10.0))
    for peer, message in (
        (B, response(nonce ^ 1, payloads(0))),
        (C, response(nonce, payloads(0))),
        (B, response(nonce, payloads(0), b"second")),
    ):
        assert ours.on_response(peer, message, 10.1) == []
    assert ours.on_response(B, response(nonce, payloads(0)), 13.0) == []
    assert ours.counters == {"late or unasked": 5}
    assert len(ours.on_response(B, response(nonce, payloads(0)), 12.9)) == 1
    # Each request has one answer.
    assert ours.on_response(B, response(nonce, payloads(1)), 12.9) == []


@pytest.mark.parametrize(
    "found",
    [
        [*payloads(0, 1), *payloads(2, data=b"bad")],
        payloads(0, 1, 5),
        payloads(0, 1, HIGHEST),
        payloads(0, 1, 1),
    ],
    ids=["bad", "beyond", "far beyond", "twice"],
)
def test_one_bad_block_rejects_all_and_another_peer_is_asked_at_once(
    found: Sequence[Payload],
) -> None:
    ours = transfer(Sales(0, B=5, C=5))
    peer, nonce, *_ = asked(ours.tick(10.0))
    with pytest.raises(RemoteError):
        ours.on_response(peer, response(nonce, found), 10.1)
    assert ours.counters == {"bad response": 1}
    assert ours.next_deadline == 10.1
    other, *_, first, last = asked(ours.tick(10.1))
    assert other != peer
    assert (first, last) == (0, 4)


def test_while_there_is_no_room_nothing_is_asked_for() -> None:
    channel = Sales(0, B=5)
    channel.has_room = False
    ours = transfer(channel)
    assert ours.tick(10.0) == []
    assert ours.next_deadline == pytest.approx(10.1)
    assert ours.tick(ours.next_deadline) == []
    channel.has_room = True
    assert asked(ours.tick(ours.next_deadline))[0] == B
    assert not ours.counters


def test_blocks_that_come_another_way_are_not_fetched() -> None:
    channel = Sales(0, B=30)
    ours = transfer(channel)
    asked(ours.tick(10.0))
    channel.first_missing = 20
    assert asked(ours.tick(13.0))[2:] == (20, 29)
    channel.first_missing = 30
    assert ours.tick(16.0) == []
    assert not ours.is_running


def test_a_false_height_does_not_keep_us_from_those_who_have_blocks() -> None:
    channel = Sales(10, B=HIGHEST, C=15)
    ours = transfer(channel)
    assert asked(ours.tick(10.0))[0] == B
    peer, nonce, first, last = asked(ours.tick(13.0))
    assert (peer, first, last) == (C, 10, 14)
    ours.on_response(C, response(nonce, payloads(*range(10, 15))), 13.1)
    channel.first_missing = 15
    assert asked(ours.tick(13.1))[0] == B


def test_one_who_has_gone_is_not_waited_for() -> None:
    channel = Sales(0, B=5, C=5)
    ours = transfer(channel)
    peer, *_ = asked(ours.tick(10.0))
    other = C if peer == B else B
    ours.forget(other)
    assert ours.next_deadline == 13.0
    ours.forget(peer)
    del channel.advertised[peer]
    assert ours.next_deadline < 10.0
    assert asked(ours.tick(10.1))[0] == other
    del channel.advertised[other]
    ours.forget(other)
    assert ours.tick(10.2) == [GaveUp(0, 4)]


def test_times_are_taken_from_fabrics_keys() -> None:
    assert StateParams.of(GossipParams()) == StateParams()
    fabric = V14.replaced(
        state_check_interval=7.0,
        state_response_timeout=2.0,
        state_batch_size=5,
        state_max_retries=0,
    )
    assert StateParams.of(fabric) == StateParams(
        check_interval=7.0, response_timeout=2.0, batch_size=5, max_retries=0
    )
    for wrong in ({"batch_size": 0}, {"max_retries": -1}, {"response_timeout": 0.0}):
        with pytest.raises(ParamError):
            StateParams(**wrong)  # type: ignore[arg-type]


class Follower:
    """A ledger behind a buffer: what state transfer is for."""

    def __init__(self, source: bytes, height: int) -> None:
        self.ledger = MemoryLedger()
        self.buffer = PayloadBuffer(0)
        self.advertised = {source: height}
        self.most = 0

    @property
    def first_missing(self) -> int:
        return self.buffer.first_missing

    @property
    def has_room(self) -> bool:
        return self.buffer.has_room

    def heights(self) -> dict[bytes, int]:
        return self.advertised

    def knows(self, number: int) -> bool:
        return number < self.first_missing or number in self.buffer

    def verify(self, number: int, raw: bytes) -> None:
        pass

    def take(self, found: Sequence[Payload]) -> None:
        for payload in found:
            assert self.buffer.push(payload) is Pushed.KEPT
        self.most = max(self.most, len(self.buffer))

    def commit(self, count: int) -> None:
        for _ in range(count):
            payload = self.buffer.pop()
            if payload:
                self.ledger.append(payload.seq_num, payload.data)


@pytest.mark.parametrize("commits", [2, 11])
def test_a_ledger_five_hundred_blocks_behind_catches_up_in_order(commits: int) -> None:
    source, responder = MemoryLedger(), StateResponder(b"sales")
    for number, raw in enumerate(chain(500)):
        source.append(number, raw)
    follower = Follower(B, source.height)
    ours = transfer(follower)
    now = 10.0
    while follower.ledger.height < 500 and now < 100:
        for action in ours.tick(now):
            assert isinstance(action, Send)
            assert responder.on_request(C, action.message)
            taken = responder.take()
            assert taken
            answer = responder.answer(taken, source)
            for fetched in ours.on_response(B, answer.message, now):
                assert isinstance(fetched, Fetched)
                follower.take(fetched.payloads)
        follower.commit(commits)
        now += 0.1
    assert follower.ledger.height == 500
    assert follower.ledger.last_hash == source.last_hash
    # blockBufferSize twice, and a batch.
    assert follower.most <= 2 * 20 + 10
    assert not ours.counters


@pytest.mark.parametrize(
    ("params", "watching"),
    [
        (V14.replaced(state_enabled=False), True),
        (GossipParams(org_leader=False), True),
        (GossipParams(), False),
        (V14, False),
    ],
    ids=["elected", "never a leader", "always a leader", "state transfer is on"],
)
def test_a_straggler_is_told_of_where_nothing_would_help_it(
    params: GossipParams, watching: bool
) -> None:
    watch = StragglerWatch(params)
    assert watch.on_block(110, 10, 0.0) == []
    assert watch.on_block(111, 10, 0.0) == ([Straggling(10, 111)] if watching else [])


def test_a_straggler_is_told_of_once_in_a_while() -> None:
    watch = StragglerWatch(GossipParams(org_leader=False), pause=60.0)
    assert watch.on_block(111, 10, 5.0) == [Straggling(10, 111)]
    assert watch.on_block(112, 10, 64.9) == []
    assert watch.on_block(113, 11, 65.0) == [Straggling(11, 113)]


@pytest.mark.parametrize("fault", ["silent", "empty", "bad"])
def test_one_that_gave_nothing_is_passed_over_for_the_rest_of_the_transfer(fault: str) -> None:
    channel = Sales(0, B=1 << 63, C=200)
    ours, now, asked_of_b = transfer(channel, response_timeout=3.0), 10.0, 0
    while channel.first_missing < 200:
        peer, nonce, first, last = asked(ours.tick(now))
        if peer == C:
            ours.on_response(C, response(nonce, payloads(*range(first, last + 1))), now)
            channel.first_missing = last + 1
            continue
        asked_of_b += 1
        if fault == "silent":
            now += 3.0
        elif fault == "empty":
            ours.on_response(B, response(nonce), now)
        else:
            with pytest.raises(RemoteError):
                ours.on_response(B, response(nonce, payloads(first, data=b"bad")), now)
    assert asked_of_b == 1
    # When nobody else has more, it has another chance.
    assert asked(ours.tick(now))[0] == B


def test_of_blocks_behind_a_change_of_orderers_those_before_it_are_taken() -> None:
    channel = Sales(5, B=30)
    channel.newly_signed_from = 9
    ours = transfer(channel)
    _, nonce, first, last = asked(ours.tick(10.0))
    found = payloads(*range(first, last + 1))
    assert ours.on_response(B, response(nonce, found), 10.1) == [Fetched(B, found[:4])]
    channel.first_missing = 9
    # The change waits for its turn: nothing more can be verified, and nobody is blamed.
    for now in (10.1, 10.2):
        _, nonce, first, last = asked(ours.tick(now))
        found = payloads(*range(first, last + 1))
        assert ours.on_response(B, response(nonce, found), now) == []
        assert ours.next_deadline == pytest.approx(now + 0.1)
    channel.height, channel.newly_signed_from = 9, HIGHEST
    _, nonce, first, last = asked(ours.tick(10.3))
    found = payloads(*range(first, last + 1))
    assert ours.on_response(B, response(nonce, found), 10.3) == [Fetched(B, found)]


def test_a_block_that_is_the_ledgers_next_is_of_orderers_that_are_known() -> None:
    channel = Sales(5, B=30)
    channel.newly_signed_from = 5
    ours = transfer(channel)
    _, nonce, first, last = asked(ours.tick(10.0))
    with pytest.raises(BlockSignatureError):
        ours.on_response(B, response(nonce, payloads(*range(first, last + 1))), 10.1)
