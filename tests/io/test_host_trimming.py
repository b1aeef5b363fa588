"""Too many connections: the least valued peers go."""

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
