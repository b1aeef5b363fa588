"""Policies: who must have signed, as a channel's configuration says it.

    signature policy      n of these, each a signer or again n of these
    implicit meta policy  ANY, ALL or a MAJORITY of the policies of one name one level down

A policy is asked about a set of identities. `signers` makes it from signatures:
what does not verify is left out, and an identity counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from google.protobuf.message import DecodeError

from pubsub.errors import RemoteError
from pubsub.fabric.identities import identify
from pubsub.fabric.identity_errors import IdentityError
from pubsub.fabric.msp import Identity, Msp
from pubsub.fabric.principals import Principal, is_meant, principal_of
from pubsub.fabric.signatures import SignatureError
from pubsub.pb.fabric import policy_pb2

MAX_DEPTH = 32
MAX_RULES = 4096
"In one signature policy (both ours: Fabric has no bound)."


class PolicyError(RemoteError):
    """A policy is malformed, or does not exist."""


class PolicyNotSatisfiedError(PolicyError):
    """Those who signed are not those whom the policy asks for."""


class MetaRule(IntEnum):
    """How many policies one level down an implicit meta policy needs."""

    ANY = 0
    ALL = 1
    MAJORITY = 2


@dataclass(frozen=True, slots=True)
class SignedBy:
    """One signer whom the principal means, who has not been counted yet."""

    principal: Principal


@dataclass(frozen=True, slots=True)
class NOutOf:
    """At least `needed` of the rules."""

    needed: int
    rules: tuple[Rule, ...]


Rule: TypeAlias = SignedBy | NOutOf


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """A policy that names its signers."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class ImplicitMetaPolicy:
    """A policy over the policies called `sub_policy` one level down."""

    rule: MetaRule
    sub_policy: str


Policy: TypeAlias = SignaturePolicy | ImplicitMetaPolicy


@dataclass(frozen=True, slots=True)
class SignedData:
    """A claim that `identity`, serialized, signed `data`."""

    identity: bytes = field(repr=False)
    data: bytes = field(repr=False)
    signature: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PolicyGroup:
    """The policies of one group of the configuration, and the groups below it."""

    policies: Mapping[str, Policy] = field(default_factory=dict)
    groups: Mapping[str, PolicyGroup] = field(default_factory=dict)

    def group(self, *path: str) -> PolicyGroup:
        """The group at `path` below this one. Raises PolicyError."""
        group = self
        for name in path:
            try:
                group = group.groups[name]
            except KeyError as error:
                raise PolicyError(f"there is no group {'/'.join(path)!r}") from error
        return group

    def check(self, name: str, by: Sequence[Identity], msps: Mapping[str, Msp]) -> None:
        """Raise PolicyNotSatisfiedError unless `by` satisfies the policy `name` of this group."""
        policy = self.policies.get(name)
        if policy is None:
            raise PolicyError(f"there is no policy {name!r}")
        if isinstance(policy, SignaturePolicy):
            if not _counts(policy.rule, by, set(), msps):
                raise PolicyNotSatisfiedError(
                    f"{len(by)} valid signatures do not satisfy the policy {name!r}"
                )
            return
        satisfied = sum(
            group.is_satisfied(policy.sub_policy, by, msps) for group in self.groups.values()
        )
        needed = _needed(policy.rule, len(self.groups))
        if satisfied < needed:
            raise PolicyNotSatisfiedError(
                f"policy {name!r}: {satisfied} of the {policy.sub_policy!r} policies below are"
                f" satisfied, {needed} are needed"
            )

    def is_satisfied(self, name: str, by: Sequence[Identity], msps: Mapping[str, Msp]) -> bool:
        """True if `by` satisfies the policy `name`; false also if there is none."""
        try:
            self.check(name, by, msps)
        except PolicyError:
            return False
        return True


def signers(claims: Iterable[SignedData], msps: Mapping[str, Msp]) -> tuple[Identity, ...]:
    """Those whose signature in `claims` is good, each once."""
    found: dict[tuple[str, bytes], Identity] = {}
    for claim in claims:
        try:
            identity = identify(claim.identity, msps)
            # Asked before the signature, so that copies of one cost nothing.
            if identity.fingerprint not in found:
                identity.verify(claim.data, claim.signature)
                found[identity.fingerprint] = identity
        except (IdentityError, SignatureError):
            continue
    return tuple(found.values())


def _needed(rule: MetaRule, below: int) -> int:
    if below == 0:
        return 0
    return {MetaRule.ANY: 1, MetaRule.ALL: below, MetaRule.MAJORITY: below // 2 + 1}[rule]


def _counts(rule: Rule, by: Sequence[Identity], used: set[int], msps: Mapping[str, Msp]) -> bool:
    """True if `rule` holds; signers that it takes are added to `used`.

    As Fabric does it: each rule takes the first signer who fits and is free, and what was
    taken for a rule that failed is given back.
    """
    if isinstance(rule, SignedBy):
        for number, identity in enumerate(by):
            if number not in used and is_meant(identity, rule.principal, msps):
                used.add(number)
                return True
        return False
    held = 0
    for part in rule.rules:
        taken = set(used)
        if _counts(part, by, taken, msps):
            held += 1
            used |= taken
    return held >= rule.needed


def policy_of(message: policy_pb2.Policy) -> Policy:
    """Read a policy of a configuration. Raises PolicyError."""
    try:
        if message.type == policy_pb2.Policy.IMPLICIT_META:
            meta = policy_pb2.ImplicitMetaPolicy.FromString(message.value)
            if not 0 <= meta.rule <= max(MetaRule):
                raise PolicyError(f"implicit meta policy with rule {meta.rule}")
            return ImplicitMetaPolicy(MetaRule(meta.rule), meta.sub_policy)
        if message.type == policy_pb2.Policy.SIGNATURE:
            envelope = policy_pb2.SignaturePolicyEnvelope.FromString(message.value)
            return SignaturePolicy(_rule_of(envelope))
    except DecodeError as error:
        raise PolicyError("malformed policy") from error
    raise PolicyError(f"policy of type {message.type}")


def _rule_of(envelope: policy_pb2.SignaturePolicyEnvelope) -> Rule:
    if envelope.version != 0:
        raise PolicyError(f"signature policy of version {envelope.version}")
    principals = [principal_of(each) for each in envelope.identities]
    left = MAX_RULES

    def read(message: policy_pb2.SignaturePolicy, depth: int) -> Rule:
        nonlocal left
        left -= 1
        if left < 0 or depth == 0:
            raise PolicyError("signature policy with too many rules")
        match message.WhichOneof("type"):
            case "signed_by":
                if not 0 <= message.signed_by < len(principals):
                    raise PolicyError(f"signature policy names principal {message.signed_by}")
                return SignedBy(principals[message.signed_by])
            case "n_out_of":
                rules = tuple(read(each, depth - 1) for each in message.n_out_of.rules)
                return NOutOf(message.n_out_of.n, rules)
        raise PolicyError("signature policy with an empty rule")

    return read(envelope.rule, MAX_DEPTH)
