"""Connections to peers that have proved who they are: made, judged, used and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from pubsub.errors import ParamError, PubSubError
from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.actions import CloseConnection, Warn, short
from pubsub.fabric.content import content_of
from pubsub.fabric.envelope import wrap_message
from pubsub.fabric.identities import Signer
from pubsub.fabric.intake_rules import ON_STREAM
from pubsub.fabric.params import GossipParams
from pubsub.fabric.proof import Proven, make_proof
from pubsub.fabric.topics import DIRECT
from pubsub.fabric_node.acks import Acks
from pubsub.fabric_node.contacts import Contacts
from pubsub.fabric_node.lanes import Lanes
from pubsub.fabric_node.owner import Owner
from pubsub.fabric_node.proofs import Proofs
from pubsub.identity import PeerId
from pubsub.pb.fabric.gossip_pb2 import GossipMessage

if TYPE_CHECKING:
    import trio

LINGER = 1.0
"Seconds that stopping waits for messages of the user to be read (ours)."
SLACK = 1024
"What an envelope adds to its message, and more."
MAX_FACES = 2
"Libp2p peers of one identity that are connected: one that has begun anew, and the old one."
PROVEN_WORTH = 1000.0
"What a proven identity is worth to the host when it has too many connections."
DISLIKED = -1.0
"What one fault adds to a peer's score, before the weight of the application's opinion."


@final
class Links:
    """Whom we are connected to, and how envelopes reach them."""

    def __init__(
        self,
        owner: Owner,
        acks: Acks,
        signer: Signer,
        params: GossipParams,
        nursery: trio.Nursery,
    ) -> None:
        self._acks = acks
        self._owner = owner
        self._signer = signer
        self._nursery = nursery
        self._entries: dict[str, PeerId] = {}
        "Bootstrap and anchor peers by the endpoint at which they were found."
        self._host = host = owner.node.host
        self._dial_timeout = params.dial_timeout
        self._proofs = Proofs(
            host,
            owner.directory,
            self,
            nursery,
            protocol=owner.peer.network.identity_protocol,
            timeout=params.conn_timeout,
        )
        self._contacts = Contacts(
            host,
            owner.directory,
            self._proofs.called,
            dial_timeout=params.dial_timeout,
            proof_timeout=params.conn_timeout,
        )
        self.lanes = Lanes(
            host,
            nursery,
            self._reach,
            capacity=params.send_buff_size,
            on_unreachable=self._on_unreachable,
        )

    async def finish(self) -> None:
        """Let connected peers read what the user has sent to them."""
        directory = self._owner.directory
        await self.lanes.finish(DIRECT, LINGER, lambda peer: directory.peer(peer) is not None)

    # -- Proofs (pubsub.fabric_node.proofs.Judge)

    @property
    def closed(self) -> bool:
        return self._owner.closed

    def own_proof(self) -> bytes:
        return make_proof(self._signer, self._host.peer_id)

    def check_proof(self, raw: bytes, peer: PeerId) -> Proven:
        return self._owner.peer.check_proof(raw, peer)

    def admit(self, peer: PeerId, proven: Proven) -> bool:
        owner = self._owner
        if owner.closed or not self._host.is_connected(peer):
            return False
        directory = owner.directory
        shown, before = directory.of(peer), directory.before(peer)
        directory.enter(peer, proven)
        # One that ended meanwhile, or was put out, is not renewed by another.
        if before in (None, proven.pki_id) or owner.peer.org_of(before) is None:
            owner.feed(ev.PeerProven(proven.pki_id, proven.identity))
        else:
            owner.feed(ev.PeerRenewed(before, proven.pki_id, proven.identity))
        if owner.peer.access.org_of(proven.pki_id) is not None:
            directory.remember(peer)
            self._host.tag(peer, "fabric", PROVEN_WORTH)
            self._part_with_others(proven.pki_id)
            return True
        # It was refused, and is being disconnected; what it had shown before ends with that.
        if shown is None:
            directory.leave(peer)
        else:
            directory.enter(peer, shown)
        return False

    def _part_with_others(self, pki_id: bytes) -> None:
        """An identity counts for one, by however many libp2p peers it comes."""
        for peer in self._owner.directory.peers(pki_id)[:-MAX_FACES]:
            self._nursery.start_soon(self._host.disconnect, peer)

    def refuse(self, peer: PeerId, why: str) -> None:
        if not self._owner.closed:
            self._owner.warn(Warn("peer.refused", f"{peer} is disconnected: {why}"))
            self._nursery.start_soon(self._host.disconnect, peer)

    def gone(self, peer: PeerId) -> None:
        pki_id = self._owner.directory.leave(peer)
        if pki_id is not None:
            self._acks.gone(pki_id)
            self._owner.feed(ev.PeerGone(pki_id))

    # -- What the core asks for

    def dial(self, asked: fx.Dial) -> None:
        self._nursery.start_soon(self._dial, asked)

    async def _dial(self, asked: fx.Dial) -> None:
        if asked.peer is not None:
            await self._probe(asked.peer, asked.endpoint)
            return
        try:
            proven = await self._contacts.dial(asked.endpoint)
        except PubSubError as error:
            if isinstance(error, ParamError):
                self._owner.warn(Warn("peer.endpoint", str(error)))
            self._owner.feed(ev.DialFailed(asked.endpoint, str(error)))
        else:
            self._keep(asked.endpoint, proven.pki_id)
            self._owner.feed(ev.Dialed(asked.endpoint, proven.pki_id))

    async def _probe(self, pki_id: bytes, endpoint: str) -> None:
        """Look for a peer that is thought dead; it may be connected, though it was silent."""
        await self._contacts.reach(pki_id, [endpoint])
        peer = self._owner.directory.peer(pki_id)
        proven = self._owner.directory.of(peer) if peer is not None else None
        if proven is not None:
            self._owner.feed(ev.PeerProven(pki_id, proven.identity))

    def _keep(self, endpoint: str, pki_id: bytes) -> None:
        """Bootstrap and anchor peers are disconnected last when there are too many."""
        peer, before = self._owner.directory.peer(pki_id), self._entries.get(endpoint)
        if before is not None:
            self._host.unprotect(before, f"fabric:{endpoint}")
        if peer is not None:
            self._entries[endpoint] = peer
            self._host.protect(peer, f"fabric:{endpoint}")

    def send(self, effect: fx.SendEnvelope) -> None:
        self._send(effect.peer, effect.protocol, effect.envelope)

    def send_message(self, peer: bytes, message: GossipMessage) -> bool:
        """Send a message of the user; False if there is no room for it.

        Raises ParamError if no peer would take it.
        """
        check_direct(message)
        return self._send(peer, DIRECT, wrap_message(message).raw)

    def _send(self, peer: bytes, protocol: str, envelope: bytes) -> bool:
        if self.lanes.send(peer, protocol, envelope):
            return True
        text = f"{short(peer)} takes envelopes too slowly: some are dropped"
        self._owner.warn(Warn("peer.slow", text))
        return False

    def hang_up(self, effect: CloseConnection) -> None:
        for peer in self._owner.directory.peers(effect.peer):
            self._nursery.start_soon(self._host.disconnect, peer)

    def blame(self, effect: fx.Blamed) -> None:
        """Think less of a peer; who goes on so is heard by the router no more."""
        text = f"{short(effect.peer)} sent what it should not: {effect.why}"
        self._owner.warn(Warn("peer.blamed", text))
        for peer in self._owner.directory.peers(effect.peer):
            self._owner.node.feedback(peer, DISLIKED)

    # -- Reaching peers

    async def _reach(self, pki_id: bytes) -> PeerId | None:
        member = self._owner.peer.membership.lookup(pki_id)
        endpoints = [member.internal_endpoint, member.endpoint] if member else []
        await self._contacts.reach(pki_id, [each for each in endpoints if each])
        return self._owner.directory.peer(pki_id)

    def _on_unreachable(self, pki_id: bytes, why: str) -> None:
        if self._owner.closed:
            return
        self._owner.warn(Warn("peer.unreachable", f"{short(pki_id)}: {why}"))
        self._acks.gone(pki_id, why)
        self._owner.feed(ev.PeerUnreachable(pki_id))


def check_direct(message: GossipMessage) -> None:
    """Raise ParamError if no peer would take it from the user."""
    contents, limit = ON_STREAM[DIRECT]
    content = content_of(message)
    if content not in contents:
        names = ", ".join(sorted(contents))
        raise ParamError(f"a peer alone is sent one of {names}; not {content or 'nothing'}")
    if message.ByteSize() > limit - SLACK:
        raise ParamError(f"a message of {message.ByteSize()} bytes; at most {limit - SLACK}")
