"""Ledgers that are hundreds of blocks behind catch up while blocks go on."""

from __future__ import annotations

import threading

import pytest
import trio

from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric.payload_buffer import PayloadBuffer
from pubsub.fabric_node.sqlite_ledger import SqliteLedger
from tests.io.fabric_accounts import Accounts
from tests.io.fabric_peers import QUICK, Channel, are_meshed, open_town
from tests.io.nodes import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LONG = 90.0
PARAMS = QUICK.replaced(
    alive_time_interval=0.6,
    alive_expiration_timeout=8.0,
    conn_timeout=10.0,
    state_check_interval=0.3,
)
BOUND = 2 * PARAMS.state_block_buffer_size + PARAMS.state_batch_size


@pytest.fixture
def fullest(monkeypatch):
    """The most blocks that any buffer has held at a time."""
    most = [0]
    keep = PayloadBuffer._keep

    def watched(buffer, payload):
        pushed = keep(buffer, payload)
        most[0] = max(most[0], len(buffer))
        return pushed

    monkeypatch.setattr(PayloadBuffer, "_keep", watched)
    return most


async def test_a_late_and_a_restarted_peer_catch_up_with_hundreds_of_blocks(
    tmp_path, fullest, monkeypatch
):
    accounts = Accounts(monkeypatch)
    channel = Channel.make(orgs=[1])
    path = tmp_path / "restarted.sqlite"
    async with open_town() as town:
        with SqliteLedger.open(path, channel.name) as ledger:
            peers = await town.open_many(1, 3, params=PARAMS, external=False)
            for service in peers[:2]:
                await town.joins(service, channel)
            await town.joins(peers[2], channel, ledger)
            await are_meshed(channel, peers)
            channel.orders(10)
            await town.all_at(channel, 11, seconds=LONG)
            restarted = peers[2]
            await town.stops(restarted)
            assert ledger.height == 11

        stayed = peers[:2]
        channel.orders(500)
        await town.all_at(channel, 511, stayed, seconds=LONG)

        with (
            SqliteLedger.open(path, channel.name) as old,
            SqliteLedger.open(tmp_path / "late.sqlite", channel.name) as new,
        ):
            assert old.height == 11
            behind = [
                await town.opens(1, peer, bootstrap=stayed, params=PARAMS, external=False)
                for peer in (2, 3)
            ]
            assert behind[0].pki_id == restarted.pki_id
            await town.joins(behind[0], channel, old)
            await town.joins(behind[1], channel, new)
            await _orders_until(channel, lambda: min(map(_height, behind)) > 300)
            end = channel.orderer.height
            assert end > 511
            await town.all_at(channel, end, seconds=LONG)
            for ledger in (old, new):
                ledger.check()
                assert ledger.last_hash == channel.maker.last.hash
            # What was on its way to the restarted one when it was stopped is known to nobody.
            await accounts.balance([*stayed, behind[1]])
            await _stops_all(town)
        assert PARAMS.state_batch_size < fullest[0] <= BOUND


def _height(service):
    return service.height("sales")


async def _orders_until(channel, done):
    """Blocks go on while the others catch up."""
    with trio.fail_after(LONG):
        while not done():
            channel.orders(1)
            await trio.sleep(0.05)


async def _stops_all(town):
    """Before their ledgers are closed."""
    for service in list(town.services):
        await town.stops(service)


async def test_blocks_wait_behind_a_slow_ledger_within_bounds(fullest):
    """The orderer gives faster than the ledger takes."""

    gate = threading.Semaphore(1)

    class SlowLedger(MemoryLedger):
        def append(self, number, raw):
            assert gate.acquire(timeout=LONG)
            super().append(number, raw)

    channel = Channel.make(orgs=[1])
    alone = PARAMS.replaced(use_leader_election=False, org_leader=True)
    async with open_town() as town:
        peer = await town.opens(1, 0, params=alone, external=False)
        ledger = SlowLedger()
        await town.joins(peer, channel, ledger)
        channel.orders(200)
        # The leader is not further ahead of its ledger than all others would take.
        ahead = PARAMS.state_block_buffer_size // 2
        await until(lambda: fullest[0] >= ahead, LONG)
        assert peer.height("sales") == 1
        gate.release(200)
        await town.all_at(channel, 201, seconds=LONG)
        assert fullest[0] <= ahead + 1
