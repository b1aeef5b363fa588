"""Known peers are dialled again for as long as it takes, gently."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.discovery.bootstrap import grouped_by_peer, keep_connected, wait_before_dial
from pubsub.errors import DialError
from pubsub.identity import Address, PeerId, PrivateKey, peer_id_of

US, ANN, BOB = (peer_id_of(PrivateKey(bytes([n]) * 32).public_key) for n in range(3))


def address(peer: PeerId | None, port: int = 1) -> Address:
    return Address("ip4", "127.0.0.1", port, peer)


class FakeHost:
    """Reaches whom `answers` says, and notes when it was asked."""

    def __init__(self, answers: Callable[[tuple[Address, ...]], PeerId | None]) -> None:
        self.peer_id = US
        self.answers = answers
        self.dials: list[float] = []
        self.dialled: list[tuple[Address, ...]] = []
        self.peers: list[PeerId] = []
        self.listeners: list[Any] = []

    async def connect(self, *addresses: Address) -> PeerId:
        self.dials.append(trio.current_time())
        self.dialled.append(addresses)
        await trio.lowlevel.checkpoint()
        peer = self.answers(addresses)
        if peer is None:
            raise DialError("refused")
        self.join(peer)
        return peer

    def connected_peers(self) -> list[PeerId]:
        return list(self.peers)

    def add_listener(self, listener: Any) -> None:
        self.listeners.append(listener)

    def join(self, peer: PeerId) -> None:
        if peer not in self.peers:
            self.peers.append(peer)
            for listener in self.listeners:
                listener.peer_connected(peer, object())
                listener.peer_identified(peer, ())

    def lose(self, peer: PeerId) -> None:
        self.peers.remove(peer)
        for listener in self.listeners:
            listener.peer_disconnected(peer)


async def run_for(
    seconds: float, host: FakeHost, *addresses: Address, **options: Any
) -> trio.CancelScope:
    with trio.move_on_after(seconds) as scope:
        await keep_connected(host, addresses, rng=random.Random(1), **options)
    return scope


async def test_an_absent_peer_is_dialled_ever_more_rarely(autojump_clock: MockClock) -> None:
    host = FakeHost(lambda _: None)
    said: list[tuple[Address, str]] = []
    where = address(ANN)
    await run_for(600, host, where, on_failure=lambda *failure: said.append(failure))
    waits = [after - before for before, after in zip(host.dials, host.dials[1:], strict=False)]
    assert host.dials[0] == pytest.approx(0, abs=0.1)
    for failures, wait in enumerate(waits, start=1):
        ceiling = min(60.0, 2.0**failures)
        assert ceiling / 2 <= wait <= ceiling
    assert 12 <= len(host.dials) <= 25
    assert said == [(where, "refused")] * len(host.dials)


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
        nursery.start_soon(run_for, 1000, host, address(ANN))
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
        await run_for(600, host, address(ANN))
    assert len(host.dials) <= 25


async def test_a_peer_that_comes_by_itself_is_not_dialled(autojump_clock: MockClock) -> None:
    host = FakeHost(lambda _: None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_for, 1000, host, address(ANN))
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
    await run_for(100, host, address(ANN))
    assert host.dials == []


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
