"""Which libp2p peers have proved which identity."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
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

    def enter(self, peer: PeerId, proven: Proven) -> None:
        """A peer has proved an identity, in place of another that it may have had."""
        if peer in self._proven:
            self._drop(peer)
        self._proven[peer] = proven
        self._peers.setdefault(proven.pki_id, []).append(peer)
        self.look()

    def remember(self, peer: PeerId) -> None:
        """The identity of a peer was found to count."""
        self._past.pop(peer, None)
        self._past[peer] = self._proven[peer].pki_id
        if len(self._past) > MAX_PAST:
            self._past.popitem(last=False)

    def before(self, peer: PeerId) -> bytes | None:
        """The PKI-ID that was last remembered of a peer, connected or not."""
        return self._past.get(peer)

    def leave(self, peer: PeerId) -> bytes | None:
        """A peer is gone; its PKI-ID, if nobody else connected has it."""
        self.look()
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

    def look(self) -> None:
        """Let those who wait look again."""
        self._changed.set()
        self._changed = trio.Event()

    async def wait_for(
        self, peer: PeerId, timeout: float, *, unless: Callable[[], bool] = lambda: False
    ) -> Proven | None:
        """Who a peer proves to be within `timeout` seconds; None if it does not.

        `unless` is asked at each change, and says yes when there is nothing to wait for.
        """
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(timeout):
            while peer not in self._proven and not unless():
                await self._changed.wait()
        return self._proven.get(peer)
