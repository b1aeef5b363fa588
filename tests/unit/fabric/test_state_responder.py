from __future__ import annotations

import pytest

from pubsub.errors import ParamError
from pubsub.fabric.actions import Send
from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric.state_responder import MAX_REQUESTS_OF_PEER, StateResponder
from pubsub.pb.fabric.gossip_pb2 import Payload
from tests.unit.fabric.chains import chain
from tests.unit.fabric.test_state_transfer import B, C, request, response

HIGHEST = (1 << 64) - 1
BLOCKS = chain(8)


def ledger(height: int = 8) -> MemoryLedger:
    found = MemoryLedger()
    for number in range(height):
        found.append(number, BLOCKS[number])
    return found


def payloads(*numbers: int) -> list[Payload]:
    return [Payload(seq_num=number, data=BLOCKS[number]) for number in numbers]


def answer(responder: StateResponder, source: MemoryLedger) -> Send:
    taken = responder.take()
    assert taken
    return responder.answer(taken, source)


def test_a_request_is_answered_with_its_nonce() -> None:
    responder = StateResponder(b"sales")
    assert responder.take() is None
    assert responder.on_request(B, request(7, 2, 4))
    assert len(responder) == 1
    assert answer(responder, ledger()) == Send(B, response(7, payloads(2, 3, 4)))
    assert len(responder) == 0
    assert not responder.counters


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(6, 16, [6, 7]), (7, 8, [7]), (8, 9, []), (HIGHEST, HIGHEST, [])],
)
def test_what_the_ledger_does_not_have_is_left_out(
    first: int, last: int, expected: list[int]
) -> None:
    responder = StateResponder(b"sales")
    assert responder.on_request(B, request(7, first, last))
    assert answer(responder, ledger()) == Send(B, response(7, payloads(*expected)))


@pytest.mark.parametrize(
    ("first", "last", "accepted"),
    [(3, 3, True), (0, 10, True), (0, 11, False), (4, 3, False), (0, HIGHEST, False)],
)
def test_a_range_that_is_not_in_order_is_dropped(first: int, last: int, accepted: bool) -> None:
    responder = StateResponder(b"sales", batch_size=10)
    assert responder.on_request(B, request(7, first, last)) is accepted
    assert responder.counters == ({} if accepted else {"range not in order": 1})
    assert len(responder) == accepted


def test_a_request_of_another_channel_is_dropped() -> None:
    responder = StateResponder(b"sales")
    assert not responder.on_request(B, request(7, 0, 1, b"second"))
    assert responder.counters == {"another channel": 1}


def test_requests_are_answered_in_their_order_and_the_queue_is_bounded() -> None:
    responder = StateResponder(b"sales", queue_size=3)
    for number in range(3):
        assert responder.on_request(bytes([number]) * 32, request(number, 0, 1))
    assert not responder.on_request(B, request(9, 0, 1))
    assert responder.counters == {"queue full": 1}
    source = ledger()
    assert [answer(responder, source).peer[0] for _ in range(3)] == [0, 1, 2]
    assert responder.on_request(B, request(9, 0, 1))


def test_one_peer_does_not_fill_the_queue() -> None:
    responder = StateResponder(b"sales")
    for nonce in range(MAX_REQUESTS_OF_PEER):
        assert responder.on_request(B, request(nonce, 0, 1))
    assert not responder.on_request(B, request(9, 0, 1))
    assert responder.counters == {"too many of one peer": 1}
    assert responder.on_request(C, request(9, 0, 1))
    responder.forget(B)
    assert len(responder) == 1
    taken = responder.take()
    assert taken
    assert taken.peer == C


def test_a_response_is_cut_by_bytes_and_its_first_block_is_always_sent() -> None:
    size = sum(one.ByteSize() for one in payloads(0, 1, 2))
    responder = StateResponder(b"sales", max_bytes=size)
    responder.on_request(B, request(7, 0, 5))
    assert answer(responder, ledger()) == Send(B, response(7, payloads(0, 1, 2)))
    assert responder.counters == {"response cut": 1}
    small = StateResponder(b"sales", max_bytes=1)
    small.on_request(B, request(7, 2, 5))
    assert answer(small, ledger()) == Send(B, response(7, payloads(2)))


def test_private_data_goes_with_its_block_to_those_who_may_read_it() -> None:
    def private(number: int, peer: bytes) -> list[bytes]:
        return [b"secret"] if peer == B and number == 1 else []

    responder = StateResponder(b"sales", private_data=private)
    for peer in (B, C):
        responder.on_request(peer, request(7, 0, 1))
    plain, secret = payloads(0, 1)
    secret.private_data.append(b"secret")
    source = ledger()
    assert answer(responder, source) == Send(B, response(7, [plain, secret]))
    assert answer(responder, source) == Send(C, response(7, payloads(0, 1)))


class Torn(MemoryLedger):
    """A ledger that has lost a block."""

    def block(self, number: int) -> bytes | None:
        return None if number == 2 else super().block(number)


def test_nothing_is_sent_from_behind_a_block_that_is_missing() -> None:
    source = Torn()
    for number in range(4):
        source.append(number, BLOCKS[number])
    responder = StateResponder(b"sales")
    responder.on_request(B, request(7, 0, 3))
    assert answer(responder, source) == Send(B, response(7, payloads(0, 1)))
    assert responder.counters == {"block missing": 1}


@pytest.mark.parametrize("sizes", [{"batch_size": 0}, {"queue_size": 0}, {"max_bytes": 0}])
def test_sizes_are_checked(sizes: dict[str, int]) -> None:
    with pytest.raises(ParamError):
        StateResponder(b"sales", **sizes)  # type: ignore[arg-type]
