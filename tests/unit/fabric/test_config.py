import hashlib
import random
from contextlib import suppress

import pytest

from pubsub.fabric import config as config_module
from pubsub.fabric.blocks import parse_block
from pubsub.fabric.config import (
    ConfigError,
    Consenter,
    Endpoint,
    Organization,
    config_from_block,
    msp_version,
    updated,
)
from pubsub.fabric.make_blocks import genesis_block
from pubsub.fabric.make_channel import ordering_nodes
from pubsub.fabric.msp import MspVersion, Role
from pubsub.fabric.policies import ImplicitMetaPolicy, NOutOf, SignaturePolicy, SignedBy
from pubsub.fabric.principals import IdentityPrincipal, RolePrincipal
from pubsub.fabric.transactions import parse_transaction
from pubsub.pb.fabric import block_pb2, configtx_pb2, configuration_pb2, msp_pb2
from tests.fabric_fixtures import index, needs_recordings, read
from tests.fuzz import hostile_bytes
from tests.unit.fabric.network import (
    WHEN,
    config,
    entropy,
    genesis,
    maker,
    orderers,
    organization,
    profile,
    transaction,
)

RECORDED = [
    entry for entries in index("blocks.json").values() for entry in entries if "config" in entry
]


def rewritten(change, channel="mychannel"):
    """A block with the configuration of the genesis block, changed."""
    read_in = parse_transaction(genesis().transactions[0])
    envelope = configtx_pb2.ConfigEnvelope.FromString(read_in.data)
    change(envelope.config)
    return wrapped(envelope.SerializeToString(), channel)


def wrapped(data, channel="mychannel", kind=block_pb2.CONFIG):
    header = block_pb2.ChannelHeader(type=kind, channel_id=channel).SerializeToString()
    payload = block_pb2.Payload(header=block_pb2.Header(channel_header=header), data=data)
    envelope = block_pb2.Envelope(payload=payload.SerializeToString()).SerializeToString()
    data = block_pb2.BlockData(data=[envelope])
    block = block_pb2.Block(header=block_pb2.BlockHeader(number=5), data=data)
    return parse_block(block.SerializeToString())


def test_a_configuration_is_read():
    made = config()
    assert (made.channel, made.sequence) == ("mychannel", 0)
    assert made.capabilities == {"V3_0"}
    assert made.orderer_capabilities == {"V2_0"}
    assert made.application_capabilities == {"V2_5"}
    assert list(made.organizations.items()) == [
        ("Org1MSP", Organization("Org1MSP", "Org1MSP", (Endpoint("localhost", 7051),))),
        ("Org2MSP", Organization("Org2MSP", "Org2MSP")),
    ]
    endpoints = tuple(f"localhost:{port}" for port in range(7050, 7054))
    assert made.orderer_organizations == {
        "OrdererMSP": Organization("OrdererMSP", "OrdererMSP", (), endpoints)
    }
    assert list(made.anchor_peers()) == [("Org1MSP", Endpoint("localhost", 7051))]
    assert made.is_member("Org2MSP")
    assert not made.is_member("OrdererMSP")
    assert sorted(made.msps) == ["OrdererMSP", "Org1MSP", "Org2MSP"]
    assert (made.consensus, made.in_maintenance, made.orderer_addresses) == ("etcdraft", False, ())
    assert made.batch.timeout == "2s"


def test_consenters_of_raft_and_bft():
    nodes = ordering_nodes(orderers())
    tls = [node.tls.certificate.pem for node in nodes]
    raft = [Consenter("localhost", 7050 + n, tls[n], tls[n]) for n in range(4)]
    assert list(config().consenters) == raft
    bft = config(consensus="BFT")
    assert list(bft.consenters) == [
        Consenter("localhost", 7050 + n, tls[n], tls[n], n + 1, "OrdererMSP", nodes[n].certificate)
        for n in range(4)
    ]
    assert bft.is_bft
    assert "certificate" not in repr(bft.consenters)


def test_policies_are_found_by_their_path():
    msps = config().msps
    readers = config().policies.group("Application")
    for name, may in (("peer0.org1.example.com", True), ("Admin@org1.example.com", True)):
        identity = msps["Org1MSP"].identity(organization(1).members[name].certificate)
        assert readers.is_satisfied("Readers", [identity], msps) is may
    orderer = msps["OrdererMSP"].identity(ordering_nodes(orderers())[0].certificate)
    assert not readers.is_satisfied("Readers", [orderer], msps)
    assert orderer.has_role(Role.ORDERER)


def test_only_a_later_configuration_replaces_another():
    making = maker()
    second = making.next_config(profile(orgs=(1,)), when=WHEN)
    third = making.next_config(profile(orgs=(1, 2, 3)), when=WHEN)
    first = config()
    now = updated(first, third)
    assert now is not None
    assert (now.sequence, list(now.organizations)) == (2, ["Org1MSP", "Org2MSP", "Org3MSP"])
    assert updated(now, second) is None
    assert updated(now, third) is None
    assert updated(first, genesis()) is None
    assert list(updated(first, second).organizations) == ["Org1MSP"]


