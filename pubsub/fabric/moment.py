"""The time at which something is handled, by both clocks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Moment:
    """Set anew with each event, and looked at by what is called from within."""

    now: float
    "Monotonic, in seconds."

    wall_ns: int
    "Since 1970, in nanoseconds."

    @property
    def when(self) -> datetime:
        """Wall time, as certificates count it."""
        return _EPOCH + timedelta(microseconds=self.wall_ns // 1000)
