"""What each kind of behaviour is worth, and where each default comes from.

Times are seconds. Each set checks itself: an impossible one raises ParamError
and names the field and the rule (gossipsub v1.1 §Overview of New Parameters;
where the specification is silent, go's checks). Decays and caps are checked
even where a weight of 0 turns their parameter off.

The defaults suit any topic because P3 and P3b are off: they expect a rate of
messages, which only the application knows, and push out the peers of a topic
that is quieter than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pubsub.errors import ParamError
from pubsub.identity.networks import Network, parse_network
from pubsub.score.checks import (
    ABOVE_ZERO,
    BELOW_ZERO,
    FRACTION,
    NOT_NEGATIVE,
    ONE_SECOND,
    PENALTY,
    REWARD,
    check,
    check_value,
    check_whole,
)

DECAY_INTERVAL = 1.0
"Time between two decays (rust, js, go)."

DECAY_TO_ZERO = 0.1
"A counter that decays below this is 0 (rust, js; go: 0.01)."


def score_parameter_decay(
    seconds: float,
    decay_interval: float = DECAY_INTERVAL,
    decay_to_zero: float = DECAY_TO_ZERO,
) -> float:
    """The decay factor with which a counter of 1 is at `decay_to_zero` after `seconds`."""
    check_value("seconds", seconds, ABOVE_ZERO)
    check_value("decay_interval", decay_interval, ABOVE_ZERO)
    check_value("decay_to_zero", decay_to_zero, FRACTION)
    return float(decay_to_zero ** (decay_interval / seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicScoreParams:
    """What behaviour in one topic is worth (v1.1 §Topic Parameter Calculation and Decay)."""

    topic_weight: float = 0.5
    "Weight of the topic in the score (rust, js)."

    time_in_mesh_weight: float = 1.0
    "P1: worth of each quantum in the mesh (rust, js)."

    time_in_mesh_quantum: float = 1.0
    "P1: time in the mesh that makes one point (ours; rust, js: 1 ms)."

    time_in_mesh_cap: float = 20.0
    "P1: points at most (ours; rust, js: 3600, whose 1,800 hide 60 invalid messages)."

    first_message_deliveries_weight: float = 1.0
    "P2: worth of a message delivered before anyone else (rust, js)."

    first_message_deliveries_decay: float = 0.5
    "P2: what is left of the counter after a decay interval (rust, js)."

    first_message_deliveries_cap: float = 2000.0
    "P2: the counter stops here (rust, js)."

    mesh_message_deliveries_weight: float = 0.0
    "P3: worth of the squared deficit; off (ours; rust, js: -1, which graylists quiet topics)."

    mesh_message_deliveries_decay: float = 0.5
    "P3: what is left of the counter after a decay interval (rust, js)."

    mesh_message_deliveries_cap: float = 100.0
    "P3: the counter stops here (rust, js)."

    mesh_message_deliveries_threshold: float = 20.0
    "P3: a counter below this is a deficit (rust, js)."

    mesh_message_deliveries_window: float = 0.010
    "P3: a copy this soon after the first was accepted counts as a delivery (rust, js)."

    mesh_message_deliveries_activation: float = 5.0
    "P3: applies to peers that have been in the mesh for longer than this (rust, js)."

    mesh_failure_penalty_weight: float = 0.0
    "P3b: worth of the squared deficits with which a peer left the mesh; off (ours, as P3)."

    mesh_failure_penalty_decay: float = 0.5
    "P3b: what is left of the counter after a decay interval (rust, js)."

    invalid_message_deliveries_weight: float = -1.0
    "P4: worth of the squared number of invalid messages (rust, js)."

    invalid_message_deliveries_decay: float = 0.3
    "P4: what is left of the counter after a decay interval (rust, js)."

    def __post_init__(self) -> None:
        check(
            self,
            topic_weight=REWARD,
            time_in_mesh_weight=REWARD,
            time_in_mesh_quantum=ABOVE_ZERO,
            time_in_mesh_cap=ABOVE_ZERO,
            first_message_deliveries_weight=REWARD,
            first_message_deliveries_decay=FRACTION,
            first_message_deliveries_cap=ABOVE_ZERO,
            mesh_message_deliveries_weight=PENALTY,
            mesh_message_deliveries_decay=FRACTION,
            mesh_message_deliveries_cap=ABOVE_ZERO,
            mesh_message_deliveries_threshold=ABOVE_ZERO,
            mesh_message_deliveries_window=NOT_NEGATIVE,
            mesh_message_deliveries_activation=ONE_SECOND,
            mesh_failure_penalty_weight=PENALTY,
            mesh_failure_penalty_decay=FRACTION,
            invalid_message_deliveries_weight=PENALTY,
            invalid_message_deliveries_decay=FRACTION,
        )
        if self.mesh_message_deliveries_cap < self.mesh_message_deliveries_threshold:
            raise ParamError(
                "mesh_message_deliveries_cap must be at least mesh_message_deliveries_threshold: "
                f"{self.mesh_message_deliveries_cap:g} < "
                f"{self.mesh_message_deliveries_threshold:g}"
            )

    @property
    def counts_mesh_deliveries(self) -> bool:
        """True where P3 or P3b is worth anything; otherwise near-first copies are not followed."""
        return self.mesh_message_deliveries_weight != 0.0 or self.mesh_failure_penalty_weight != 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreParams:
    """What a peer's behaviour is worth, over all topics (v1.1 §The Score Function)."""

    topics: Mapping[str, TopicScoreParams] = field(default_factory=dict)
    "Topics whose behaviour is worth something else than the default."

    default_topic: TopicScoreParams | None = TopicScoreParams()
    "For topics not named; None: they do not count at all (ours; v1.1: None)."

    topic_score_cap: float = 10.0
    "The topics add at most this to a score, 0 for no cap (js; rust: 3600, which hides P7)."

    app_specific_weight: float = 10.0
    "P5: worth of the application's own score and of its feedback (rust, js)."

    feedback_decay: float = score_parameter_decay(600.0)
    "P5: what is left of feedback after a decay interval (ours: 1 is forgotten in ten minutes)."

    ip_colocation_weight: float = -5.0
    "P6: worth of the squared surplus of peers at one IP address (rust, js)."

    ip_colocation_threshold: int = 10
    "P6: peers at one address that are no surplus (rust, js)."

    ip_colocation_allow: Sequence[str | Network] = ()
    "P6: networks whose peers may crowd, as `203.0.113.0/24` (go, rust: none)."

    count_private_ips: bool = False
    "P6: loopback, link-local and private addresses count too (ours; go: all but loopback)."

    behaviour_penalty_weight: float = -10.0
    "P7: worth of the squared penalties above the threshold (rust, js)."

    behaviour_penalty_threshold: float = 0.0
    "P7: penalties that are forgiven (rust, js)."

    behaviour_penalty_decay: float = 0.2
    "P7: what is left of the penalties after a decay interval (rust, js)."

    decay_interval: float = DECAY_INTERVAL
    decay_to_zero: float = DECAY_TO_ZERO

    retain_score: float = 3600.0
    "A negative score outlives its connection for this long, 0 for not at all (rust, js)."

    retain_limit: int = 8192
    "Disconnected peers remembered; the longest gone are forgotten first (ours)."

    record_ttl: float = 120.0
    "An invalid or undecided message is remembered this long (go's and v1.0's seen cache)."

    record_limit: int = 65_536
    "Messages remembered for each verdict; the oldest are forgotten first (ours)."

    def __post_init__(self) -> None:
        for topic, params in self.topics.items():
            if not isinstance(params, TopicScoreParams):
                raise ParamError(f"topics[{topic!r}] must be TopicScoreParams, not {params!r}")
        if not isinstance(self.default_topic, TopicScoreParams | None):
            raise ParamError(
                f"default_topic must be TopicScoreParams or None, not {self.default_topic!r}"
            )
        check(
            self,
            topic_score_cap=REWARD,
            app_specific_weight=REWARD,
            feedback_decay=FRACTION,
            ip_colocation_weight=PENALTY,
            behaviour_penalty_weight=PENALTY,
            behaviour_penalty_threshold=NOT_NEGATIVE,
            behaviour_penalty_decay=FRACTION,
            decay_interval=ONE_SECOND,
            decay_to_zero=FRACTION,
            retain_score=NOT_NEGATIVE,
            record_ttl=ABOVE_ZERO,
        )
        check_whole(self, "ip_colocation_threshold", "retain_limit", "record_limit")
        self.allowed_networks()

    def allowed_networks(self) -> tuple[Network, ...]:
        """`ip_colocation_allow`, parsed."""
        if isinstance(self.ip_colocation_allow, str):
            raise ParamError("ip_colocation_allow must be a list of networks, not one text")
        try:
            return tuple(parse_network(network) for network in self.ip_colocation_allow)
        except (TypeError, ParamError) as error:
            raise ParamError(f"ip_colocation_allow must be networks: {error}") from error

    def for_topic(self, topic: str) -> TopicScoreParams | None:
        """What counts in `topic`; None if nothing does."""
        return self.topics.get(topic, self.default_topic)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreThresholds:
    """Scores at which the router treats a peer otherwise (v1.1 §Score Thresholds).

    A peer is treated worse when its score is *below* a threshold, as in go, so
    one that just reaches `accept_px` is trusted with peer exchange.
    """

    gossip: float = -10.0
    "Below: no IHAVE to it, none heard from it (rust, js)."

    publish: float = -50.0
    "Below: not published to outside the mesh (rust, js)."

    graylist: float = -80.0
    "Below: its RPCs are ignored (rust, js)."

    accept_px: float = 10.0
    "Below: the peers it offers when it prunes us are not dialled (rust, js)."

    opportunistic_graft: float = 20.0
    "A mesh whose median is below looks for better peers (rust, js)."

    def __post_init__(self) -> None:
        check(
            self,
            gossip=BELOW_ZERO,
            publish=BELOW_ZERO,
            graylist=BELOW_ZERO,
            accept_px=NOT_NEGATIVE,
            opportunistic_graft=NOT_NEGATIVE,
        )
        if self.publish > self.gossip:
            raise ParamError(f"publish must be at most gossip: {self.publish:g} > {self.gossip:g}")
        if self.graylist >= self.publish:
            raise ParamError(
                f"graylist must be below publish: {self.graylist:g} >= {self.publish:g}"
            )
