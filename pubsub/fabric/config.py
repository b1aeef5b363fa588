"""A channel's configuration, read from a configuration block.

    Channel      capabilities, policies
      Orderer      consensus, consenters, policies; its organizations with their endpoints
      Application  capabilities, policies; its organizations with their anchor peers

Who may change it was decided by the orderers before they signed the block, so a
block that is verified is believed. Anything here that Fabric would not accept makes
a ConfigError; what gossip has no use for is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from pubsub.errors import RemoteError
from pubsub.fabric.blocks import Block, BlockError
from pubsub.fabric.msp import Msp, MspVersion
from pubsub.fabric.msp_config import MspConfig, MspConfigError, msp_config_from_bytes
from pubsub.fabric.policies import PolicyError, PolicyGroup, policy_of
from pubsub.fabric.transactions import CONFIG
from pubsub.pb.fabric import configtx_pb2, configuration_pb2, msp_pb2

ORDERER, APPLICATION = "Orderer", "Application"
FABRIC_MSP, IDEMIX_MSP = 0, 1
MAX_DEPTH = 8
"Of the tree of groups; Fabric uses four levels (ours)."
MAX_ORGANIZATIONS = 10_000
MAX_CHANNEL_NAME = 249
CHANNEL_NAME = re.compile(r"[a-z][a-z0-9.-]*")

MSP_VERSIONS: tuple[tuple[set[str], MspVersion], ...] = (
    ({"V3_0"}, MspVersion.V3_0),
    ({"V1_4_3", "V2_0"}, MspVersion.V1_4_3),
    ({"V1_3", "V1_4_2"}, MspVersion.V1_3),
    ({"V1_1"}, MspVersion.V1_1),
)
"Which rules for MSPs come with which channel capability; the first that fits."

M = TypeVar("M", bound=Message)


class ConfigError(RemoteError):
    """A configuration block is none, or does not make a configuration."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a peer or an orderer can be reached."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization of a channel, under its name in the configuration."""

    name: str
    msp_id: str
    anchor_peers: tuple[Endpoint, ...] = ()
    "Of an application organization: where other organizations find it."

    endpoints: tuple[str, ...] = ()
    "Of an orderer organization: host:port of its orderers."


@dataclass(frozen=True, slots=True)
class Consenter:
    """An orderer of the channel's consensus."""

    host: str
    port: int
    client_tls_certificate: bytes = field(repr=False)
    server_tls_certificate: bytes = field(repr=False)
    number: int = 0
    "BFT: what signatures call it."

    msp_id: str = ""
    identity: bytes = field(default=b"", repr=False)
    "BFT: its certificate in PEM."


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When orderers close a block."""

    timeout: str
    max_messages: int
    absolute_max_bytes: int
    preferred_max_bytes: int


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """What a peer knows about a channel from one configuration block."""

    channel: str
    sequence: int
    "Counts the channel's configurations; only a higher one replaces another."

    capabilities: frozenset[str]
    application_capabilities: frozenset[str]
    orderer_capabilities: frozenset[str]
    organizations: Mapping[str, Organization]
    "Those whose peers gossip, by name, in order of their names."

    orderer_organizations: Mapping[str, Organization]
    orderer_addresses: tuple[str, ...]
    "Of the whole ordering service; before V3_0 only."

    consensus: str
    "etcdraft or BFT."

    consensus_metadata: bytes = field(repr=False)
    in_maintenance: bool
    consenters: tuple[Consenter, ...]
    batch: BatchLimits
    msps: Mapping[str, Msp] = field(repr=False)
    "By MSP id. An organization with an Idemix MSP has none here: its identities are refused."

    policies: PolicyGroup = field(repr=False)

    @property
    def is_bft(self) -> bool:
        """True if signatures on blocks may name orderers by number (capability V3_0)."""
        return "V3_0" in self.capabilities

    def is_member(self, msp_id: str) -> bool:
        """True if peers of this MSP gossip in the channel."""
        return any(each.msp_id == msp_id for each in self.organizations.values())

    def anchor_peers(self) -> Iterator[tuple[str, Endpoint]]:
        """Each anchor peer, with its organization's MSP id."""
        for each in self.organizations.values():
            for endpoint in each.anchor_peers:
                yield each.msp_id, endpoint


