"""A few Fabric peers on loopback: all that the service says it does."""

from __future__ import annotations

import os

import pytest

from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric.topics import Scope
from pubsub.fabric_node import FileDelivery, MemoryLedger, open_fabric_peer
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.io.fabric_peers import QUICK, SOON, WHEN, Channel, open_town
from tests.io.nodes import until


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


async def test_blocks_pushed_to_the_whole_channel_need_one_leader():
    channel = Channel.make()
    quiet = QUICK.replaced(state_enabled=False)
    async with open_town() as town:
        ours = await town.opens(1, 0, params=quiet, scope=Scope.CHANNEL)
        theirs = await town.opens(2, 0, params=quiet, scope=Scope.CHANNEL)
        await town.joins(ours, channel)
        # Its organization has no access to an orderer.
        ledger = town.ledger(theirs, channel)
        await theirs.join_channel(channel.genesis.raw, ledger=ledger, delivery=FileDelivery("."))
        await ours.node.connect(theirs.node.addresses[0])
        await until(lambda: ours.is_leader("sales"), SOON)
        blocks = next(topic for topic in ours.node.snapshot()["mesh"] if topic.endswith("/blocks"))
        await until(lambda: ours.node.mesh(blocks) == [theirs.node.peer_id], SOON)
        channel.orders(3)
        await town.all_at(channel, 4)
    assert ledger.last_hash == town.ledger(ours, channel).last_hash


async def test_a_large_block_is_announced_and_fetched():
    channel = Channel.make(orgs=(1,))
    quiet = QUICK.replaced(state_enabled=False, pull_interval=60.0)
    async with open_town() as town:
        first = await town.opens(1, 0, params=quiet, announce_above=4096)
        second = await town.opens(1, 1, params=quiet, bootstrap=[first], announce_above=4096)
        for service in (first, second):
            await town.joins(service, channel)
        await until(lambda: any(each.is_leader("sales") for each in town.services), SOON)
        await until(lambda: first.peers_of_channel("sales") and second.peers_of_channel("sales"))
        channel.orders(1, size=100)
        await town.all_at(channel, 2)
        channel.orders(1, size=1 << 20)
        await town.all_at(channel, 3)
        follower = next(each for each in town.services if not each.is_leader("sales"))
        assert follower.snapshot()["topics"]["blocks fetched"] == 1


async def test_peers_of_another_network_do_not_meet(caplog: pytest.LogCaptureFixture):
    async with open_town() as town:
        ours = await town.opens(1, 0, network="a")
        theirs = await town.opens(1, 1, network="b")
        await ours.node.connect(theirs.node.addresses[0])
        await until(lambda: not ours.node.host.connected_peers())
        assert ours.peers() == theirs.peers() == []
    assert "no stream for proofs of identity" in caplog.text


@pytest.mark.slow
async def test_a_peer_without_a_delivery_gives_way_to_one_that_has_one():
    channel = Channel.make(orgs=(1,))
    async with open_town() as town:
        first = await town.opens(1, 0)
        ledger = town.ledger(first, channel)
        await first.join_channel(channel.genesis.raw, ledger=ledger)
        await until(lambda: first.is_leader("sales"), SOON)
        second = await town.opens(1, 1, bootstrap=[first])
        await town.joins(second, channel)
        channel.orders(3)
        await town.all_at(channel, 4)
        assert second.is_leader("sales")


async def test_what_a_peer_sends_to_one_that_reads_nothing_is_counted():
    async with open_town() as town:
        first = await town.opens(1, 0)
        second = await town.opens(1, 1, bootstrap=[first])
        await until(lambda: second.peers())
        await second.send(GossipMessage(nonce=1, private_data={"payload": {}}), first.pki_id)
        counted = "messages to us alone that nobody accepts"
        await until(lambda: first.snapshot()["warnings"].get(counted) == 1)


async def test_a_channel_that_does_not_know_us_is_told_of(caplog: pytest.LogCaptureFixture):
    channel = Channel.make(orgs=(1,))
    stranger = OrganizationMaker("org1.example.com", "Org1MSP", entropy=os.urandom, when=WHEN)
    member = stranger.add_peers(1, when=WHEN)[0]
    async with open_fabric_peer(member.signer, stranger.msp()) as service:
        await service.join_channel(channel.genesis.raw, ledger=MemoryLedger())
    assert "its configuration refuses our own certificate" in caplog.text
