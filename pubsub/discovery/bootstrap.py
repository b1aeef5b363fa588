"""Staying connected to a list of known peers, each kept on its own (`keep.py`)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial

import trio

from pubsub.discovery.keep import Dialer, OnFailure, keep_address, keep_peer
from pubsub.identity import Address, PeerId


async def keep_connected(
    host: Dialer,
    addresses: Sequence[Address],
    *,
    rng: random.Random,
    on_failure: OnFailure | None = None,
) -> None:
    """Dial the peers at `addresses` again and again, until cancelled.

    Several addresses with one peer id are one peer, dialled by all of them.
    Our own addresses are passed over, so that all nodes may share one list.
    """
    async with trio.open_nursery() as nursery:
        for group in grouped_by_peer(addresses):
            peer = group[0].peer
            if peer is not None:
                keep = partial(keep_peer, host, peer, group)
            else:
                keep = partial(keep_address, host, group[0])
            nursery.start_soon(partial(keep, rng=rng, on_failure=on_failure))


def grouped_by_peer(addresses: Sequence[Address]) -> list[list[Address]]:
    """Addresses of one peer together; those that name no peer each alone."""
    groups: list[list[Address]] = []
    by_peer: dict[PeerId, list[Address]] = {}
    for address in dict.fromkeys(addresses):
        if address.peer is not None and address.peer in by_peer:
            by_peer[address.peer].append(address)
            continue
        groups.append([address])
        if address.peer is not None:
            by_peer[address.peer] = groups[-1]
    return groups
