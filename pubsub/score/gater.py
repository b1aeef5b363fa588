"""The peer gater: random early drop in front of an overloaded validation queue (as go's).

While messages are being thrown away because validation is too busy, payloads
of peers whose messages are mostly duplicates or worthless are dropped before they
take up room there; their control messages still count. A source, which is all the
peers at one IP address, is let through with probability

    (1 + delivered) / (1 + delivered + duplicates, ignored and rejected by their weights)

so that nobody is shut out for good. The gater rests once nothing has been
throttled for a while.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pubsub.identity import PeerId
from pubsub.identity.networks import parse_ip
from pubsub.score.checks import (
    ABOVE_ZERO,
    AT_LEAST_ONE,
    FRACTION,
    NOT_NEGATIVE,
    ONE_SECOND,
    check,
    check_value,
    check_whole,
)
from pubsub.score.decay import DecayClock, decayed
from pubsub.score.params import score_parameter_decay

GO_DECAY_TO_ZERO = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class GaterParams:
    """The gater's numbers. Times are seconds."""

    threshold: float = 0.33
    "Throttled over validated messages at which the gater wakes (go)."

    global_decay: float = score_parameter_decay(120.0, decay_to_zero=GO_DECAY_TO_ZERO)
    "What is left of those two counters after a decay interval (go: gone in two minutes)."

    source_decay: float = score_parameter_decay(3600.0, decay_to_zero=GO_DECAY_TO_ZERO)
    "What is left of a source's counters after a decay interval (go: gone in an hour)."

    decay_interval: float = 1.0
    "Time between two decays (go)."

    decay_to_zero: float = GO_DECAY_TO_ZERO
    "A counter that decays below this is 0 (go)."

    retain: float = 6 * 3600.0
    "Time for which a source without peers is remembered (go)."

    source_limit: int = 8192
    "Sources without peers remembered; the longest gone are forgotten first (ours)."

    quiet: float = 60.0
    "The gater rests after this long without a throttled message (go)."

    duplicate_weight: float = 0.125
    ignore_weight: float = 1.0
    reject_weight: float = 16.0
    "What each such message counts against a source (go)."

    topic_delivery_weights: Mapping[str, float] = field(default_factory=dict)
    "What a delivery counts for, by topic; 1 where not named (go)."

    def __post_init__(self) -> None:
        check(
            self,
            threshold=ABOVE_ZERO,
            global_decay=FRACTION,
            source_decay=FRACTION,
            decay_interval=ONE_SECOND,
            decay_to_zero=FRACTION,
            retain=NOT_NEGATIVE,
            quiet=ONE_SECOND,
            duplicate_weight=ABOVE_ZERO,
            ignore_weight=AT_LEAST_ONE,
            reject_weight=AT_LEAST_ONE,
        )
        check_whole(self, "source_limit")
        for topic, weight in self.topic_delivery_weights.items():
            check_value(f"topic_delivery_weights[{topic!r}]", weight, ABOVE_ZERO)


@dataclass(slots=True)
class Source:
    """What the peers at one address have sent."""

    ip: str
    peers: int = 0
    expires: float = 0.0
    "When the record is thrown away, once it has no peers."

    delivered: float = 0.0
    duplicates: float = 0.0
    ignored: float = 0.0
    rejected: float = 0.0


class PeerGater:
    """Decides whose messages may enter validation while it is overloaded."""

    def __init__(self, params: GaterParams | None = None) -> None:
        self.params = params or GaterParams()
        self._sources: dict[str, Source] = {}
        self._deserted: OrderedDict[str, None] = OrderedDict()
        self._peers: dict[PeerId, Source] = {}
        self._clock = DecayClock(self.params.decay_interval)
        self._validated = 0.0
        self._throttled = 0.0
        self._last_throttle = 0.0

    def accept(self, peer: PeerId, *, now: float, rng: random.Random) -> bool:
        """True to take all that the peer sends, False to take its control messages only."""
        if not self.active(now=now):
            return True
        source = self._peers.get(peer)
        if source is None:
            return True
        params = self.params
        total = (
            source.delivered
            + params.duplicate_weight * source.duplicates
            + params.ignore_weight * source.ignored
            + params.reject_weight * source.rejected
        )
        if total == 0:
            return True
        return rng.random() < (1.0 + source.delivered) / (1.0 + total)

    def active(self, *, now: float) -> bool:
        """True while validation is overloaded."""
        if self._throttled == 0 or now - self._last_throttle > self.params.quiet:
            return False
        return self._throttled >= self.params.threshold * self._validated

    def connected(self, peer: PeerId, ips: Sequence[str], *, now: float) -> None:
        """The peer is counted at the first of `ips`; peers without one share a source."""
        self._clock.start(now)
        ip = str(parse_ip(ips[0])) if ips else "unknown"
        known = self._peers.get(peer)
        if known is not None:
            if known.ip == ip:
                return
            self.disconnected(peer, now=now)
        source = self._sources.get(ip)
        if source is None or (not source.peers and now > source.expires):
            source = self._sources[ip] = Source(ip)
        self._deserted.pop(ip, None)
        source.peers += 1
        self._peers[peer] = source

    def disconnected(self, peer: PeerId, *, now: float) -> None:
        source = self._peers.pop(peer, None)
        if source is None:
            return
        source.peers -= 1
        if not source.peers:
            source.expires = now + self.params.retain
            self._deserted[source.ip] = None
            if len(self._deserted) > self.params.source_limit:
                self._sources.pop(self._deserted.popitem(last=False)[0], None)

    def validated(self) -> None:
        """A message entered validation."""
        self._validated += 1.0

    def throttled(self, *, now: float) -> None:
        """A message was thrown away because validation was too busy."""
        self._throttled += 1.0
        self._last_throttle = now

    def delivered(self, peer: PeerId, topic: str) -> None:
        source = self._peers.get(peer)
        if source is not None:
            source.delivered += self.params.topic_delivery_weights.get(topic, 1.0)

    def duplicate(self, peer: PeerId) -> None:
        source = self._peers.get(peer)
        if source is not None:
            source.duplicates += 1.0

    def ignored(self, peer: PeerId) -> None:
        source = self._peers.get(peer)
        if source is not None:
            source.ignored += 1.0

    def rejected(self, peer: PeerId) -> None:
        source = self._peers.get(peer)
        if source is not None:
            source.rejected += 1.0

    def refresh(self, *, now: float) -> None:
        """Decay what is due, forget sources that are long gone."""
        while self._deserted:
            oldest = next(iter(self._deserted))
            if now <= self._sources[oldest].expires:
                break
            del self._deserted[oldest], self._sources[oldest]
        ticks = self._clock.ticks(now)
        if not ticks:
            return
        params = self.params
        zero = params.decay_to_zero
        factor = params.global_decay**ticks
        self._validated = decayed(self._validated, factor, zero)
        self._throttled = decayed(self._throttled, factor, zero)
        factor = params.source_decay**ticks
        for source in self._sources.values():
            if source.peers:
                source.delivered = decayed(source.delivered, factor, zero)
                source.duplicates = decayed(source.duplicates, factor, zero)
                source.ignored = decayed(source.ignored, factor, zero)
                source.rejected = decayed(source.rejected, factor, zero)