def config_from_block(block: Block) -> ChannelConfig:
    """The configuration in a block, which is taken to be genuine. Raises ConfigError."""
    try:
        transaction = block.first_transaction()
    except BlockError as error:
        raise ConfigError(f"configuration block: {error}") from error
    if transaction.kind != CONFIG or len(block.transactions) != 1:
        raise ConfigError(f"block {block.number} is not a configuration block")
    if len(transaction.channel) > MAX_CHANNEL_NAME or not CHANNEL_NAME.fullmatch(
        transaction.channel
    ):
        raise ConfigError(f"{transaction.channel[:100]!r} is not the name of a channel")
    try:
        envelope = configtx_pb2.ConfigEnvelope.FromString(transaction.data)
    except DecodeError as error:
        raise ConfigError(f"block {block.number}: malformed configuration") from error
    if not envelope.config.HasField("channel_group"):
        raise ConfigError(f"block {block.number} has a configuration without content")
    return _read(transaction.channel, envelope.config)


def updated(current: ChannelConfig, block: Block) -> ChannelConfig | None:
    """The configuration that `block`, verified, puts in the place of `current`.

    None if it is not newer: blocks come again, and in any order. Raises ConfigError if it
    cannot follow `current`.
    """
    return succeeded(current, config_from_block(block))


def succeeded(current: ChannelConfig, new: ChannelConfig) -> ChannelConfig | None:
    """`new`, if it takes the place of `current`; None if it is not newer.

    Raises ConfigError if it cannot follow it.
    """
    if new.channel != current.channel:
        raise ConfigError(f"configuration of {new.channel!r}, not of {current.channel!r}")
    if new.sequence <= current.sequence:
        return None
    for old, now in (
        (current.organizations, new.organizations),
        (current.orderer_organizations, new.orderer_organizations),
    ):
        for name in old.keys() & now.keys():
            if old[name].msp_id != now[name].msp_id:
                raise ConfigError(f"organization {name!r} changed its MSP")
    return new


def _read(channel: str, config: configtx_pb2.Config) -> ChannelConfig:
    root = config.channel_group
    orderer, application = _group(root, ORDERER), _group(root, APPLICATION)
    capabilities = _capabilities(root)
    msps = _Msps(msp_version(capabilities))
    metadata = _value(orderer, "ConsensusType", configuration_pb2.ConsensusType)
    size = _value(orderer, "BatchSize", configuration_pb2.BatchSize)
    timeout = _value(orderer, "BatchTimeout", configuration_pb2.BatchTimeout)
    addresses = _value(root, "OrdererAddresses", configuration_pb2.OrdererAddresses).addresses
    hashing = _value(root, "HashingAlgorithm", configuration_pb2.HashingAlgorithm).name
    if hashing not in ("SHA256", "SHA3_256"):
        raise ConfigError(f"hashing algorithm {hashing[:100]!r}")
    return ChannelConfig(
        channel=channel,
        sequence=config.sequence,
        capabilities=capabilities,
        application_capabilities=_capabilities(application),
        orderer_capabilities=_capabilities(orderer),
        organizations=_organizations(application, msps),
        orderer_organizations=_organizations(orderer, msps),
        orderer_addresses=tuple(addresses),
        consensus=metadata.type,
        consensus_metadata=metadata.metadata,
        in_maintenance=metadata.state == configuration_pb2.ConsensusType.STATE_MAINTENANCE,
        consenters=_consenters(orderer, metadata),
        batch=BatchLimits(
            timeout.timeout,
            size.max_message_count,
            size.absolute_max_bytes,
            size.preferred_max_bytes,
        ),
        msps=msps.made,
        policies=_policies(root, MAX_DEPTH),
    )


def msp_version(capabilities: frozenset[str]) -> MspVersion:
    """The rules for MSPs in a channel with these capabilities."""
    for names, version in MSP_VERSIONS:
        if names & capabilities:
            return version
    return MspVersion.V1_0


