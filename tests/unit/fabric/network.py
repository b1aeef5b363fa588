"""Organizations, channels and blocks for the tests here, made once and always the same."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from functools import cache

from pubsub.fabric.blocks import Block
from pubsub.fabric.config import ChannelConfig, Endpoint, config_from_block
from pubsub.fabric.make_blocks import BlockMaker, genesis_block, make_transaction
from pubsub.fabric.make_certificates import Authority, Entropy
from pubsub.fabric.make_channel import block_maker, channel_profile
from pubsub.fabric.make_config import ChannelProfile
from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric.msp import Role

WHEN = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PEER0 = "peer0.org1.example.com"


def entropy(seed: int) -> Entropy:
    return random.Random(seed).randbytes


def authority(name: str = "ca", seed: int = 1, **more: object) -> Authority:
    return Authority(name, "org.example.com", entropy=entropy(seed), when=WHEN, **more)


@cache
def organization(number: int) -> OrganizationMaker:
    """Org1MSP, Org2MSP and so on: two peers, a client, an admin."""
    domain = f"org{number}.example.com"
    made = OrganizationMaker(domain, f"Org{number}MSP", entropy=entropy(number), when=WHEN)
    made.add_peers(2, when=WHEN)
    made.add("User1", Role.CLIENT, when=WHEN)
    made.add("Admin", Role.ADMIN, when=WHEN)
    return made


@cache
def orderers() -> OrganizationMaker:
    made = OrganizationMaker("example.com", "OrdererMSP", entropy=entropy(100), when=WHEN)
    made.add_orderers(4, when=WHEN)
    return made


def profile(
    channel: str = "mychannel", *, orgs: tuple[int, ...] = (1, 2), **more
) -> ChannelProfile:
    anchors = {"Org1MSP": [Endpoint("localhost", 7051)]}
    made = [organization(number) for number in orgs]
    return channel_profile(channel, made, orderers(), anchor_peers=anchors, **more)


@cache
def genesis(channel: str = "mychannel", consensus: str = "etcdraft") -> Block:
    return genesis_block(profile(channel, consensus=consensus), entropy=entropy(7), when=WHEN)


@cache
def config(channel: str = "mychannel", consensus: str = "etcdraft") -> ChannelConfig:
    return config_from_block(genesis(channel, consensus))


def maker(channel: str = "mychannel", consensus: str = "etcdraft") -> BlockMaker:
    """What makes the blocks after the genesis block."""
    is_bft = consensus == "BFT"
    return block_maker(genesis(channel, consensus), orderers(), is_bft=is_bft, entropy=entropy(8))


def transaction(data: bytes = b"data", channel: str = "mychannel", seed: int = 9) -> bytes:
    signer = organization(1).members["User1@org1.example.com"].signer
    return make_transaction(signer, channel, data, entropy=entropy(seed), when=WHEN)
