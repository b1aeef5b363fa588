"""Which identity stands behind a PKI-ID: the peers that have proved who they are.

An identity enters when it is valid and within its days, and leaves when its
certificate ends, when nobody asked for it for an hour, when it is suspected after a
change of configuration and found invalid, or when its peer comes back with a new
certificate. Whoever leaves is returned, so that connection and membership end too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import final

from pubsub.errors import ParamError
from pubsub.fabric.identities import parse_identity
from pubsub.fabric.identity_errors import ForeignRenewalError, IdentityError, PkiIdError
from pubsub.fabric.trust import Trust

UNUSED_AFTER = 3600.0
"Fabric's usage threshold, in seconds; it looks ten times as often."
GRACE = timedelta(milliseconds=1)
"How long after its last moment a certificate is dropped (Fabric)."
MAX_PER_ORGANIZATION = 4096
"So that one organization cannot crowd out another (ours)."


@dataclass(slots=True)
class KnownIdentity:
    """A peer's identity, validated when it came in."""

    pki_id: bytes
    encoded: bytes = field(repr=False)
    msp_id: str
    not_after: datetime
    last_used: float
    expires_at: float
    "When on the monotonic clock, as foreseen by the wall clock when it came in."


@final
class IdentityMapper:
    """PKI-IDs and identities. Our own is in it from the start."""

    def __init__(
        self,
        own: bytes,
        trust: Trust,
        *,
        now: float,
        when: datetime,
        unused_after: float = UNUSED_AFTER,
        max_per_organization: int = MAX_PER_ORGANIZATION,
    ) -> None:
        if max_per_organization < 2:
            raise ParamError("max_per_organization must be at least 2: one is our own identity")
        self._trust = trust
        self._unused_after = unused_after
        self._max_per_organization = max_per_organization
        # Each organization's in order of use, the longest unused first.
        self._organizations: dict[str, dict[bytes, KnownIdentity]] = {}
        self._msp_ids: dict[bytes, str] = {}
        self._crowded_out: list[KnownIdentity] = []
        self._next_look = now + unused_after / 10
        self._next_end = float("inf")
        self.own = parse_identity(own).pki_id
        self.put(self.own, own, now=now, when=when)

    def __len__(self) -> int:
        return len(self._msp_ids)

    def __iter__(self) -> Iterator[KnownIdentity]:
        for identities in self._organizations.values():
            yield from identities.values()

    def __contains__(self, pki_id: bytes) -> bool:
        return pki_id in self._msp_ids

    def put(self, pki_id: bytes, encoded: bytes, *, now: float, when: datetime) -> KnownIdentity:
        """Take in an identity under the PKI-ID that its peer gave for it.

        Raises IdentityError, or the subclass that says more, if it is not one of ours or
        of a channel's, if the PKI-ID is not its own, or if its certificate has ended.
        """
        identity = self._trust.identify(encoded)
        if parse_identity(encoded).pki_id != pki_id:
            raise PkiIdError("the PKI-ID is not that of the identity")
        known = self._peek(pki_id)
        if known is not None:
            return known
        identity.check_date(when)
        known = KnownIdentity(
            pki_id,
            encoded,
            identity.msp_id,
            identity.not_after,
            now,
            now + (identity.not_after + GRACE - when).total_seconds(),
        )
        self._make_room(identity.msp_id)
        self._organizations.setdefault(identity.msp_id, {})[pki_id] = known
        self._msp_ids[pki_id] = identity.msp_id
        self._next_end = min(self._next_end, known.expires_at)
        return known

    def get(self, pki_id: bytes, *, now: float) -> KnownIdentity | None:
        """The identity behind `pki_id`, which counts as used; None if it is not known."""
        known = self._peek(pki_id)
        if known is not None:
            identities = self._organizations[known.msp_id]
            known.last_used = now
            identities[pki_id] = identities.pop(pki_id)
        return known

    def verify(self, pki_id: bytes, data: bytes, signature: bytes, *, now: float) -> KnownIdentity:
        """The identity behind `pki_id`, if it signed `data` and its signature counts.

        Raises IdentityError if it is not known, else as `Trust.verify`.
        """
        known = self.get(pki_id, now=now)
        if known is None:
            raise IdentityError(f"no identity is known for PKI-ID {pki_id.hex()[:16]}")
        self._trust.verify(known.encoded, data, signature)
        return known

    def renew(
        self, old: bytes, pki_id: bytes, encoded: bytes, *, now: float, when: datetime
    ) -> KnownIdentity | None:
        """A peer known as `old` came back as `pki_id`: take that in and return what it replaces.

        Raises ForeignRenewalError, and changes nothing, if the organization is another or
        `old` is not known or our own; else as `put`.
        """
        if old == pki_id:
            self.put(pki_id, encoded, now=now, when=when)
            return None
        before = self._peek(old)
        if (
            before is None
            or old == self.own
            or before.msp_id != self._trust.identify(encoded).msp_id
        ):
            raise ForeignRenewalError("a peer came back with an identity of another organization")
        self.put(pki_id, encoded, now=now, when=when)
        return self._drop(old)

    def suspect(
        self, is_suspected: Callable[[KnownIdentity], bool], *, when: datetime
    ) -> list[KnownIdentity]:
        """Validate those suspected anew; drop and return those that fail."""
        suspects = [each for each in self if is_suspected(each)]
        return [self._drop(each.pki_id) for each in suspects if self._is_refused(each, when)]

    @property
    def next_deadline(self) -> float:
        """When `expire` has something to do."""
        if self._crowded_out:
            return float("-inf")
        return min(self._next_look, self._next_end)

    def expire(self, *, now: float, when: datetime) -> list[KnownIdentity]:
        """Drop and return those that have ended, gone unused or been crowded out."""
        dropped, self._crowded_out = self._crowded_out, []
        look = now >= self._next_look
        if look:
            self._next_look = now + self._unused_after / 10
        elif now < self._next_end:
            return dropped
        self._next_end = float("inf")
        for each in list(self):
            if now >= each.expires_at and when <= each.not_after:
                # The wall clock was set back.
                each.expires_at = now + (each.not_after + GRACE - when).total_seconds()
            unused = each.last_used + self._unused_after < now and each.pki_id != self.own
            if when > each.not_after or (look and unused):
                dropped.append(self._drop(each.pki_id))
            else:
                self._next_end = min(self._next_end, each.expires_at)
        return dropped

    def _is_refused(self, known: KnownIdentity, when: datetime) -> bool:
        try:
            self._trust.identify(known.encoded).check_date(when)
        except IdentityError:
            return True
        return False

    def _peek(self, pki_id: bytes) -> KnownIdentity | None:
        msp_id = self._msp_ids.get(pki_id)
        return None if msp_id is None else self._organizations[msp_id][pki_id]

    def _drop(self, pki_id: bytes) -> KnownIdentity:
        msp_id = self._msp_ids.pop(pki_id)
        identities = self._organizations[msp_id]
        known = identities.pop(pki_id)
        if not identities:
            del self._organizations[msp_id]
        return known

    def _make_room(self, msp_id: str) -> None:
        identities = self._organizations.get(msp_id, {})
        if len(identities) >= self._max_per_organization:
            oldest = next(pki_id for pki_id in identities if pki_id != self.own)
            self._crowded_out.append(self._drop(oldest))
