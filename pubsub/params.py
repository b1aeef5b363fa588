"""The router's parameters, their defaults, and where each default comes from.

Times are seconds, sizes are bytes. `Params` checks itself: an impossible set
raises ParamError and names the rule that is broken.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pubsub.errors import ParamError

KIB = 1024
MIB = 1024 * KIB


class Signing(enum.Enum):
    """Whether messages carry their author's signature (pubsub spec, "Signature Policy Options")."""

    STRICT = "strict"
    "StrictSign: every message is signed; unsigned or wrongly signed ones are refused."

    NONE = "none"
    "StrictNoSign: messages are anonymous; those with author, seqno, signature or key are refused."


class Overflow(enum.Enum):
    """What a subscriber that is too slow loses."""

    DROP_OLDEST = "drop_oldest"
    "What waited longest."

    DROP_NEWEST = "drop_newest"
    "What came last."


def _param(
    default: Any, doc: str, *, least: float = 0, most: float = math.inf, above: float | None = None
) -> Any:
    return field(
        default=default, metadata={"doc": doc, "least": least, "most": most, "above": above}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Every number the router obeys. Change some with `Params(d=8)` or `replaced(d=8)`."""

    d: int = _param(6, "mesh degree aimed at (v1.0 §Parameters, D)")
    d_low: int = _param(4, "below this degree the heartbeat grafts (v1.0 §Parameters, D_low)")
    d_high: int = _param(
        12, "at this degree a mesh takes nobody in, and is pruned to d (v1.0 §Parameters, D_high)"
    )
    d_score: int = _param(
        4, "members kept for their score when a mesh is pruned (v1.1 §Parameters, D_score)"
    )
    d_out: int = _param(
        2,
        "members that we dialled, at least; counts as d_low - 1 or d / 2 where that is less "
        "(v1.1 §Parameters, D_out)",
    )
    d_lazy: int = _param(6, "metadata-only peers that get IHAVE (v1.0 §Parameters, D_lazy)")
    gossip_factor: float = _param(
        0.25, "share of the other peers told by IHAVE, where above d_lazy (v1.1 §Gossip)", most=1
    )
    heartbeat_interval: float = _param(1.0, "time between heartbeats (v1.0)", above=0.0)
    heartbeat_initial_delay: float = _param(0.1, "time before the first heartbeat (go)", above=0.0)
    opportunistic_graft_ticks: int = _param(
        60, "heartbeats between opportunistic grafts (v1.1)", least=1
    )
    opportunistic_graft_peers: int = _param(2, "peers grafted each time (v1.1)")
    flood_publish: bool = _param(
        False, "own messages go to every subscriber above the publish threshold (v1.1; go: off)"
    )
    peer_exchange: bool = _param(
        False, "a PRUNE of ours names other peers of the topic (v1.1 §Peer Exchange; go, js: off)"
    )
    prune_peers: int = _param(
        16, "peers named in a PRUNE, and at most taken from one (v1.1 §Peer Exchange)", most=16
    )
    prune_peers_bytes: int = _param(
        6 * KIB, "bytes of these peers and their records in one PRUNE (ours)"
    )
    scoring: bool = _param(True, "peers are scored, and the scores heeded (v1.1 §Peer Scoring)")
    history_length: int = _param(5, "heartbeats for which messages answer IWANT (v1.0)", least=1)
    history_gossip: int = _param(3, "of those, heartbeats told about in IHAVE (v1.0)")
    history_bytes: int = _param(64 * MIB, "bytes of messages kept for IWANT (ours)", least=1)
    fanout_ttl: float = _param(
        120.0, "time after the last publish at which fan-out peers are forgotten (ours; v1.0: 60)"
    )
    seen_ttl: float = _param(120.0, "time for which a message id is remembered (v1.0 §Parameters)")
    seen_limit: int = _param(
        4_000_000, "ids remembered at most; early evictions are counted (ours)", least=1
    )
    prune_backoff: float = _param(60.0, "time before a pruned peer may graft again (v1.1 §Backoff)")
    unsubscribe_backoff: float = _param(10.0, "the same, after leaving a topic (v1.1 §Backoff)")
    backoff_limit: float = _param(
        3600.0, "the longest backoff accepted from a peer (rust)", most=1e9
    )
    backoff_jitter: float = _param(
        1.0, "random extra wait to graft after a backoff, so peers do not return at once (ours)"
    )
    graft_flood_threshold: float = _param(
        10.0, "a GRAFT this soon after our PRUNE counts as a flood (v1.1 §Spam Protection)"
    )
    max_ihave_length: int = _param(5000, "ids asked for, per peer and heartbeat (v1.1)")
    max_ihave_messages: int = _param(10, "IHAVE messages heard, per peer and heartbeat (v1.1)")
    max_iwant_length: int = _param(
        5000, "ids answered, per peer and heartbeat (ours, mirrors max_ihave_length)"
    )
    gossip_retransmission: int = _param(3, "repeats of one message to one peer by IWANT (v1.1)")
    iwant_followup_time: float = _param(
        3.0, "time after which an id asked for may be asked of another peer (v1.1)"
    )
    idontwant_threshold: int = _param(
        1 * KIB, "messages of this size and more are announced by IDONTWANT (v1.2, go)"
    )
    idontwant_ttl: int = _param(
        3, "heartbeats for which a peer's IDONTWANT is remembered (go)", least=1
    )
    max_idontwant_length: int = _param(
        10_000, "ids of IDONTWANT heard, per peer and heartbeat (go, rust)"
    )
    signing: Signing = Signing.STRICT
    max_message_size: int = _param(
        1 * MIB, "largest message data published or accepted (go)", least=1, most=64 * MIB
    )
    max_topic_length: int = _param(1024, "longest topic, in UTF-8 bytes (ours)", least=1)
    max_topics_per_peer: int = _param(
        1024, "subscriptions remembered per peer (ours; js, rust: 5000)", least=1
    )
    max_publish_per_rpc: int = _param(5000, "messages read from one RPC (rust, js)", least=1)
    max_control_per_rpc: int = _param(5000, "control entries read from one RPC (rust)", least=1)
    max_peers: int = _param(1024, "pubsub peers at one time (ours)", least=1)
    rpc_batch_bytes: int = _param(
        32 * KIB, "messages share an RPC up to this size (rust refuses over 64 KiB)", least=1
    )
    control_batch_bytes: int = _param(
        12 * KIB, "control shares an RPC up to this size (rust refuses over 16 KiB)", least=1024
    )
    queue_messages: int = _param(4096, "messages waiting for one peer (ours)", least=1)
    queue_bytes: int = _param(16 * MIB, "bytes of messages waiting for one peer (ours)", least=1)
    queue_gossip: int = _param(
        20_000, "ids of IHAVE and IWANT waiting for one peer; more are dropped (ours)", least=1
    )
    queue_control: int = _param(
        20_000, "control entries waiting for one peer; more disconnect it (rust)", least=1
    )
    verify_pending: int = _param(
        8192, "messages waiting for signature checks; more are dropped (go's throttle)", least=1
    )
    validate_pending: int = _param(
        8192, "messages waiting for validators, over all topics (go)", least=1
    )
    validate_pending_topic: int = _param(
        1024, "messages waiting for the validator of one topic (go)", least=1
    )
    validate_concurrency: int = _param(
        64, "async validators at work at one time, for each topic (ours; go: 1024)", least=1
    )
    validate_timeout: float = _param(
        5.0, "a slower async validator is cancelled, its message ignored (ours)", above=0.0
    )
    subscription_buffer: int = _param(
        1024, "messages that wait for a subscriber to read them (ours; go: 32)", least=1
    )
    subscription_overflow: Overflow = Overflow.DROP_OLDEST
    publish_timeout: float = _param(
        5.0, "time `publish` waits for room before it gives a slow peer up (rust)"
    )

    def __post_init__(self) -> None:
        for spec in fields(self):
            if spec.metadata:
                self._check(spec.name, spec.metadata, spec.default)
        for name, kind in (("signing", Signing), ("subscription_overflow", Overflow)):
            if not isinstance(getattr(self, name), kind):
                raise ParamError(f"{name} must be a {kind.__name__}, not {getattr(self, name)!r}")
        if not self.d_low <= self.d <= self.d_high:
            raise ParamError(
                f"d_low <= d <= d_high is required: {self.d_low}, {self.d}, {self.d_high}"
            )
        if self.history_gossip > self.history_length:
            raise ParamError(
                "history_gossip must not exceed history_length: "
                f"{self.history_gossip} > {self.history_length}"
            )
        if max(self.prune_backoff, self.unsubscribe_backoff) > self.backoff_limit:
            raise ParamError(
                "prune_backoff and unsubscribe_backoff must not exceed backoff_limit: "
                f"{self.prune_backoff:g}, {self.unsubscribe_backoff:g}, {self.backoff_limit:g}"
            )
        if self.seen_ttl < self.history_length * self.heartbeat_interval:
            raise ParamError(
                "seen_ttl must cover history_length heartbeats, or old messages come back as new: "
                f"{self.seen_ttl:g} s < {self.history_length * self.heartbeat_interval:g} s"
            )

    @property
    def outbound_quota(self) -> int:
        """D_out, within the bounds that the specification sets it: below D_low, at most D / 2."""
        return max(0, min(self.d_out, self.d_low - 1, self.d // 2))

    def _check(self, name: str, rule: Any, default: object) -> None:
        value = getattr(self, name)
        if isinstance(default, bool):
            if not isinstance(value, bool):
                raise ParamError(f"{name} must be True or False, not {value!r}")
            return
        if isinstance(default, int) and (not isinstance(value, int) or isinstance(value, bool)):
            raise ParamError(f"{name} must be a whole number, not {value!r}")
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ParamError(f"{name} must be a number, not {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ParamError(f"{name} must be a finite number, not {value}")
        if rule["above"] is not None and value <= rule["above"]:
            raise ParamError(f"{name} must be above {rule['above']:g}, not {value}")
        if not rule["least"] <= value <= rule["most"]:
            upper = "" if math.isinf(rule["most"]) else f" and at most {rule['most']:g}"
            raise ParamError(f"{name} must be at least {rule['least']:g}{upper}, not {value}")

    def replaced(self, **changes: Any) -> Params:
        """A copy with some parameters changed, checked again."""
        return replace(self, **changes)

    def with_texts(self, settings: dict[str, str]) -> Params:
        """A copy with parameters set from texts, as a command line gives them.

        Raises ParamError for an unknown name, a text that is not a number, or
        an impossible combination.
        """
        changes: dict[str, Any] = {}
        for name, text in settings.items():
            spec = next((f for f in fields(self) if f.name == name), None)
            if spec is None or not spec.metadata:
                raise ParamError(f"unknown parameter {name!r}; known: {', '.join(param_names())}")
            changes[name] = _read(name, text, spec.default)
        return self.replaced(**changes)


def _read(name: str, text: str, default: object) -> bool | int | float:
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise ParamError(f"{name} takes true or false, not {text!r}")
        return text == "true"
    try:
        return int(text) if isinstance(default, int) else float(text)
    except ValueError as error:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise ParamError(f"{name} takes {kind}, not {text!r}") from error


def param_names() -> list[str]:
    """The names that `with_texts` takes."""
    return [spec.name for spec in fields(Params) if spec.metadata]


def param_docs() -> list[tuple[str, str, str]]:
    """(name, default, meaning) of each parameter, for `--help` and the documentation."""
    return [
        (
            spec.name,
            f"{spec.default:g}" if isinstance(spec.default, float) else str(spec.default).lower(),
            spec.metadata["doc"],
        )
        for spec in fields(Params)
        if spec.metadata
    ]