def test_a_configuration_must_be_able_to_follow():
    with pytest.raises(ConfigError, match="'other', not of 'mychannel'"):
        updated(config(), genesis("other"))

    def swap(made):
        made.sequence = 1
        groups = made.channel_group.groups["Application"].groups
        groups["Org2MSP"].values["MSP"].CopyFrom(groups["Org1MSP"].values["MSP"])

    with pytest.raises(ConfigError, match="'Org2MSP' changed its MSP"):
        updated(config(), rewritten(swap))


@pytest.mark.parametrize(
    ("capabilities", "version"),
    [
        ((), MspVersion.V1_0),
        (("V1_1",), MspVersion.V1_1),
        (("V1_4_2",), MspVersion.V1_3),
        (("V2_0", "V1_3"), MspVersion.V1_4_3),
        (("V3_0",), MspVersion.V3_0),
    ],
)
def test_capabilities_say_which_rules_msps_have(capabilities, version):
    assert msp_version(frozenset(capabilities)) == version
    block = genesis_block(profile(capabilities=capabilities), entropy=entropy(1), when=WHEN)
    assert config_from_block(block).msps["Org1MSP"].version == version


def test_what_is_no_configuration_block_is_refused():
    plain = maker().next_block([transaction()])
    with pytest.raises(ConfigError, match="not a configuration block"):
        config_from_block(plain)
    for data in (b"\xff", b""):
        with pytest.raises(ConfigError, match="block 5"):
            config_from_block(wrapped(data))
    empty = parse_block(block_pb2.Block(header=block_pb2.BlockHeader()).SerializeToString())
    with pytest.raises(ConfigError, match="no transactions"):
        config_from_block(empty)


@pytest.mark.parametrize("name", ["", "My", "1a", "a_b", "a" * 250])
def test_names_that_channels_cannot_have(name):
    with pytest.raises(ConfigError, match="not the name"):
        config_from_block(rewritten(lambda made: None, channel=name))
    assert config_from_block(rewritten(lambda made: None, "a.b-1" + "c" * 244)).channel


def org1(made):
    return made.channel_group.groups["Application"].groups["Org1MSP"]


def set_msp(made, **fields):
    org1(made).values["MSP"].value = msp_pb2.MSPConfig(**fields).SerializeToString()


def deepen(made):
    group = made.channel_group
    for _ in range(8):
        group = group.groups["x"]
        group.SetInParent()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda made: set_msp(made, type=2), "type 2"),
        (lambda made: set_msp(made, config=b""), "without an id"),
        (lambda made: set_msp(made, config=b"\xff"), "malformed MSP"),
        (lambda made: set_msp(made, config=b"\x0a\x01M"), "no root"),
        (lambda made: set_msp(made, config=b"\x0a\x07Org2MSP"), "in two ways|no root"),
        (lambda made: setattr(org1(made).values["MSP"], "value", b"\xff"), "malformed MSP"),
        (lambda made: setattr(org1(made).values["AnchorPeers"], "value", b"\xff"), "AnchorPeers"),
        (lambda made: org1(made).policies["Readers"].policy.Clear(), "of type 0"),
        (lambda made: made.channel_group.values.pop("HashingAlgorithm"), "hashing algorithm"),
        (deepen, "nested too deeply"),
    ],
)
def test_what_makes_no_configuration_is_refused(change, why):
    with pytest.raises(ConfigError, match=why):
        config_from_block(rewritten(change))


def test_malformed_consensus_metadata():
    def change(made):
        consensus = configuration_pb2.ConsensusType(type="etcdraft", metadata=b"\xff")
        values = made.channel_group.groups["Orderer"].values
        values["ConsensusType"].value = consensus.SerializeToString()

    with pytest.raises(ConfigError, match="consensus metadata"):
        config_from_block(rewritten(change))


def test_organizations_may_share_an_msp_but_not_its_name():
    def share(made):
        groups = made.channel_group.groups
        groups["Orderer"].groups["Org1MSP"].CopyFrom(groups["Application"].groups["Org1MSP"])

    shared = config_from_block(rewritten(share))
    assert shared.orderer_organizations["Org1MSP"].msp_id == "Org1MSP"

    def differ(made):
        share(made)
        message = msp_pb2.MSPConfig.FromString(org1(made).values["MSP"].value)
        inner = msp_pb2.FabricMSPConfig.FromString(message.config)
        inner.ClearField("tls_root_certs")
        set_msp(made, config=inner.SerializeToString())

    with pytest.raises(ConfigError, match="in two ways"):
        config_from_block(rewritten(differ))


def test_an_organization_with_an_idemix_msp_is_there_without_identities():
    made = config_from_block(
        rewritten(lambda m: set_msp(m, type=1, config=b"\x0a\x04anon\x28\x01"))
    )
    assert made.organizations["Org1MSP"].msp_id == "anon"
    assert "anon" not in made.msps


def test_the_number_of_organizations_is_bounded(monkeypatch):
    monkeypatch.setattr(config_module, "MAX_ORGANIZATIONS", 1)
    with pytest.raises(ConfigError, match="2 organizations"):
        config_from_block(genesis())


