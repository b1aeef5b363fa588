"""Who wrote what came in: an identity that is known, or that an AliveMessage brings along.

An identity is taken in with the message that it signed, and not with a forged one: else
whoever has heard of an identity could put it into others' tables.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import final

from pubsub.errors import RemoteError
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import GossipEnvelope, Verifier, verify_envelope
from pubsub.fabric.identities import parse_identity, pki_id_of
from pubsub.fabric.identity_errors import IdentityError, UnknownMspError
from pubsub.fabric.identity_mapper import IdentityMapper, KnownIdentity
from pubsub.fabric.intake_rules import Reason
from pubsub.fabric.trust import Trust


class RefusedError(Exception):
    """An envelope is not accepted."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@final
class Authors:
    """The authors of signed messages. What it refuses is a RefusedError."""

    def __init__(self, mapper: IdentityMapper, trust: Trust) -> None:
        self._mapper = mapper
        self._trust = trust

    def of(
        self,
        envelope: GossipEnvelope,
        orgs: Collection[str] | None = None,
        *,
        now: float,
        when: datetime,
        introduces: bool = True,
    ) -> KnownIdentity:
        """Who claims to have signed this, if it is one of `orgs`.

        `introduces`: whether an AliveMessage may bring an identity that is not known yet.
        """
        if envelope.content is Content.ALIVE:
            _check_introduction(envelope)
        known = self._mapper.get(envelope.author, now=now)
        if known is None and introduces and envelope.content is Content.ALIVE:
            known = self._introduced(envelope, orgs, now, when)
        if known is None:
            raise RefusedError(Reason.UNKNOWN_AUTHOR)
        if when > known.not_after:
            raise RefusedError(Reason.EXPIRED)
        if orgs is not None and known.msp_id not in orgs:
            raise RefusedError(Reason.OUTSIDE)
        return known

    def _introduced(
        self, envelope: GossipEnvelope, orgs: Collection[str] | None, now: float, when: datetime
    ) -> KnownIdentity | None:
        identity = envelope.message.alive_msg.identity
        if not identity:
            return None

        def verify(data: bytes, signature: bytes) -> None:
            self._trust.verify(identity, data, signature)

        try:
            if orgs is not None and parse_identity(identity).msp_id not in orgs:
                # Whoever passed it on may know a later configuration than we do.
                return None
            verify_envelope(envelope, verify)
            return self._mapper.put(envelope.author, identity, now=now, when=when)
        except UnknownMspError:
            return None
        except IdentityError as error:
            raise RefusedError(Reason.IDENTITY) from error
        except RemoteError as error:
            raise RefusedError(Reason.SIGNATURE) from error

    def check(self, envelope: GossipEnvelope, *, now: float) -> None:
        """Refuse it unless its author's signature counts here."""

        def verify(data: bytes, signature: bytes) -> None:
            self._mapper.verify(envelope.author, data, signature, now=now)

        _check(envelope, verify)

    def check_in(self, channel: str, author: KnownIdentity, envelope: GossipEnvelope) -> None:
        """Refuse it unless its author's signature counts in a channel."""

        def verify(data: bytes, signature: bytes) -> None:
            self._trust.verify_in_channel(channel, author.encoded, data, signature)

        _check(envelope, verify)


def _check_introduction(envelope: GossipEnvelope) -> None:
    """Refuse an identity that is not the author's. Who knows the author asks as well, or would
    pass on what others, who do not, hold against it."""
    identity = envelope.message.alive_msg.identity
    try:
        is_its = not identity or pki_id_of(identity) == envelope.author
    except IdentityError as error:
        raise RefusedError(Reason.SIGNATURE) from error
    if not is_its:
        raise RefusedError(Reason.SIGNATURE)


def _check(envelope: GossipEnvelope, verify: Verifier) -> None:
    try:
        verify_envelope(envelope, verify)
    except RemoteError as error:
        raise RefusedError(Reason.SIGNATURE) from error
