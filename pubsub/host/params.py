"""The host's limits and deadlines, and where each default comes from. Times are seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from pubsub.errors import ParamError
from pubsub.transport.yamux_frames import MAX_BODY

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class HostParams:
    """Every limit the host obeys; each number must be above zero."""

    handshake_timeout: float = 15.0
    "From an accepted or made TCP connection to one that carries streams (go's accept timeout)."

    dial_timeout: float = 15.0
    "For a whole `connect`, over all addresses (ours)."

    tcp_timeout: float = 5.0
    "For the TCP connection to one address (go)."

    dial_stagger: float = 0.25
    "Head start of an address over the next one (RFC 8305)."

    stream_timeout: float = 10.0
    "To agree on a stream's protocol (go, js)."

    linger_timeout: float = 60.0
    "How long a peer may leave its half of a stream open that we have closed (ours)."

    identify_timeout: float = 10.0
    "For one identify exchange (go: 5; a peer that starts up may be slow)."

    push_interval: float = 1.0
    "Least time between two announcements of a change (ours; go takes 0.2/s after a burst of 10)."

    ping_interval: float = 10.0
    "A connection that has been silent this long is pinged (rust)."

    idle_timeout: float = 25.0
    "A connection that has been silent this long is dead (ours: noticed within 30 s)."

    probe_timeout: float = 3.0
    "When a connected peer connects once more, for the older connection to show that it lives"
    "(ours: a peer that lost its power and is back takes over its streams within seconds)."

    write_timeout: float = 30.0
    "A socket write that takes longer ends the connection (go-pubsub's write deadline)."

    close_timeout: float = 0.5
    "For the last words when a connection is closed (ours)."

    max_connections: int = 256
    "Inbound connections beyond this are closed at once (ours; go's default is 192 at most)."

    max_connections_per_ip: int = 8
    "From one address; loopback is exempt (go)."

    max_connections_per_peer: int = 4
    "The oldest one beyond this is closed (ours: two are normal after dials from both ends)."

    high_water: int | None = None
    "Connections beyond which the least valued peers are disconnected; None: three quarters of"
    "`max_connections` (go: 192)."

    low_water: int | None = None
    "Connections left after that; None: five sixths of `high_water` (go: 160)."

    grace_period: float = 20.0
    "New peers are spared this long: nobody knows yet what they are worth (go's kubo)."

    max_handshakes: int = 32
    "Inbound connections that are not secured yet (ours)."

    max_dials: int = 32
    "Addresses being dialled at one time; further ones wait (ours)."

    max_dial_addresses: int = 16
    "Addresses tried for one peer, names resolved (ours)."

    max_pending_dials: int = 128
    "Peers that wait for `dial_later` (go-pubsub's peer exchange)."

    max_background_dials: int = 8
    "Of those, peers dialled at one time (go-pubsub)."

    background_dial_timeout: float = 30.0
    "For each of them (go-pubsub)."

    dial_private: bool = False
    "Let `dial_later` dial loopback and private addresses whoever told them. Otherwise they are"
    "dialled only on the word of a peer that is as close itself: a stranger from the internet"
    "must not send us knocking at the doors of our own network."

    accept_rate: float = 50.0
    "Inbound connections a second, after the burst (ours)."

    accept_burst: int = 100
    "Inbound connections that may come at once (ours)."

    max_inbound_streams: int = 256
    "Streams a peer may have open on one connection (rust, go)."

    max_unread_bytes: int = 16 * MIB
    "Bytes of one connection that no stream's reader has taken; ours, above a few full windows."

    max_unsent_bytes: int = MIB
    "Bytes that wait for one socket before senders wait, too; ours."

    batch_bytes: int = MAX_BODY
    "Pulled from sources for one socket write: one full frame. Measured for 1 KiB messages: 1.2 µs"
    "each; 2.3 at 256 KiB, whose buffers leave the cache and are mapped anew each time."

    read_bytes: int = 128 * KIB
    "Read from a socket at once. Measured as above: 1.2 µs; 1.3 at 64 KiB, 1.6 at 256 KiB."

    tell_addresses: bool = True
    "Tell peers where we listen, and sign records of it that they may pass on."

    max_peers: int = 4096
    "Peers remembered (ours)."

    max_addresses: int = 64
    "Addresses remembered of one peer (ours)."

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            # `not >` also catches NaN.
            if value is not None and spec.type != "bool" and not value > 0:
                raise ParamError(f"{spec.name} must be above 0, not {value}")
        if self.ping_interval >= self.idle_timeout:
            raise ParamError(
                "ping_interval must be below idle_timeout, or quiet peers are taken for dead: "
                f"{self.ping_interval:g}, {self.idle_timeout:g}"
            )
        low, high = self.watermarks
        if low > high:
            raise ParamError(f"low_water must not be above high_water: {low}, {high}")

    @property
    def watermarks(self) -> tuple[int, int]:
        """The low and the high one, whether given or not."""
        high = self.high_water or math.ceil(self.max_connections * 3 / 4)
        return self.low_water or math.ceil(high * 5 / 6), high
