import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.fabric import policies
from pubsub.fabric.identities import identify, serialize_identity
from pubsub.fabric.make_policies import any_role, implicit_meta, role_principal, signed_by
from pubsub.fabric.msp import Role
from pubsub.fabric.policies import (
    MAX_DEPTH,
    ImplicitMetaPolicy,
    MetaRule,
    NOutOf,
    PolicyError,
    PolicyGroup,
    PolicyNotSatisfiedError,
    SignaturePolicy,
    SignedBy,
    SignedData,
    policy_of,
    signers,
)
from pubsub.fabric.principals import RolePrincipal
from pubsub.pb.fabric import policy_pb2
from tests.fuzz import hostile_bytes
from tests.unit.fabric.network import organization
from tests.unit.fabric.test_certificates import with_high_s

ORGS = [organization(1), organization(2)]
MSPS = {org.msp_id: org.msp() for org in ORGS}
MEMBERS = {
    f"{short}{number}": org.members[f"{name}org{number}.example.com"]
    for number, org in enumerate(ORGS, start=1)
    for short, name in (("p", "peer0."), ("q", "peer1."), ("c", "User1@"), ("a", "Admin@"))
}
P, C, A = Role.PEER, Role.CLIENT, Role.ADMIN


def by(*names):
    return [identify(MEMBERS[name].signer.identity, MSPS) for name in names]


def one(role, org=1):
    return SignedBy(RolePrincipal(f"Org{org}MSP", role))


def holds(policy, *names):
    return PolicyGroup({"x": policy}).is_satisfied("x", by(*names), MSPS)


@pytest.mark.parametrize(
    ("rule", "signed", "satisfied"),
    [
        (one(P), "p1", True),
        (one(P), "p2 c1", False),
        (NOutOf(1, (one(P), one(C))), "c1", True),
        (NOutOf(2, (one(P), one(P))), "p1", False),
        (NOutOf(2, (one(P), one(P))), "p1 q1", True),
        (NOutOf(2, (one(P, 1), one(P, 2), one(A, 2))), "p1 a2", True),
        (NOutOf(2, (one(P, 1), one(P, 2), one(A, 2))), "p1 a1", False),
        (NOutOf(0, ()), "", True),
        (NOutOf(1, ()), "p1", False),
        # The first rule takes the peer, so the second finds nobody: Fabric does not look back.
        (NOutOf(2, (one(Role.MEMBER), one(P))), "p1 c1", False),
        (NOutOf(2, (one(Role.MEMBER), one(P))), "c1 p1", True),
        # What a rule that failed had taken is free again.
        (NOutOf(1, (NOutOf(2, (one(P), one(A))), one(P))), "p1", True),
        (NOutOf(2, (NOutOf(1, (one(P),)), NOutOf(1, (one(P),)))), "p1", False),
    ],
)
def test_signature_policies(rule, signed, satisfied):
    assert holds(SignaturePolicy(rule), *signed.split()) is satisfied


def meta(rule, *below):
    """A group whose policy asks for `rule` of policies that are satisfied, not, or missing."""
    kinds = {
        "yes": {"x": SignaturePolicy(NOutOf(0, ()))},
        "no": {"x": SignaturePolicy(NOutOf(1, ()))},
        "none": {},
    }
    groups = {f"{number}": PolicyGroup(kinds[kind]) for number, kind in enumerate(below)}
    return PolicyGroup({"x": ImplicitMetaPolicy(rule, "x")}, groups)


@pytest.mark.parametrize(
    ("rule", "below", "satisfied"),
    [
        (MetaRule.ANY, "no none yes", True),
        (MetaRule.ANY, "no none", False),
        (MetaRule.ALL, "yes yes", True),
        (MetaRule.ALL, "yes none", False),
        (MetaRule.MAJORITY, "yes yes no", True),
        (MetaRule.MAJORITY, "yes no", False),
        (MetaRule.MAJORITY, "yes", True),
        *((rule, "", True) for rule in MetaRule),
    ],
)
def test_implicit_meta_policies(rule, below, satisfied):
    assert meta(rule, *below.split()).is_satisfied("x", [], {}) is satisfied


def test_what_is_not_satisfied_says_so():
    with pytest.raises(PolicyNotSatisfiedError, match=r"1 of the 'x' policies.* 2 are needed"):
        meta(MetaRule.ALL, "yes", "no").check("x", [], {})
    with pytest.raises(PolicyNotSatisfiedError, match="2 valid signatures do not satisfy"):
        PolicyGroup({"y": SignaturePolicy(NOutOf(1, ()))}).check("y", by("p1", "p2"), MSPS)
    with pytest.raises(PolicyError, match="no policy 'z'"):
        PolicyGroup().check("z", [], {})


