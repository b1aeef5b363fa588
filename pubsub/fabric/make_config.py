"""Channel configurations written down, as configtxgen makes them from a profile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pubsub.fabric.config import Consenter, Endpoint
from pubsub.fabric.identities import serialize_identity
from pubsub.fabric.make_policies import (
    ADMINS,
    application_policies,
    bft_block_validation,
    group_policies,
    implicit_meta,
    orderer_policies,
    put_policies,
)
from pubsub.fabric.msp_config import MspConfig, msp_config_to_bytes
from pubsub.fabric.policies import MetaRule
from pubsub.pb.fabric import configtx_pb2, configuration_pb2, msp_pb2, policy_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

Policies = Mapping[str, policy_pb2.Policy]


@dataclass(frozen=True, slots=True)
class OrganizationProfile:
    """An organization as it is to stand in a channel; its name there is its MSP id."""

    msp: MspConfig
    anchor_peers: tuple[Endpoint, ...] = ()
    endpoints: tuple[str, ...] = ()
    policies: Policies | None = None
    "In place of the usual ones."


@dataclass(frozen=True, slots=True)
class ChannelProfile:
    """A channel's configuration, to be written."""

    channel: str
    organizations: Sequence[OrganizationProfile]
    orderers: Sequence[OrganizationProfile]
    consensus: Literal["etcdraft", "BFT"] = "etcdraft"
    consenters: Sequence[Consenter] = ()
    options: configuration_pb2.RaftOptions | configuration_pb2.BftOptions | None = None
    capabilities: Iterable[str] = ("V3_0",)
    orderer_capabilities: Iterable[str] = ("V2_0",)
    application_capabilities: Iterable[str] = ("V2_5",)
    batch_timeout: str = "2s"
    max_messages: int = 500
    absolute_max_bytes: int = 10 * 1024 * 1024
    preferred_max_bytes: int = 2 * 1024 * 1024
    "These four as in Fabric's sample configuration."

    policies: Policies = field(default_factory=group_policies)
    "Of the group Channel."

    orderer_policies: Policies = field(default_factory=group_policies)
    "Of the group Orderer; BlockValidation is added if it is not among them."

    application_policies: Policies = field(default_factory=group_policies)


def raft_options() -> configuration_pb2.RaftOptions:
    """The options in Fabric's sample configuration."""
    return configuration_pb2.RaftOptions(
        tick_interval="500ms",
        election_tick=10,
        heartbeat_tick=1,
        max_inflight_blocks=5,
        snapshot_interval_size=16 * 1024 * 1024,
    )


def channel_group(profile: ChannelProfile) -> configtx_pb2.ConfigGroup:
    """The tree of groups, values and policies that `profile` describes."""
    root = configtx_pb2.ConfigGroup(mod_policy=ADMINS)
    _put(root, "HashingAlgorithm", configuration_pb2.HashingAlgorithm(name="SHA256"))
    width = configuration_pb2.BlockDataHashingStructure(width=2**32 - 1)
    _put(root, "BlockDataHashingStructure", width)
    _put_capabilities(root, profile.capabilities)
    put_policies(root, profile.policies)
    _fill_orderer(root.groups["Orderer"], profile)
    _fill_application(root.groups["Application"], profile)
    return root


def _fill_application(group: configtx_pb2.ConfigGroup, profile: ChannelProfile) -> None:
    group.mod_policy = ADMINS
    _put_capabilities(group, profile.application_capabilities)
    put_policies(group, profile.application_policies)
    for name in ("LifecycleEndorsement", "Endorsement"):
        if name not in profile.application_policies:
            put_policies(group, {name: implicit_meta(MetaRule.MAJORITY, "Endorsement")})
    for each in profile.organizations:
        below = _organization(group, each, each.policies or application_policies(each.msp.name))
        if each.anchor_peers:
            anchors = [
                configuration_pb2.AnchorPeer(host=anchor.host, port=anchor.port)
                for anchor in each.anchor_peers
            ]
            _put(below, "AnchorPeers", configuration_pb2.AnchorPeers(anchor_peers=anchors))


