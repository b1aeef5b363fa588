"""One very large block, from an orderer to all Fabric peers of two organizations, in one process.

    python benchmarks/fabric_block.py                       # 99 MB to six peers
    python benchmarks/fabric_block.py --bytes 20971520 --peers 10

Pull and state transfer are off: the leader of each organization announces the block, and the
others fetch it. Prints when each peer has it in its ledger, the CPU time, and the most memory
that the process has held; all peers, their ledgers in memory and the orderer share it.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import trio

from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric.make_blocks import genesis_block, make_transaction
from pubsub.fabric.make_channel import block_maker, channel_profile
from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric.params import V14
from pubsub.fabric_node.local_orderer import LocalOrderer
from pubsub.fabric_node.open import open_fabric_peer
from pubsub.fabric_node.service import GossipService

CHANNEL = "bench"
HOUR = 3600.0
PARAMS = V14.replaced(
    state_enabled=False,
    pull_interval=HOUR,
    publish_state_info_interval=0.5,
    request_state_info_interval=0.5,
    election_startup_grace_period=2.0,
    election_membership_sample_interval=0.5,
    election_leader_election_duration=1.0,
    alive_expiration_timeout=HOUR,
)


class Bench:
    """Two organizations, their orderer and their peers."""

    def __init__(self, peers: int) -> None:
        when = datetime.now(UTC) - timedelta(hours=1)
        domains = {"Org1MSP": "org1.example.com", "Org2MSP": "org2.example.com"}
        self.orgs = [
            OrganizationMaker(domain, msp_id, entropy=os.urandom, when=when)
            for msp_id, domain in domains.items()
        ]
        for org, count in zip(self.orgs, (peers - peers // 2, peers // 2), strict=True):
            org.add_peers(count, when=when)
        orderers = OrganizationMaker("example.com", "OrdererMSP", entropy=os.urandom, when=when)
        orderers.add_orderers(1, when=when)
        profile = channel_profile(CHANNEL, self.orgs, orderers)
        self.genesis = genesis_block(profile, entropy=os.urandom, when=when)
        self.maker = block_maker(self.genesis, orderers, entropy=os.urandom)
        self.orderer = LocalOrderer(None, self.genesis.raw)
        self.services: list[GossipService] = []

    async def open(self, stack: AsyncExitStack) -> None:
        """Start all peers; those of one organization begin with its first."""
        for org in self.orgs:
            bootstrap: tuple[str, ...] = ()
            for member in org.members.values():
                endpoint = f"127.0.0.1:{free_port()}"
                service = await stack.enter_async_context(
                    open_fabric_peer(
                        member.signer,
                        org.msp(),
                        params=PARAMS.replaced(endpoint=endpoint, bootstrap=bootstrap),
                        listen=[f"/ip4/127.0.0.1/tcp/{endpoint.split(':')[1]}"],
                    )
                )
                bootstrap = bootstrap or (endpoint,)
                self.services.append(service)
        for service in self.services:
            await service.join_channel(
                self.genesis.raw, ledger=MemoryLedger(), delivery=self.orderer
            )

    def order(self, size: int) -> None:
        """A block with one transaction of `size` bytes."""
        signer = next(iter(self.orgs[0].members.values())).signer
        now = datetime.now(UTC)
        data = os.urandom(size)
        made = make_transaction(signer, CHANNEL, data, entropy=os.urandom, when=now)
        self.orderer.add_block(self.maker.next_block([made]).raw)

    def are_meshed(self) -> bool:
        """Whether each peer has those of its organization in the mesh of blocks."""
        for service in self.services:
            others = sum(each.org == service.org for each in self.services) - 1
            meshes = service.node.snapshot()["mesh"]
            found = [mesh for topic, mesh in meshes.items() if topic.endswith("/blocks")]
            if not found or len(found[0]) < min(others, 4):
                return False
        return True


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def until(ready: Callable[[], bool]) -> None:
    while not ready():  # noqa: ASYNC110 - it announces itself nowhere
        await trio.sleep(0.05)


def peak() -> float:
    """Megabytes of memory that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


async def main(args: argparse.Namespace) -> None:
    bench = Bench(args.peers)
    async with AsyncExitStack() as stack:
        await bench.open(stack)
        await until(bench.are_meshed)
        bench.order(100)
        for service in bench.services:
            await service.wait_for_height(CHANNEL, 2)
        before = peak()
        bench.order(args.bytes)
        wall, cpu = time.perf_counter(), time.process_time()

        async def tell(service: GossipService) -> None:
            await service.wait_for_height(CHANNEL, 3)
            kind = "leader" if service.is_leader(CHANNEL) else "peer"
            print(f"{time.perf_counter() - wall:7.2f} s  {service.org} {kind}", flush=True)

        async with trio.open_nursery() as telling:
            for service in bench.services:
                telling.start_soon(tell, service)
        print(f"{time.process_time() - cpu:7.2f} s of CPU time, for all {len(bench.services)}")
        print(f"{peak():7.0f} MB of memory at most, {before:.0f} before the block was made")
        # At once, so that none looks for those that have gone.
        async with trio.open_nursery() as stopping:
            for service in bench.services:
                stopping.start_soon(service.stop)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=int, default=99_000_000, help="of the transaction in it")
    parser.add_argument("--peers", type=int, default=6, help="of both organizations together")
    trio.run(main, parser.parse_args())
