from __future__ import annotations

import random

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.errors import ClosedError, NotEnoughPeersError
from pubsub.fabric.criteria import AckCollector
from pubsub.fabric_node.acks import Acks, nonces

NONCES = {b"ann": 1, b"bob": 2, b"cyd": 3}


def collector(min_ack: int, *, seconds: float = 10) -> AckCollector:
    return AckCollector(min_ack, NONCES, deadline=trio.current_time() + seconds)


async def outcome(acks: Acks, waited: AckCollector) -> str:
    try:
        await acks.wait(waited)
    except (NotEnoughPeersError, ClosedError) as error:
        return str(error)
    return "enough"


async def test_enough_acknowledgements_end_the_wait(
    nursery: trio.Nursery, autojump_clock: MockClock
):
    acks, told = Acks(), []
    waited = collector(2)
    with acks.collecting(waited):

        async def wait() -> None:
            told.append(await outcome(acks, waited))

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        acks.take(b"ann", 1, "")
        acks.take(b"ann", 1, "")
        acks.take(b"bob", 3, "")
        acks.take(b"eve", 2, "")
        await wait_all_tasks_blocked()
        assert (told, acks.unexpected) == ([], 3)
        acks.take(b"cyd", 3, "")
        await wait_all_tasks_blocked()
    assert told == ["enough"]
    acks.take(b"bob", 2, "")
    assert acks.unexpected == 4


async def test_none_wanted_is_enough_at_once(autojump_clock: MockClock):
    acks, waited = Acks(), collector(0)
    with acks.collecting(waited):
        assert await outcome(acks, waited) == "enough"


async def test_refusals_and_those_that_are_gone_are_counted(autojump_clock: MockClock):
    acks, waited = Acks(), collector(2)
    with acks.collecting(waited):
        acks.take(b"ann", 1, "no room")
        acks.gone(b"bob")
        acks.gone(b"eve")
        acks.take(b"cyd", 3, "")
        said = await outcome(acks, waited)
    assert said == '{"failures":{"disconnected":1,"no room":1},"successes":1}'
    assert trio.current_time() == 0


async def test_whoever_says_nothing_in_time_has_failed(autojump_clock: MockClock):
    acks, waited = Acks(), collector(1, seconds=7)
    with acks.collecting(waited):
        assert await outcome(acks, waited) == '{"failures":{"timed out":3}}'
    assert trio.current_time() == 7


async def test_each_collector_has_its_own(autojump_clock: MockClock):
    acks, first = Acks(), collector(1)
    second = AckCollector(1, {b"ann": 9}, deadline=5)
    with acks.collecting(first), acks.collecting(second):
        acks.take(b"ann", 9, "")
        assert await outcome(acks, second) == "enough"
        assert first.acknowledged == 0


async def test_who_waits_is_told_that_the_service_has_stopped(
    nursery: trio.Nursery, autojump_clock: MockClock
):
    acks, waited, told = Acks(), collector(1), []
    with acks.collecting(waited):

        async def wait() -> None:
            told.append(await outcome(acks, waited))

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        acks.close()
        await wait_all_tasks_blocked()
        assert told == ["this service has stopped"]
        assert await outcome(acks, waited) == "this service has stopped"


def test_each_peer_has_a_nonce_of_its_own():
    made = nonces([b"ann", b"bob"], random.Random(1))
    assert list(made) == [b"ann", b"bob"]
    assert len({*made.values(), 0}) == 3
