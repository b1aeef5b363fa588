"""The peers we want: direct ones kept connected, mesh members trimmed last, offered ones dialled.

add direct peer ──► dialled now, and again whenever it is gone, until it is removed
Grafted, Pruned ──► the host keeps the connection among the last, or no more
Dial            ──► the record is checked, then the host dials when it has room
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable

import trio

from pubsub.discovery.keep import OnFailure, keep_peer
from pubsub.errors import ParamError, RemoteError
from pubsub.host.host import Host
from pubsub.host.signed_record import SignedRecord
from pubsub.identity import Address, PeerId
from pubsub.router.effects import Dial, Dropped, Grafted, Pruned
from pubsub.router.events import Event, SetDirect

DIRECT = "pubsub-direct"
BAD_RECORD = "px_bad_record"


class Contacts:
    """What the router's peers mean for the host's connections."""

    def __init__(
        self,
        host: Host,
        nursery: trio.Nursery,
        feed: Callable[[Event], object],
        on_failure: OnFailure,
        on_drop: Callable[[Dropped], None] | None = None,
    ) -> None:
        self._host = host
        self._nursery = nursery
        self._feed = feed
        self._on_failure = on_failure
        self._on_drop = on_drop
        self._direct: dict[PeerId, trio.CancelScope] = {}
        self.bad_offers = 0
        "Peers offered with a record that is not their own."

    # Direct peers

    @property
    def direct(self) -> list[PeerId]:
        return list(self._direct)

    def add_direct(self, addresses: Iterable[Address]) -> PeerId:
        """Agree with one peer to send each other everything; see `Node.add_direct_peer`."""
        known = list(addresses)
        peers = {address.peer for address in known}
        peer = known[0].peer if len(peers) == 1 else None
        if peer is None:
            raise ParamError(
                "the addresses of a direct peer must all end in its id: /ip4/…/tcp/…/p2p/PEER"
            )
        self._feed(SetDirect(peer, True))
        self._host.protect(peer, DIRECT)
        before = self._direct.pop(peer, None)
        if before is not None:
            before.cancel()
        scope = self._direct[peer] = trio.CancelScope()
        self._nursery.start_soon(self._keep, scope, peer, known)
        return peer

    def remove_direct(self, peer: PeerId) -> None:
        """End the agreement; the connection stays, as an ordinary one."""
        scope = self._direct.pop(peer, None)
        if scope is None:
            raise ParamError(f"{peer} is not a direct peer")
        scope.cancel()
        self._host.unprotect(peer, DIRECT)
        self._feed(SetDirect(peer, False))

    async def _keep(self, scope: trio.CancelScope, peer: PeerId, addresses: list[Address]) -> None:
        rng = random.Random(os.urandom(16))
        with scope:
            await keep_peer(self._host, peer, addresses, rng=rng, on_failure=self._on_failure)

    # What the router asks for

    def grafted(self, effect: Grafted) -> None:
        self._host.protect(effect.peer, _tag(effect.topic))

    def pruned(self, effect: Pruned) -> None:
        self._host.unprotect(effect.peer, _tag(effect.topic))

    def dial(self, effect: Dial) -> None:
        """Dial a peer that another one offered; without a record, at addresses known otherwise."""
        if effect.record:
            signed = _record_of(effect)
            if signed is None:
                self.bad_offers += 1
                if self._on_drop is not None:
                    self._on_drop(Dropped(BAD_RECORD, 1, effect.source, "", b""))
                return
            self._host.peer_store.add_record(signed)
        if self._host.peer_store.addresses(effect.peer):
            self._host.dial_later(effect.peer, source=effect.source)


def _record_of(offer: Dial) -> SignedRecord | None:
    """The record that came with an offer, None unless the offered peer made it."""
    try:
        signed = SignedRecord.read(offer.record)
    except RemoteError:
        return None
    return signed if signed.peer == offer.peer else None


def _tag(topic: str) -> str:
    return f"pubsub:{topic}"
