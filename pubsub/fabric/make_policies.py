"""Policies written down: the usual ones, as configtxgen encodes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pubsub.fabric.msp import Role
from pubsub.fabric.policies import MetaRule
from pubsub.pb.fabric import configtx_pb2, msp_pb2, policy_pb2

ADMINS = "Admins"
"The policy that may change another: Fabric's tools name it everywhere."


def implicit_meta(rule: MetaRule, sub_policy: str) -> policy_pb2.Policy:
    """ANY, ALL or MAJORITY of the policies `sub_policy` one level down."""
    meta = policy_pb2.ImplicitMetaPolicy(
        sub_policy=sub_policy, rule=policy_pb2.ImplicitMetaPolicy.Rule.Name(rule)
    )
    return policy_pb2.Policy(
        type=policy_pb2.Policy.IMPLICIT_META, value=meta.SerializeToString(deterministic=True)
    )


def signed_by(needed: int, principals: Sequence[msp_pb2.MSPPrincipal]) -> policy_pb2.Policy:
    """Signatures of `needed` of these."""
    rules = [policy_pb2.SignaturePolicy(signed_by=index) for index in range(len(principals))]
    envelope = policy_pb2.SignaturePolicyEnvelope(
        rule=policy_pb2.SignaturePolicy(
            n_out_of=policy_pb2.SignaturePolicy.NOutOf(n=needed, rules=rules)
        ),
        identities=principals,
    )
    return policy_pb2.Policy(
        type=policy_pb2.Policy.SIGNATURE, value=envelope.SerializeToString(deterministic=True)
    )


def role_principal(msp_id: str, role: Role) -> msp_pb2.MSPPrincipal:
    """Those of an MSP who are in a role."""
    message = msp_pb2.MSPRole(msp_identifier=msp_id, role=msp_pb2.MSPRole.MSPRoleType.Name(role))
    return msp_pb2.MSPPrincipal(
        principal_classification=msp_pb2.MSPPrincipal.ROLE, principal=message.SerializeToString()
    )


def identity_principal(encoded: bytes) -> msp_pb2.MSPPrincipal:
    """One identity, serialized."""
    return msp_pb2.MSPPrincipal(
        principal_classification=msp_pb2.MSPPrincipal.IDENTITY, principal=encoded
    )


def any_role(msp_id: str, *roles: Role) -> policy_pb2.Policy:
    """One signature by somebody in one of these roles."""
    return signed_by(1, [role_principal(msp_id, role) for role in roles])


def group_policies() -> dict[str, policy_pb2.Policy]:
    """What a group of organizations has: any may read and write, most must agree to change."""
    return {
        "Readers": implicit_meta(MetaRule.ANY, "Readers"),
        "Writers": implicit_meta(MetaRule.ANY, "Writers"),
        ADMINS: implicit_meta(MetaRule.MAJORITY, ADMINS),
    }


def application_policies(msp_id: str) -> dict[str, policy_pb2.Policy]:
    """What an organization with peers has."""
    return {
        "Readers": any_role(msp_id, Role.ADMIN, Role.PEER, Role.CLIENT),
        "Writers": any_role(msp_id, Role.ADMIN, Role.CLIENT),
        ADMINS: any_role(msp_id, Role.ADMIN),
        "Endorsement": any_role(msp_id, Role.PEER),
    }


def orderer_policies(msp_id: str) -> dict[str, policy_pb2.Policy]:
    """What an organization with orderers has."""
    return {
        "Readers": any_role(msp_id, Role.MEMBER),
        "Writers": any_role(msp_id, Role.MEMBER),
        ADMINS: any_role(msp_id, Role.ADMIN),
    }


def bft_block_validation(identities: Sequence[bytes]) -> policy_pb2.Policy:
    """Signatures of a quorum of these consenters, serialized identities (as Fabric's BFT)."""
    total = len(identities)
    faulty = (total - 1) // 3
    quorum = (total + faulty + 2) // 2
    return signed_by(quorum, [identity_principal(each) for each in identities])


def put_policies(
    group: configtx_pb2.ConfigGroup, policies: Mapping[str, policy_pb2.Policy]
) -> None:
    """Write `policies` into a group of a configuration."""
    for name, policy in policies.items():
        group.policies[name].policy.CopyFrom(policy)
        group.policies[name].mod_policy = ADMINS
