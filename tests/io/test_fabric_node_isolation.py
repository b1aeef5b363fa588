"""A channel's secrets, counted in every decrypted byte that reaches peers outside of it.

Ten peers are all connected to one another: organizations 1 and 2 share one channel, 2 and 3
another, and one channel that all three are in lets them know each other.
"""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager

import pytest
import trio

from pubsub.fabric.announcement import Announcement, request
from pubsub.fabric.blocks import parse_block
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.envelope import MAX_ENVELOPE_BYTES, wrap_message
from pubsub.fabric.topics import PULL, STATE_INFO, STATE_TRANSFER
from pubsub.fabric_node.envelope_stream import Budget, EnvelopeStream
from pubsub.fabric_node.large_blocks import BLOCK, MAX_REQUEST
from pubsub.pb.fabric.gossip_pb2 import (
    GossipHello,
    GossipMessage,
    PullMsgType,
    RemoteStateRequest,
    StateInfoPullRequest,
)
from tests.io.fabric_accounts import Accounts
from tests.io.fabric_peers import QUICK, Channel, Town, know_one_another, open_town
from tests.io.fabric_secrets import MessageIds, Secrets
from tests.io.fabric_taps import Taps
from tests.io.nodes import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LONG = 90.0
PARAMS = QUICK.replaced(alive_time_interval=1.0, alive_expiration_timeout=10.0, conn_timeout=10.0)
ORGS = {1: 4, 2: 2, 3: 4}
"Peers of each organization."


class World:
    """The ten peers, their channels, and what was heard."""

    def __init__(self, town: Town, monkeypatch) -> None:
        self.town = town
        self.taps = Taps(monkeypatch)
        self.ids = MessageIds(monkeypatch)
        self.common = Channel.make("common", [1, 2, 3])
        self.sales = Channel.make("a-channel-of-sales", [1, 2])
        self.repair = Channel.make("a-channel-of-repair", [2, 3])
        self.peers = {}

    async def opens(self) -> None:
        for number, count in ORGS.items():
            self.peers[number] = await self.town.open_many(number, count, params=PARAMS)
        for service in self.of(1, 2, 3):
            await self.town.joins(service, self.common)
        await trio.lowlevel.checkpoint()
        for one, other in itertools.combinations(self.of(1, 2, 3), 2):
            if other.node.peer_id not in one.node.host.connected_peers():
                await one.node.connect(other.node.addresses[0])
        await until(self.are_all_connected, LONG)
        await until(lambda: know_one_another(self.of(1, 2, 3)), LONG)
        for service in self.of(1, 2):
            await self.town.joins(service, self.sales)
        for service in self.of(2, 3):
            await self.town.joins(service, self.repair)

    def are_all_connected(self) -> bool:
        everyone = self.of(1, 2, 3)
        return all(
            one._engine.directory.peer(other.pki_id) is not None
            for one, other in itertools.permutations(everyone, 2)
        )

    def of(self, *numbers):
        return [service for number in numbers for service in self.peers[number]]

    def secrets(self, channel: Channel, *numbers: int) -> Secrets:
        return Secrets(channel, numbers, self.ids, self.of(*numbers))

    def leaks(self):
        """What organization 3 heard of sales, and organization 1 of repair."""
        everyone = self.of(1, 2, 3)
        sales, repair = self.secrets(self.sales, 1, 2), self.secrets(self.repair, 2, 3)
        return [
            *sales.leaked(self.taps, self.of(3), everyone),
            *repair.leaked(self.taps, self.of(1), everyone),
        ]

    async def beats(self, count: int) -> None:
        """Wait until each router has had so many heartbeats more."""
        before = [_heartbeats(service) for service in self.of(1, 2, 3)]
        await until(
            lambda: all(
                _heartbeats(service) >= had + count
                for service, had in zip(self.of(1, 2, 3), before, strict=True)
            ),
            LONG,
        )


def _heartbeats(service):
    return service.node.snapshot()["counters"]["heartbeats"]


@asynccontextmanager
async def open_world(monkeypatch):
    async with open_town() as town:
        world = World(town, monkeypatch)
        await world.opens()
        yield world


async def test_nothing_of_a_channel_reaches_those_outside_of_it(monkeypatch):
    accounts = Accounts(monkeypatch)
    async with open_world(monkeypatch) as world:
        for channel, numbers in ((world.sales, (1, 2)), (world.repair, (2, 3))):
            channel.orders(10)
            await world.town.all_at(channel, 11, world.of(*numbers), seconds=LONG)
        await world.beats(3)
        assert world.are_all_connected()
        _check_that_those_inside_heard(world)
        assert world.leaks() == []

        await accounts.balance(world.of(1, 2, 3))
        await _ask_from_outside(world)
        assert world.leaks() == []

        traitor = world.of(1)[0]
        traitor._engine.peer.access.may_peer_know = lambda peer, topic: True
        traitor.node.recheck()
        await world.beats(2)
        leaks = world.leaks()
        assert {sender for sender, _, _ in leaks} == {repr(traitor)}
        assert len(leaks) == ORGS[3]
        assert all("topic" in kinds for _, _, kinds in leaks)


def _check_that_those_inside_heard(world):
    """Every kind of secret is found where it may be: the search does search."""
    secrets = world.secrets(world.sales, 1, 2)
    heard = b"".join(
        world.taps.heard(one, other) for one, other in itertools.permutations(world.of(1, 2), 2)
    )
    assert set(secrets.found_in(heard)) == set(secrets.kinds)
    outside = sum(
        len(world.taps.heard(one, other)) for one in world.of(3) for other in world.of(1, 2)
    )
    assert outside > 100_000


async def _ask_from_outside(world):
    """One who knows all names of a channel asks for everything in it, and a member as well."""
    member, insider, outsider = world.of(1)[1], world.of(1)[0], world.of(3)[0]
    refusals = _refused(insider)
    for peer in (member, outsider):
        for protocol, message in _questions(peer, world.sales):
            peer._engine.links.lanes.send(insider.pki_id, protocol, wrap_message(message).raw)
    await until(lambda: _refused(insider) == refusals + 3, LONG)
    assert await _fetch(member, insider, world.sales) is not None
    assert await _fetch(outsider, insider, world.sales) is None


def _refused(service):
    return service.snapshot()["refusals"].get("of one whose organization is not in the channel", 0)


def _questions(peer, channel):
    name, tag = channel.name.encode(), GossipMessage.CHAN_OR_ORG
    mac = channel_mac(peer.pki_id, channel.name)
    yield (
        STATE_INFO,
        GossipMessage(tag=tag, state_info_pull_req=StateInfoPullRequest(channel_mac=mac)),
    )
    asked = RemoteStateRequest(start_seq_num=1, end_seq_num=5)
    yield STATE_TRANSFER, GossipMessage(channel=name, tag=tag, state_request=asked)
    hello = GossipHello(nonce=5, msg_type=PullMsgType.BLOCK_MSG)
    yield PULL, GossipMessage(channel=name, tag=GossipMessage.CHAN_AND_ORG, hello=hello)


async def _fetch(peer, other, channel):
    """Ask for a block as one does that was announced."""
    raw = channel.orderer._ledger.block(3)
    stream = await peer.node.host.open_stream(other.node.peer_id, [BLOCK])
    envelopes = EnvelopeStream(stream, MAX_ENVELOPE_BYTES, Budget(MAX_REQUEST))
    await envelopes.send(request(Announcement(channel.name, 3, parse_block(raw).hash)))
    try:
        with trio.fail_after(LONG):
            return await envelopes.receive()
    finally:
        stream.close()
