"""One record for each pubsub peer."""

from __future__ import annotations

from dataclasses import dataclass, field

from pubsub.identity.peer_id import PeerId
from pubsub.router.outbox import Outbox
from pubsub.router.protocols import Features


@dataclass(slots=True, eq=False)
class Peer:
    """All that is known of a peer."""

    id: PeerId

    outbound: bool
    "We dialled it."

    protocol: str

    features: Features

    outbox: Outbox

    direct: bool = False
    "We and it agreed to send each other everything, outside all meshes and whatever the scores."

    topics: dict[str, None] = field(default_factory=dict)
    "What it subscribes to."

    topic_bytes: int = 0

    withheld: dict[str, None] = field(default_factory=dict)
    "What it subscribed to and may not know, in case that changes."

    streaming: bool = False
    "Our stream to it stood at least once."

    control_heard: int = 0
    "What it said since the last heartbeat, heeded or not (see `control.meter`)."

    unwanted_heard: int = 0
    "Ids of IDONTWANT since the last heartbeat."

    ihave_heard: int = 0
    "RPCs with IHAVE since the last heartbeat."

    ids_asked: int = 0
    "Ids we asked it for since the last heartbeat."

    px_taken: int = 0
    "Peers it named, of which we dialled, since the last heartbeat."

    ids_answered: int = 0
    "Ids it asked us for since the last heartbeat."

    asked_at: float = -1e18
    "When we last sent it an IWANT."

    message_at: float = -1e18
    "When it last sent us a message, whatever it was."

    taken_before: int = 0
    "How many messages it had taken at the last heartbeat."

    full_beats: int = 0
    "Heartbeats on end that found its queue more than half full and emptying too slowly."

    slow: bool = False
    "Its queue stayed full; no publisher waits for it until half of it is free."

    faults: float = 0.0

    @property
    def meshable(self) -> bool:
        """True if it can be in a mesh; one that cannot gets every message of its topics."""
        return self.features.gossip and not self.direct
