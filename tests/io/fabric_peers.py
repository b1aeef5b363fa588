"""Fabric peers on loopback, with an ordering service in the same process."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from pubsub.fabric.blocks import Block
from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric.make_blocks import BlockMaker, genesis_block, make_transaction
from pubsub.fabric.make_channel import block_maker, channel_profile
from pubsub.fabric.make_org import Member, OrganizationMaker
from pubsub.fabric.params import V14, GossipParams
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


@cache
def org(number: int, peers: int = 6) -> OrganizationMaker:
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
    def make(cls, name: str = "sales", orgs: Sequence[int] = (1, 2)) -> Channel:
        profile = channel_profile(name, [org(number) for number in orgs], orderers())
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
        data = os.urandom(size)
        made = make_transaction(
            self.writer.signer, self.name, data, entropy=os.urandom, when=datetime.now(UTC)
        )
        return self.maker.next_block([made])


@dataclass
class Town:
    """Peers, each with its ledgers."""

    stack: AsyncExitStack
    ledgers: dict[bytes, dict[str, MemoryLedger]] = field(default_factory=dict)
    services: list[GossipService] = field(default_factory=list)

    async def opens(
        self,
        number: int,
        peer: int,
        *,
        bootstrap: Iterable[GossipService] = (),
        params: GossipParams = QUICK,
        external: bool = True,
        **more: object,
    ) -> GossipService:
        """Peer `peer` of an organization, listening on loopback."""
        made = open_peer(
            number, peer, bootstrap=bootstrap, params=params, external=external, **more
        )
        service = await self.stack.enter_async_context(made)
        self.services.append(service)
        return service

    async def joins(self, service: GossipService, channel: Channel) -> None:
        ledger = self.ledger(service, channel)
        await service.join_channel(channel.genesis.raw, ledger=ledger, delivery=channel.orderer)

    def ledger(self, service: GossipService, channel: Channel) -> MemoryLedger:
        held = self.ledgers.setdefault(service.pki_id, {})
        return held.setdefault(channel.name, MemoryLedger())

    async def all_at(
        self, channel: Channel, height: int, services: Iterable[GossipService] | None = None
    ) -> None:
        for service in self.services if services is None else services:
            await until(lambda s=service: s.height(channel.name) >= height, SOON)


@asynccontextmanager
async def open_peer(
    number: int,
    peer: int,
    *,
    bootstrap: Iterable[GossipService] = (),
    params: GossipParams = QUICK,
    external: bool = True,
    **more: object,
) -> AsyncIterator[GossipService]:
    made = org(number)
    member = list(made.members.values())[peer]
    port = free_port()
    endpoint = f"127.0.0.1:{port}"
    params = params.replaced(
        endpoint=endpoint,
        external_endpoint=endpoint if external else "",
        bootstrap=tuple(each.self_membership_info().internal_endpoint for each in bootstrap),
    )
    async with open_fabric_peer(
        member.signer,
        made.msp(),
        params=params,
        listen=[f"/ip4/127.0.0.1/tcp/{port}"],
        **more,  # type: ignore[arg-type]
    ) as service:
        yield service


@asynccontextmanager
async def open_town() -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        yield Town(stack)


def free_port() -> int:
    """A port of loopback that nobody has now: an endpoint is told before it is listened on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
