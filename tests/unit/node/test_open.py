"""Putting a node together: what is refused, and how discovered peers are dialled."""

from __future__ import annotations

import pytest
import trio
import trio.testing

import pubsub
from pubsub.identity import Address, PeerId, PrivateKey, peer_id_of
from pubsub.node.open import MAX_CALLS, Callers


class FakeHost:
    """Dials take as long as nobody lets them end."""

    def __init__(self) -> None:
        self.dialled: list[PeerId | None] = []
        self.let_go = trio.Event()

    async def connect(self, *addresses: Address) -> PeerId:
        self.dialled.append(addresses[0].peer)
        await self.let_go.wait()
        raise pubsub.DialError("nobody there")


def address(number: int) -> Address:
    key = PrivateKey(number.to_bytes(32, "big"))
    return Address("ip4", "127.0.0.1", 4001 + number, peer_id_of(key.public_key))


async def test_few_discovered_peers_are_dialled_at_a_time_and_each_once() -> None:
    host = FakeHost()
    async with trio.open_nursery() as nursery:
        callers = Callers(host, nursery)
        for _ in range(3):
            for number in range(300):
                callers.call([address(number)])
        await trio.testing.wait_all_tasks_blocked()
        # trio starts tasks in random order.
        assert set(host.dialled) == {address(number).peer for number in range(MAX_CALLS)}
        assert len(host.dialled) == MAX_CALLS
        callers.call([])
        host.let_go.set()
        await trio.testing.wait_all_tasks_blocked()
        callers.call([address(0)])
        await trio.testing.wait_all_tasks_blocked()
        assert len(host.dialled) == MAX_CALLS + 1


@pytest.mark.parametrize("name", ["listen", "bootstrap"])
async def test_a_text_in_the_place_of_a_list_is_pointed_out(name: str) -> None:
    with pytest.raises(pubsub.ParamError, match="takes a list of addresses"):
        async with pubsub.open_node(**{name: "/ip4/127.0.0.1/tcp/0"}):
            raise AssertionError("it opened")


async def test_a_bootstrap_peer_that_is_not_there_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pubsub.open_node(bootstrap=["/ip4/127.0.0.1/tcp/1"]):
        with trio.fail_after(5):
            while not caplog.messages:  # noqa: ASYNC110 - a log announces nothing
                await trio.sleep(0.01)
    assert "bootstrap peer /ip4/127.0.0.1/tcp/1" in caplog.messages[0]
