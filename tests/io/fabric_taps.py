"""What goes from peer to peer, decrypted: taps on the lowest place where bytes are in the clear."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import trio

from pubsub.fabric_node.service import GossipService
from pubsub.host.registry import Registry
from pubsub.host.stream_table import StreamTable
from pubsub.identity import PeerId
from pubsub.transport import DataReceived
from pubsub.transport.yamux import YamuxSession


@dataclass
class Flow:
    """One direction of one stream; pieces with the times at which they passed."""

    pieces: list[tuple[float, bytes]] = field(default_factory=list)

    def add(self, data: bytes) -> None:
        self.pieces.append((trio.current_time(), bytes(data)))

    def since(self, when: float) -> bytes:
        return b"".join(data for at, data in self.pieces if at >= when)


class Taps:
    """All streams between all hosts of this process, from when it is made.

    What comes is seen where a connection hands its streams the decrypted bytes, negotiations
    included; what goes, where bytes are handed to the muxer, before they are encrypted.
    """

    def __init__(self, monkeypatch) -> None:
        self._ends: dict[int, tuple[PeerId, PeerId]] = {}
        "Of each muxer: who we are, who the peer is."
        self._held: list[object] = []
        "So that no id is given twice."
        self._came: defaultdict[tuple[int, int], Flow] = defaultdict(Flow)
        self._went: defaultdict[tuple[int, int], Flow] = defaultdict(Flow)
        self._tap(monkeypatch)

    def _tap(self, monkeypatch) -> None:
        enter, dispatch, send = Registry.enter, StreamTable.dispatch, YamuxSession.send_data

        def on_enter(registry, connection):
            self._ends[id(connection.muxer)] = (registry._own_id, connection.peer)
            self._held.append(connection.muxer)
            enter(registry, connection)

        def on_dispatch(table, events):
            for event in events:
                if isinstance(event, DataReceived):
                    self._came[id(table.muxer), event.stream_id].add(event.data)
            dispatch(table, events)

        def on_send(muxer, stream_id, data):
            self._went[id(muxer), stream_id].add(data)
            send(muxer, stream_id, data)

        monkeypatch.setattr(Registry, "enter", on_enter)
        monkeypatch.setattr(StreamTable, "dispatch", on_dispatch)
        monkeypatch.setattr(YamuxSession, "send_data", on_send)

    def heard(self, receiver: GossipService, sender: GossipService, since: float = 0.0) -> bytes:
        """What `receiver` was sent by `sender`, stream by stream."""
        ends = (receiver.node.peer_id, sender.node.peer_id)
        return b"\n".join(self._of(self._came, ends, since))

    def said(self, sender: GossipService, receiver: GossipService, since: float = 0.0) -> bytes:
        """What `sender` has handed over for `receiver` from a time on, stream by stream."""
        ends = (sender.node.peer_id, receiver.node.peer_id)
        return b"\n".join(self._of(self._went, ends, since))

    def _of(
        self,
        flows: dict[tuple[int, int], Flow],
        ends: tuple[PeerId, PeerId],
        since: float,
    ) -> Iterator[bytes]:
        for (muxer, _), flow in flows.items():
            if self._ends.get(muxer) == ends:
                yield flow.since(since)
