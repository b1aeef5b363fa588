"""What a peer knows, for people and programs: its members, its channels, and its counters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

from pubsub.fabric.channel import JoinedChannel
from pubsub.fabric.members import Member
from pubsub.fabric.peer import Peer
from pubsub.fabric.peer_state import Chaincode, PeerState


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipInfo:
    """What a peer says of itself to others."""

    pki_id: bytes
    org: str | None
    "MSP id of its organization; None while its identity is not known."

    endpoint: str
    "The external one; empty if other organizations may not know it."

    internal_endpoint: str
    "Empty for peers of other organizations."

    metadata: bytes


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PeerInfo(MembershipInfo):
    """Another peer; the last three are of one channel, if it was asked for."""

    is_alive: bool
    height: int | None = None
    "How many blocks its ledger has, as it says; None if no channel was asked for."

    chaincodes: tuple[Chaincode, ...] = ()
    has_left: bool = False


def self_info(peer: Peer) -> MembershipInfo:
    """What we say of ourselves."""
    return MembershipInfo(**_identity(peer, peer.membership.us))


def members(peer: Peer) -> list[PeerInfo]:
    """The living, without us."""
    return [_info(peer, member) for member in peer.membership.members]


def dead_members(peer: Peer) -> list[PeerInfo]:
    """Those that have fallen silent, and are not forgotten yet."""
    return [_info(peer, member) for member in peer.membership.dead]


def peers_of_channel(peer: Peer, channel: str) -> list[PeerInfo]:
    """The living peers of a channel, without us; none if we are not in it, or have left.

    Only those that have told of their ledger are known to be in it.
    """
    joined = peer.channel(channel)
    if joined is None:
        return []
    return [_info(peer, each.member, joined.state_of(each.member.peer)) for each in joined.peers]


def leavers_of_channel(peer: Peer, channel: str) -> list[PeerInfo]:
    """The living members that say they have left a channel."""
    joined = peer.channel(channel)
    if joined is None:
        return []
    found = [(each, joined.state_of(each.peer)) for each in peer.membership.members]
    return [_info(peer, each, state) for each, state in found if state and state.has_left]


def snapshot(peer: Peer, channels: Iterable[str]) -> dict[str, Any]:
    """Where `peer` stands now, in plain data that json can write; `channels` by name.

    It holds neither keys nor certificates; PKI-IDs are in hex. What is `missing` of a channel
    is how many blocks its peers say to have above our ledger.
    """
    us = self_info(peer)
    return {
        "pki_id": us.pki_id.hex(),
        "org": us.org,
        "endpoint": us.endpoint,
        "internal_endpoint": us.internal_endpoint,
        "members": [_plain_member(each) for each in members(peer) + dead_members(peer)],
        "channels": {
            name: _plain_channel(peer, joined)
            for name in channels
            if (joined := peer.channel(name)) is not None
        },
        "refusals": {str(reason): count for reason, count in sorted(peer.refusals.items())},
        "ignored": dict(sorted(peer.membership.counters.items())),
    }


def _info(peer: Peer, member: Member, state: PeerState | None = None) -> PeerInfo:
    is_alive = peer.membership.is_alive(member.peer)
    if state is None:
        return PeerInfo(**_identity(peer, member), is_alive=is_alive)
    return PeerInfo(
        **_identity(peer, member),
        is_alive=is_alive,
        height=state.height,
        chaincodes=state.chaincodes,
        has_left=state.has_left,
    )


def _identity(peer: Peer, member: Member) -> dict[str, Any]:
    return {
        "pki_id": member.peer,
        "org": peer.membership.standing(member.peer).org,
        "endpoint": member.endpoint,
        "internal_endpoint": member.internal_endpoint,
        "metadata": member.metadata,
    }


def _plain_member(info: PeerInfo) -> dict[str, Any]:
    return {
        "pki_id": info.pki_id.hex(),
        "org": info.org,
        "endpoint": info.endpoint,
        "internal_endpoint": info.internal_endpoint,
        "is_alive": info.is_alive,
    }


def _plain_channel(peer: Peer, joined: JoinedChannel) -> dict[str, Any]:
    peers = peers_of_channel(peer, joined.name)
    highest = max((each.height or 0 for each in peers), default=0)
    return {
        "height": joined.height,
        "missing": max(0, highest - joined.height),
        "is_leader": joined.leading,
        "has_left": joined.has_left,
        "peers": [
            {
                "pki_id": each.pki_id.hex(),
                "org": each.org,
                "height": each.height,
                "chaincodes": [f"{code.name}:{code.version}" for code in each.chaincodes],
            }
            for each in peers
        ],
        "left": [each.pki_id.hex() for each in leavers_of_channel(peer, joined.name)],
    }
