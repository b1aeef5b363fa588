"""A few Fabric peers on loopback: all that the service says it does."""

from __future__ import annotations

from tests.io.fabric_peers import Channel, open_town


async def test_two_organizations_carry_blocks_to_every_ledger():
    channel = Channel.make()
    async with open_town() as town:
        for number in (1, 2):
            first = await town.opens(number, 0)
            others = [await town.opens(number, peer, bootstrap=[first]) for peer in (1, 2)]
            for service in [first, *others]:
                await town.joins(service, channel)
        channel.orders(5)
        await town.all_at(channel, 6)
        assert len({s.org for s in town.services if s.is_leader("sales")}) == 2
    assert len({ledger["sales"].last_hash for ledger in town.ledgers.values()}) == 1
