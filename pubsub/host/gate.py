"""The gate: whom we have to do with at all, by peer id and by IP network.

    inbound   address ─► accept ─► handshake ─► peer ─► connection
    outbound  peer, each resolved address ─► dial ─► handshake ─► peer ─► connection

A denial wins over a permission. Where there is an allow-list, who is not on it is denied; one
of peers and one of networks must both be met. A change takes effect at once, also on
connections that exist.

For those who know go-libp2p-pubsub: `deny` is its `BlacklistPeer` with a `MapBlacklist`, `ban` with
a `TimeCachedBlacklist`. There a blacklisted peer keeps its connection and is left out of pubsub,
and messages that it wrote are dropped even when others pass them on; here it also loses its
connection, as with a connection gater, and `denied_peers` names those whose messages to drop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

import trio

from pubsub.errors import DialError, ParamError
from pubsub.identity import PeerId, parse_peer_id
from pubsub.identity.networks import Network, NetworkSet, parse_ip, parse_network

Target: TypeAlias = PeerId | str | Network
"A peer or a network, as such or as text; `10.0.0.0/8`, and a single address is a network, too."

MAX_BANS = 4096
"Of more, the ones that would end first do (ours)."


class DeniedError(DialError):
    """The gate lets this peer or address neither in nor out."""


class Gate:
    """Allow-lists, deny-lists, and bans that end by themselves.

    Make one anywhere, before trio runs too; only bans need the clock, which is trio's by default.
    Several hosts may share a gate.
    """

    def __init__(
        self,
        allow_peers: Iterable[PeerId] | None = None,
        deny_peers: Iterable[PeerId] = (),
        allow_networks: Iterable[str | Network] | None = None,
        deny_networks: Iterable[str | Network] = (),
        *,
        clock: Callable[[], float] = trio.current_time,
        max_bans: int = MAX_BANS,
    ) -> None:
        self._allowed_peers = _peers(allow_peers) if allow_peers is not None else None
        self._denied_peers = _peers(deny_peers)
        self._allowed_networks = NetworkSet(allow_networks) if allow_networks is not None else None
        self._denied_networks = NetworkSet(deny_networks)
        self._bans: dict[PeerId, float] = {}
        "When each ends, by `clock`."
        self._max_bans = max_bans
        self._clock = clock
        self._watchers: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<Gate: {len(self._denied_peers)} peers denied, {len(self._bans)} banned>"

    # -- asking

    def permits_peer(self, peer: PeerId) -> bool:
        if peer in self._denied_peers:
            return False
        if self._allowed_peers is not None and peer not in self._allowed_peers:
            return False
        until = self._bans.get(peer)
        if until is None:
            return True
        if self._clock() < until:
            return False
        del self._bans[peer]
        return True

    def permits_ip(self, ip: str) -> bool:
        address = parse_ip(ip)
        if address in self._denied_networks:
            return False
        return self._allowed_networks is None or address in self._allowed_networks

    def denied_peers(self) -> list[PeerId]:
        """The peers on the deny-list or banned now, whether there is an allow-list or not."""
        return list({**self._denied_peers, **self.banned()})

    def banned(self) -> dict[PeerId, float]:
        """The peers that are banned now, and for how many seconds still."""
        if not self._bans:
            return {}
        now = self._clock()
        return {peer: until - now for peer, until in self._bans.items() if until > now}

    # -- changing

    def deny(self, target: Target) -> None:
        """Put a peer or network on the deny-list; connections to it are closed."""
        target = _target(target)
        if isinstance(target, PeerId):
            self._denied_peers[target] = None
        else:
            self._denied_networks.add(target)
        self._changed()

    def allow(self, target: Target) -> None:
        """Take a peer or network off the deny-list and, if there is an allow-list, put it there.

        A peer's ban ends, too.
        """
        target = _target(target)
        if isinstance(target, PeerId):
            self._denied_peers.pop(target, None)
            self._bans.pop(target, None)
            if self._allowed_peers is not None:
                self._allowed_peers[target] = None
        else:
            self._denied_networks.discard(target)
            if self._allowed_networks is not None:
                self._allowed_networks.add(target)
        self._changed()

    def forget(self, target: Target) -> None:
        """Take a peer or network off both lists; a peer's ban ends, too.

        Where there is an allow-list, it is denied by that.
        """
        target = _target(target)
        if isinstance(target, PeerId):
            self._denied_peers.pop(target, None)
            self._bans.pop(target, None)
            if self._allowed_peers is not None:
                self._allowed_peers.pop(target, None)
        else:
            self._denied_networks.discard(target)
            if self._allowed_networks is not None:
                self._allowed_networks.discard(target)
        self._changed()

    def allow_only_peers(self, peers: Iterable[PeerId] | None) -> None:
        """Replace the allow-list of peers; None is everybody."""
        self._allowed_peers = _peers(peers) if peers is not None else None
        self._changed()

    def allow_only_networks(self, networks: Iterable[str | Network] | None) -> None:
        """Replace the allow-list of networks; None is everywhere."""
        self._allowed_networks = NetworkSet(networks) if networks is not None else None
        self._changed()

    def ban(self, peer: PeerId | str, seconds: float) -> None:
        """Deny a peer for some time; a longer ban that it has already stays."""
        # `not >` also catches NaN.
        if not isinstance(seconds, int | float) or not seconds > 0:
            raise ParamError(f"a ban must last more than 0 s, not {seconds!r}")
        peer = peer if isinstance(peer, PeerId) else parse_peer_id(peer)
        now = self._clock()
        self._bans[peer] = max(now + seconds, self._bans.get(peer, now))
        if len(self._bans) > self._max_bans:
            del self._bans[min(self._bans, key=self._bans.__getitem__)]
        self._changed()

    def watch(self, callback: Callable[[], None]) -> None:
        """Call back after each change, but not when a ban ends by itself."""
        self._watchers.append(callback)

    def unwatch(self, callback: Callable[[], None]) -> None:
        """Call back no more."""
        self._watchers.remove(callback)

    def _changed(self) -> None:
        for callback in tuple(self._watchers):
            callback()


def _target(target: Target) -> PeerId | Network:
    """What is meant: a peer, given as such or as text, or a network, given in either way."""
    if isinstance(target, str):
        try:
            return parse_network(target)
        except ParamError:
            pass
        try:
            return parse_peer_id(target)
        except ParamError as error:
            raise ParamError(f"{target!r} is neither a peer id nor an IP network") from error
    if not isinstance(target, PeerId | IPv4Network | IPv6Network):
        raise ParamError(f"{target!r} is neither a peer id nor an IP network")
    return target


def _peers(peers: Iterable[PeerId]) -> dict[PeerId, None]:
    found = dict.fromkeys(peers)
    for peer in found:
        if not isinstance(peer, PeerId):
            raise ParamError(f"not a peer id: {peer!r}")
    return found
