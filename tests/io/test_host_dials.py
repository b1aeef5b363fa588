"""Dials that nobody waits for: peers that other peers told us of."""

import pytest
import trio

from pubsub.errors import ClosedError
from pubsub.host import Host, HostParams
from pubsub.identity import Address, PrivateKey
from tests.io.hosts import Node, Resolver, mute_address, until, world

FAR = Address("ip4", "203.0.113.7", 4001)


def appear_at(node: Node, peer: Node, host: str) -> None:
    """Make `node` believe that its connection to `peer` leads to another IP address."""
    for connection in node.host._connections[peer.id]:
        connection.address = Address("ip6" if ":" in host else "ip4", host, 4001)


async def test_a_peer_that_another_told_of_is_dialled() -> None:
    async with world() as w:
        a, b, hub = await w.node(), await w.node(), await w.node()
        await a.host.connect(hub.address)
        assert a.host.dial_later(b.id, [b.address], source=hub.id)
        await a.log.seen("connected", 2)
        assert a.host.is_connected(b.id)
        assert not a.host.dial_later(b.id, [b.address])
        assert not a.host.dial_later(a.id, [a.address])


async def test_addresses_on_record_serve_if_none_is_given() -> None:
    async with world() as w:
        a, b = await w.node(HostParams(dial_private=True)), await w.node()
        assert not a.host.dial_later(b.id)
        a.host.peer_store.add_addresses(b.id, [b.address])
        assert a.host.dial_later(b.id)
        await a.log.seen("connected")


async def test_addresses_of_another_peer_are_left_out() -> None:
    async with world() as w:
        a, b, c = await w.node(), await w.node(), await w.node()
        assert not a.host.dial_later(b.id, [c.address])


@pytest.mark.parametrize("told_by", [None, "8.8.8.8", "10.0.0.1", "2606:4700::1"])
async def test_strangers_do_not_send_us_to_our_own_machine(told_by: str | None) -> None:
    async with world() as w:
        a, b, hub = await w.node(), await w.node(), await w.node()
        if told_by is not None:
            await a.host.connect(hub.address)
            appear_at(a, hub, told_by)
        for source in (hub.id, None):
            assert a.host.dial_later(b.id, [b.address], source=source)
            await until(lambda: a.host.counters.pop("skipped_addresses", 0) == 1)
            assert a.host.counters.pop("failed_background_dials") == 1
        assert not a.host.is_connected(b.id)


async def test_of_an_unknown_source_the_farthest_peer_is_assumed() -> None:
    async with world() as w:
        a, b, near, far = [await w.node() for _ in range(4)]
        for peer in (near, far):
            await a.host.connect(peer.address)
        appear_at(a, far, "8.8.8.8")
        a.host.dial_later(b.id, [b.address])
        await until(lambda: a.host.counters.get("skipped_addresses") == 1)
        await until(lambda: a.host.dial_later(b.id, [b.address], source=near.id))
        await a.log.seen("connected", 3)
        assert a.host.is_connected(b.id)


async def test_a_name_does_not_lead_around_that() -> None:
    trio.socket.set_custom_hostname_resolver(Resolver("innocent.example"))
    async with world() as w:
        a, b = await w.node(), await w.node()
        a.host.dial_later(b.id, [Address("dns4", "innocent.example", b.address.port)])
        await until(lambda: a.host.counters.get("failed_background_dials") == 1)
        assert a.host.counters["skipped_addresses"] == 1
        assert not b.host.connected_peers()


async def test_whom_the_gate_denies_is_not_dialled() -> None:
    async with world() as w:
        params = HostParams(dial_private=True)
        a, b = await w.node(params), await w.node()
        a.host.gate.deny(b.id)
        assert not a.host.dial_later(b.id, [b.address])
        assert a.host.counters == {"denied_dials": 1}
        a.host.gate.allow(b.id)
        a.host.gate.deny("127.0.0.0/8")
        assert a.host.dial_later(b.id, [b.address])
        await until(lambda: a.host.counters.get("failed_background_dials") == 1)
        assert a.host.counters["denied_dials"] == 2


async def test_with_enough_connections_nobody_is_dialled() -> None:
    async with world() as w:
        a = await w.node(HostParams(low_water=1, high_water=1, dial_private=True))
        b, c = await w.node(), await w.node()
        await a.host.connect(b.address)
        assert not a.host.dial_later(c.id, [c.address])
        assert a.host.counters == {"dropped_dials": 1}


async def test_who_waits_for_a_peer_does_not_wait_for_the_addresses_of_a_stranger() -> None:
    async with world() as w:
        params = HostParams(dial_private=True, background_dial_timeout=0.1)
        a, b = await w.node(params), await w.node()
        with mute_address() as nowhere:
            assert a.host.dial_later(b.id, [nowhere])
            await trio.lowlevel.checkpoint()
            with trio.fail_after(5):
                await a.host.connect(b.address)
            await until(lambda: a.host.counters == {"failed_background_dials": 1})


async def test_a_host_that_does_not_run_says_so() -> None:
    key = PrivateKey(bytes(32))
    host = Host(key)
    with pytest.raises(ClosedError, match="the host is not running"):
        host.dial_later(host.peer_id, [FAR])
