"""Peer scores: what each peer's behaviour is worth to us (gossipsub v1.1 §Peer Scoring).

    score = cap(Σ topic weight × (P1 + P2 + P3 + P3b + P4)) + P5 + P6 + P7, each with its weight

The router reports what peers do; `refresh` is called about once per decay
interval, and `score` whenever a rule needs it. Between refreshes only events
move a score: time in the mesh and P3's activation are brought up to date by
`refresh`, as the specification has it.

A peer that was never `connected` has score 0 and nothing is counted for it.
Topics must be ones this node knows: they, and the router's limit on peers,
bound what is kept.
"""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

from pubsub.errors import ParamError
from pubsub.identity import PeerId
from pubsub.score.colocation import MAX_IPS, Colocation
from pubsub.score.decay import DecayClock, decayed
from pubsub.score.deliveries import Copy, DeliveryRecords
from pubsub.score.params import ScoreParams
from pubsub.score.peer_record import PeerRecord, TopicRecord
from pubsub.score.report import ScoreReport, topic_report

COUNTER_LIMIT = 1e9
"Penalties and feedback saturate here, so that their squares stay numbers (ours)."


class Rejection(enum.Enum):
    """Why a message was not accepted, as far as scores care."""

    INVALID = enum.auto()
    "It breaks a rule: signature, policy, or a validator's REJECT. P4."

    IGNORED = enum.auto()
    "A validator's IGNORE (v1.1 §Extended Validators). Nothing."

    THROTTLED = enum.auto()
    "We were too busy to tell. Nothing."


def _no_app_score(_peer: PeerId) -> float:
    return 0.0


