import pytest

from pubsub.fabric.blocks import parse_block
from pubsub.fabric.config import config_from_block
from pubsub.fabric.make_blocks import genesis_block
from pubsub.fabric.make_config import ChannelProfile, OrganizationProfile, channel_group
from pubsub.fabric.make_policies import group_policies, implicit_meta, orderer_policies
from pubsub.fabric.policies import MetaRule
from pubsub.fabric.transactions import parse_transaction
from pubsub.pb.fabric import configtx_pb2, configuration_pb2
from tests.fabric_fixtures import needs_recordings, read
from tests.unit.fabric.network import WHEN, entropy, organization, profile


def policy_names(group):
    return sorted(group.policies)


def test_what_a_profile_does_not_say_is_as_in_fabrics_samples():
    group = channel_group(profile())
    assert sorted(group.values) == ["BlockDataHashingStructure", "Capabilities", "HashingAlgorithm"]
    assert policy_names(group) == ["Admins", "Readers", "Writers"]
    application, orderer = group.groups["Application"], group.groups["Orderer"]
    assert policy_names(orderer) == ["Admins", "BlockValidation", "Readers", "Writers"]
    assert policy_names(application) == [
        *("Admins", "Endorsement", "LifecycleEndorsement", "Readers", "Writers")
    ]
    assert "AnchorPeers" in application.groups["Org1MSP"].values
    assert "AnchorPeers" not in application.groups["Org2MSP"].values
    consensus = configuration_pb2.ConsensusType.FromString(orderer.values["ConsensusType"].value)
    raft = configuration_pb2.RaftConfigMetadata.FromString(consensus.metadata)
    assert (raft.options.tick_interval, len(raft.consenters)) == ("500ms", 4)


def test_policies_may_be_others():
    mine = {"Readers": implicit_meta(MetaRule.ALL, "Readers")}
    special = OrganizationProfile(organization(1).msp_config(), policies=mine)
    whole = ChannelProfile(
        "c",
        [special],
        [OrganizationProfile(organization(2).msp_config(), policies=orderer_policies("x"))],
        orderer_policies=group_policies() | {"BlockValidation": mine["Readers"]},
        application_policies=mine | {"Endorsement": mine["Readers"]},
        capabilities=(),
    )
    group = channel_group(whole)
    assert "Capabilities" not in group.values
    application = group.groups["Application"]
    assert policy_names(application.groups["Org1MSP"]) == ["Readers"]
    assert policy_names(application) == ["Endorsement", "LifecycleEndorsement", "Readers"]
    assert application.policies["Endorsement"].policy == mine["Readers"]
    assert group.groups["Orderer"].policies["BlockValidation"].policy == mine["Readers"]


@needs_recordings
@pytest.mark.parametrize("channel", ["mychannel", "second", "bftchan"])
def test_a_recorded_genesis_block_is_made_again(channel):
    """Given what configtxgen was given, the same configuration comes out."""
    recorded = parse_block(read(f"blocks/{channel}/0.block"))
    made = config_from_block(recorded)
    options = configuration_pb2.BftOptions.FromString(made.consensus_metadata)
    if made.consensus == "etcdraft":
        raft = configuration_pb2.RaftConfigMetadata.FromString(made.consensus_metadata)
        options = raft.options

    def organizations(mapping):
        return [
            OrganizationProfile(made.msps[each.msp_id].config, each.anchor_peers, each.endpoints)
            for each in mapping.values()
        ]

    again = genesis_block(
        ChannelProfile(
            channel,
            organizations(made.organizations),
            organizations(made.orderer_organizations),
            made.consensus,
            made.consenters,
            options,
            batch_timeout=made.batch.timeout,
            max_messages=made.batch.max_messages,
            absolute_max_bytes=made.batch.absolute_max_bytes,
            preferred_max_bytes=made.batch.preferred_max_bytes,
        ),
        entropy=entropy(1),
        when=WHEN,
    )

    def configuration(block):
        transaction = parse_transaction(block.transactions[0])
        return configtx_pb2.ConfigEnvelope.FromString(transaction.data)

    assert configuration(again) == configuration(recorded)
    assert again.metadata == recorded.metadata
