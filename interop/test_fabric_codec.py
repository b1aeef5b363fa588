"""Fabric's messages mean the same to our schemas and to the codec of Fabric's Node SDK."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from google.protobuf.message import DecodeError, Message

from interop.fabric_codec import ask, assert_same, full_messages, message_types
from pubsub.pb.fabric import (
    block_pb2,
    configtx_pb2,
    configuration_pb2,
    gossip_pb2,
    msp_pb2,
    policy_pb2,
)
from tests.fabric_fixtures import FOLDER, framed

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

NAMES = {kind.DESCRIPTOR.full_name: name for name, kind in message_types().items()}
Part = tuple[type[Message], bytes]


def made() -> Iterator[Part]:
    """Messages of every type, with every field at the edge of what it holds."""
    for kind in message_types().values():
        yield kind, b""
        for message in full_messages(kind):
            yield kind, message.SerializeToString()


def recorded() -> Iterator[Part]:
    """What Fabric wrote, taken apart to the last message; nothing without recordings."""
    if not FOLDER.is_dir():
        return
    for name in ("envelopes.bin", "transcript.bin"):
        for raw in framed(name):
            yield from envelope_parts(raw)
    for path in sorted(FOLDER.glob("negative/*.bin")):
        if path.stem != "truncated":
            yield from envelope_parts(path.read_bytes())
    for path in sorted([*FOLDER.glob("blocks/*/*.block"), *FOLDER.glob("negative/*.block")]):
        yield from block_parts(path.read_bytes())


def envelope_parts(raw: bytes) -> Iterator[Part]:
    envelope = gossip_pb2.Envelope.FromString(raw)
    yield gossip_pb2.Envelope, raw
    yield gossip_pb2.GossipMessage, envelope.payload
    if envelope.HasField("secret_envelope"):
        yield gossip_pb2.Secret, envelope.secret_envelope.payload
    message = gossip_pb2.GossipMessage.FromString(envelope.payload)
    inner = [*message.mem_res.alive, *message.mem_res.dead, *message.state_snapshot.elements]
    inner += [*message.data_update.data, message.mem_req.self_information]
    for one in filter(None, inner):
        yield from envelope_parts(one)
    identities = [message.conn.identity, message.alive_msg.identity, message.peer_identity.cert]
    for identity in filter(None, identities):
        yield msp_pb2.SerializedIdentity, identity
    for payload in [message.data_msg.payload, *message.state_response.payloads]:
        if payload.data:
            yield from block_parts(payload.data)


def block_parts(raw: bytes) -> Iterator[Part]:
    block = block_pb2.Block.FromString(raw)
    yield block_pb2.Block, raw
    for transaction in block.data.data:
        yield block_pb2.Envelope, transaction
        payload = block_pb2.Envelope.FromString(transaction).payload
        yield block_pb2.Payload, payload
        parsed = block_pb2.Payload.FromString(payload)
        yield block_pb2.ChannelHeader, parsed.header.channel_header
        yield block_pb2.SignatureHeader, parsed.header.signature_header
        header = block_pb2.ChannelHeader.FromString(parsed.header.channel_header)
        if header.type == block_pb2.HeaderType.CONFIG:
            yield from config_parts(parsed.data)
    signatures = block.metadata.metadata[block_pb2.BlockMetadataIndex.SIGNATURES]
    yield block_pb2.Metadata, signatures
    metadata = block_pb2.Metadata.FromString(signatures)
    yield block_pb2.OrdererBlockMetadata, metadata.value
    for signature in metadata.signatures:
        yield block_pb2.SignatureHeader, signature.signature_header
        yield block_pb2.IdentifierHeader, signature.identifier_header


VALUES: dict[str, type[Message]] = {
    "MSP": msp_pb2.MSPConfig,
    "AnchorPeers": configuration_pb2.AnchorPeers,
    "Capabilities": configuration_pb2.Capabilities,
    "Consortium": configuration_pb2.Consortium,
    "HashingAlgorithm": configuration_pb2.HashingAlgorithm,
    "BlockDataHashingStructure": configuration_pb2.BlockDataHashingStructure,
    "OrdererAddresses": configuration_pb2.OrdererAddresses,
    "Endpoints": configuration_pb2.OrdererAddresses,
    "Orderers": configuration_pb2.Orderers,
    "ConsensusType": configuration_pb2.ConsensusType,
    "BatchSize": configuration_pb2.BatchSize,
    "BatchTimeout": configuration_pb2.BatchTimeout,
    "ChannelRestrictions": configuration_pb2.ChannelRestrictions,
    "ACLs": configuration_pb2.ACLs,
}
PRINCIPALS: dict[int, type[Message]] = {
    msp_pb2.MSPPrincipal.ROLE: msp_pb2.MSPRole,
    msp_pb2.MSPPrincipal.ORGANIZATION_UNIT: msp_pb2.OrganizationUnit,
    msp_pb2.MSPPrincipal.IDENTITY: msp_pb2.SerializedIdentity,
}


def config_parts(raw: bytes) -> Iterator[Part]:
    yield configtx_pb2.ConfigEnvelope, raw
    envelope = configtx_pb2.ConfigEnvelope.FromString(raw)
    groups = [envelope.config.channel_group]
    while groups:
        group = groups.pop()
        groups += group.groups.values()
        for name, value in group.values.items():
            yield VALUES[name], value.value
            if name == "MSP":
                config = msp_pb2.MSPConfig.FromString(value.value)
                yield msp_pb2.FabricMSPConfig, config.config
            elif name == "ConsensusType":
                consensus = configuration_pb2.ConsensusType.FromString(value.value)
                raft = consensus.type == "etcdraft"
                kind = (
                    configuration_pb2.RaftConfigMetadata if raft else configuration_pb2.BftOptions
                )
                yield kind, consensus.metadata
        for policy in group.policies.values():
            if policy.policy.type == policy_pb2.Policy.IMPLICIT_META:
                yield policy_pb2.ImplicitMetaPolicy, policy.policy.value
                continue
            yield policy_pb2.SignaturePolicyEnvelope, policy.policy.value
            rules = policy_pb2.SignaturePolicyEnvelope.FromString(policy.policy.value)
            for identity in rules.identities:
                yield PRINCIPALS[identity.principal_classification], identity.principal


def test_every_message_is_read_alike(js_node: str) -> None:
    parts = list(dict.fromkeys([*made(), *recorded()]))
    answers = ask(js_node, [(NAMES[kind.DESCRIPTOR.full_name], raw) for kind, raw in parts])
    for (kind, raw), answer in zip(parts, answers, strict=True):
        ours = kind.FromString(raw)
        assert "error" not in answer, (kind, answer)
        assert_same(ours, answer["object"])
        assert kind.FromString(base64.b64decode(answer["data"])) == ours


def test_both_refuse_what_was_cut_off(js_node: str) -> None:
    whole = [(kind, raw) for kind, raw in made() if len(raw) > 3]
    # Every first field here is longer than two bytes, so the cut is always inside it.
    cut = [(kind, raw[:2]) for kind, raw in whole if raw[0] & 7 in (0, 2) and raw[1] >= 0x80]
    cut += [(kind, raw[:2]) for kind, raw in whole if raw[0] & 7 == 2 and 0 < raw[1] < 0x80]
    assert len(cut) > 50
    answers = ask(js_node, [(NAMES[kind.DESCRIPTOR.full_name], raw) for kind, raw in cut])
    for (kind, raw), answer in zip(cut, answers, strict=True):
        assert "error" in answer, (kind, raw)
        with pytest.raises(DecodeError):
            kind.FromString(raw)
