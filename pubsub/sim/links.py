"""One direction of a connection: how long bytes take, how many fit, which RPCs are lost.

    sender's router ── take(room) ──► [ buffer ] ── bandwidth ──► latency ──► receiver

Bytes are taken from a router only while the buffer has room, so that a slow
link fills the router's own queues, as a slow socket does. Bytes never overtake
each other. A lost RPC has used its bandwidth.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Protocol

from pubsub.errors import ParamError
from pubsub.wire.framing import FrameReader
from pubsub.wire.varint import encode_varint

UNBOUNDED_TAKE = 256 * 1024
"What is taken at once where bandwidth has no limit: as much as a node's writer gathers."
FRAME_LIMIT = 1 << 27
"Above every frame that `Params` allow; what a router accepts is the router's business."


class Latency(Protocol):
    """A way to draw seconds."""

    def sample(self, rng: random.Random) -> float: ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same."""

    seconds: float

    def sample(self, rng: random.Random) -> float:
        return self.seconds


@dataclass(frozen=True, slots=True)
class Uniform:
    """Anything between `low` and `high`."""

    low: float
    high: float

    def sample(self, rng: random.Random) -> float:
        return rng.uniform(self.low, self.high)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Mostly near `median`, with the long tail that round trips in the internet have."""

    median: float
    sigma: float = 0.5

    def sample(self, rng: random.Random) -> float:
        return rng.lognormvariate(math.log(self.median), self.sigma)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a connection is like, the same in both directions."""

    latency: Latency = Fixed(0.05)
    "Drawn once for each connection."

    jitter: Latency | None = None
    "Drawn for each write and added to it."

    bandwidth: float | None = None
    "Bytes a second each way; None for no limit."

    buffer: int = 64 * 1024
    "Bytes taken from a router that have not left yet; only where bandwidth has a limit."

    loss: float = 0.0
    "The share of RPCs that is lost."

    def __post_init__(self) -> None:
        if self.bandwidth is not None and not self.bandwidth > 0:
            raise ParamError(f"bandwidth must be above 0, not {self.bandwidth}")
        if self.buffer < 2:
            raise ParamError(f"buffer must be at least 2, not {self.buffer}")
        if not 0 <= self.loss <= 1:
            raise ParamError(f"loss must be from 0 to 1, not {self.loss}")


class Wire:
    """What bytes leave by, one after another: of one link, or of all links of a node."""

    __slots__ = ("busy_until",)

    def __init__(self) -> None:
        self.busy_until = 0.0


class Link:
    """The bytes on their way from one node to another.

    Links that share a `wire` share its bandwidth, as the connections of one machine do.
    """

    __slots__ = (
        "_last_arrival", "_last_whole", "_reader", "_rng", "_wire", "conditions", "latency", "lost",
        "open", "receiver", "sender", "waiting",
    )  # fmt: skip

    def __init__(
        self,
        sender: int,
        receiver: int,
        conditions: Conditions,
        *,
        latency: float,
        rng: random.Random,
        wire: Wire | None = None,
    ) -> None:
        self.sender = sender
        self.receiver = receiver
        self.conditions = conditions
        "May be exchanged while the link is in use."
        self.latency = latency
        self.open = True
        "False once it is cut; what is still on its way then arrives nowhere."
        self.waiting = False
        "Somebody will look again when there is room."
        self.lost = 0
        "RPCs lost so far."
        self._rng = rng
        self._reader = FrameReader(FRAME_LIMIT)
        self._wire = wire or Wire()
        self._last_arrival = 0.0
        self._last_whole = 0.0

    def room(self, now: float) -> int:
        """How many bytes may be taken from the sender."""
        bandwidth = self.conditions.bandwidth
        if bandwidth is None:
            return UNBOUNDED_TAKE
        backlog = max(0.0, self._wire.busy_until - now) * bandwidth
        return max(0, int(self.conditions.buffer - backlog))

    def roomy_at(self) -> float:
        """When half of the buffer will have left."""
        bandwidth = self.conditions.bandwidth
        if bandwidth is None:
            return 0.0
        return self._wire.busy_until - self.conditions.buffer / 2 / bandwidth

    def carry(self, data: bytes, now: float) -> list[tuple[float, list[bytes]]]:
        """Put bytes on their way: which RPCs will arrive, and when."""
        frames = self._reader.feed(data)
        bandwidth = self.conditions.bandwidth
        delay = self._delay()
        if bandwidth is None:
            kept = self._kept(frames)
            return [(self._in_order(now + delay), kept)] if kept else []
        start = self._sent(len(data), bandwidth, now)
        arrivals = []
        for end, frame in self._ends(frames, len(data)):
            if self._kept([frame]):
                when = self._in_order(start + end / bandwidth + delay)
                arrivals.append((when, [frame]))
        return arrivals

    def carry_whole(self, size: int, now: float) -> float:
        """Put `size` bytes of another stream on their way: when the last of them will arrive.

        Nothing of these is lost, and they wait for no room.
        """
        bandwidth = self.conditions.bandwidth
        start = now
        if bandwidth is not None:
            start = self._sent(size, bandwidth, now) + size / bandwidth
        self._last_whole = max(start + self._delay(), self._last_whole)
        return self._last_whole

    def _sent(self, size: int, bandwidth: float, now: float) -> float:
        """When the first of `size` bytes leaves."""
        start = max(now, self._wire.busy_until)
        self._wire.busy_until = start + size / bandwidth
        return start

    def _delay(self) -> float:
        jitter = self.conditions.jitter
        return self.latency if jitter is None else self.latency + jitter.sample(self._rng)

    def _in_order(self, when: float) -> float:
        self._last_arrival = max(when, self._last_arrival)
        return self._last_arrival

    def _ends(self, frames: list[bytes], size: int) -> list[tuple[int, bytes]]:
        """With each frame, after how many bytes of this write it is complete."""
        # From the last one backwards: the first may have begun in an earlier write.
        end = size - self._reader.buffered
        ends = []
        for frame in reversed(frames):
            ends.append((end, frame))
            end -= len(frame) + len(encode_varint(len(frame)))
        return ends[::-1]

    def _kept(self, frames: list[bytes]) -> list[bytes]:
        loss = self.conditions.loss
        if not loss:
            return frames
        kept = [frame for frame in frames if self._rng.random() >= loss]
        self.lost += len(frames) - len(kept)
        return kept
