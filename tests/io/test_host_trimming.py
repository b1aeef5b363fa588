"""Too many connections: the least valued peers go."""

import math

import pytest

from pubsub.errors import ParamError
from pubsub.host import HostParams
from tests.io.hosts import world


async def test_above_the_high_watermark_the_lowest_values_go_down_to_the_low_one() -> None:
    async with world() as w:
        hub = await w.node(HostParams(low_water=2, high_water=3, grace_period=1e-9))
        valued, plain, direct, late = [await w.node() for _ in range(4)]
        for number, node in enumerate((valued, plain, direct), 1):
            await node.host.connect(hub.address)
            await hub.log.seen("connected", number)
        hub.host.tag(valued.id, "mesh", 5)
        hub.host.protect(direct.id, "direct")
        await late.host.connect(hub.address)
        await hub.log.seen("disconnected", 2)
        assert hub.host.connected_peers() == [valued.id, direct.id]
        assert hub.host.counters["trimmed_connections"] == 2
        assert not hub.host.unprotect(direct.id, "direct")


async def test_the_value_of_a_peer_ends_with_its_last_connection() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        await a.host.connect(b.address)
        b.host.tag(a.id, "mesh", 5)
        await a.host.disconnect(b.id)
        await b.log.seen("disconnected")
        assert b.host._worth.value(a.id) == 0
        # Who is not there has none, or it would be kept for ever.
        b.host.tag(a.id, "mesh", 5)
        await a.host.connect(b.address)
        await b.log.seen("connected", 2)
        assert b.host._worth.value(a.id) == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
async def test_a_value_that_is_no_number_is_refused(value: float) -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        await a.host.connect(b.address)
        with pytest.raises(ParamError, match="must be a finite number"):
            a.host.tag(b.id, "mesh", value)


async def test_a_listener_can_tag_a_peer_as_soon_as_it_is_there() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node()
        a.log.peer_connected = lambda peer, _: a.host.tag(peer, "mesh", 5)  # type: ignore[method-assign]
        await a.host.connect(b.address)
        assert a.host._worth.value(b.id) == 5


@pytest.mark.parametrize("inbound", [True, False])
async def test_a_protection_may_come_before_the_connection_and_survives_it(inbound: bool) -> None:
    async with world() as w:
        hub = await w.node(HostParams(low_water=1, high_water=2, grace_period=1e-9))
        direct = await w.node()
        hub.host.protect(direct.id, "direct")
        for round_ in range(1, 3):
            if inbound:
                await direct.host.connect(hub.address)
            else:
                await hub.host.connect(direct.address)
            await hub.log.until(lambda: hub.host.is_connected(direct.id))
            # Both others go, down to the low watermark, though one of them is worth more.
            for number in range(2):
                other = await w.node()
                await other.host.connect(hub.address)
                await hub.log.seen("connected", 3 * round_ - 1 + number)
                hub.host.tag(other.id, "mesh", 5)
            await hub.log.seen("disconnected", 3 * round_ - 1)
            assert hub.host.connected_peers() == [direct.id]
            await hub.host.disconnect(direct.id)
            await hub.log.seen("disconnected", 3 * round_)
