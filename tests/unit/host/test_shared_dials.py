from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.errors import DialError
from pubsub.host.shared_dials import SharedDials
from pubsub.identity import Address, PeerId

ALICE, BOB = PeerId(b"\x00\x05alice"), PeerId(b"\x00\x03bob")


def at(port: int, peer: PeerId | None = ALICE) -> Address:
    return Address("ip4", "127.0.0.1", port, peer)


DEAD, SLOW, GOOD, MUTE = at(1), at(2), at(3), at(4)


class Network:
    """DEAD refuses, SLOW answers in 10 s, GOOD in 1 s, MUTE never."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.dials = SharedDials(self.dial)
        self.tried: list[tuple[float, Address]] = []
        self.connections = 0
        self.given_up = 0

    async def dial(self, addresses: Sequence[Address], peer: PeerId) -> None:
        self.tried += [(trio.current_time(), address) for address in addresses]
        ports = {address.port for address in addresses}
        try:
            if MUTE.port in ports:
                await trio.sleep_forever()
            await trio.sleep(1 if GOOD.port in ports else 10 if SLOW.port in ports else 0)
        except trio.Cancelled:
            self.given_up += 1
            raise
        if ports == {DEAD.port}:
            raise DialError(f"could not connect: {peer} refused")
        self.connections += 1

    async def join(self, *addresses: Address, limit: float = 60, after: float = 0) -> float:
        """When it was connected; DialError if it was not, TooSlowError if not in time."""
        await trio.sleep(after)
        with trio.fail_after(limit):
            await self.dials.join(self.nursery, addresses[0].peer or ALICE, addresses)
        return trio.current_time()


@asynccontextmanager
async def network() -> AsyncIterator[Network]:
    async with trio.open_nursery() as nursery:
        yield Network(nursery)
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks, "a leg outlives those who waited for it"


async def test_all_who_want_a_peer_share_one_dial(autojump_clock: MockClock) -> None:
    async with network() as net, trio.open_nursery() as nursery:
        for address in (GOOD, GOOD, GOOD.with_peer(None)):
            nursery.start_soon(net.join, address)
        nursery.start_soon(net.join, at(GOOD.port, BOB))
    assert len(net.tried) == net.connections == 2


async def test_addresses_that_are_not_being_tried_are_tried_at_once(
    autojump_clock: MockClock,
) -> None:
    async with network() as net, trio.open_nursery() as nursery:
        nursery.start_soon(net.join, MUTE)
        assert await net.join(MUTE, GOOD, after=5) == 6
        # Who waited in vain has the connection too, and nothing is dialled any more.
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks
    assert net.tried == [(0, MUTE), (5, GOOD)]
    assert (net.connections, net.given_up) == (1, 1)


async def test_false_addresses_do_not_spoil_the_dial_that_they_join(
    autojump_clock: MockClock,
) -> None:
    async with network() as net, trio.open_nursery() as nursery:
        nursery.start_soon(net.join, SLOW)
        assert await net.join(DEAD, after=1) == 10
        assert net.connections == 1


async def test_it_fails_when_every_address_has(autojump_clock: MockClock) -> None:
    async with network() as net:
        for _ in range(2):
            with pytest.raises(DialError, match=f"could not connect: {ALICE} refused"):
                await net.join(DEAD)
    assert len(net.tried) == 2, "an address that failed may be tried again"


async def test_each_has_its_own_time_limit_and_the_dial_that_of_the_most_patient(
    autojump_clock: MockClock,
) -> None:
    async with network() as net, trio.open_nursery() as nursery:

        async def impatient() -> None:
            with pytest.raises(trio.TooSlowError):
                await net.join(SLOW, limit=3)
            assert trio.current_time() == 3

        nursery.start_soon(impatient)
        assert await net.join(SLOW, after=1, limit=20) == 10
    assert net.tried == [(0, SLOW)]


async def test_a_dial_that_nobody_waits_for_is_given_up_and_cannot_be_joined(
    autojump_clock: MockClock,
) -> None:
    async with network() as net:
        with trio.move_on_after(2):
            await net.join(SLOW)
        # Its legs have not been told yet.
        assert net.given_up == 0
        assert await net.join(SLOW) == 12
        assert net.given_up == 1


async def test_a_host_that_is_stopped_leaves_nobody_waiting(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as user, trio.open_nursery() as host:
        net = Network(host)

        async def connect() -> None:
            with pytest.raises(DialError, match="the dial was given up"):
                await net.join(MUTE)

        user.start_soon(connect)
        await wait_all_tasks_blocked()
        host.cancel_scope.cancel()
