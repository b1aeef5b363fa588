"""What there is to tell of a running peer: two looks at it, and what changed between them.

Looking now and then bounds what is told, whatever happens in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pubsub.cli.printable import count, printable

SHORT = 8
"Digits of a PKI-ID by which people tell peers apart."


@dataclass(frozen=True, slots=True)
class ChannelView:
    height: int
    leading: bool = False


@dataclass(frozen=True, slots=True)
class PeerView:
    """Another peer that is alive."""

    org: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class View:
    """A peer at one moment: its channels by name, the others by PKI-ID in hexadecimal."""

    channels: Mapping[str, ChannelView] = field(default_factory=dict)
    peers: Mapping[str, PeerView] = field(default_factory=dict)


def changes(before: View, after: View) -> Iterator[dict[str, Any]]:
    """The events that lead from one view to the other, each as a JSON object."""
    for name in before.channels:
        if name not in after.channels:
            yield {"event": "left", "channel": name}
    for name, now in after.channels.items():
        was = before.channels.get(name)
        if was is None:
            yield {"event": "joined", "channel": name, "height": now.height}
            was = ChannelView(now.height)
        if now.leading != was.leading:
            yield {"event": "leader", "channel": name, "leader": now.leading}
        if now.height != was.height:
            yield {"event": "height", "channel": name, "height": now.height}
    for pki_id, peer in before.peers.items():
        if pki_id not in after.peers:
            yield _peer_event("peer_went", pki_id, peer)
    for pki_id, peer in after.peers.items():
        if pki_id not in before.peers:
            yield _peer_event("peer_came", pki_id, peer)
        elif peer != before.peers[pki_id]:
            yield _peer_event("peer_moved", pki_id, peer)


def _peer_event(kind: str, pki_id: str, peer: PeerView) -> dict[str, Any]:
    return {"event": kind, "pki_id": pki_id, "org": peer.org, "endpoint": peer.endpoint}


def lines_of(event: Mapping[str, Any]) -> list[str]:
    """An event in lines for people: one, but for the first event."""
    return [printable(line) for line in _lines(event)]


def _lines(event: Mapping[str, Any]) -> list[str]:
    match event:
        case {"event": "started"}:
            return [
                f"{event['id']} of {event['org']}, network {event['network']}",
                f"PKI-ID {event['pki_id']}",
                f"peer id {event['peer']}",
                f"endpoint {_endpoints(event)}",
            ]
        case {"event": "listening", "addrs": addrs}:
            return [f"listening on {address}" for address in addrs]
        case {"event": "joined", "channel": channel, "height": height}:
            return [f"{channel}: joined with {count(height, 'block')}"]
        case {"event": "left", "channel": channel}:
            return [f"{channel}: left"]
        case {"event": "leader", "channel": channel, "leader": leading}:
            return [f"{channel}: {'we lead' if leading else 'we lead no more'}"]
        case {"event": "height", "channel": channel, "height": height}:
            return [f"{channel}: {count(height, 'block')}"]
        case {"event": "peer_came" | "peer_went" | "peer_moved" as kind}:
            verb = {"peer_came": "came", "peer_went": "went", "peer_moved": "moved"}[kind]
            return [f"peer {verb}: {peer_words(event)}"]
        case _:
            return [f"error: {event['message']}"]


def _endpoints(event: Mapping[str, Any]) -> str:
    outside = event["external_endpoint"] or "none: only its own organization may know it"
    return f"{event['endpoint']}, for other organizations {outside}"


def peer_words(peer: Mapping[str, Any]) -> str:
    """A peer by the beginning of its PKI-ID, its organization and its endpoint."""
    org, endpoint = peer["org"] or "of no known organization", peer["endpoint"] or "no endpoint"
    return f"{peer['pki_id'][:SHORT]} {org} {endpoint}"
