"""P6: how crowded a peer's IP addresses are (gossipsub v1.1 §The Score Function).

An address with more peers than the threshold costs each of them the square of
the surplus. An IPv6 host owns a whole /64, so such a peer stands in two groups,
its address and its /64, and pays for both (as in go). Exempt are the networks of
the allow-list and, unless asked for, those that NAT and test set-ups share.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Network

from pubsub.identity import PeerId
from pubsub.identity.networks import LINK_LOCAL, LOOPBACK, PRIVATE, NetworkSet, parse_ip
from pubsub.score.params import ScoreParams

MAX_IPS = 16
"Addresses counted for one peer (ours; connections to a peer are fewer)."


class Colocation:
    """Which peers share an address."""

    __slots__ = ("_exempt", "_groups", "_keys", "_threshold")

    def __init__(self, params: ScoreParams) -> None:
        self._threshold = params.ip_colocation_threshold
        self._exempt = NetworkSet(params.allowed_networks())
        if not params.count_private_ips:
            for network in (*LOOPBACK, *LINK_LOCAL, *PRIVATE):
                self._exempt.add(network)
        self._groups: dict[str, dict[PeerId, None]] = {}
        self._keys: dict[PeerId, tuple[str, ...]] = {}

    def place(self, peer: PeerId, ips: Sequence[str]) -> dict[PeerId, None]:
        """Move `peer` to `ips`; return everybody whose surplus may have changed."""
        keys: dict[str, None] = {}
        for ip in ips[:MAX_IPS]:
            keys.update(dict.fromkeys(self._group_keys(ip)))
        before = self._keys.get(peer, ())
        if tuple(keys) == before:
            return {}
        affected: dict[PeerId, None] = {peer: None}
        for key in before:
            if key not in keys:
                self._leave(peer, key, affected)
        for key in keys:
            if key not in before:
                group = self._groups.setdefault(key, {})
                group[peer] = None
                if len(group) > self._threshold:
                    affected.update(group)
        self._keys[peer] = tuple(keys)
        return affected

    def remove(self, peer: PeerId) -> dict[PeerId, None]:
        """Forget `peer`; return the others whose surplus may have changed."""
        affected: dict[PeerId, None] = {}
        for key in self._keys.pop(peer, ()):
            self._leave(peer, key, affected)
        return affected

    def factor(self, peer: PeerId) -> float:
        """P6: the sum of the squared surpluses of the peer's groups."""
        total = 0.0
        for key in self._keys.get(peer, ()):
            surplus = len(self._groups[key]) - self._threshold
            if surplus > 0:
                total += float(surplus * surplus)
        return total

    def _leave(self, peer: PeerId, key: str, affected: dict[PeerId, None]) -> None:
        group = self._groups[key]
        del group[peer]
        if len(group) >= self._threshold:
            affected.update(group)
        if not group:
            del self._groups[key]

    def _group_keys(self, ip: str) -> tuple[str, ...]:
        address = parse_ip(ip)
        if address in self._exempt:
            return ()
        if isinstance(address, IPv4Address):
            return (str(address),)
        return (str(address), str(IPv6Network((address, 64), strict=False)))
