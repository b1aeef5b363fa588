"""Who may come in: rates and counts that bound what strangers can make us do.

Each refusal has a name, under which it is counted.
"""

from __future__ import annotations

from pubsub.host.params import HostParams
from pubsub.identity.networks import parse_ip


class TokenBucket:
    """`burst` at once, `rate` a second after that. Time is an argument."""

    __slots__ = ("_burst", "_rate", "_then", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._then = now

    def take(self, now: float) -> bool:
        """True if one more is allowed now."""
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self._rate)
        self._then = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Admission:
    """Decides about each inbound connection before a byte is read from it."""

    def __init__(self, params: HostParams, now: float) -> None:
        self._params = params
        self._bucket = TokenBucket(params.accept_rate, params.accept_burst, now)
        self._by_ip: dict[str, int] = {}
        self._unsecured: dict[str, int] = {}
        self.handshakes = 0
        "Inbound connections that are not secured yet."
        self.inbound = 0
        "Inbound connections, those included."

    def refusal(self, ip: str, outbound: int, now: float) -> str | None:
        """The name of the limit that a connection from `ip` would break, or None."""
        params = self._params
        # What one address does wrong first, so that it uses up nothing of the others'.
        if self._by_ip.get(ip, 0) >= params.max_connections_per_ip and not parse_ip(ip).is_loopback:
            return "refused_per_ip"
        if self._unsecured.get(ip, 0) >= max(1, params.max_handshakes // 2):
            return "refused_per_ip"
        if self.handshakes >= params.max_handshakes:
            return "refused_handshakes"
        if self.inbound + outbound >= params.max_connections:
            return "refused_connections"
        if not self._bucket.take(now):
            return "refused_accept_rate"
        return None

    def entered(self, ip: str) -> None:
        self.inbound += 1
        self._by_ip[ip] = self._by_ip.get(ip, 0) + 1
        self.handshakes += 1
        self._unsecured[ip] = self._unsecured.get(ip, 0) + 1

    def secured(self, ip: str) -> None:
        self.handshakes -= 1
        self._unsecured[ip] -= 1
        if not self._unsecured[ip]:
            del self._unsecured[ip]

    def left(self, ip: str) -> None:
        self.inbound -= 1
        count = self._by_ip[ip] - 1
        if count:
            self._by_ip[ip] = count
        else:
            del self._by_ip[ip]
