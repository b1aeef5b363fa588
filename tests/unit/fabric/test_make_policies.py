import pytest

from pubsub.fabric.identities import serialize_identity
from pubsub.fabric.make_policies import (
    application_policies,
    bft_block_validation,
    group_policies,
    orderer_policies,
    put_policies,
)
from pubsub.fabric.msp import Role
from pubsub.fabric.policies import (
    ImplicitMetaPolicy,
    MetaRule,
    NOutOf,
    SignaturePolicy,
    SignedBy,
    policy_of,
)
from pubsub.fabric.principals import RolePrincipal
from pubsub.pb.fabric import configtx_pb2


def any_of(*roles):
    return SignaturePolicy(NOutOf(1, tuple(SignedBy(RolePrincipal("M", role)) for role in roles)))


@pytest.mark.parametrize(
    ("made", "meant"),
    [
        (
            group_policies(),
            {
                "Readers": ImplicitMetaPolicy(MetaRule.ANY, "Readers"),
                "Writers": ImplicitMetaPolicy(MetaRule.ANY, "Writers"),
                "Admins": ImplicitMetaPolicy(MetaRule.MAJORITY, "Admins"),
            },
        ),
        (
            application_policies("M"),
            {
                "Readers": any_of(Role.ADMIN, Role.PEER, Role.CLIENT),
                "Writers": any_of(Role.ADMIN, Role.CLIENT),
                "Admins": any_of(Role.ADMIN),
                "Endorsement": any_of(Role.PEER),
            },
        ),
        (
            orderer_policies("M"),
            {
                "Readers": any_of(Role.MEMBER),
                "Writers": any_of(Role.MEMBER),
                "Admins": any_of(Role.ADMIN),
            },
        ),
    ],
)
def test_the_usual_policies(made, meant):
    assert {name: policy_of(policy) for name, policy in made.items()} == meant
    group = configtx_pb2.ConfigGroup()
    put_policies(group, made)
    assert {name: entry.policy for name, entry in group.policies.items()} == made
    assert {entry.mod_policy for entry in group.policies.values()} == {"Admins"}


@pytest.mark.parametrize(
    ("orderers", "quorum"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (10, 7)]
)
def test_a_quorum_of_bft_orderers(orderers, quorum):
    """Two quorums share an honest orderer, and the honest ones make a quorum."""
    identities = [serialize_identity("M", bytes([number])) for number in range(orderers)]
    rule = policy_of(bft_block_validation(identities)).rule
    assert (rule.needed, len(rule.rules)) == (quorum, orderers)
    faulty = (orderers - 1) // 3
    assert 2 * quorum - orderers > faulty
    assert quorum <= orderers - faulty
