"""Fabric's own numbers, under Fabric's own keys, read from `core.yaml` and `CORE_PEER_GOSSIP_*`.

    GossipParams.read({"peer": {"gossip": {"pullInterval": "4s"}}}, environ)

The defaults are those of Fabric's sample `core.yaml` (v3); `V14` turns on what
was on in v1.4: election, block gossip, state transfer. Times are seconds. A key
that says two things that cannot both be is an error which names the keys.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pubsub.errors import ParamError

ROOT = ("peer", "gossip")
DELIVERY = ("peer", "deliveryclient")
ENV_PREFIX = "CORE_"

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TERM = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def seconds(text: object) -> float:
    """Read a duration as Go writes it: `1500ms`, `1h30m`, `0`. Raises ParamError."""
    if isinstance(text, int) and not isinstance(text, bool):
        # viper reads a bare number as nanoseconds.
        return text * 1e-9
    if isinstance(text, str):
        if text == "0":
            return 0.0
        terms = _TERM.findall(text)
        if terms and "".join(number + unit for number, unit in terms) == text:
            return float(sum(float(number) * _UNITS[unit] for number, unit in terms))
    raise ParamError(f"a time is written as `4s` or `1500ms`, not {text!r}")


_KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}


def _key(path: str, default: Any, doc: str, *, root: tuple[str, ...] = ROOT) -> Any:
    return field(default=default, metadata={"path": (*root, *path.split(".")), "doc": doc})


@dataclass(frozen=True, slots=True, kw_only=True)
class GossipParams:
    """What Fabric's gossip obeys; each field says its key below `peer.gossip`."""

    bootstrap: tuple[str, ...] = _key(
        "bootstrap", (), "peers of the own organization to begin with"
    )
    endpoint: str = _key("endpoint", "", "where peers of the own organization reach us")
    external_endpoint: str = _key(
        "externalEndpoint", "", "where peers of other organizations do; empty: they do not know us"
    )
    use_leader_election: bool = _key("useLeaderElection", False, "elect who pulls from the orderer")
    org_leader: bool = _key("orgLeader", True, "be it, without an election")
    membership_tracker_interval: float = _key(
        "membershipTrackerInterval", 5.0, "how often changes of the membership are told"
    )
    max_block_count_to_store: int = _key(
        "maxBlockCountToStore", 10, "blocks kept for those who pull"
    )
    max_propagation_burst_latency: float = _key(
        "maxPropagationBurstLatency", 0.010, "how long messages are gathered"
    )
    max_propagation_burst_size: int = _key(
        "maxPropagationBurstSize", 10, "how many messages are gathered"
    )
    propagate_iterations: int = _key(
        "propagateIterations", 1, "how often a message is pushed (the mesh needs one)"
    )
    propagate_peer_num: int = _key(
        "propagatePeerNum", 3, "peers pushed to (here the mesh has D of them)"
    )
    pull_interval: float = _key("pullInterval", 4.0, "time between two rounds of pulling")
    pull_peer_num: int = _key("pullPeerNum", 3, "peers pulled from in a round")
    request_state_info_interval: float = _key(
        "requestStateInfoInterval", 4.0, "time between two requests for StateInfo"
    )
    publish_state_info_interval: float = _key(
        "publishStateInfoInterval", 4.0, "time between two looks at whether ours has changed"
    )
    publish_cert_period: float = _key(
        "publishCertPeriod", 10.0, "how long our AliveMessages carry the identity, from the start"
    )
    dial_timeout: float = _key("dialTimeout", 3.0, "time to connect")
    conn_timeout: float = _key("connTimeout", 2.0, "time for the identity's proof")
    recv_buff_size: int = _key("recvBuffSize", 20, "messages received and not yet handled")
    send_buff_size: int = _key("sendBuffSize", 200, "messages waiting for one peer")
    digest_wait_time: float = _key("digestWaitTime", 1.0, "how long digests are taken")
    request_wait_time: float = _key("requestWaitTime", 1.5, "how long requests follow digests")
    response_wait_time: float = _key("responseWaitTime", 2.0, "how long answers are taken")
    alive_time_interval: float = _key("aliveTimeInterval", 5.0, "time between two AliveMessages")
    alive_expiration_timeout: float = _key(
        "aliveExpirationTimeout", 25.0, "a peer that is silent for longer is dead"
    )
    reconnect_interval: float = _key(
        "reconnectInterval", 25.0, "time between two attempts to reach the dead"
    )
    max_connection_attempts: int = _key(
        "maxConnectionAttempts", 120, "attempts to reach an anchor or bootstrap peer"
    )
    msg_expiration_factor: int = _key(
        "msgExpirationFactor", 20, "AliveMessages are remembered for so many expiration timeouts"
    )
    election_startup_grace_period: float = _key(
        "election.startupGracePeriod", 15.0, "the longest wait for a stable view before an election"
    )
    election_membership_sample_interval: float = _key(
        "election.membershipSampleInterval", 1.0, "time between two looks at the view"
    )
    election_leader_alive_threshold: float = _key(
        "election.leaderAliveThreshold", 10.0, "a leader that is silent for longer is none"
    )
    election_leader_election_duration: float = _key(
        "election.leaderElectionDuration", 5.0, "time from a proposal to the decision"
    )
    state_enabled: bool = _key("state.enabled", False, "fetch missing blocks from other peers")
    state_check_interval: float = _key("state.checkInterval", 10.0, "time between two comparisons")
    state_response_timeout: float = _key("state.responseTimeout", 3.0, "time for an answer")
    state_batch_size: int = _key("state.batchSize", 10, "blocks asked for at a time")
    state_block_buffer_size: int = _key(
        "state.blockBufferSize", 20, "blocks ahead of the ledger that are kept"
    )
    state_max_retries: int = _key("state.maxRetries", 3, "further attempts for the same blocks")
    state_channel_size: int = _key("state.channelSize", 100, "requests of others that wait")
    block_gossip_enabled: bool = _key(
        "blockGossipEnabled", False, "push blocks to the organization", root=DELIVERY
    )
    reconnect_total_time_threshold: float = _key(
        "reconnectTotalTimeThreshold",
        3600.0,
        "a leader that cannot reach the orderer for longer yields",
        root=DELIVERY,
    )

    def __post_init__(self) -> None:
        for spec in fields(self):
            self._check_kind(spec.name, ".".join(spec.metadata["path"]), spec.default)
        if self.use_leader_election and self.org_leader:
            raise ParamError(
                "peer.gossip.useLeaderElection and peer.gossip.orgLeader are both true: "
                "a leader is elected or it is set, so set one of them to false"
            )
        for spec in fields(self):
            self._check_number(spec.name, ".".join(spec.metadata["path"]))
        self._check_order("pull_interval", "digest_wait_time", "response_wait_time")
        self._check_order("alive_expiration_timeout", "alive_time_interval")
        if self.state_enabled and self.state_block_buffer_size < self.state_batch_size:
            raise ParamError(
                "peer.gossip.state.blockBufferSize must be at least peer.gossip.state.batchSize: "
                f"{self.state_block_buffer_size} < {self.state_batch_size}"
            )

    def _check_kind(self, name: str, key: str, default: object) -> None:
        value = getattr(self, name)
        kinds = (int, float) if isinstance(default, float) else (type(default),)
        is_right = isinstance(value, kinds) and isinstance(value, bool) == isinstance(default, bool)
        if isinstance(default, tuple):
            is_right = isinstance(value, tuple) and all(isinstance(one, str) for one in value)
        if not is_right:
            expected = "a tuple of texts" if isinstance(default, tuple) else _KINDS[type(default)]
            raise ParamError(f"{key} must be {expected}, not {value!r:.100}")

    def _check_number(self, name: str, key: str) -> None:
        value = getattr(self, name)
        if isinstance(value, bool | str | tuple):
            return
        # With 0 retries the first attempt is the only one; all else needs something.
        least_is_zero = name == "state_max_retries"
        is_enough = value > 0 or (value == 0 and least_is_zero)
        if not is_enough or math.isinf(value):
            raise ParamError(f"{key} must be above 0 and finite, not {value:g}")

    def _check_order(self, larger: str, *smaller: str) -> None:
        total = sum(getattr(self, name) for name in smaller)
        if getattr(self, larger) <= total:
            keys = " + ".join(key_of(name) for name in smaller)
            raise ParamError(
                f"{key_of(larger)} must be longer than {keys}: "
                f"{getattr(self, larger):g} s and {total:g} s"
            )

    @property
    def memory(self) -> float:
        """How long, in seconds, a peer that is out of reach is remembered."""
        return self.alive_expiration_timeout * self.msg_expiration_factor

    @property
    def is_static_leader(self) -> bool:
        """We pull from the orderer, without being elected."""
        return self.org_leader and not self.use_leader_election

    def replaced(self, **changes: Any) -> GossipParams:
        """A copy with some fields changed, checked again."""
        return replace(self, **changes)

    @classmethod
    def read(
        cls,
        core: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        *,
        base: GossipParams | None = None,
    ) -> GossipParams:
        """What `core.yaml` (as nested mappings) says, overruled by the environment.

        What neither says is taken from `base`. Keys of Fabric that mean nothing
        here are passed over, as Fabric passes over unknown ones. Raises ParamError.
        """
        changes: dict[str, Any] = {}
        known = {name.upper(): value for name, value in (environ or {}).items()}
        base = base or cls()
        for spec in fields(cls):
            path = spec.metadata["path"]
            value = known.get(ENV_PREFIX + "_".join(path).upper())
            if value is None:
                value = _looked_up(core or {}, path)
            if value is not None:
                changes[spec.name] = _typed(".".join(path), value, getattr(base, spec.name))
        return base.replaced(**changes)