def test_a_channel_without_orderers_can_be_read():
    made = config_from_block(rewritten(lambda m: m.channel_group.groups.pop("Orderer")))
    assert made.orderer_organizations == {}
    assert list(made.policies.groups) == ["Application"], "no empty group comes of asking"


def test_hostile_configurations_are_read_or_refused():
    data = parse_transaction(genesis().transactions[0]).data
    for each in hostile_bytes(random.Random(1), [data], 600):
        with suppress(ConfigError):
            assert config_from_block(wrapped(each)).channel == "mychannel"


# Against the recordings.


def sha256(certificate):
    return hashlib.sha256(certificate).hexdigest()


def rule_as_recorded(rule, principals):
    if isinstance(rule, SignedBy):
        principals.append(rule.principal)
        return {"signed_by": len(principals) - 1}
    assert isinstance(rule, NOutOf)
    rules = [rule_as_recorded(each, principals) for each in rule.rules]
    return {"n_out_of": rule.needed, "rules": rules}


def policy_as_recorded(policy):
    if isinstance(policy, ImplicitMetaPolicy):
        return {
            "type": "ImplicitMeta",
            "rule": policy.rule.name,
            "sub_policy": policy.sub_policy,
        }
    assert isinstance(policy, SignaturePolicy)
    principals = []
    rule = rule_as_recorded(policy.rule, principals)
    identities = []
    for principal in principals:
        if isinstance(principal, RolePrincipal):
            identities.append({"role": principal.role.name, "mspid": principal.msp_id})
        else:
            assert isinstance(principal, IdentityPrincipal)
            identities.append(
                {
                    "identity_mspid": principal.identity.msp_id,
                    "identity_certificate_sha256": sha256(principal.identity.id_bytes),
                }
            )
    return {"type": "Signature", "rule": rule, "identities": identities}


def policies_as_recorded(group):
    return {name: policy_as_recorded(policy) for name, policy in group.policies.items()}


def msp_as_recorded(msp):
    units = msp.config.node_units
    return {
        "mspid": msp.name,
        "type": 0,
        "root_certs_sha256": [sha256(pem) for pem in msp.config.roots],
        "intermediate_certs": len(msp.intermediates),
        "admins": len(msp.config.admins),
        "revocation_lists": len(msp.config.revocation_lists),
        "tls_root_certs_sha256": [sha256(pem) for pem in msp.config.tls_roots],
        "signature_hash_family": msp.config.signature_hash_family,
        "identity_hash": msp.config.identity_hash,
        "node_ous": {
            "enabled": units.enabled,
            "client": units.client.unit,
            "peer": units.peer.unit,
            "admin": units.admin.unit,
            "orderer": units.orderer.unit,
        },
    }


def organization_as_recorded(made, group, each):
    entry = {
        "msp": msp_as_recorded(made.msps[each.msp_id]),
        "policies": policies_as_recorded(made.policies.group(group, each.name)),
    }
    if each.endpoints:
        entry["endpoints"] = list(each.endpoints)
    if each.anchor_peers:
        entry["anchor_peers"] = [{"host": a.host, "port": a.port} for a in each.anchor_peers]
    return entry


def consenter_as_recorded(each):
    entry = {
        "host": each.host,
        "port": each.port,
        "client_tls_cert_sha256": sha256(each.client_tls_certificate),
        "server_tls_cert_sha256": sha256(each.server_tls_certificate),
    }
    if each.number:
        identity = sha256(each.identity)
        entry |= {"id": each.number, "mspid": each.msp_id, "identity_sha256": identity}
    return entry


@needs_recordings
@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry["file"])
def test_recorded_configurations(entry):
    made = config_from_block(parse_block(read(entry["file"])))
    assert made.channel == entry["channel"]
    orderer, application = made.policies.group("Orderer"), made.policies.group("Application")
    assert entry["config"] == {
        "sequence": made.sequence,
        "capabilities": sorted(made.capabilities),
        "policies": policies_as_recorded(made.policies),
        "hashing_algorithm": "SHA256",
        "block_data_hashing_width": 2**32 - 1,
        "orderer": {
            "consensus": made.consensus,
            "consensus_state": int(made.in_maintenance),
            "consenters": [consenter_as_recorded(each) for each in made.consenters],
            "batch_timeout": made.batch.timeout,
            "batch_size": {
                "max_message_count": made.batch.max_messages,
                "absolute_max_bytes": made.batch.absolute_max_bytes,
                "preferred_max_bytes": made.batch.preferred_max_bytes,
            },
            "capabilities": sorted(made.orderer_capabilities),
            "policies": policies_as_recorded(orderer),
            "organizations": {
                each.name: organization_as_recorded(made, "Orderer", each)
                for each in made.orderer_organizations.values()
            },
        },
        "application": {
            "capabilities": sorted(made.application_capabilities),
            "policies": policies_as_recorded(application),
            "organizations": {
                each.name: organization_as_recorded(made, "Application", each)
                for each in made.organizations.values()
            },
        },
    }
