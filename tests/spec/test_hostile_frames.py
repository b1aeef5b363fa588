"""A peer that sends what is no RPC, or too much of one: it is thrown out, and costs no memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import pubsub
from tests.io.nodes import until
from tests.spec.hostile_peer import (
    control,
    field_of,
    framed,
    graft,
    have,
    prune,
    publication,
    siege,
    subscription,
    unwanted,
    varint,
    want,
)

MIB = 1024 * 1024


@contextmanager
def memory() -> Iterator[list[int]]:
    """The bytes that Python allocated meanwhile, at the peak."""
    gc.collect()
    tracemalloc.start()
    peak: list[int] = []
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("promised", [4 * MIB + 1, 2**32, 2**63 - 1])
async def test_an_oversize_length_allocates_nothing(promised: int):
    async with siege() as attack:
        with memory() as peak:
            await attack.attacker.send(varint(promised), bytes(1000))
            await until(attack.expelled)
        assert peak[0] < 2 * MIB


async def test_the_largest_frame_that_never_comes_allocates_nothing():
    async with siege() as attack:
        with memory() as peak:
            await attack.attacker.send(varint(4 * MIB), bytes(1000))
            await attack.beats(4)
        assert peak[0] < 2 * MIB


@pytest.mark.parametrize("length", [b"\xff" * 10, b"\x80" * 9 + b"\x02", b"\x80" * 50])
async def test_a_length_that_is_no_number(length: bytes):
    async with siege() as attack:
        await attack.attacker.send(length)
        await until(attack.expelled)


MALFORMED = {
    "no protobuf": b"\xff\xff\xff",
    "a message longer than its RPC": b"\x12\x05abc",
    "a field without a value": b"\x12",
    "a group without end": b"\x0b" * 200,
    "the end of a group that never began": b"\x0c",
    "field zero": b"\x02\x01x",
    "control that is none": field_of(3, b"\x0a\x05a"),
    "a message that is none": publication(b"\xff\xff"),
    "a subscription that is none": field_of(1, b"\x12\x05a"),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_rpc(name: str):
    async with siege() as attack:
        await attack.attacker.send(framed(MALFORMED[name]))
        await until(attack.expelled)
        assert attack.drops("malformed_rpc") == 1


MANY = {
    "subscriptions": b"".join(subscription(f"{number}") for number in range(20_000)),
    "grafts": control(*[graft()] * 20_000),
    "prunes": control(*[prune()] * 20_000),
    "ihaves": control(*[have([b"x"])] * 20_000),
    "iwants": control(*[want([b"x"])] * 20_000),
    "idontwants": control(*[unwanted([b"x"])] * 20_000),
    "ids told of": control(have([b"x"] * 60_000)),
    "ids asked for": control(want([b"x"] * 60_000)),
    "ids not wanted": control(unwanted([b"x"] * 60_000)),
    "messages": publication(b"") * 20_000,
}


@pytest.mark.parametrize("name", MANY)
async def test_an_rpc_with_too_many_entries_is_read_not_at_all(name: str):
    async with siege() as attack:
        await attack.attacker.send(framed(MANY[name]))
        await until(attack.expelled)
        assert attack.drops("malformed_rpc") == 1
        assert len(attack.core.topics) == 1
        assert attack.counter("iwant_sent") == 0


async def test_a_message_over_the_limit():
    async with siege() as attack:
        large = attack.attacker.message(bytes(pubsub.Params().max_message_size + 1))
        await attack.attacker.send(framed(publication(large)))
        await until(lambda: attack.drops("too_large") == 1)
        assert attack.core.peers[attack.attacker.id].faults > 0


async def test_topics_that_are_no_text_are_passed_over():
    async with siege() as attack:
        name = field_of(2, b"\xff\xfe")
        await attack.attacker.send(framed(field_of(1, field_of(1, 1) + name)))
        await attack.attacker.say(field_of(3, field_of(1, b"\xff")), graft("guess"))
        await until(lambda: attack.drops("graft_unknown_topic") == 1)
        assert len(attack.core.topics) == 1
