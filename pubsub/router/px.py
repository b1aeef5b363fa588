"""Peer exchange: a PRUNE names other peers of the topic, with their signed records (v1.1).

    we prune     good peers of the topic, a few by chance, within a budget of bytes
    we are pruned, by a peer whose score reaches `accept_px`: we dial those it names

Whoever can make us dial can fill our table of peers with its own: so the score,
and the limits, and what the host does with its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub.errors import RemoteError
from pubsub.identity.peer_id import peer_id_from_bytes
from pubsub.mesh.selection import other_subscribers, sample
from pubsub.mesh.topic import TopicState
from pubsub.router.effects import Dial
from pubsub.wire.rpc import OfferedPeer

if TYPE_CHECKING:
    from pubsub.router.core import Core
    from pubsub.router.peer import Peer

MAX_RECORD_BYTES = 8 * 1024
"Longer records are nobody's honest work (ours)."


def offer(core: Core, topic: TopicState, peer: Peer) -> tuple[OfferedPeer, ...]:
    """The peers to name to `peer` as it is pruned; nobody where peer exchange is off."""
    params = core.params
    if not (params.peer_exchange and peer.features.backoff) or peer.direct:
        return ()
    others = other_subscribers(topic, {peer.id: None}, standing=core)
    room = min(params.prune_peers_bytes, peer.outbox.frame_limit // 2)
    offered: list[OfferedPeer] = []
    for peer_id in sample(others, params.prune_peers, core.rng):
        record = core.policy.signed_record(peer_id) or b""
        room -= len(peer_id) + len(record)
        if room < 0:
            break
        offered.append(OfferedPeer(bytes(peer_id), record))
    core.counters["px_offered"] += len(offered)
    return tuple(offered)


def accept(core: Core, peer: Peer, offered: tuple[OfferedPeer, ...]) -> None:
    """Have some of the peers dialled that `peer` names, if it is trusted so far."""
    if core.score(peer.id) < core.thresholds.accept_px:
        core.drop("px_below_threshold", len(offered), peer=peer.id)
        return
    room = core.params.prune_peers - peer.px_taken
    if room <= 0:
        core.drop("px_flood", len(offered), peer=peer.id)
        return
    # By chance, so that the order is not the other's choice.
    chosen = core.rng.sample(offered, min(room, len(offered)))
    peer.px_taken += len(chosen)
    for one in chosen:
        try:
            peer_id = peer_id_from_bytes(one.id)
        except RemoteError:
            core.drop("px_malformed", peer=peer.id)
            continue
        if len(one.record) > MAX_RECORD_BYTES:
            core.drop("px_malformed", peer=peer.id)
        elif peer_id != core.id and peer_id not in core.peers:
            core.counters["px_taken"] += 1
            core.effects.append(Dial(peer_id, one.record, peer.id))