def test_groups_are_found_by_their_path():
    inner = PolicyGroup({"x": SignaturePolicy(NOutOf(0, ()))})
    root = PolicyGroup({}, {"a": PolicyGroup({}, {"b": inner})})
    assert root.group("a", "b") is inner
    assert root.group() is root
    with pytest.raises(PolicyError, match="'a/c'"):
        root.group("a", "c")


def claim(name, data=b"data", signed=b"data", identity=None):
    signer = MEMBERS[name].signer
    return SignedData(identity or signer.identity, data, signer.sign(signed))


def test_signatures_that_do_not_verify_do_not_count():
    claims = [claim("p1"), claim("c1", signed=b"other"), SignedData(b"", b"data", b""), claim("p2")]
    assert [each.fingerprint for each in signers(claims, MSPS)] == [
        each.fingerprint for each in by("p1", "p2")
    ]
    assert len(signers(claims, {"Org1MSP": MSPS["Org1MSP"]})) == 1


def test_an_identity_counts_once_however_it_is_written():
    certificate = with_high_s(MEMBERS["p1"].identity.certificate)
    twin = serialize_identity("Org1MSP", certificate.pem)
    claims = [claim("p1"), claim("p1"), claim("p1", identity=twin)]
    assert len(signers(claims, MSPS)) == 1
    # A bad copy that comes first does not keep the good one out.
    assert len(signers([claim("p1", signed=b"other"), claim("p1")], MSPS)) == 1


def test_copies_cost_nothing(monkeypatch):
    checked = []
    monkeypatch.setattr("pubsub.fabric.msp.verify_signature", lambda *call: checked.append(call))
    signers([claim("p1")] * 50 + [claim("p2")] * 50, MSPS)
    assert len(checked) == 2


def test_policies_are_read():
    assert policy_of(implicit_meta(MetaRule.MAJORITY, "Admins")) == ImplicitMetaPolicy(
        MetaRule.MAJORITY, "Admins"
    )
    assert policy_of(any_role("Org1MSP", P, C)) == SignaturePolicy(NOutOf(1, (one(P), one(C))))


def signature_policy(rule, **fields):
    principals = [role_principal("Org1MSP", P)]
    envelope = policy_pb2.SignaturePolicyEnvelope(rule=rule, identities=principals, **fields)
    return policy_pb2.Policy(type=1, value=envelope.SerializeToString())


def nest(depth):
    rule = policy_pb2.SignaturePolicy(signed_by=0)
    for _ in range(depth):
        rule = policy_pb2.SignaturePolicy(
            n_out_of=policy_pb2.SignaturePolicy.NOutOf(n=1, rules=[rule])
        )
    return rule


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (policy_pb2.Policy(type=0), "of type 0"),
        (policy_pb2.Policy(type=2), "of type 2"),
        (policy_pb2.Policy(type=1, value=b"\xff"), "malformed"),
        (policy_pb2.Policy(type=3, value=b"\xff"), "malformed"),
        (policy_pb2.Policy(type=3, value=b"\x10\x03"), "rule 3"),
        (policy_pb2.Policy(type=1), "empty rule"),
        (signature_policy(policy_pb2.SignaturePolicy(signed_by=1)), "principal 1"),
        (signature_policy(policy_pb2.SignaturePolicy(signed_by=-1)), "principal -1"),
        (signature_policy(nest(0), version=1), "version 1"),
        (signature_policy(nest(MAX_DEPTH)), "too many"),
    ],
)
def test_what_is_no_policy_is_refused(message, why):
    with pytest.raises(PolicyError, match=why):
        policy_of(message)


def test_depth_and_size_are_bounded(monkeypatch):
    assert policy_of(signature_policy(nest(MAX_DEPTH - 1)))
    monkeypatch.setattr(policies, "MAX_RULES", 4)
    assert policy_of(signed_by(1, [role_principal("M", P)] * 3))
    with pytest.raises(PolicyError, match="too many"):
        policy_of(signed_by(1, [role_principal("M", P)] * 4))


@given(st.sampled_from([1, 3]), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(kind, value):
    try:
        policy = policy_of(policy_pb2.Policy(type=kind, value=value))
    except PolicyError:
        return
    assert holds(policy, "p1", "a2") in (True, False)


def test_hostile_policies_are_read_or_refused():
    valid = [any_role("Org1MSP", P, C, A).value, signature_policy(nest(3)).value]
    for value in hostile_bytes(random.Random(1), valid, 3000):
        try:
            policy = policy_of(policy_pb2.Policy(type=1, value=value))
        except PolicyError:
            continue
        assert holds(policy, "p1", "a2") in (True, False)
