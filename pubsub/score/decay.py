"""When counters decay: once for each whole interval that has passed, however late one asks."""

from __future__ import annotations


class DecayClock:
    """Turns the times of refreshes into a number of decays. Starts with the first time it sees."""

    __slots__ = ("_interval", "_then")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._then: float | None = None

    def start(self, now: float) -> None:
        """Count from `now`, unless it counts already."""
        if self._then is None:
            self._then = now

    def ticks(self, now: float) -> int:
        """Intervals that have ended since the last call that returned any."""
        self.start(now)
        assert self._then is not None
        # A heartbeat that is a rounding error early still belongs to its interval.
        ticks = int((now - self._then) / self._interval + 1e-6)
        if ticks <= 0:
            return 0
        self._then += ticks * self._interval
        return ticks


def decayed(counter: float, factor: float, zero: float) -> float:
    """`counter` after a decay, of either sign; 0 when less than `zero` is left."""
    counter *= factor
    return 0.0 if -zero < counter < zero else counter
