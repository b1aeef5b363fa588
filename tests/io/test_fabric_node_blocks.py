"""Blocks from an elected leader to all ledgers, by push alone and by pull alone."""

from __future__ import annotations

from collections import Counter

import pytest

from pubsub.fabric.block_verification import verify_block
from pubsub.fabric.peer import Peer
from tests.io.fabric_accounts import Accounts
from tests.io.fabric_peers import (
    CALM,
    Channel,
    are_meshed,
    know_one_another,
    open_town,
    pull_no_blocks,
)
from tests.io.nodes import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LONG = 120.0
LAZY = CALM.replaced(
    alive_time_interval=5.0,
    alive_expiration_timeout=50.0,
    state_enabled=False,
    pull_interval=4.5,
    digest_wait_time=1.0,
    request_wait_time=1.5,
    response_wait_time=3.0,
)
PULL_ALONE = LAZY.replaced(block_gossip_enabled=False)
PEERS, BLOCKS = 20, 10


@pytest.fixture
def verified(monkeypatch):
    """How often each block was verified, by all peers together."""
    counts = Counter()

    def counted(raw, number, config):
        counts[number] += 1
        return verify_block(raw, number, config)

    monkeypatch.setitem(Peer.__init__.__kwdefaults__, "verify", counted)
    return counts


def check_ledgers(town, channel):
    """Every ledger has what the orderer made, and nothing else."""
    for service in town.services:
        ledger = town.ledger(service, channel)
        assert ledger.height == channel.orderer.height
        for number in range(ledger.height):
            assert ledger.block(number) == channel.orderer._ledger.block(number)


async def test_push_alone_brings_each_block_once_to_twenty_peers(verified, monkeypatch):
    accounts = Accounts(monkeypatch)
    pull_no_blocks(monkeypatch)
    channel = Channel.make(orgs=[1])
    async with open_town() as town:
        peers = await town.open_many(1, PEERS, params=LAZY, external=False)
        await until(lambda: know_one_another(peers), LONG)
        for service in peers:
            await town.joins(service, channel)
        await are_meshed(channel, peers)
        channel.orders(BLOCKS)
        await town.all_at(channel, 1 + BLOCKS, seconds=LONG)
        check_ledgers(town, channel)
        assert verified == dict.fromkeys(range(1, 1 + BLOCKS), PEERS)
        [leader] = town.leaders(channel, peers)
        blocks = accounts.published(leader, "/blocks")
        assert len(blocks) == BLOCKS
        assert all(not accounts.published(s, "/blocks") for s in peers if s is not leader)
        await accounts.balance(peers)


async def test_pull_alone_brings_blocks_to_twenty_peers(verified, monkeypatch):
    accounts = Accounts(monkeypatch)
    channel = Channel.make(orgs=[1])
    async with open_town() as town:
        peers = await town.open_many(1, PEERS, params=PULL_ALONE, external=False)
        await until(lambda: know_one_another(peers), LONG)
        for service in peers:
            await town.joins(service, channel)
        await until(lambda: len(town.leaders(channel, peers)) == 1, LONG)
        channel.orders(BLOCKS)
        await town.all_at(channel, 1 + BLOCKS, seconds=LONG)
        check_ledgers(town, channel)
        assert set(verified) == set(range(1, 1 + BLOCKS))
        assert not any(accounts.published(service, "/blocks") for service in peers)
        await accounts.balance(peers)
