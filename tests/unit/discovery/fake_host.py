"""A host that reaches whom a test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from pubsub.errors import DialError
from pubsub.identity import Address, PeerId, PrivateKey, peer_id_of

US, ANN, BOB = (peer_id_of(PrivateKey(bytes([n]) * 32).public_key) for n in range(3))


def address(peer: PeerId | None, port: int = 1) -> Address:
    return Address("ip4", "127.0.0.1", port, peer)


class FakeHost:
    """Reaches whom `answers` says, and notes when it was asked."""

    def __init__(self, answers: Callable[[tuple[Address, ...]], PeerId | None]) -> None:
        self.peer_id = US
        self.answers = answers
        self.dials: list[float] = []
        self.dialled: list[tuple[Address, ...]] = []
        self.peers: list[PeerId] = []
        self.listeners: list[Any] = []

    async def connect(self, *addresses: Address) -> PeerId:
        self.dials.append(trio.current_time())
        self.dialled.append(addresses)
        await trio.lowlevel.checkpoint()
        peer = self.answers(addresses)
        if peer is None:
            raise DialError("refused")
        self.join(peer)
        return peer

    def connected_peers(self) -> list[PeerId]:
        return list(self.peers)

    def add_listener(self, listener: Any) -> None:
        self.listeners.append(listener)

    def remove_listener(self, listener: Any) -> None:
        self.listeners.remove(listener)

    def join(self, peer: PeerId) -> None:
        if peer not in self.peers:
            self.peers.append(peer)
            for listener in tuple(self.listeners):
                listener.peer_connected(peer, object())
                listener.peer_identified(peer, ())

    def lose(self, peer: PeerId) -> None:
        self.peers.remove(peer)
        for listener in tuple(self.listeners):
            listener.peer_disconnected(peer)
