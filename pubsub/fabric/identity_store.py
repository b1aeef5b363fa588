"""Identities that peers pull from each other: who may be shown whose.

    asked by our organization    all
    asked by another             its own and ours, of peers with external endpoints

An identity travels in an envelope that its owner has signed. One of an organization that
we do not know is passed over: whoever sent it may be in channels that we are not in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import final

from pubsub.errors import RemoteError
from pubsub.fabric.content import PKI_ID_BYTES, Content
from pubsub.fabric.disclosure import Standing
from pubsub.fabric.envelope import GossipEnvelope, decode_envelope, verify_envelope
from pubsub.fabric.identities import MAX_IDENTITY_BYTES
from pubsub.fabric.identity_errors import IdentityError, PkiIdError
from pubsub.fabric.identity_mapper import IdentityMapper
from pubsub.fabric.moment import Moment
from pubsub.fabric.pull_store import Item
from pubsub.fabric.tags import EMPTY

MAX_REFUSED = 1000
"Identities of strangers that are not asked for again (ours)."


@final
class IdentityPullStore:
    """A `PullStore` of identities; `own` is the envelope with ours.

    `standing` says of what organization a peer is, and whether others may know it.
    """

    def __init__(
        self,
        own: GossipEnvelope,
        mapper: IdentityMapper,
        *,
        org: str,
        standing: Callable[[bytes], Standing],
        moment: Moment,
    ) -> None:
        self._own = own.author
        self._mapper = mapper
        self._org = org
        self._standing = standing
        self._moment = moment
        self._envelopes = {own.author: own}
        self._refused: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._envelopes)

    def __contains__(self, pki_id: bytes) -> bool:
        return pki_id in self._envelopes

    def drop(self, pki_id: bytes) -> None:
        """An identity is no longer good; ours stays."""
        if pki_id != self._own:
            self._envelopes.pop(pki_id, None)

    def reconsider(self) -> None:
        """Other organizations are known now: ask again for what was refused."""
        self._refused.clear()

    # -- What the pull engine calls

    def digests(self, peer: bytes) -> list[bytes]:
        return [pki_id for pki_id in self._envelopes if self._may_show(pki_id, peer)]

    def wanted(self, digest: bytes) -> bool:
        known = digest in self._envelopes or digest in self._refused
        return len(digest) == PKI_ID_BYTES and not known

    def items(self, digests: Sequence[bytes], peer: bytes) -> Iterator[bytes]:
        for digest in digests:
            envelope = self._envelopes.get(digest)
            if envelope is not None and self._may_show(digest, peer):
                yield envelope.raw

    def check(self, encoded: bytes) -> Item:
        """Raises RemoteError unless it is an identity that its owner has signed."""
        envelope = decode_envelope(encoded, limit=2 * MAX_IDENTITY_BYTES)
        if envelope.content is not Content.IDENTITY or envelope.message.tag != EMPTY:
            raise RemoteError(f"{envelope.content or 'nothing'} where an identity was asked for")
        pki_id, now = envelope.author, self._moment.now
        try:
            cert = envelope.message.peer_identity.cert
            self._mapper.put(pki_id, cert, now=now, when=self._moment.when)
        except PkiIdError:
            raise
        except IdentityError:
            return Item(pki_id, encoded)

        def verify(data: bytes, signature: bytes) -> None:
            self._mapper.verify(pki_id, data, signature, now=now)

        verify_envelope(envelope, verify)
        return Item(pki_id, encoded, envelope)

    def add(self, item: Item, now: float) -> bool:
        if item.content is not None:
            self._envelopes[item.digest] = item.content
            return True
        if len(self._refused) >= MAX_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[item.digest] = None
        return False

    def _may_show(self, subject: bytes, peer: bytes) -> bool:
        recipient = self._mapper.get(peer, now=self._moment.now)
        known = self._mapper.get(subject, now=self._moment.now)
        if recipient is None or known is None:
            return False
        if recipient.msp_id == self._org:
            return True
        is_theirs_or_ours = known.msp_id in (self._org, recipient.msp_id)
        return is_theirs_or_ours and self._standing(subject).external
