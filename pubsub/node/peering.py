"""Pubsub streams: one long-lived stream out to each pubsub peer, and the peer's stream in.

    host: peer identified, speaks pubsub ──► open our stream ──► StreamOpened
    host: a pubsub stream comes in       ──► its bytes are framed and given to the router
    host: last connection gone           ──► PeerDisconnected

A stream that breaks is opened again with growing pauses, five times at most:
some implementations give a connection up after as many streams. What peers send
of frames that they never finish is bounded (`wire/framing.py`); they are expelled.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

import trio

from pubsub.errors import ParamError, PubSubError, RemoteError
from pubsub.host.host import Host
from pubsub.host.stream import Stream
from pubsub.identity.peer_id import PeerId
from pubsub.node.events import Connected, Disconnected, NodeEvent
from pubsub.node.link import Link
from pubsub.router import Router
from pubsub.router.events import (
    Event,
    PeerConnected,
    PeerDisconnected,
    RpcReceived,
    StreamOpened,
)
from pubsub.router.protocols import PROTOCOLS
from pubsub.wire.framing import FrameReaders

MAX_ATTEMPTS = 5
FIRST_PAUSE = 0.1
FRAME_SLACK = 64 * 1024
MIN_FRAME_LIMIT = 4 * 1024 * 1024
"An RPC may carry many messages: js sends up to 4 MB."
FRAME_BUDGET = 64 * 1024 * 1024
"For unfinished frames of all peers together, and no less than four whole frames (ours)."
FRAME_CHECK = 10.0
"Seconds between two looks for frames that do not go on (ours)."


class Owner(Protocol):
    """What peering asks of the node."""

    def feed(self, event: Event) -> object: ...
    def tell(self, event: NodeEvent) -> None: ...
    def tell_bad_frame(self, peer: PeerId, reason: str) -> None: ...


class Peering:
    """Keeps the links to pubsub peers, and listens to the host."""

    def __init__(self, host: Host, router: Router, nursery: trio.Nursery, owner: Owner) -> None:
        self.links: dict[PeerId, Link] = {}
        self.reasons: dict[PeerId, str] = {}
        "Why we are closing the connections to a peer."
        self._host = host
        self._router = router
        self._nursery = nursery
        self._owner = owner
        self._opening: dict[PeerId, trio.CancelScope] = {}
        self._frame_limit = limit = max(MIN_FRAME_LIMIT, router.max_message_size + FRAME_SLACK)
        self._frames = FrameReaders[Stream](limit, max(FRAME_BUDGET, 4 * limit))
        for protocol in PROTOCOLS:
            host.set_handler(protocol, self._on_inbound)
        host.add_listener(self)

    def check_message_size(self, size: int) -> None:
        """Raise ParamError if a message of `size` does not fit into our streams' frames."""
        most = self._frame_limit - FRAME_SLACK
        if size > most:
            raise ParamError(
                f"max_message_size {size} does not fit into the frames of this node, which hold "
                f"{most}: give it to open_node(topics=…) or Params(max_message_size=…)"
            )

    # What the host tells (pubsub.host.host.HostListener)

    def peer_connected(self, peer: PeerId, connection: object) -> None:
        self._owner.tell(Connected(peer))

    def peer_identified(self, peer: PeerId, protocols: tuple[str, ...]) -> None:
        if peer not in self._opening and any(name in PROTOCOLS for name in protocols):
            scope = self._opening[peer] = trio.CancelScope()
            self._nursery.start_soon(self._keep_stream, peer, scope)

    def peer_disconnected(self, peer: PeerId) -> None:
        scope = self._opening.pop(peer, None)
        if scope is not None:
            scope.cancel()
        self._drop_link(peer)
        self._owner.tell(Disconnected(peer, self.reasons.pop(peer, None)))

    # Disconnecting

    def expel(self, peer: PeerId, reason: str) -> None:
        """Close the connections to a peer that broke a rule."""
        if peer not in self.reasons:
            self.reasons[peer] = reason
            self._nursery.start_soon(self._disconnect, peer)

    async def _disconnect(self, peer: PeerId) -> None:
        # It may dial again while its connections are being closed.
        while self._host.is_connected(peer):
            await self._host.disconnect(peer)
        self.reasons.pop(peer, None)

    # Our stream out

    async def _keep_stream(self, peer: PeerId, scope: trio.CancelScope) -> None:
        """Have a stream to `peer` for as long as it is connected."""
        failures = 0
        with scope:
            while failures < MAX_ATTEMPTS:
                try:
                    stream = await self._host.open_stream(peer, PROTOCOLS)
                except PubSubError:
                    failures += 1
                else:
                    started = trio.current_time()
                    await self._use_stream(peer, stream)
                    failures = 0 if trio.current_time() - started > 10 else failures + 1
                await trio.sleep(FIRST_PAUSE * 2**failures)
            # It takes no stream from us, so nothing can be sent to it.
            self._drop_link(peer)
        if self._opening.get(peer) is scope:
            del self._opening[peer]

    async def _use_stream(self, peer: PeerId, stream: Stream) -> None:
        link = self._link(peer, stream)
        if link is None:
            stream.reset()
            return
        ended = trio.Event()
        link.outbound = stream
        self._owner.feed(StreamOpened(peer, stream.protocol))
        mark = self._router.watermark(peer)
        if mark is not None:
            link.reopened(mark[1])
        stream.set_source(partial(self._pull, link), ended.set, on_sent=link.on_sent)
        # nim answers on the stream we opened; the others send nothing here.
        self._frames.open(stream)
        stream.set_sink(partial(self._on_data, stream), ended.set)
        stream.wake()
        try:
            await ended.wait()
        finally:
            link.outbound = None
            self._frames.close(stream)
            stream.reset()

    def _pull(self, link: Link, max_bytes: int) -> bytes:
        data = self._router.take(link.peer, max_bytes)
        if data:
            mark = self._router.watermark(link.peer)
            if mark is not None:
                link.pulled = mark[1]
            if link.changed:
                link.changed.unpark_all()
        return data

    # Its stream in

    async def _on_inbound(self, stream: Stream) -> None:
        link = self._link(stream.peer, stream)
        if link is None:
            stream.reset()
            return
        # One stream from each peer: the newer replaces the older, as in go.
        self._reset_inbound(link)
        link.inbound = stream
        self._frames.open(stream)
        # No task waits for the end: one that did would outlive a stream that is replaced.
        stream.set_sink(partial(self._on_data, stream), partial(self._on_inbound_end, link, stream))

    def _on_inbound_end(self, link: Link, stream: Stream) -> None:
        self._frames.close(stream)
        if link.inbound is stream:
            link.inbound = None

    def _reset_inbound(self, link: Link) -> None:
        if link.inbound is not None:
            self._frames.close(link.inbound)
            link.inbound.reset()

    def _on_data(self, stream: Stream, data: bytes) -> None:
        peer = stream.peer
        if peer in self.reasons:
            return
        try:
            frames = self._frames.feed(stream, data)
        except RemoteError as error:
            self.expel(peer, str(error))
            self._owner.tell_bad_frame(peer, str(error))
            return
        if frames:
            self._owner.feed(RpcReceived(peer, frames))
        while (greediest := self._frames.greediest()) is not None:
            self._frames.close(greediest)
            self.expel(greediest.peer, "peers hold too much memory with unfinished frames")

    async def watch_frames(self) -> None:
        while True:
            await trio.sleep(FRAME_CHECK)
            for stream in self._frames.stalled(trio.current_time()):
                self._frames.close(stream)
                self.expel(stream.peer, "an unfinished frame does not go on")

    # Links

    def _link(self, peer: PeerId, stream: Stream) -> Link | None:
        """The link to a peer, made with its first stream; None if it is gone or not wanted."""
        link = self.links.get(peer)
        if link is None:
            if peer in self.reasons or peer not in self._host.connected_peers():
                return None
            outbound = stream.connection.outbound
            address = stream.connection.address
            ip = address.host if address.ip is not None else ""
            self._owner.feed(PeerConnected(peer, stream.protocol, outbound, ip))
            if self._router.watermark(peer) is None:
                return None
            link = self.links[peer] = Link(peer)
        return link

    def _drop_link(self, peer: PeerId) -> None:
        link = self.links.pop(peer, None)
        if link is not None:
            self._owner.feed(PeerDisconnected(peer))
            link.close()
            # If it is still connected it must not believe that we listen.
            self._reset_inbound(link)
