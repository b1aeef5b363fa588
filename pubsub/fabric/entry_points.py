"""Reaching the peers that a configuration names: bootstrap and anchor peers.

    due ─ Dial ─► dialling ─ reached ─► asked (MembershipRequest) ─ answered ─► done
     ▲               │ failed, or wrong organization  │ no answer within 5 s
     └── 25 s later ─┴────────────────────────────────┘

After 120 attempts an endpoint is given up, unless nobody else is known either: a peer
that is alone has nothing better to do.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from pubsub.fabric.actions import Warn
from pubsub.fabric.params import GossipParams

ANSWER_TIME = 5.0
"How long an answer to a MembershipRequest is waited for before it counts as lost (Fabric's)."

MAX_ENTRY_POINTS = 1_000
"Endpoints tried at a time (ours); channels name a few anchors for each organization."


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect to an endpoint, and say `on_dialed` or `on_dial_failed` of it."""

    endpoint: str


class Step(enum.Enum):
    DUE = enum.auto()
    DIALLING = enum.auto()
    ASKED = enum.auto()


@dataclass(slots=True)
class Entry:
    """One endpoint; `deadline` is when its step is over."""

    own_org_only: bool
    deadline: float
    step: Step = Step.DUE
    attempts: int = 0
    peer: bytes = b""


class EntryPoints:
    """The endpoints that are still to be reached."""

    def __init__(self, params: GossipParams) -> None:
        self._params = params
        self._entries: dict[str, Entry] = {}
        # Longer than any dial that is still under way.
        self._dial_time = max(params.reconnect_interval, params.dial_timeout + params.conn_timeout)

    def __contains__(self, endpoint: str) -> bool:
        return endpoint in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def next_deadline(self) -> float:
        return min((entry.deadline for entry in self._entries.values()), default=math.inf)

    def add(self, endpoint: str, *, own_org_only: bool, now: float) -> list[Warn]:
        """Begin with an endpoint; one that is being tried already goes on."""
        if endpoint in self._entries:
            return []
        if len(self._entries) >= MAX_ENTRY_POINTS:
            return [Warn("membership.entry_points", f"too many endpoints: {endpoint} is left out")]
        self._entries[endpoint] = Entry(own_org_only, now)
        return []

    def tick(self, now: float, *, alone: bool) -> list[Dial | Warn]:
        actions: list[Dial | Warn] = []
        for endpoint, entry in list(self._entries.items()):
            if now < entry.deadline:
                continue
            if entry.step is Step.DUE:
                if entry.attempts >= self._params.max_connection_attempts and not alone:
                    del self._entries[endpoint]
                    text = f"gave up on {endpoint} after {entry.attempts} attempts"
                    actions.append(Warn("membership.gave_up", text))
                    continue
                entry.step, entry.deadline = Step.DIALLING, now + self._dial_time
                entry.attempts += 1
                actions.append(Dial(endpoint))
            else:
                why = "no connection" if entry.step is Step.DIALLING else "no answer"
                actions += self.failed(endpoint, why, now=now)
        return actions

    def reached(
        self, endpoint: str, peer: bytes, *, own_org: bool, now: float
    ) -> tuple[bool, list[Warn]]:
        """A dial has found `peer`: whether it may be asked now."""
        entry = self._entries.get(endpoint)
        if entry is None:
            return True, []
        if entry.own_org_only and not own_org:
            why = "a peer of another organization cannot be a bootstrap peer"
            return False, self.failed(endpoint, why, now=now)
        entry.step, entry.peer, entry.deadline = Step.ASKED, peer, now + ANSWER_TIME
        return True, []

    def failed(self, endpoint: str, why: str, *, now: float) -> list[Warn]:
        entry = self._entries.get(endpoint)
        if entry is None:
            return []
        entry.step, entry.deadline = Step.DUE, now + self._params.reconnect_interval
        return [Warn("membership.unreachable", f"could not connect to {endpoint}: {why}")]

    def answered(self, peer: bytes) -> None:
        """A peer has answered a MembershipRequest: its endpoints are reached."""
        for endpoint, entry in list(self._entries.items()):
            if entry.step is Step.ASKED and entry.peer == peer:
                del self._entries[endpoint]

    def drop(self, endpoint: str) -> None:
        self._entries.pop(endpoint, None)
