"""A whole channel from organizations made here: its profile, and who orders for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pubsub.fabric.blocks import Block
from pubsub.fabric.config import Consenter, Endpoint
from pubsub.fabric.make_blocks import BlockMaker
from pubsub.fabric.make_certificates import Entropy
from pubsub.fabric.make_config import ChannelProfile, OrganizationProfile
from pubsub.fabric.make_org import Member, OrganizationMaker
from pubsub.fabric.msp import Role


def channel_profile(
    channel: str,
    organizations: Sequence[OrganizationMaker],
    orderers: OrganizationMaker,
    *,
    consensus: Literal["etcdraft", "BFT"] = "etcdraft",
    anchor_peers: Mapping[str, Sequence[Endpoint]] | None = None,
    first_port: int = 7050,
    **settings: Any,
) -> ChannelProfile:
    """A channel of `organizations`, ordered by the orderers of one organization.

    `anchor_peers` are by MSP id. The orderers are at localhost, from `first_port` on;
    `settings` are further fields of ChannelProfile.
    """
    anchors = anchor_peers or {}
    nodes = ordering_nodes(orderers)
    ports = range(first_port, first_port + len(nodes))
    endpoints = tuple(f"localhost:{port}" for port in ports)
    return ChannelProfile(
        channel=channel,
        organizations=[
            OrganizationProfile(each.msp_config(), tuple(anchors.get(each.msp_id, ())))
            for each in organizations
        ],
        orderers=[OrganizationProfile(orderers.msp_config(), endpoints=endpoints)],
        consensus=consensus,
        consenters=[
            Consenter(
                "localhost",
                port,
                node.tls.certificate.pem,
                node.tls.certificate.pem,
                number,
                node.msp_id,
                node.certificate,
            )
            for number, (node, port) in enumerate(zip(nodes, ports, strict=True), start=1)
        ],
        **settings,
    )


def ordering_nodes(organization: OrganizationMaker) -> list[Member]:
    """The orderers among an organization's members; BFT consenters are numbered so, from 1."""
    return [each for each in organization.members.values() if each.role is Role.ORDERER]


def block_maker(
    genesis: Block, orderers: OrganizationMaker, *, is_bft: bool = False, entropy: Entropy
) -> BlockMaker:
    """What makes the blocks after `genesis`: signed by one orderer, or with BFT by all."""
    signers = [node.signer for node in ordering_nodes(orderers)]
    if is_bft:
        return BlockMaker(genesis, by_number=dict(enumerate(signers, start=1)), entropy=entropy)
    return BlockMaker(genesis, signers[:1], entropy=entropy)
