"""One topic as this node sees it: who subscribes, who is in the mesh, who may not come back yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pubsub.identity.peer_id import PeerId
from pubsub.params import Params

MAX_BACKOFFS = 4096
"Backoffs kept per topic; a crowd of short-lived ids evicts the oldest (ours)."


@dataclass(frozen=True, slots=True)
class Backoff:
    """The time after a PRUNE in which neither side grafts the other (v1.1 §Backoff)."""

    until: float
    "A GRAFT from the peer is refused before this."

    graft_after: float
    "We graft only after this: later than `until`, by slack and jitter."

    pruned_at: float = -1e18
    "When we pruned the peer; long ago where it pruned us."


@dataclass(slots=True)
class TopicState:
    """All that is known of one topic. Dicts, not sets: their order is reproducible."""

    name: str

    params: Params = field(default_factory=Params)
    "The node's parameters, with what was set for this topic."

    message_id: Callable[[Any], bytes] = bytes
    "What makes the ids of its messages; set by the router."

    fanout_only: bool = False
    "We publish to it and never subscribe."

    subscribed: bool = False
    "We want its messages, so we keep a mesh."

    peers: dict[PeerId, bool] = field(default_factory=dict)
    """Who subscribes; True for those that can be in the mesh, False for those that get everything:
    peers that speak floodsub only, and direct ones."""

    mesh: dict[PeerId, float] = field(default_factory=dict)
    "Full-message peers, and when each was grafted."

    fanout: dict[PeerId, None] = field(default_factory=dict)
    "Where we publish while we do not subscribe (v1.0 §Fanout)."

    last_publish: float = 0.0
    "When we last published without being subscribed."

    backoff: dict[PeerId, Backoff] = field(default_factory=dict)

    stray_now: dict[PeerId, None] = field(default_factory=dict)
    "Peers outside the mesh that forwarded to us since the last heartbeat."

    strays: dict[PeerId, int] = field(default_factory=dict)
    "Such peers of the last heartbeat, and for how many heartbeats on end."

    unmeshed: int = 0
    "How many of `peers` cannot be in the mesh; the fast path asks this first."

    def add_peer(self, peer: PeerId, *, meshable: bool) -> bool:
        """Note a subscription; False if it was known."""
        if peer in self.peers:
            return False
        self.peers[peer] = meshable
        self.unmeshed += not meshable
        return True

    def remove_peer(self, peer: PeerId) -> bool:
        """Forget a subscription; False if there was none. The backoff stays."""
        meshable = self.peers.pop(peer, None)
        if meshable is None:
            return False
        self.unmeshed -= not meshable
        self.mesh.pop(peer, None)
        self.fanout.pop(peer, None)
        self.strays.pop(peer, None)
        self.stray_now.pop(peer, None)
        return True

    def set_backoff(self, peer: PeerId, backoff: Backoff) -> None:
        """Start or lengthen a backoff; a later one never shortens an earlier one."""
        known = self.backoff.pop(peer, None)
        if known is not None:
            backoff = Backoff(
                max(known.until, backoff.until),
                max(known.graft_after, backoff.graft_after),
                max(known.pruned_at, backoff.pruned_at),
            )
        self.backoff[peer] = backoff
        if len(self.backoff) > MAX_BACKOFFS:
            del self.backoff[next(iter(self.backoff))]

    @property
    def idle(self) -> bool:
        """True when the record holds nothing that the peers' own records do not say."""
        return not (self.subscribed or self.fanout or self.backoff)
