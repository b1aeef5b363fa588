"""IP addresses: how near they are, and which networks hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

from pubsub.errors import ParamError

Ip: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

MAPPED = IPv6Network("::ffff:0:0/96")
"IPv4 written as IPv6: the same machines."


class Reach(IntEnum):
    """From how far an address can be reached."""

    LOOPBACK = 0
    PRIVATE = 1
    PUBLIC = 2


def parse_ip(text: str) -> Ip:
    """An address without its zone; IPv4 written as IPv6 is IPv4.

    Raises ParamError if it is none.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError as error:
        raise ParamError(f"not an IP address: {text!r}") from error
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def parse_network(network: str | Network) -> Network:
    """A network such as 10.0.0.0/8, or a single address.

    Raises ParamError if it is none, or has bits set behind its prefix.
    """
    if isinstance(network, str):
        try:
            network = ip_network(network)
        except ValueError as error:
            raise ParamError(f"not an IP network: {error}") from error
    if not isinstance(network, IPv4Network | IPv6Network):
        raise ParamError(f"not an IP network: {network!r}")
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        bits = int(network.network_address) & 0xFFFFFFFF
        return IPv4Network((bits, network.prefixlen - MAPPED.prefixlen))
    return network


class NetworkSet:
    """Networks, however many: to ask for an address costs one look-up for each prefix length."""

    def __init__(self, networks: Iterable[str | Network] = ()) -> None:
        self._prefixes: dict[tuple[int, int], dict[int, Network]] = {}
        "By IP version and by the bits behind the prefix: the networks by their prefixes."
        for network in networks:
            self.add(network)

    def __iter__(self) -> Iterator[Network]:
        for networks in self._prefixes.values():
            yield from networks.values()

    def add(self, network: str | Network) -> None:
        network = parse_network(network)
        behind = network.max_prefixlen - network.prefixlen
        prefixes = self._prefixes.setdefault((network.version, behind), {})
        prefixes[int(network.network_address) >> behind] = network

    def discard(self, network: str | Network) -> None:
        network = parse_network(network)
        behind = network.max_prefixlen - network.prefixlen
        prefixes = self._prefixes.get((network.version, behind), {})
        prefixes.pop(int(network.network_address) >> behind, None)
        if not prefixes:
            self._prefixes.pop((network.version, behind), None)

    def __contains__(self, ip: object) -> bool:
        if not isinstance(ip, IPv4Address | IPv6Address):
            return False
        bits = int(ip)
        return any(
            version == ip.version and bits >> behind in prefixes
            for (version, behind), prefixes in self._prefixes.items()
        )


# Listed here because the standard library's `is_private` also holds the documentation ranges,
# and differs between versions of Python.
LOOPBACK = ("127.0.0.0/8", "::1/128")
LINK_LOCAL = ("169.254.0.0/16", "fe80::/10")
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
PROVIDER_NAT = ("100.64.0.0/10",)

# 0.0.0.0 and :: lead to this machine where they are dialled; of multicast and reserved ranges
# no peer can be reached at all.
NEAREST = NetworkSet((*LOOPBACK, "0.0.0.0/8", "224.0.0.0/3", "::/128", "ff00::/8"))
NEAR = NetworkSet((*PRIVATE, *LINK_LOCAL, *PROVIDER_NAT))


def reach_of(ip: Ip) -> Reach:
    """How near an address is."""
    if ip in NEAREST:
        return Reach.LOOPBACK
    return Reach.PRIVATE if ip in NEAR else Reach.PUBLIC


def farthest(ips: Iterable[Ip]) -> Reach:
    """The reach of the farthest of some addresses; of none, PUBLIC."""
    return max(map(reach_of, ips), default=Reach.PUBLIC)
