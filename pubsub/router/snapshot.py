"""The router's state as plain data, for people and programs to look at."""

from __future__ import annotations

from typing import Any

from pubsub.router.core import Core

RECENT = 32
"How many of the newest message ids a snapshot shows."


def _counters(core: Core) -> dict[str, int]:
    cancelled = core.counters["idontwant_cancelled"]
    cancelled += sum(peer.outbox.cancelled for peer in core.peers.values())
    return {**core.counters, "heartbeats": core.beats, "idontwant_cancelled": cancelled}


def snapshot(core: Core) -> dict[str, Any]:
    """Copies only: texts, numbers, lists and dicts; ids in base58, message ids in hexadecimal.

    Keys: peer, peers, subscriptions, mesh, fanout, backoff, recent, faults, scores,
    queues, drops, counters, caches.
    """
    topics = core.topics.values()
    return {
        "peer": str(core.id),
        "peers": {
            str(peer.id): {
                "protocol": peer.protocol,
                "outbound": peer.outbound,
                "topics": list(peer.topics),
            }
            for peer in core.peers.values()
        },
        "subscriptions": [topic.name for topic in topics if topic.subscribed],
        "mesh": {t.name: [str(peer) for peer in t.mesh] for t in topics if t.subscribed},
        "fanout": {t.name: [str(peer) for peer in t.fanout] for t in topics if t.fanout},
        "backoff": {t.name: [str(peer) for peer in t.backoff] for t in topics if t.backoff},
        "recent": [
            {"topic": topic, "id": message_id.hex()}
            for topic, message_id in core.cache.recent(RECENT)
        ],
        "faults": {str(peer.id): peer.faults for peer in core.peers.values()},
        "scores": {str(peer): core.score(peer) for peer in core.peers},
        "queues": {
            str(peer.id): {"messages": len(peer.outbox), "bytes": peer.outbox.waiting_bytes}
            for peer in core.peers.values()
        },
        "drops": {reason: count for reason, count in sorted(core.drops.items()) if count},
        "counters": {name: count for name, count in sorted(_counters(core).items()) if count},
        "caches": {
            "seen": len(core.seen),
            "seen_evicted": core.seen.evicted,
            "messages": len(core.cache),
            "message_bytes": core.cache.bytes,
            "messages_evicted": core.cache.evicted,
        },
    }
