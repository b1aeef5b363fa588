"""Who came and who went, in the log: what operators of Fabric look for."""

from __future__ import annotations

import logging

import trio

from pubsub.fabric.actions import short
from pubsub.fabric_node import views
from pubsub.fabric_node.owner import Owner
from pubsub.fabric_node.views import PeerInfo

logger = logging.getLogger("pubsub.fabric")

MAX_NAMED = 10


async def track_membership(owner: Owner, interval: float) -> None:
    """Log once in `interval` seconds how the membership differs from what it was, if it does."""
    before: dict[bytes, PeerInfo] = {}
    while True:
        await trio.sleep(interval)
        after = {each.pki_id: each for each in views.members(owner.peer)}
        came = [each for key, each in after.items() if key not in before]
        went = [each for key, each in before.items() if key not in after]
        if came or went:
            logger.info(
                "membership has changed: came: %s; went: %s; now %d",
                _named(came),
                _named(went),
                len(after),
            )
        before = after


def _named(peers: list[PeerInfo]) -> str:
    if not peers:
        return "nobody"
    names = [f"{short(each.pki_id)} of {each.org}" for each in peers[:MAX_NAMED]]
    more = f" and {len(peers) - MAX_NAMED} more" if len(peers) > MAX_NAMED else ""
    return ", ".join(names) + more
