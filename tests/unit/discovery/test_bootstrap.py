"""Known peers are kept, each on its own."""

from __future__ import annotations

import random

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.discovery.bootstrap import grouped_by_peer, keep_connected
from pubsub.identity import Address
from tests.unit.discovery.fake_host import ANN, BOB, US, FakeHost, address


async def run_for(seconds: float, host: FakeHost, *addresses: Address) -> None:
    with trio.move_on_after(seconds):
        await keep_connected(host, addresses, rng=random.Random(1))


async def test_an_address_without_a_peer_id_is_kept_too(autojump_clock: MockClock) -> None:
    host = FakeHost(lambda _: ANN)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_for, 1000, host, address(None))
        await trio.sleep(50)
        assert host.peers == [ANN]
        # It comes back with another key.
        host.answers = lambda _: BOB
        host.lose(ANN)
        await wait_all_tasks_blocked()
        assert host.peers == [BOB]
        host.answers = lambda _: None
        await trio.sleep(50)
        host.lose(BOB)
        await trio.sleep(5)
        assert len(host.dials) > 3
        nursery.cancel_scope.cancel()


async def test_peers_are_kept_independently(autojump_clock: MockClock) -> None:
    host = FakeHost(lambda addresses: BOB if addresses[0].peer == BOB else None)
    await run_for(50, host, address(ANN), address(BOB, 2), address(BOB, 3), address(US, 4))
    assert host.peers == [BOB]
    assert (address(BOB, 2), address(BOB, 3)) in host.dialled
    assert all(US not in [where.peer for where in dialled] for dialled in host.dialled)


def test_addresses_are_grouped_by_peer() -> None:
    a1, a2, b, n1, n2 = (
        *(address(ANN, 1), address(ANN, 2), address(BOB, 3)),
        *(address(None, 4), address(None, 5)),
    )
    assert grouped_by_peer([a1, n1, b, a2, n2, a1]) == [[a1, a2], [n1], [b], [n2]]


async def test_nothing_to_keep_is_done_at_once() -> None:
    await keep_connected(FakeHost(lambda _: None), [], rng=random.Random(1))
