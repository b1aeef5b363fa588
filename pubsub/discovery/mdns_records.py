"""What mDNS records say about a peer (libp2p specs: discovery/mdns.md). No IO here.

    <service>              PTR  <peer-name>.<service>
    <peer-name>.<service>  SRV  <port> <peer-name>.local.
    <peer-name>.<service>  TXT  "dnsaddr=/ip4/192.0.2.7/tcp/4001/p2p/12D3…" "dnsaddr=…" …

The peer-name is random and means nothing. All that counts is in the TXT
record: one string of at most 255 bytes for each address. Whatever comes from
the network is cut to the limits below, and what cannot be read is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pubsub.errors import ParamError
from pubsub.identity import Address, PeerId, parse_address

SERVICE = "_p2p._udp.local."
MAX_ADDRESSES = 16
"Of one peer, written or read; a TXT record of a datagram has room for about 60."
MAX_STRING = 255
"RFC 1035: the longest character-string."
MAX_STRINGS = 64
"Strings of one TXT record that are looked at."
MAX_TEXT_BYTES = 9000
"RFC 6762: the longest multicast DNS message."
NAME_LENGTH = 40
"The specification asks for 32 to 63 characters."
NAME_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"

MAX_KNOWN_PEERS = 1024
REPEAT_AFTER = 10.0
"An unchanged announcement counts as news again after this time, so that a lost peer is redialled."
FORGET_AFTER = 120.0
LEAST_INTERVAL = 0.25
"A peer that moves more often than this is not followed."

_PREFIX = b"dnsaddr="


def random_peer_name(entropy: Callable[[int], bytes]) -> str:
    """A name for one run of a node; the specification wants it unrelated to the peer id."""
    # A byte modulo 36 is a little uneven, which a name of 40 letters can afford.
    return "".join(NAME_ALPHABET[byte % len(NAME_ALPHABET)] for byte in entropy(NAME_LENGTH))


def announced(addresses: Sequence[Address], peer: PeerId) -> list[Address]:
    """Which of our addresses to announce, the most useful first.

    Loopback comes last: it serves only peers on this machine.
    """
    named = dict.fromkeys(address.with_peer(peer) for address in addresses)
    usable = [address for address in named if len(_string(address)) <= MAX_STRING]
    usable.sort(key=_is_loopback)
    return usable[:MAX_ADDRESSES]


def encode_txt(addresses: Sequence[Address]) -> bytes:
    """The raw TXT record: each string behind its length."""
    strings = [_string(address) for address in addresses]
    return b"".join(bytes([len(string)]) + string for string in strings)


def decode_txt(raw: bytes, own: PeerId) -> list[Address]:
    """The addresses in a TXT record from the network: of one peer, not us, by IP and TCP.

    The first readable address says who the peer is; those of others are
    passed over, as are transports that we do not speak. Never raises.
    """
    found: dict[Address, None] = {}
    peer: PeerId | None = None
    for text in _dnsaddrs(raw):
        try:
            address = parse_address(text)
        except ParamError:
            continue
        # Names are left out: anyone on the LAN could make us ask DNS for anything.
        if address.peer is None or address.peer == own or address.ip is None or not address.port:
            continue
        peer = peer or address.peer
        if address.peer == peer:
            found[address] = None
        if len(found) == MAX_ADDRESSES:
            break
    return list(found)


def _dnsaddrs(raw: bytes) -> list[str]:
    """The values of the `dnsaddr` strings, as many as are whole and ASCII."""
    values: list[str] = []
    raw = raw[:MAX_TEXT_BYTES]
    position = 0
    for _ in range(MAX_STRINGS):
        if position >= len(raw):
            break
        end = position + 1 + raw[position]
        string = raw[position + 1 : end]
        if end <= len(raw) and string[: len(_PREFIX)].lower() == _PREFIX and string.isascii():
            values.append(string[len(_PREFIX) :].decode("ascii"))
        position = end
    return values


def _string(address: Address) -> bytes:
    return _PREFIX + str(address).encode("ascii", errors="replace")


def _is_loopback(address: Address) -> bool:
    ip = address.ip
    return ip is not None and ip.is_loopback


@dataclass(slots=True)
class KnownPeers:
    """Who was heard of lately: tells news from repetition, within a fixed number of peers."""

    _heard: dict[PeerId, tuple[float, list[Address]]] = field(default_factory=dict)
    "When each was last reported and with which addresses; oldest first."

    def is_news(self, addresses: list[Address], *, now: float) -> bool:
        """True if the peer is new, has moved, or was last reported a while ago."""
        peer = addresses[0].peer
        if peer is None:
            return False
        last = self._heard.get(peer)
        if last is not None:
            quiet = REPEAT_AFTER if last[1] == addresses else LEAST_INTERVAL
            if now - last[0] < quiet:
                return False
        elif len(self._heard) >= MAX_KNOWN_PEERS and not self._forget(now):
            # Somebody invents peers; the true ones announce themselves again.
            return False
        self._heard.pop(peer, None)
        self._heard[peer] = (now, addresses)
        return True

    def __len__(self) -> int:
        return len(self._heard)

    def _forget(self, now: float) -> bool:
        oldest = next(iter(self._heard))
        if now - self._heard[oldest][0] < FORGET_AFTER:
            return False
        del self._heard[oldest]
        return True
