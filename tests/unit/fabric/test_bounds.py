"""Messages with too many entries are refused before they are decoded."""

from __future__ import annotations

import random

import pytest

from pubsub.errors import RemoteError
from pubsub.fabric.bounds import LOOKED_AT, MAX_ENTRIES, check_entries
from pubsub.fabric.content import MalformedMessageError
from tests.fuzz import hostile_bytes
from tests.unit.fabric.making import GossipMessage, block

PADDING = b"\x12\x80\x80\x04" + bytes(LOOKED_AT)
"A channel name (field 2) that makes any payload long enough to be looked at."


def padded(message: GossipMessage) -> bytes:
    return PADDING + message.SerializeToString()


LISTS = {
    "digests": lambda n: GossipMessage(data_dig={"digests": [b""] * n}),
    "known": lambda n: GossipMessage(mem_req={"known": [b""] * n}),
    "alive": lambda n: GossipMessage(mem_res={"alive": [b""] * n}),
    "elements": lambda n: GossipMessage(state_snapshot={"elements": [b""] * n}),
    "blocks": lambda n: GossipMessage(state_response={"payloads": [{}] * n}),
    "private data digests": lambda n: GossipMessage(private_req={"digests": [{}] * n}),
    "private data": lambda n: GossipMessage(data_msg={"payload": {"private_data": [b""] * n}}),
    "private data of a state response": lambda n: GossipMessage(
        state_response={"payloads": [{"private_data": [b""] * (n // 2)}] * 2}
    ),
    "chaincodes": lambda n: GossipMessage(state_info={"properties": {"chaincodes": [{}] * n}}),
    "private payloads": lambda n: GossipMessage(private_res={"elements": [{"payload": [b""] * n}]}),
}


@pytest.mark.parametrize("name", LISTS)
def test_too_many_entries_are_refused_wherever_they_are(name: str) -> None:
    check_entries(padded(LISTS[name](MAX_ENTRIES - 10)))
    with pytest.raises(MalformedMessageError, match="entries"):
        check_entries(padded(LISTS[name](MAX_ENTRIES + 1)))


def test_a_field_repeated_at_the_top_counts_too() -> None:
    with pytest.raises(MalformedMessageError, match="entries"):
        check_entries(b"\x08\x01" * (LOOKED_AT // 2 + 1))


def test_a_large_block_is_no_list() -> None:
    check_entries(block(1, b"\x0a\x00" * 1_000_000).SerializeToString())


def test_a_short_payload_is_left_to_the_decoder() -> None:
    check_entries(b"\xff" * LOOKED_AT)
    with pytest.raises(MalformedMessageError):
        check_entries(b"\xff" * (LOOKED_AT + 1))


@pytest.mark.parametrize(
    "tail",
    [
        b"\x0b",  # a group
        b"\x08",  # a number that is not there
        b"\x08" + b"\x80" * 10 + b"\x00",  # a number of 11 bytes
        b"\x09" + bytes(7),
        b"\x0d" + bytes(3),
        b"\x12\x05abcd",
    ],
)
def test_fields_that_do_not_fit_are_refused(tail: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        check_entries(PADDING + tail)


def test_a_field_ends_with_the_message_that_it_is_in() -> None:
    # data_dig of two bytes, whose digest says that it has three.
    with pytest.raises(MalformedMessageError, match="longer"):
        check_entries(b"\x52\x02\x12\x03" + PADDING)


def test_fields_of_fixed_length_are_stepped_over() -> None:
    check_entries(PADDING + b"\x09" + bytes(8) + b"\x0d" + bytes(4) + b"\x08\x80\x01")


def test_hostile_payloads_are_counted_or_refused() -> None:
    rng = random.Random(5)
    good = [make(100).SerializeToString() for make in LISTS.values()]
    refused = 0
    for tail in hostile_bytes(rng, good, 600):
        try:
            check_entries(PADDING + tail)
        except RemoteError:
            refused += 1
    assert 100 < refused < 600
