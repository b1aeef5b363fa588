"""Large blocks, and members of our own organization that would keep the true ones from us."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager

import pytest
import trio

from pubsub.fabric.access import Kind
from pubsub.fabric.announcement import announce, block_envelope, read_announcement
from pubsub.fabric.blocks import parse_block
from pubsub.fabric_node.large_blocks import BLOCK
from pubsub.pb.fabric import block_pb2
from tests.io.fabric_peers import QUICK, Channel, open_town, pull_no_blocks, topic_of
from tests.io.nodes import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]

LONG = 90.0
PARAMS = QUICK.replaced(
    alive_time_interval=1.0,
    alive_expiration_timeout=60.0,
    conn_timeout=10.0,
    state_enabled=False,
)
"State transfer does not help, nor does pull; see `_no_pull`."
HOSTILE = PARAMS.replaced(use_leader_election=False)
"Never leads."
ABOVE = 8192
BEATS = 2
"Heartbeats until the true block is there: one to ask others, and one that may just be due."


@pytest.fixture(autouse=True)
def _no_pull(monkeypatch):
    pull_no_blocks(monkeypatch)


async def test_a_block_of_20_mebibytes_reaches_two_organizations():
    channel = Channel.make()
    async with open_town() as town:
        for number in (1, 2):
            peers = await town.open_many(number, 3, params=PARAMS)
            for service in peers:
                await town.joins(service, channel)
            await _are_ready(channel, peers)
        channel.orders(1)
        await town.all_at(channel, 2, seconds=LONG)
        channel.orders(1, size=20 << 20)
        await town.all_at(channel, 3, seconds=250)
        for service in town.services:
            assert town.ledger(service, channel).last_hash == channel.maker.last.hash
        told = [service.snapshot()["topics"] for service in town.services]
        assert sum(each.get("blocks fetched", 0) for each in told) == 4
        assert sum(each.get("blocks given", 0) for each in told) == 4


async def test_a_forged_block_that_is_pushed_first_does_not_hold_up_the_true_one():
    async with _open_scene() as (town, channel, hostile, others):
        block = channel.block(2000)
        topic = topic_of(hostile, channel, Kind.BLOCKS)
        hostile.node.publish_nowait(topic, _envelope(channel, forged(block)))
        await until(lambda: all(_drops(s, "rejected_by_validator") for s in others), LONG)
        await _true_one_comes(town, channel, block, others)


async def test_a_forged_block_that_is_announced_first_does_not_hold_up_the_true_one():
    async with _open_scene() as (town, channel, hostile, others):
        block = channel.block(20_000)
        envelope = _envelope(channel, forged(block))
        announced = announce(envelope)
        hostile._engine.topics.large.keep(read_announcement(announced), envelope)
        hostile.node.publish_nowait(topic_of(hostile, channel, Kind.BLOCKS), announced)
        await until(lambda: all(_blamed(service) for service in others), LONG)
        await _true_one_comes(town, channel, block, others)


async def test_an_announcer_that_stalls_does_not_hold_up_the_block():
    async with _open_scene() as (town, channel, hostile, others):
        block = channel.block(20_000)
        envelope = _envelope(channel, block)
        asked = set()

        async def stall(stream):
            asked.add(stream.peer)
            await stream.send_all(b"\xff\xff\x01")
            await trio.sleep_forever()

        hostile.node.host.set_handler(BLOCK, stall)
        hostile.node.publish_nowait(topic_of(hostile, channel, Kind.BLOCKS), announce(envelope))
        await until(lambda: len(asked) == len(others), LONG)
        await _true_one_comes(town, channel, block, others)


@asynccontextmanager
async def _open_scene():
    """Four peers of one organization, and a fifth that will not do as they do."""
    channel = Channel.make(orgs=[1])
    async with open_town() as town:
        others = await town.open_many(1, 4, params=PARAMS, announce_above=ABOVE)
        hostile = await town.opens(1, 4, bootstrap=others, params=HOSTILE, announce_above=ABOVE)
        for service in town.services:
            await town.joins(service, channel)
        await _are_ready(channel, town.services)
        channel.orders(1)
        await town.all_at(channel, 2, seconds=LONG)
        yield town, channel, hostile, others


async def _are_ready(channel, peers):
    """Wait until each has all others in the mesh of blocks, and one leads."""

    def ready(service):
        topic = topic_of(service, channel, Kind.BLOCKS)
        meshed = len(service.node.mesh(topic)) == len(peers) - 1
        return meshed and len(service.peers_of_channel(channel.name)) >= len(peers) - 1

    await until(lambda: all(map(ready, peers)), LONG)
    await until(lambda: sum(s.is_leader(channel.name) for s in peers) == 1, LONG)


async def _true_one_comes(town, channel, block, others):
    before = [_beats(service) for service in others]
    channel.orderer.add_block(block.raw)
    took = {}

    def arrived():
        for service, had in zip(others, before, strict=True):
            if service.height(channel.name) == 3:
                took.setdefault(service.pki_id, _beats(service) - had)
        return len(took) == len(others)

    await until(arrived, LONG)
    assert max(took.values()) <= BEATS
    assert {town.ledger(each, channel).last_hash for each in others} == {block.hash}


def _beats(service):
    return service.node.snapshot()["counters"]["heartbeats"]


def _drops(service, reason):
    return service.node.snapshot()["drops"].get(reason, 0)


def _blamed(service):
    return service.snapshot()["warnings"].get("peer.blamed", 0)


def forged(block):
    """Another block under the header of this one."""
    made = block_pb2.Block.FromString(block.raw)
    made.data.data[0] = os.urandom(len(made.data.data[0]))
    found = parse_block(made.SerializeToString())
    assert found.hash == block.hash
    return found


def _envelope(channel, block):
    return block_envelope(channel.name, block.number, block.raw).raw