def _group(root: configtx_pb2.ConfigGroup, name: str) -> configtx_pb2.ConfigGroup:
    # Not groups[name]: that would put an empty group into the tree.
    return root.groups[name] if name in root.groups else configtx_pb2.ConfigGroup()


def _value(group: configtx_pb2.ConfigGroup, name: str, kind: type[M]) -> M:
    """The value of this name, or an empty one."""
    if name not in group.values:
        return kind()
    try:
        return kind.FromString(group.values[name].value)
    except DecodeError as error:
        raise ConfigError(f"malformed {name} in the configuration") from error


def _capabilities(group: configtx_pb2.ConfigGroup) -> frozenset[str]:
    return frozenset(_value(group, "Capabilities", configuration_pb2.Capabilities).capabilities)


def _organizations(group: configtx_pb2.ConfigGroup, msps: _Msps) -> dict[str, Organization]:
    if len(group.groups) > MAX_ORGANIZATIONS:
        raise ConfigError(f"{len(group.groups)} organizations")
    # A map of protobuf has no order, so one is made.
    return {name: _organization(name, group.groups[name], msps) for name in sorted(group.groups)}


def _organization(name: str, group: configtx_pb2.ConfigGroup, msps: _Msps) -> Organization:
    anchors = _value(group, "AnchorPeers", configuration_pb2.AnchorPeers).anchor_peers
    endpoints = _value(group, "Endpoints", configuration_pb2.OrdererAddresses).addresses
    return Organization(
        name,
        msps.add(name, _value(group, "MSP", msp_pb2.MSPConfig)),
        tuple(Endpoint(anchor.host, anchor.port) for anchor in anchors),
        tuple(endpoints),
    )


class _Msps:
    """The channel's MSPs, each made once though several organizations may have it."""

    def __init__(self, version: MspVersion) -> None:
        self.version = version
        self.made: dict[str, Msp] = {}
        self._configs: dict[str, MspConfig] = {}

    def add(self, organization: str, message: msp_pb2.MSPConfig) -> str:
        """Take in the MSP of an organization and return its id."""
        if message.type not in (FABRIC_MSP, IDEMIX_MSP):
            raise ConfigError(f"organization {organization!r} has an MSP of type {message.type}")
        try:
            # The name is in the same place in both types.
            config = msp_config_from_bytes(message.config)
            if not config.name:
                raise ConfigError(f"organization {organization!r} has an MSP without an id")
            if message.type == IDEMIX_MSP:
                return config.name
            if self._configs.setdefault(config.name, config) != config:
                raise ConfigError(f"MSP {config.name!r} is defined in two ways")
            if config.name not in self.made:
                self.made[config.name] = Msp(config, self.version)
        except MspConfigError as error:
            raise ConfigError(f"organization {organization!r}: {error}") from error
        return config.name


def _consenters(
    orderer: configtx_pb2.ConfigGroup, consensus: configuration_pb2.ConsensusType
) -> tuple[Consenter, ...]:
    mapping = _value(orderer, "Orderers", configuration_pb2.Orderers).consenter_mapping
    if mapping or consensus.type != "etcdraft":
        return tuple(
            Consenter(
                each.host,
                each.port,
                each.client_tls_cert,
                each.server_tls_cert,
                each.id,
                each.msp_id,
                each.identity,
            )
            for each in mapping
        )
    try:
        raft = configuration_pb2.RaftConfigMetadata.FromString(consensus.metadata)
    except DecodeError as error:
        raise ConfigError("malformed consensus metadata") from error
    return tuple(
        Consenter(each.host, each.port, each.client_tls_cert, each.server_tls_cert)
        for each in raft.consenters
    )


def _policies(group: configtx_pb2.ConfigGroup, depth: int) -> PolicyGroup:
    if depth == 0:
        raise ConfigError("the groups of the configuration are nested too deeply")
    try:
        policies = {name: policy_of(group.policies[name].policy) for name in sorted(group.policies)}
    except PolicyError as error:
        raise ConfigError(f"policy in the configuration: {error}") from error
    groups = {name: _policies(group.groups[name], depth - 1) for name in sorted(group.groups)}
    return PolicyGroup(policies, groups)
