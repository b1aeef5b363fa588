"""Fabric peers on loopback, with an ordering service in the same process."""

from __future__ import annotations

import itertools
import os
import random
import socket
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

import trio

from pubsub.fabric import channel_blocks
from pubsub.fabric.access import Kind
from pubsub.fabric.blocks import Block
from pubsub.fabric.config import Endpoint
from pubsub.fabric.ledger import Ledger, MemoryLedger
from pubsub.fabric.make_blocks import BlockMaker, genesis_block, make_transaction
from pubsub.fabric.make_channel import block_maker, channel_profile
from pubsub.fabric.make_config import ChannelProfile
from pubsub.fabric.make_org import Member, OrganizationMaker
from pubsub.fabric.params import V14, GossipParams
from pubsub.fabric.pull import PullEngine
from pubsub.fabric_node.local_orderer import LocalOrderer
from pubsub.fabric_node.open import open_fabric_peer
from pubsub.fabric_node.service import GossipService
from tests.io.nodes import until

WHEN = datetime.now(UTC) - timedelta(hours=1)
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
SOON = 20.0
QUICK = V14.replaced(
    alive_time_interval=0.3,
    alive_expiration_timeout=3.0,
    reconnect_interval=1.0,
    pull_interval=1.0,
    digest_wait_time=0.1,
    request_wait_time=0.15,
    response_wait_time=0.2,
    request_state_info_interval=0.5,
    publish_state_info_interval=0.2,
    state_check_interval=0.5,
    state_response_timeout=1.0,
    election_startup_grace_period=2.0,
    election_membership_sample_interval=0.2,
    election_leader_alive_threshold=2.0,
    election_leader_election_duration=0.5,
    conn_timeout=4.0,
)
"Fabric's rules at about a tenth of its times."

CALM = QUICK.replaced(
    alive_time_interval=2.0,
    alive_expiration_timeout=20.0,
    reconnect_interval=5.0,
    pull_interval=3.0,
    digest_wait_time=0.4,
    request_wait_time=0.6,
    response_wait_time=0.8,
    request_state_info_interval=2.0,
    publish_state_info_interval=1.0,
    state_check_interval=2.0,
    election_membership_sample_interval=0.5,
    election_leader_alive_threshold=5.0,
    election_leader_election_duration=1.0,
    dial_timeout=15.0,
    conn_timeout=15.0,
)
"For many peers in one process, which share one core."


@cache
def org(number: int, peers: int = 20) -> OrganizationMaker:
    domain = f"org{number}.example.com"
    made = OrganizationMaker(domain, f"Org{number}MSP", entropy=os.urandom, when=WHEN)
    made.add_peers(peers, when=WHEN)
    return made


@cache
def orderers() -> OrganizationMaker:
    made = OrganizationMaker("example.com", "OrdererMSP", entropy=os.urandom, when=WHEN)
    made.add_orderers(1, when=WHEN)
    return made


@dataclass
class Channel:
    """A channel with its orderer."""

    name: str
    genesis: Block
    maker: BlockMaker
    orderer: LocalOrderer
    writer: Member

    @classmethod
    def make(
        cls,
        name: str = "sales",
        orgs: Sequence[int] = (1, 2),
        anchors: Mapping[int, int] | None = None,
    ) -> Channel:
        """A channel of organizations; `anchors` are ports of their anchor peers."""
        profile = _profile(name, orgs, anchors or {})
        genesis = genesis_block(profile, entropy=os.urandom, when=WHEN)
        maker = block_maker(genesis, orderers(), entropy=os.urandom)
        writer = next(iter(org(orgs[0]).members.values()))
        return cls(name, genesis, maker, LocalOrderer(None, genesis.raw), writer)

    def orders(self, count: int = 1, *, size: int = 100) -> None:
        """Further blocks, each with one transaction of about `size` bytes."""
        for _ in range(count):
            self.orderer.add_block(self.block(size).raw)

    def block(self, size: int = 100) -> Block:
        """The next block, which the orderer does not have."""
        return self.maker.next_block([self.transaction(os.urandom(size))])

    def transaction(self, data: bytes) -> bytes:
        return make_transaction(
            self.writer.signer, self.name, data, entropy=os.urandom, when=datetime.now(UTC)
        )

    def reduces(self, orgs: Sequence[int]) -> int:
        """A configuration with these organizations alone is ordered; its block's number."""
        block = self.maker.next_config(_profile(self.name, orgs, {}), when=datetime.now(UTC))
        self.orderer.add_block(block.raw)
        return block.number


def _profile(name: str, orgs: Sequence[int], anchors: Mapping[int, int]) -> ChannelProfile:
    endpoints = {org(number).msp_id: [Endpoint("127.0.0.1", anchors[number])] for number in anchors}
    made = [org(number) for number in orgs]
    return channel_profile(name, made, orderers(), anchor_peers=endpoints)