class PeerScores:
    """The scores of all peers.

    `app_score` is P5: it is asked when a peer connects and at each decay, not
    for each use of the score. `feedback` adds to it at once.
    """

    def __init__(
        self, params: ScoreParams, *, app_score: Callable[[PeerId], float] | None = None
    ) -> None:
        self.params = params
        self._app_score = app_score or _no_app_score
        self._peers: dict[PeerId, PeerRecord] = {}
        self._retained: OrderedDict[PeerId, None] = OrderedDict()
        self._ips: dict[PeerId, tuple[str, ...]] = {}
        self._colocation = Colocation(params)
        self._deliveries = DeliveryRecords(ttl=params.record_ttl, limit=params.record_limit)
        self._clock = DecayClock(params.decay_interval)
        self._rules = params.for_topic

    # Connections

    def connected(self, peer: PeerId, ips: Sequence[str], *, now: float) -> None:
        """Start or resume a record; a negative score that is still remembered comes back."""
        self._clock.start(now)
        record = self._peers.get(peer)
        if record is not None and now > record.expires:
            self.forget(peer)
            record = None
        if record is None:
            record = self._peers[peer] = PeerRecord()
        record.connected, record.expires = True, math.inf
        self._retained.pop(peer, None)
        record.app = self._ask_app(peer)
        record.fresh = False
        self.set_ips(peer, ips)

    def disconnected(self, peer: PeerId, *, now: float) -> None:
        """Forget the peer, unless its score is negative: that it keeps for `retain_score`.

        What it earned (P2) is lost, a deficit in a mesh becomes P3b, and nothing
        decays until it is back or forgotten, so leaving never pays. Its addresses
        stay counted for P6: fresh names at one address are what P6 is about.
        """
        record = self._peers.get(peer)
        if record is None or not record.connected:
            return
        if self.score(peer, now=now) >= 0 or not self.params.retain_score:
            self.forget(peer)
            return
        for topic in record.topics.values():
            topic.first, topic.fresh = 0.0, False
            topic.left_mesh()
        record.connected = record.fresh = False
        record.expires = now + self.params.retain_score
        self._retained[peer] = None
        if len(self._retained) > self.params.retain_limit:
            self.forget(next(iter(self._retained)))

    def set_ips(self, peer: PeerId, ips: Sequence[str]) -> None:
        """Say from which addresses the peer is connected now. ParamError if one is not an IP."""
        if peer in self._peers:
            self._outdate(self._colocation.place(peer, ips))
            self._ips[peer] = tuple(ips[:MAX_IPS])

    def forget(self, peer: PeerId) -> None:
        """Drop all that is known of the peer, good or bad."""
        self._peers.pop(peer, None)
        self._retained.pop(peer, None)
        self._ips.pop(peer, None)
        self._outdate(self._colocation.remove(peer))

    # The mesh

    def grafted(self, peer: PeerId, topic: str, *, now: float) -> None:
        record = self._topic(peer, topic)
        if record is not None:
            record.grafted(now=now)

    def pruned(self, peer: PeerId, topic: str, *, now: float) -> None:
        """Note that the peer left the mesh, whoever sent the PRUNE."""
        del now  # P3 goes by the time in the mesh at the last refresh
        record = self._topic(peer, topic)
        if record is not None:
            record.left_mesh()

    # Messages

    def arrived(self, message_id: bytes, *, now: float) -> None:
        """Validation of a message begins; copies that come meanwhile share its verdict.

        To be called once the signature is good: before that the id is anybody's claim.
        """
        self._deliveries.arrived(message_id, now=now)

    def delivered(self, peer: PeerId, topic: str, message_id: bytes, *, now: float) -> None:
        """The message was accepted, and `peer` was the first to bring it."""
        rules = self._rules(topic)
        if rules is None:
            self._deliveries.dropped(message_id)
            return
        counted = rules.counts_mesh_deliveries
        until = now + rules.mesh_message_deliveries_window if counted else None
        others = self._deliveries.accepted(message_id, peer, until=until)
        record = self._topic(peer, topic)
        if record is not None:
            record.delivered_first()
        if counted:
            for each in (peer, *others):
                self._near_first(each, topic)

    def duplicate(self, peer: PeerId, topic: str, message_id: bytes, *, now: float) -> None:
        """Another copy of a message came: before its verdict, soon after it, or of a bad one."""
        if peer not in self._peers:
            return
        copy = self._deliveries.copied(message_id, peer, now=now)
        if copy is Copy.INVALID:
            self._invalid(peer, topic)
        elif copy is Copy.NEAR_FIRST:
            self._near_first(peer, topic)

    def rejected(
        self,
        peer: PeerId,
        topic: str,
        message_id: bytes | None,
        rejection: Rejection,
        *,
        now: float,
    ) -> None:
        """The message from `peer` was not accepted.

        Give no `message_id` where only this copy is at fault (signature, policy):
        the id was not proven to be the message's, so other forwarders of that id
        are not to blame.
        """
        if rejection is not Rejection.INVALID:
            if message_id is not None:
                self._deliveries.dropped(message_id)
            return
        self._invalid(peer, topic)
        if message_id is not None:
            for other in self._deliveries.refused(message_id, peer, now=now):
                self._invalid(other, topic)

    # Everything else

    def behaviour(self, peer: PeerId, amount: float) -> None:
        """P7: the peer broke the protocol, so much."""
        if not (math.isfinite(amount) and amount >= 0):
            raise ParamError(f"a behaviour penalty must be a number of at least 0, not {amount}")
        record = self._peers.get(peer)
        if record is not None:
            record.behaviour = min(record.behaviour + amount, COUNTER_LIMIT)
            record.fresh = False

    def feedback(self, peer: PeerId, delta: float) -> None:
        """P5: the application liked (> 0) or disliked what the peer did.

        Adds up, decays by `feedback_decay`, and counts with `app_specific_weight`.
        """
        if not math.isfinite(delta):
            raise ParamError(f"feedback must be a finite number, not {delta}")
        record = self._peers.get(peer)
        if record is not None:
            total = record.feedback + delta
            record.feedback = max(-COUNTER_LIMIT, min(total, COUNTER_LIMIT))
            record.fresh = False

    def refresh(self, *, now: float) -> None:
        """Decay what is due, update times in the mesh, forget what is over."""
        self._deliveries.expire(now=now)
        while self._retained:
            oldest = next(iter(self._retained))
            if now <= self._peers[oldest].expires:
                break
            self.forget(oldest)
        ticks = self._clock.ticks(now)
        if ticks:
            for peer, record in self._peers.items():
                # Retained scores wait: time away does not mend them.
                if record.connected:
                    self._decay(peer, record, ticks, now)

    def score(self, peer: PeerId, *, now: float) -> float:
        """The peer's score; 0 for one that is not known."""
        record = self._peers.get(peer)
        if record is None or now > record.expires:
            return 0.0
        if not record.fresh:
            p5, p6, p7 = self._global_parts(peer, record)
            record.score = self._topic_total(record) + p5 + p6 + p7
            record.fresh = True
        return record.score

    def inspect(self, peer: PeerId, *, now: float) -> ScoreReport:
        """How the peer's score comes about."""
        record = self._peers.get(peer)
        if record is None or now > record.expires:
            return ScoreReport()
        p5, p6, p7 = self._global_parts(peer, record)
        return ScoreReport(
            total=self.score(peer, now=now),
            topics={name: topic_report(topic) for name, topic in record.topics.items()},
            topic_total=self._topic_total(record),
            p5=p5,
            p6=p6,
            p7=p7,
            app=record.app,
            feedback=record.feedback,
            behaviour=record.behaviour,
            ips=self._ips.get(peer, ()),
            connected=record.connected,
        )

    @property
    def records_evicted(self) -> int:
        """Messages whose fate was forgotten early because there were too many."""
        return self._deliveries.evicted

    # Inside

    def _topic(self, peer: PeerId, topic: str) -> TopicRecord | None:
        """The peer's record in `topic`, about to change; None where nothing is counted."""
        record = self._peers.get(peer)
        if record is None:
            return None
        record.fresh = False
        known = record.topics.get(topic)
        if known is None:
            rules = self._rules(topic)
            if rules is not None:
                known = record.topics[topic] = TopicRecord(rules)
        return known

    def _near_first(self, peer: PeerId, topic: str) -> None:
        record = self._topic(peer, topic)
        if record is not None:
            record.delivered_near_first()

    def _invalid(self, peer: PeerId, topic: str) -> None:
        record = self._topic(peer, topic)
        if record is not None:
            record.invalid += 1.0
            record.fresh = False

    def _topic_total(self, record: PeerRecord) -> float:
        total = 0.0
        for topic in record.topics.values():
            if not topic.fresh:
                topic.value = sum(topic.parts())
                topic.fresh = True
            total += topic.value
        cap = self.params.topic_score_cap
        return cap if 0 < cap < total else total

    def _global_parts(self, peer: PeerId, record: PeerRecord) -> tuple[float, float, float]:
        params = self.params
        excess = max(0.0, record.behaviour - params.behaviour_penalty_threshold)
        return (
            (record.app + record.feedback) * params.app_specific_weight,
            self._colocation.factor(peer) * params.ip_colocation_weight,
            excess * excess * params.behaviour_penalty_weight,
        )

    def _decay(self, peer: PeerId, record: PeerRecord, ticks: int, now: float) -> None:
        params = self.params
        zero = params.decay_to_zero
        app = self._ask_app(peer)
        if app != record.app or record.behaviour or record.feedback:
            record.app = app
            record.behaviour = decayed(
                record.behaviour, params.behaviour_penalty_decay**ticks, zero
            )
            record.feedback = decayed(record.feedback, params.feedback_decay**ticks, zero)
            record.fresh = False
        idle = []
        for name, topic in record.topics.items():
            if topic.decay(ticks, zero, now=now):
                record.fresh = False
            if topic.idle:
                idle.append(name)
        for name in idle:
            del record.topics[name]

    def _ask_app(self, peer: PeerId) -> float:
        score = self._app_score(peer)
        if not abs(score) <= COUNTER_LIMIT:
            raise ParamError(
                f"app_score must return a number of at most {COUNTER_LIMIT:g}, not {score}"
            )
        return score

    def _outdate(self, peers: dict[PeerId, None]) -> None:
        for peer in peers:
            record = self._peers.get(peer)
            if record is not None:
                record.fresh = False
