"""From a certificate to a root of trust: path validation as Fabric's MSP does it.

Fabric asks Go's verifier, at a time of its own: one second after the certificate's
own first moment, so that what was signed once can be checked for ever. Whether the
certificate has expired by now is asked elsewhere, and only of live peers. What
follows for the authorities: they must have been valid at that moment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pubsub.fabric.certificates import Certificate, is_issued_by
from pubsub.fabric.identity_errors import (
    AmbiguousChainError,
    CriticalExtensionError,
    NameConstraintsError,
    NotACaError,
    OutsideValidityError,
    UntrustedError,
    UsageError,
)

MAX_SIGNATURE_CHECKS = 100
"Go's bound for one search."

LATEST = datetime(9999, 1, 1, tzinfo=UTC)

_HOST = re.compile(r"(\*\.)?[a-zA-Z0-9_:][a-zA-Z0-9_:-]*(\.[a-zA-Z0-9_:][a-zA-Z0-9_:-]*)*\.?")


def unique_chain(
    certificate: Certificate, roots: Sequence[Certificate], intermediates: Sequence[Certificate]
) -> tuple[Certificate, ...]:
    """The one chain from `certificate` (first) to one of `roots` (last).

    Raises UntrustedError, or the subclass that says more, if there is none, and
    AmbiguousChainError if there are several.
    """
    if certificate.not_before > LATEST:
        raise OutsideValidityError("the certificate begins at the end of time")
    search = _Search(roots, intermediates, certificate.not_before + timedelta(seconds=1))
    fault = _own_fault(certificate, search.at)
    if fault is not None:
        raise fault
    below: tuple[Certificate, ...] = (certificate,)
    chains = [below] if certificate in roots else search.chains(below)
    usable = [chain for chain in chains if all(member.may_serve for member in chain)]
    if chains and not usable:
        raise UsageError("the chain is not for TLS servers, which Fabric asks of every identity")
    if not usable:
        raise search.fault or UntrustedError(
            f"the certificate of {certificate.common_name!r} is signed by an unknown authority"
        )
    if len(usable) > 1:
        raise AmbiguousChainError(f"{len(usable)} chains lead to a root, one is allowed")
    _check_names(usable[0])
    return usable[0]


@dataclass(slots=True)
class _Search:
    roots: Sequence[Certificate]
    intermediates: Sequence[Certificate]
    at: datetime
    checks: int = 0
    fault: UntrustedError | None = field(default=None)
    "Why an authority that did issue the certificate does not count; the first such."

    def chains(self, below: tuple[Certificate, ...]) -> list[tuple[Certificate, ...]]:
        """Every chain that begins with `below`."""
        found = [(*below, root) for root in self.roots if self._may_follow(root, below)]
        for authority in self.intermediates:
            if self._may_follow(authority, below):
                found += self.chains((*below, authority))
        return found

    def _may_follow(self, authority: Certificate, below: tuple[Certificate, ...]) -> bool:
        if below[-1].parsed.issuer != authority.parsed.subject or _stands_in(below, authority):
            return False
        self.checks += 1
        if self.checks > MAX_SIGNATURE_CHECKS:
            raise UntrustedError("too many signatures to check for one chain")
        if not is_issued_by(below[-1], authority):
            return False
        fault = _authority_fault(authority, below) or _own_fault(authority, self.at)
        self.fault = self.fault or fault
        return fault is None


def _stands_in(chain: tuple[Certificate, ...], authority: Certificate) -> bool:
    """True if the authority is in `chain` already, be it by another certificate."""
    subject, key = authority.parsed.subject, authority.key
    return any(each.parsed.subject == subject and each.key == key for each in chain)


def _own_fault(certificate: Certificate, at: datetime) -> UntrustedError | None:
    if certificate.unknown_critical:
        oid = certificate.unknown_critical
        return CriticalExtensionError(f"critical extension {oid} is not understood")
    if not certificate.not_before <= at <= certificate.not_after:
        return OutsideValidityError(
            f"the certificate of {certificate.common_name!r} is not valid at {at.isoformat()}"
        )
    return None


def _authority_fault(
    authority: Certificate, below: tuple[Certificate, ...]
) -> UntrustedError | None:
    name = authority.common_name
    if not authority.is_ca:
        return NotACaError(f"{name!r} issued a certificate and is no authority")
    if not authority.may_sign_certificates:
        return NotACaError(f"the key of {name!r} may not sign certificates")
    if authority.path_length is not None and len(below) - 1 > authority.path_length:
        return NotACaError(
            f"{len(below) - 1} authorities stand below {name!r}, {authority.path_length} may"
        )
    return None


def _check_names(chain: tuple[Certificate, ...]) -> None:
    if not any(authority.constrains_names for authority in chain[1:]):
        return
    # Fabric's rule for certificates that have no alternative names. What go would check of
    # alternative names is not repeated here: identities have none, so such a one is refused.
    if chain[0].has_alternative_names or _HOST.fullmatch(chain[0].common_name):
        raise NameConstraintsError("an authority constrains names and the certificate has one")
