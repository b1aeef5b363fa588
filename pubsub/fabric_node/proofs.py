"""The proof of identity at the start of every connection.

    who dialled ── our proof ──► who was dialled: judges it, and only then answers
                ◄── its proof ──

So a peer whom we would refuse never sees our certificate. Whoever has proved nothing in
time is disconnected; until then it may open no other stream of Fabric's, and knows no topic.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol, final

import trio

from pubsub.errors import PubSubError
from pubsub.fabric.intake_rules import MAX_CONNECTION
from pubsub.fabric.proof import Proven
from pubsub.fabric_node.directory import Directory
from pubsub.fabric_node.envelope_stream import Budget, EnvelopeStream
from pubsub.host.connection import HostConnection
from pubsub.host.host import Host
from pubsub.host.stream import Stream
from pubsub.identity import PeerId

MAX_PROOFS = 4
"Of one peer, as long as it is connected: two are normal if both have dialled."
MAX_UNPROVEN = 64
"Peers that have connected to us and not proved who they are; of more, the oldest must go."


class Judge(Protocol):
    """Who knows what a proof is worth."""

    def own_proof(self) -> bytes:
        """Ours."""

    def check_proof(self, raw: bytes, peer: PeerId) -> Proven:
        """Who `peer` has proved to be. Raises RemoteError."""

    def admit(self, peer: PeerId, proven: Proven) -> bool:
        """Let one in who has proved an identity.

        If it is not one that counts, say so, hang up and return False.
        """

    def refuse(self, peer: PeerId, why: str) -> None:
        """Hang up on one that has not."""

    def gone(self, peer: PeerId) -> None:
        """The last connection to a peer has ended."""

    @property
    def closed(self) -> bool:
        """Whether nobody is let in any more."""


class _Asking:
    """A connected peer that has not proved yet who it is."""

    def __init__(self, called: bool) -> None:
        self.scope = trio.CancelScope()
        self.called = called
        "Whether we have dialled it."


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
        protocol: str,
        timeout: float,
    ) -> None:
        self._host = host
        self._protocol = protocol
        self._directory = directory
        self._judge = judge
        self._nursery = nursery
        self._timeout = timeout
        self._asking: dict[PeerId, _Asking] = {}
        self._proofs: Counter[PeerId] = Counter()
        "How many each connected peer has sent."
        self._budget = Budget(1)
        host.set_handler(protocol, self._answer)
        host.add_listener(self)

    # -- What the host tells (pubsub.host.registry.HostListener)

    def peer_connected(self, peer: PeerId, connection: HostConnection) -> None:
        """The two must become known to each other, or part."""
        # The host lives a little longer than we do.
        if peer not in self._asking and not self._judge.closed:
            asking = self._asking[peer] = _Asking(connection.outbound)
            self._nursery.start_soon(self._expect, peer, asking)
            self._make_room()

    def _make_room(self) -> None:
        """Strangers that come in great numbers must not take the places of those we know."""
        callers = [peer for peer, asking in self._asking.items() if not asking.called]
        unproven = [peer for peer in callers if self._directory.of(peer) is None]
        if len(unproven) > MAX_UNPROVEN:
            self._asking.pop(unproven[0]).scope.cancel()
            self._judge.refuse(unproven[0], "too many have not proved who they are")

    def peer_identified(self, peer: PeerId, protocols: tuple[str, ...]) -> None:
        """Nothing that matters here."""

    def peer_disconnected(self, peer: PeerId) -> None:
        asking = self._asking.pop(peer, None)
        if asking is not None:
            asking.scope.cancel()
        self._proofs.pop(peer, None)
        self._judge.gone(peer)

    # -- One peer

    def called(self, peer: PeerId) -> None:
        """We have dialled a peer. If both did at once, each may see the other's call first."""
        asking = self._asking.get(peer)
        if asking is not None:
            asking.called = True
            self._directory.look()

    async def _expect(self, peer: PeerId, asking: _Asking) -> None:
        with asking.scope:
            why = "it has not proved who it is"
            await self._directory.wait_for(peer, self._timeout, unless=lambda: asking.called)
            if asking.called and self._directory.of(peer) is None:
                why = await self._call(peer)
            if why and self._directory.of(peer) is None:
                self._judge.refuse(peer, why)
        if self._asking.get(peer) is asking:
            del self._asking[peer]

    async def _call(self, peer: PeerId) -> str:
        """Prove ourselves first, and be answered; why not, if that is not told yet."""
        why = f"no proof of its identity within {self._timeout:g} s"
        with trio.move_on_after(self._timeout):
            try:
                stream = await self._host.open_stream(peer, [self._protocol], timeout=self._timeout)
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
        self._take(stream.peer, raw)
        return ""

    def _take(self, peer: PeerId, raw: bytes) -> bool:
        return self._judge.admit(peer, self._judge.check_proof(raw, peer))

    async def _answer(self, stream: Stream) -> None:
        """A peer proves itself to us: only then we do."""
        self._proofs[stream.peer] += 1
        if self._proofs[stream.peer] > MAX_PROOFS:
            stream.reset()
            return
        envelopes = EnvelopeStream(stream, MAX_CONNECTION, self._budget)
        why = "its proof did not come in time"
        with trio.move_on_after(self._timeout):
            try:
                raw = await envelopes.receive()
                if raw is None:
                    why = "it proved nothing"
                else:
                    why = ""
                    if self._take(stream.peer, raw):
                        await envelopes.send(self._judge.own_proof())
            except PubSubError as error:
                why = str(error)
        stream.close()
        if why and self._directory.of(stream.peer) is None:
            self._judge.refuse(stream.peer, why)
