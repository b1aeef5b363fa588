"""Which libp2p peers have proved which identity."""

from __future__ import annotations

from collections import OrderedDict
from typing import final

import trio

from pubsub.fabric.proof import Proven
from pubsub.identity import PeerId

MAX_PAST = 4096
"Peers that were here and whose last identity is remembered, so that a renewed one is known."


@final
class Directory:
    """PKI-IDs and peer ids of those connected. One identity may come by several libp2p peers."""

    def __init__(self) -> None:
        self._proven: dict[PeerId, Proven] = {}
        self._peers: dict[bytes, list[PeerId]] = {}
        self._past: OrderedDict[PeerId, bytes] = OrderedDict()
        self._changed = trio.Event()

    def enter(self, peer: PeerId, proven: Proven) -> bytes | None:
        """A peer has proved an identity; the PKI-ID that it had here before, if another."""
        before = self._past.pop(peer, None)
        self._past[peer] = proven.pki_id
        if len(self._past) > MAX_PAST:
            self._past.popitem(last=False)
        if peer in self._proven:
            self._drop(peer)
        self._proven[peer] = proven
        self._peers.setdefault(proven.pki_id, []).append(peer)
        self._changed.set()
        self._changed = trio.Event()
        return before if before != proven.pki_id else None

    def leave(self, peer: PeerId) -> bytes | None:
        """A peer is gone; its PKI-ID, if nobody else connected has it."""
        if peer not in self._proven:
            return None
        pki_id = self._drop(peer)
        return None if pki_id in self._peers else pki_id

    def _drop(self, peer: PeerId) -> bytes:
        pki_id = self._proven.pop(peer).pki_id
        self._peers[pki_id].remove(peer)
        if not self._peers[pki_id]:
            del self._peers[pki_id]
        return pki_id

    def of(self, peer: PeerId) -> Proven | None:
        """Who a connected peer has proved to be."""
        return self._proven.get(peer)

    def pki_id(self, peer: PeerId) -> bytes | None:
        proven = self._proven.get(peer)
        return proven.pki_id if proven else None

    def peers(self, pki_id: bytes) -> list[PeerId]:
        """The connected peers that have proved this identity, the newest last."""
        return list(self._peers.get(pki_id, ()))

    def peer(self, pki_id: bytes) -> PeerId | None:
        """The one to send to."""
        found = self._peers.get(pki_id)
        return found[-1] if found else None

    async def wait_for(self, peer: PeerId, timeout: float) -> Proven | None:
        """Who a peer proves to be within `timeout` seconds; None if it does not."""
        with trio.move_on_after(timeout):
            while peer not in self._proven:
                await self._changed.wait()
        return self._proven.get(peer)