def _fill_orderer(group: configtx_pb2.ConfigGroup, profile: ChannelProfile) -> None:
    group.mod_policy = ADMINS
    put_policies(group, profile.orderer_policies)
    if "BlockValidation" not in profile.orderer_policies:
        put_policies(group, {"BlockValidation": _block_validation(profile)})
    size = configuration_pb2.BatchSize(
        max_message_count=profile.max_messages,
        absolute_max_bytes=profile.absolute_max_bytes,
        preferred_max_bytes=profile.preferred_max_bytes,
    )
    _put(group, "BatchSize", size)
    _put(group, "BatchTimeout", configuration_pb2.BatchTimeout(timeout=profile.batch_timeout))
    _put(group, "ChannelRestrictions", configuration_pb2.ChannelRestrictions())
    _put_capabilities(group, profile.orderer_capabilities)
    if profile.consensus == "BFT":
        _put(group, "Orderers", _consenter_mapping(profile.consenters))
        options: Message = profile.options or configuration_pb2.BftOptions()
    else:
        options = _raft_metadata(profile)
    consensus = configuration_pb2.ConsensusType(
        type=profile.consensus, metadata=options.SerializeToString(deterministic=True)
    )
    _put(group, "ConsensusType", consensus)
    for each in profile.orderers:
        below = _organization(group, each, each.policies or orderer_policies(each.msp.name))
        if each.endpoints:
            addresses = configuration_pb2.OrdererAddresses(addresses=each.endpoints)
            _put(below, "Endpoints", addresses)


def _block_validation(profile: ChannelProfile) -> policy_pb2.Policy:
    if profile.consensus == "BFT":
        return bft_block_validation(
            [serialize_identity(each.msp_id, each.identity) for each in profile.consenters]
        )
    return implicit_meta(MetaRule.ANY, "Writers")


def _consenter_mapping(consenters: Iterable[Consenter]) -> configuration_pb2.Orderers:
    message = configuration_pb2.Orderers()
    for each in consenters:
        message.consenter_mapping.add(
            id=each.number,
            host=each.host,
            port=each.port,
            msp_id=each.msp_id,
            identity=each.identity,
            client_tls_cert=each.client_tls_certificate,
            server_tls_cert=each.server_tls_certificate,
        )
    return message


def _raft_metadata(profile: ChannelProfile) -> configuration_pb2.RaftConfigMetadata:
    options = profile.options
    if not isinstance(options, configuration_pb2.RaftOptions):
        options = raft_options()
    message = configuration_pb2.RaftConfigMetadata(options=options)
    for each in profile.consenters:
        message.consenters.add(
            host=each.host,
            port=each.port,
            client_tls_cert=each.client_tls_certificate,
            server_tls_cert=each.server_tls_certificate,
        )
    return message


def _organization(
    parent: configtx_pb2.ConfigGroup, profile: OrganizationProfile, policies: Policies
) -> configtx_pb2.ConfigGroup:
    group = parent.groups[profile.msp.name]
    group.mod_policy = ADMINS
    put_policies(group, policies)
    _put(group, "MSP", msp_pb2.MSPConfig(type=0, config=msp_config_to_bytes(profile.msp)))
    return group


def _put_capabilities(group: configtx_pb2.ConfigGroup, names: Iterable[str]) -> None:
    message = configuration_pb2.Capabilities()
    for name in names:
        message.capabilities[name].SetInParent()
    if message.capabilities:
        _put(group, "Capabilities", message)


def _put(group: configtx_pb2.ConfigGroup, name: str, value: Message) -> None:
    group.values[name].value = value.SerializeToString(deterministic=True)
    group.values[name].mod_policy = ADMINS