@dataclass
class Town:
    """Peers, each with its ledgers."""

    stack: AsyncExitStack
    ledgers: dict[bytes, dict[str, Ledger]] = field(default_factory=dict)
    services: list[GossipService] = field(default_factory=list)

    async def opens(
        self,
        number: int,
        peer: int,
        *,
        bootstrap: Iterable[GossipService] = (),
        params: GossipParams = QUICK,
        external: bool = True,
        port: int = 0,
        **more: object,
    ) -> GossipService:
        """Peer `peer` of an organization, listening on loopback."""
        made = open_peer(
            number,
            peer,
            bootstrap=bootstrap,
            params=params,
            external=external,
            port=port,
            **more,
        )
        service = await self.stack.enter_async_context(made)
        self.services.append(service)
        return service

    async def open_many(
        self, number: int, count: int, *, params: GossipParams = QUICK, **more: object
    ) -> list[GossipService]:
        """The first peers of an organization, the very first of which all others begin with."""
        first = await self.opens(number, 0, params=params, **more)
        others = [
            await self.opens(number, peer, bootstrap=[first], params=params, **more)
            for peer in range(1, count)
        ]
        return [first, *others]

    async def joins(
        self, service: GossipService, channel: Channel, ledger: Ledger | None = None
    ) -> None:
        if ledger is not None:
            self.ledgers.setdefault(service.pki_id, {})[channel.name] = ledger
        ledger = self.ledger(service, channel)
        await service.join_channel(channel.genesis.raw, ledger=ledger, delivery=channel.orderer)

    def ledger(self, service: GossipService, channel: Channel) -> Ledger:
        held = self.ledgers.setdefault(service.pki_id, {})
        return held.setdefault(channel.name, MemoryLedger())

    def leaders(self, channel: Channel, services: Iterable[GossipService]) -> list[GossipService]:
        return [service for service in services if service.is_leader(channel.name)]

    async def all_at(
        self,
        channel: Channel,
        height: int,
        services: Iterable[GossipService] | None = None,
        *,
        seconds: float = SOON,
    ) -> None:
        chosen = self.services if services is None else list(services)
        await until(lambda: all(s.height(channel.name) >= height for s in chosen), seconds)

    async def stops(self, service: GossipService) -> None:
        """One peer says goodbye."""
        self.services.remove(service)
        await service.stop()

    async def kills(self, service: GossipService) -> None:
        """One peer is gone as if its process had been killed: its sockets close, and no more."""
        for connection in service.node.host._connections.all():
            connection._peer_gone = True
        await self.stops(service)


@asynccontextmanager
async def open_peer(
    number: int,
    peer: int,
    *,
    bootstrap: Iterable[GossipService] = (),
    params: GossipParams = QUICK,
    external: bool = True,
    port: int = 0,
    **more: object,
) -> AsyncIterator[GossipService]:
    """A peer whose two endpoints differ: those within and those without see another port."""
    made = org(number)
    member = list(made.members.values())[peer]
    inner, outer = free_port(), port or free_port()
    params = params.replaced(
        endpoint=f"127.0.0.1:{inner}",
        external_endpoint=f"127.0.0.1:{outer}" if external else "",
        bootstrap=tuple(each.self_membership_info().internal_endpoint for each in bootstrap),
    )
    async with open_fabric_peer(
        member.signer,
        made.msp(),
        params=params,
        listen=[f"/ip4/127.0.0.1/tcp/{inner}", f"/ip4/127.0.0.1/tcp/{outer}"],
        **more,  # type: ignore[arg-type]
    ) as service:
        yield service


@asynccontextmanager
async def open_town() -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        town = Town(stack)
        yield town
        # At once: one after another, those that are left would go on looking for the others.
        async with trio.open_nursery() as nursery:
            for service in town.services:
                nursery.start_soon(service.stop)


def topic_of(service: GossipService, channel: Channel, kind: Kind) -> str:
    """A peer's topic of a channel."""
    place = service._engine.peer.access.find(kind, channel.name)
    assert place is not None
    return place.topic


def know_one_another(services: Sequence[GossipService]) -> bool:
    """Whether each of them has all others among the living."""
    ids = {service.pki_id for service in services}
    return all(ids - {s.pki_id} <= {each.pki_id for each in s.peers()} for s in services)


async def are_meshed(channel: Channel, services: Sequence[GossipService]) -> None:
    """Wait until one leads, each knows that all are in the channel, and blocks have their ways."""

    def ready(service: GossipService) -> bool:
        known = {each.pki_id for each in service.peers_of_channel(channel.name)}
        others = {each.pki_id for each in services} - {service.pki_id}
        topic = topic_of(service, channel, Kind.BLOCKS)
        return others <= known and len(service.node.mesh(topic)) >= min(len(others), 4)

    def led() -> bool:
        return sum(service.is_leader(channel.name) for service in services) == 1

    await until(lambda: led() and all(map(ready, services)), 6 * SOON)


def pull_no_blocks(monkeypatch) -> None:
    """Peers pull identities alone: without those nobody is known for long."""

    def engine(*args, peers, **more):
        return PullEngine(*args, peers=lambda: [], **more)

    monkeypatch.setattr(channel_blocks, "PullEngine", engine)


_PORTS = itertools.cycle(random.Random(os.getpid()).sample(range(10_000, 32_000), 4_000))


def free_port() -> int:
    """A port of loopback that nobody has now: an endpoint is told before it is listened on.

    It lies below those that the system gives to sockets which name none.
    """
    for port in _PORTS:
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("an endless search ended")
