"""Organizations, a channel and its blocks, for those who live in the town: always the same."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from random import Random

from pubsub.fabric.blocks import Block
from pubsub.fabric.config import Endpoint
from pubsub.fabric.make_blocks import BlockMaker, genesis_block, make_transaction
from pubsub.fabric.make_channel import block_maker, channel_profile
from pubsub.fabric.make_config import ChannelProfile
from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric.params import GossipParams
from tests.sim.fabric_town import Resident, Town

WHEN = datetime(2026, 6, 1, 12, tzinfo=UTC)
START_NS = int(WHEN.timestamp()) * 10**9
SALES = "sales"
SETTLED = 30.0


@cache
def organization(number: int, peers: int = 4) -> OrganizationMaker:
    domain, entropy = f"org{number}.example", Random(number).randbytes
    made = OrganizationMaker(domain, f"Org{number}MSP", entropy=entropy, when=WHEN)
    made.add_peers(peers, when=WHEN)
    return made


@cache
def orderers() -> OrganizationMaker:
    entropy = Random(9).randbytes
    made = OrganizationMaker("orderers.example", "OrdererMSP", entropy=entropy, when=WHEN)
    made.add_orderers(1, when=WHEN)
    return made


def profile_of(channel: str, *orgs: OrganizationMaker) -> ChannelProfile:
    anchors = {each.msp_id: [Endpoint(f"peer0.{each.domain}", 7051)] for each in orgs}
    return channel_profile(channel, orgs, orderers(), anchor_peers=anchors)


def profile(channel: str, *orgs: int) -> ChannelProfile:
    return profile_of(channel, *[organization(number) for number in orgs])


def genesis_of(profile: ChannelProfile) -> Block:
    return genesis_block(profile, entropy=Random(5).randbytes, when=WHEN)


@cache
def genesis(channel: str = SALES, *orgs: int) -> Block:
    return genesis_of(profile(channel, *orgs or (1, 2)))


def maker_after(last: Block) -> BlockMaker:
    """What makes the blocks after `last`."""
    return block_maker(last, orderers(), entropy=Random(6).randbytes)


def transaction(data: bytes, channel: str = SALES) -> bytes:
    signer = organization(1).members["peer0.org1.example"].signer
    return make_transaction(signer, channel, data, entropy=Random(data).randbytes, when=WHEN)


@cache
def chain() -> tuple[BlockMaker, list[Block]]:
    return maker_after(genesis()), []


def blocks(count: int) -> list[Block]:
    """Blocks 1 to `count` of the channel of two organizations."""
    making, made = chain()
    while len(made) < count:
        made.append(making.next_block([transaction(b"sale %d" % len(made))]))
    return made[:count]


def settle(town: Town, *, peers: int = 3, until: float = SETTLED) -> list[Resident]:
    """Two organizations in one channel; of each, peer0 and peer1 may be known by the other."""
    residents = []
    for org in (organization(1), organization(2)):
        for number in range(peers):
            bootstrap = () if number == 0 else ("peer0",)
            resident = town.moves_in(org, f"peer{number}", external=number < 2, bootstrap=bootstrap)
            town.joins(resident, genesis())
            residents.append(resident)
    town.until(until)
    return residents


def with_one_leader(
    town: Town, count: int, base: GossipParams, *, leader: int = 0, until: float = SETTLED
) -> list[Resident]:
    """Peers of one organization; one gets blocks from the orderer, by its configuration."""
    residents = []
    for n in range(count):
        params = base.replaced(use_leader_election=False, org_leader=n == leader)
        bootstrap = ("peer0",) if n else ()
        resident = town.moves_in(
            organization(1, 24), f"peer{n}", external=False, bootstrap=bootstrap, params=params
        )
        town.joins(resident, genesis())
        residents.append(resident)
    town.until(until)
    return residents


def leaders(residents: list[Resident], channel: str = SALES) -> list[str]:
    return [each.name for each in residents if each.core.channel(channel).leading]
