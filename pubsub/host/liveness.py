"""Is the other end still there? Decides when to ping and when to give up; time is an argument."""

from __future__ import annotations

from pubsub.host.params import HostParams

PING_VALUES = 8
"Values are used again, so that a peer that never answers cannot fill the muxer's table."


class Liveness:
    """What has been heard of a peer, and when."""

    def __init__(self, params: HostParams, now: float) -> None:
        self._params = params
        self.last_received = now
        self.round_trip: float | None = None
        "Of the last ping that was answered."
        self._pinged_at = now
        self._value = 0
        self._probed_at: float | None = None

    @property
    def step(self) -> float:
        """How often the questions below should be asked."""
        params = self._params
        return min(params.ping_interval, params.idle_timeout, params.write_timeout) / 4

    def loss(self, now: float, write_began: float | None) -> tuple[str, str] | None:
        """The counter and the reason, if the connection is to be given up."""
        silent = now - self.last_received
        if silent >= self._params.idle_timeout:
            return "dead_connections", f"nothing received for {silent:.0f} s"
        if write_began is not None and now - write_began >= self._params.write_timeout:
            return "stalled_connections", f"peer has not read for {now - write_began:.0f} s"
        return None

    def ping_due(self, now: float) -> int | None:
        """The value to ping with, if it is time to."""
        quiet_since = max(self.last_received, self._pinged_at)
        if now - quiet_since < self._params.ping_interval:
            return None
        return self._ping(now)

    def pong(self, value: int, now: float) -> None:
        if value == self._value:
            self.round_trip = now - self._pinged_at
            self._probed_at = None

    @property
    def in_doubt(self) -> bool:
        """True while a probe has no answer."""
        return self._probed_at is not None

    def probe(self, now: float) -> int:
        """The value to ping with at once, out of turn."""
        self._probed_at = now
        return self._ping(now)

    def probe_over(self, asked: float) -> tuple[str, str] | None:
        """The counter and the reason, if the probe of `asked` had its time and was in vain."""
        if self._probed_at != asked:
            return None
        self._probed_at = None
        timeout = self._params.probe_timeout
        # An answer may queue behind other bytes, which serve as well; not so those that a
        # dead peer had sent before and that still waited in the socket: they come at once.
        if self.last_received > asked + timeout / 2:
            return None
        return "dead_connections", f"no answer to a ping within {timeout:g} s"

    def _ping(self, now: float) -> int:
        self._pinged_at = now
        self._value = (self._value + 1) % PING_VALUES
        return self._value
