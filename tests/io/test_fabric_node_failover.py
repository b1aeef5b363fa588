"""The leader that gets blocks from the orderer is killed, replaced, and comes back."""

from __future__ import annotations

import pytest

from tests.io.fabric_accounts import Accounts
from tests.io.fabric_peers import QUICK, Channel, are_meshed, open_town
from tests.io.nodes import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LONG = 90.0
PARAMS = QUICK.replaced(alive_time_interval=0.6, alive_expiration_timeout=6.0, conn_timeout=10.0)


async def test_a_killed_leader_is_replaced_and_one_leads_when_it_is_back(monkeypatch):
    accounts = Accounts(monkeypatch)
    channel = Channel.make(orgs=[1])
    async with open_town() as town:
        peers = await town.open_many(1, 4, params=PARAMS, external=False)
        for service in peers:
            await town.joins(service, channel)
        await are_meshed(channel, peers)
        channel.orders(3)
        await town.all_at(channel, 4, seconds=LONG)

        [old] = town.leaders(channel, peers)
        left = [service for service in peers if service is not old]
        await town.kills(old)
        channel.orders(3)
        await until(lambda: len(town.leaders(channel, left)) == 1, LONG)
        await town.all_at(channel, 7, left, seconds=LONG)
        await until(lambda: all(_takes_for_dead(each, old) for each in left), LONG)

        back = await town.opens(1, peers.index(old), bootstrap=left, params=PARAMS, external=False)
        assert back.pki_id == old.pki_id
        await town.joins(back, channel)
        assert back.height(channel.name) == 4
        everyone = [*left, back]
        await are_meshed(channel, everyone)
        channel.orders(3)
        await town.all_at(channel, 10, everyone, seconds=LONG)
        # Who was elected meanwhile may give way to a lower PKI-ID; then one remains.
        await _one_remains(town, channel, everyone)
        ledgers = [town.ledger(each, channel) for each in everyone]
        assert {ledger.last_hash for ledger in ledgers} == {channel.maker.last.hash}
        await accounts.balance(left)


def _takes_for_dead(service, other):
    dead = [each for each in service.snapshot()["members"] if not each["is_alive"]]
    return other.pki_id.hex() in [each["pki_id"] for each in dead]


async def _one_remains(town, channel, services):
    """Wait until one has said three times that it leads, and nobody else led meanwhile."""
    leaders, begun = [], 0

    def is_settled():
        nonlocal leaders, begun
        found = town.leaders(channel, services)
        if found != leaders or len(found) != 1:
            leaders, begun = found, _said(found[0]) if found else 0
            return False
        return _said(found[0]) >= begun + 3

    await until(is_settled, LONG)


def _said(leader):
    return leader._engine.peer.channel("sales")._leadership._sequence
