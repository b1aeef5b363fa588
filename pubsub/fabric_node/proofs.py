"""The proof of identity at the start of every connection.

    who dialled ── our proof ──► who was dialled: judges it, and only then answers
                ◄── its proof ──

So a peer whom we would refuse never sees our certificate. Whoever has proved nothing in
time is disconnected; until then it may open no other stream of Fabric's, and knows no topic.
"""

from __future__ import annotations

from typing import Protocol, final

import trio

from pubsub.errors import PubSubError
from pubsub.fabric.intake_rules import MAX_CONNECTION
from pubsub.fabric.proof import Proven
from pubsub.fabric.topics import IDENTITY
from pubsub.fabric_node.directory import Directory
from pubsub.fabric_node.envelope_stream import Budget, EnvelopeStream
from pubsub.host.connection import HostConnection
from pubsub.host.host import Host
from pubsub.host.stream import Stream
from pubsub.identity import PeerId

TURN = 0.5
"Part of the time for a proof after which the called one, if it has called as well, proves first."


class Judge(Protocol):
    """Who knows what a proof is worth."""

    def own_proof(self) -> bytes:
        """Ours."""

    def check_proof(self, raw: bytes, peer: PeerId) -> Proven:
        """Who `peer` has proved to be. Raises RemoteError."""

    def admit(self, peer: PeerId, proven: Proven) -> bool:
        """Let one in who has proved an identity; False if it is not one that counts."""

    def refuse(self, peer: PeerId, why: str) -> None:
        """Hang up on one that has not."""

    def gone(self, peer: PeerId) -> None:
        """The last connection to a peer has ended."""

    @property
    def closed(self) -> bool:
        """Whether nobody is let in any more."""


@final
class Proofs:
    """Listens to the host, and asks every peer who it is."""

    def __init__(
        self,
        host: Host,
        directory: Directory,
        judge: Judge,
        nursery: trio.Nursery,
        *,
        timeout: float,
    ) -> None:
        self._host = host
        self._directory = directory
        self._judge = judge
        self._nursery = nursery
        self._timeout = timeout
        self._asking: dict[PeerId, trio.CancelScope] = {}
        self._budget = Budget(1)
        host.set_handler(IDENTITY, self._answer)
        host.add_listener(self)

    # -- What the host tells (pubsub.host.registry.HostListener)

    def peer_connected(self, peer: PeerId, connection: HostConnection) -> None:
        """The two must become known to each other, or part."""
        # The host lives a little longer than we do.
        if peer not in self._asking and not self._judge.closed:
            scope = self._asking[peer] = trio.CancelScope()
            self._nursery.start_soon(self._expect, peer, scope, connection.outbound)

    def peer_identified(self, peer: PeerId, protocols: tuple[str, ...]) -> None:
        """Nothing that matters here."""

    def peer_disconnected(self, peer: PeerId) -> None:
        scope = self._asking.pop(peer, None)
        if scope is not None:
            scope.cancel()
        self._judge.gone(peer)

    # -- One peer

    async def _expect(self, peer: PeerId, scope: trio.CancelScope, we_called: bool) -> None:
        with scope:
            why = ""
            if we_called:
                why = await self._call(peer)
            elif await self._directory.wait_for(peer, self._timeout * TURN) is None:
                # If both dialled at once, each may take the other for the caller.
                why = "it has not proved who it is"
                if self._has_called(peer):
                    why = await self._call(peer)
                await self._directory.wait_for(peer, self._timeout * (1 - TURN))
            if self._directory.of(peer) is None:
                self._judge.refuse(peer, why)
        if self._asking.get(peer) is scope:
            del self._asking[peer]

    def _has_called(self, peer: PeerId) -> bool:
        info = self._host.connection_info(peer)
        return info is not None and info.outbound

    async def _call(self, peer: PeerId) -> str:
        """Prove ourselves first, and be answered; why not, if not."""
        why = f"no proof of its identity within {self._timeout:g} s"
        with trio.move_on_after(self._timeout):
            try:
                stream = await self._host.open_stream(peer, [IDENTITY], timeout=self._timeout)
            except PubSubError as error:
                return f"no stream for proofs of identity: {error}"
            try:
                return await self._exchange(stream)
            except PubSubError as error:
                return str(error)
            finally:
                stream.close()
        return why

    async def _exchange(self, stream: Stream) -> str:
        envelopes = EnvelopeStream(stream, MAX_CONNECTION, self._budget)
        await envelopes.send(self._judge.own_proof())
        raw = await envelopes.receive()
        if raw is None:
            return "it has refused our identity"
        return self._take(stream.peer, raw)

    def _take(self, peer: PeerId, raw: bytes) -> str:
        proven = self._judge.check_proof(raw, peer)
        return "" if self._judge.admit(peer, proven) else "its identity does not count here"

    async def _answer(self, stream: Stream) -> None:
        """A peer proves itself to us: only then we do."""
        envelopes = EnvelopeStream(stream, MAX_CONNECTION, self._budget)
        why = "its proof did not come in time"
        with trio.move_on_after(self._timeout):
            try:
                raw = await envelopes.receive()
                why = "it proved nothing" if raw is None else self._take(stream.peer, raw)
                if not why:
                    await envelopes.send(self._judge.own_proof())
                    stream.close()
                    return
            except PubSubError as error:
                why = str(error)
        stream.close()
        if self._directory.of(stream.peer) is None:
            self._judge.refuse(stream.peer, why)
