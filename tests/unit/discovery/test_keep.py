"""One peer is dialled again for as long as it takes, gently."""

from __future__ import annotations

import random
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.discovery.keep import keep_peer, wait_before_dial
from pubsub.errors import ParamError
from pubsub.identity import Address, PeerId
from tests.unit.discovery.fake_host import ANN, BOB, US, FakeHost, address


async def run_for(
    seconds: float, host: FakeHost, *addresses: Address, peer: PeerId = ANN, **options: Any
) -> None:
    """Keep ANN, by one address if none is given; nobody listens afterwards."""
    listeners = list(host.listeners)
    with trio.move_on_after(seconds):
        await keep_peer(host, peer, addresses or [address(ANN)], rng=random.Random(1), **options)
    assert host.listeners == listeners


async def test_an_absent_peer_is_dialled_ever_more_rarely(autojump_clock: MockClock) -> None:
    host = FakeHost(lambda _: None)
    said: list[tuple[Address, str]] = []
    await run_for(600, host, on_failure=lambda *failure: said.append(failure))
    waits = [after - before for before, after in zip(host.dials, host.dials[1:], strict=False)]
    assert host.dials[0] == pytest.approx(0, abs=0.1)
    for failures, wait in enumerate(waits, start=1):
        ceiling = min(60.0, 2.0**failures)
        assert ceiling / 2 <= wait <= ceiling
    assert 12 <= len(host.dials) <= 25
    assert said == [(address(ANN), "refused")] * len(host.dials)


@pytest.mark.parametrize("failures", [1, 2, 6, 7, 50, 100_000])
def test_waits_stay_within_a_second_and_a_minute(failures: int) -> None:
    rng = random.Random(failures)
    waits = [wait_before_dial(failures, rng) for _ in range(200)]
    assert min(waits) >= 1
    assert max(waits) <= 60
    assert max(waits) - min(waits) > 0.4, "without jitter all come back at once"


async def test_a_lost_peer_is_dialled_at_once(autojump_clock: MockClock) -> None:
    host = FakeHost(lambda _: ANN)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_for, 1000, host)
        await trio.sleep(100)
        assert len(host.dials) == 1
        host.lose(ANN)
        await wait_all_tasks_blocked()
        assert host.dials[1] == pytest.approx(100, abs=0.1)
        assert host.peers == [ANN]
        await trio.sleep(100)
        host.answers = lambda _: None
        host.lose(ANN)
        await trio.sleep(30)
        assert host.dials[2] == pytest.approx(200, abs=0.1)
        assert 1 <= host.dials[3] - host.dials[2] <= 2, "the backoff starts anew"
        nursery.cancel_scope.cancel()


async def test_a_peer_that_hangs_up_at_once_is_not_dialled_in_a_loop(
    autojump_clock: MockClock,
) -> None:
    host = FakeHost(lambda _: ANN)

    class HangUp:
        def peer_connected(self, peer: PeerId, connection: object) -> None:
            nursery.start_soon(self._later, peer)

        async def _later(self, peer: PeerId) -> None:
            host.lose(peer)

        def peer_identified(self, *_: object) -> None: ...

        def peer_disconnected(self, peer: PeerId) -> None: ...

    host.add_listener(HangUp())
    async with trio.open_nursery() as nursery:
        await run_for(600, host)
    assert len(host.dials) <= 25


async def test_a_peer_that_comes_by_itself_is_not_dialled(autojump_clock: MockClock) -> None:
    host = FakeHost(lambda _: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_for, 1000, host)
        await trio.sleep(20)
        dials = len(host.dials)
        host.join(ANN)
        await trio.sleep(200)
        assert len(host.dials) == dials
        host.lose(ANN)
        await wait_all_tasks_blocked()
        assert len(host.dials) == dials + 1
        nursery.cancel_scope.cancel()


async def test_already_connected_peers_are_left_alone(autojump_clock: MockClock) -> None:
    host = FakeHost(lambda _: None)
    host.join(ANN)
    await run_for(100, host)
    assert host.dials == []


async def test_it_can_be_started_and_cancelled_at_any_time(autojump_clock: MockClock) -> None:
    answers: list[PeerId | None] = [None]
    host = FakeHost(lambda _: answers[0])
    await run_for(30, host)
    dials = len(host.dials)
    await trio.sleep(1000)
    assert len(host.dials) == dials
    answers[0] = ANN
    await run_for(30, host)
    assert host.peers == [ANN], "it stays connected"
    await run_for(30, host)
    assert len(host.dials) == dials + 1


async def test_it_can_be_cancelled_while_it_dials(autojump_clock: MockClock) -> None:
    class SlowHost(FakeHost):
        async def connect(self, *addresses: Address) -> PeerId:
            await trio.sleep(15)
            return await super().connect(*addresses)

    host = SlowHost(lambda _: ANN)
    await run_for(14, host)
    await trio.sleep(100)
    assert host.peers == []
    await run_for(16, host)
    assert host.peers == [ANN]


async def test_it_is_dialled_by_all_of_its_addresses(autojump_clock: MockClock) -> None:
    host = FakeHost(lambda addresses: ANN if address(ANN, 3) in addresses else None)
    await run_for(5, host, address(ANN, 2), address(None, 3), address(ANN, 3))
    assert host.dialled == [(address(ANN, 2), address(ANN, 3))]
    assert host.peers == [ANN]


async def test_two_peers_are_kept_side_by_side(autojump_clock: MockClock) -> None:
    host = FakeHost(lambda addresses: addresses[0].peer)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: keep_peer(host, ANN, [address(ANN)], rng=random.Random(1)))
        nursery.start_soon(lambda: keep_peer(host, BOB, [address(BOB)], rng=random.Random(2)))
        await trio.sleep(50)
        host.lose(BOB)
        await wait_all_tasks_blocked()
        assert host.dialled[2:] == [(address(BOB),)]
        assert sorted(host.peers) == sorted([ANN, BOB])
        nursery.cancel_scope.cancel()


async def test_we_do_not_keep_ourselves() -> None:
    host = FakeHost(lambda _: US)
    await keep_peer(host, US, [address(US)], rng=random.Random(1))
    assert host.dials == []


@pytest.mark.parametrize("addresses", [[], [address(BOB)], [address(ANN), address(BOB)]])
async def test_addresses_are_needed_and_must_be_the_peers_own(addresses: list[Address]) -> None:
    with pytest.raises(ParamError, match=f"give one or more addresses of {ANN}, not "):
        await keep_peer(FakeHost(lambda _: ANN), ANN, addresses, rng=random.Random(1))