V3 = GossipParams()
"Fabric's sample core.yaml since v2.2: leaders are set, blocks come from the orderer only."

V14 = GossipParams(
    use_leader_election=True, org_leader=False, state_enabled=True, block_gossip_enabled=True
)
"As in v1.4: one peer of an organization is elected and gossips what the orderer gives it."

PRESETS = {"v1.4": V14, "v3": V3}


def key_of(name: str) -> str:
    """The whole key of a field: `pull_interval` is `peer.gossip.pullInterval`."""
    spec = next(spec for spec in fields(GossipParams) if spec.name == name)
    return ".".join(spec.metadata["path"])


def documented() -> Iterator[tuple[str, object, str]]:
    """Key, default and meaning of each parameter."""
    for spec in fields(GossipParams):
        yield ".".join(spec.metadata["path"]), spec.default, spec.metadata["doc"]


def _looked_up(core: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """The value at `path`; keys are compared without regard to case, as viper does."""
    found: Any = core
    for part in path:
        if not isinstance(found, Mapping):
            raise ParamError(f"{'.'.join(path)}: {part!r} has no keys below it")
        found = {str(key).lower(): value for key, value in found.items()}.get(part.lower())
        if found is None:
            return None
    return found


def _typed(key: str, value: object, default: object) -> object:
    """`value` as the type that the key has. Raises ParamError."""
    try:
        if isinstance(default, bool):
            return _truth(value)
        if isinstance(default, int):
            return _whole(value)
        if isinstance(default, float):
            return seconds(value)
    except ParamError as error:
        raise ParamError(f"{key}: {error}") from error
    if isinstance(default, tuple):
        listed = value if isinstance(value, list | tuple) else str(value).replace(",", " ").split()
        return tuple(str(one) for one in listed)
    return str(value)


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "1", "t"):
        return True
    if str(value).lower() in ("false", "0", "f"):
        return False
    raise ParamError(f"is true or false, not {value!r}")


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    raise ParamError(f"is a whole number, not {value!r}")
