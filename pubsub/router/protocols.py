"""The versions of the protocol we speak, and what each can do. The one table of versions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Features:
    """What a peer understands, by the protocol of its stream."""

    gossip: bool
    "Meshes and gossip at all; without it the peer gets every message of its topics."

    backoff: bool
    "PRUNE says for how long (v1.1)."

    idontwant: bool
    "It can be told which messages need not be sent (v1.2)."


FLOODSUB = "/floodsub/1.0.0"
GOSSIPSUB_V10 = "/meshsub/1.0.0"
GOSSIPSUB_V11 = "/meshsub/1.1.0"
GOSSIPSUB_V12 = "/meshsub/1.2.0"

FEATURES = {
    GOSSIPSUB_V12: Features(gossip=True, backoff=True, idontwant=True),
    GOSSIPSUB_V11: Features(gossip=True, backoff=True, idontwant=False),
    GOSSIPSUB_V10: Features(gossip=True, backoff=False, idontwant=False),
    FLOODSUB: Features(gossip=False, backoff=False, idontwant=False),
}

PROTOCOLS = tuple(FEATURES)
"Best first: the order in which they are offered."
