"""The peers that we have heard of: alive, dead, or forgotten.

    unknown ─ heard ─► ALIVE ─ silent for 25 s ─► DEAD ─ silent for 500 s ─► FORGOTTEN ─► unknown
                         ▲                         │                            │
                         └─── newer AliveMessage ──┴────────────────────────────┘

A message counts when its (incarnation, sequence) is newer than the last one of the same
peer. Those numbers are the author's own: they are compared with each other, never with a
clock of ours. A forgotten peer is kept for as long again by its last numbers alone, so
that old messages do not bring it back.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from pubsub.fabric.envelope import GossipEnvelope

Time = tuple[int, int]
"Incarnation and sequence number: Fabric's PeerTime."

MAX_MEMBERS = 10_000
"Records kept, those of forgotten peers included (ours; each is a certified identity)."

MAX_ENVELOPE = 16 * 1024
"Bytes of an AliveMessage's envelope that we keep (ours; with a certificate Fabric's have 1.1 kB)."


class State(enum.Enum):
    ALIVE = enum.auto()
    DEAD = enum.auto()
    FORGOTTEN = enum.auto()


class Freshness(enum.Enum):
    """How a message's time stands to the last one of its author."""

    NEW = enum.auto()
    SAME = enum.auto()
    OLD = enum.auto()


class Change(enum.Enum):
    """What happened to a member."""

    LEARNED = enum.auto()
    RETURNED = enum.auto()
    "It was dead and is alive."

    MOVED = enum.auto()
    "Another endpoint, or other metadata."

    DIED = enum.auto()
    FORGOTTEN = enum.auto()


@dataclass(frozen=True, slots=True)
class Alive:
    """An AliveMessage whose signatures are good, and the envelope that it came in."""

    peer: bytes
    time: Time
    endpoint: str
    "The external one; empty if other organizations may not know the peer."

    internal_endpoint: str
    "From the secret; empty if there is none."

    metadata: bytes
    envelope: bytes

    @classmethod
    def of(cls, envelope: GossipEnvelope) -> Alive:
        """Read one that has been verified."""
        message = envelope.message.alive_msg
        member, time = message.membership, message.timestamp
        return cls(
            peer=member.pki_id,
            time=(time.inc_num, time.seq_num),
            endpoint=member.endpoint,
            internal_endpoint=envelope.secret.internal_endpoint if envelope.secret else "",
            metadata=member.metadata,
            envelope=envelope.raw,
        )

    def __repr__(self) -> str:
        return f"Alive({self.peer.hex()[:8]}, {self.time}, <{len(self.envelope)}b>)"


@dataclass(frozen=True, slots=True)
class Member:
    """What is known of a peer."""

    peer: bytes
    endpoint: str
    internal_endpoint: str
    metadata: bytes

    @property
    def preferred_endpoint(self) -> str:
        """Where to reach it: within an organization the internal endpoint is known."""
        return self.internal_endpoint or self.endpoint


@dataclass(slots=True)
class Record:
    """One peer; `envelope` is that of its last message, empty once it is forgotten."""

    member: Member
    time: Time
    envelope: bytes
    heard_at: float
    state: State


class Members:
    """The table; `is_lasting` names those that are never forgotten, anchors for example."""

    def __init__(
        self, *, max_members: int = MAX_MEMBERS, is_lasting: Callable[[Member], bool]
    ) -> None:
        self._max = max_members
        self._is_lasting = is_lasting
        self._records: dict[bytes, Record] = {}

    def __len__(self) -> int:
        return len(self._records)

    def get(self, peer: bytes) -> Record | None:
        """The record of a peer that is alive or dead."""
        record = self._records.get(peer)
        return None if record is None or record.state is State.FORGOTTEN else record

    def in_state(self, state: State) -> list[Record]:
        return [record for record in self._records.values() if record.state is state]

    def freshness(self, peer: bytes, time: Time) -> Freshness:
        record = self._records.get(peer)
        if record is None or record.time < time:
            return Freshness.NEW
        return Freshness.SAME if record.time == time else Freshness.OLD

    def has_room_for(self, alive: Alive) -> bool:
        if len(alive.envelope) > MAX_ENVELOPE:
            return False
        return alive.peer in self._records or len(self._records) < self._max or self._evict()

    def hear(self, alive: Alive, now: float) -> Change | None:
        """Take in a message that is NEW, or the SAME, in which case it may bring the secret."""
        record = self._records.get(alive.peer)
        if record is None:
            self._records[alive.peer] = _record_of(alive, State.ALIVE, now)
            return Change.LEARNED
        if record.time == alive.time:
            return _add_secret(record, alive)
        before, was = record.state, record.member
        record.member = _member_of(alive, record.member)
        record.time, record.envelope, record.heard_at = alive.time, alive.envelope, now
        record.state = State.ALIVE
        if before is State.ALIVE:
            return None if record.member == was else Change.MOVED
        return Change.RETURNED if before is State.DEAD else Change.LEARNED

    def hear_of_dead(self, alive: Alive, now: float) -> None:
        """The last message of a peer that another peer holds for dead: news if we knew nothing."""
        if alive.peer not in self._records:
            self._records[alive.peer] = _record_of(alive, State.DEAD, now)

    def touch(self, peer: bytes, now: float) -> None:
        """A living peer has shown in another way that it lives."""
        record = self._records.get(peer)
        if record is not None and record.state is State.ALIVE:
            record.heard_at = max(record.heard_at, now)

    def excuse(self, seconds: float, now: float) -> None:
        """We heard nothing for so long through a fault of our own: it does not count."""
        for record in self.in_state(State.ALIVE):
            record.heard_at = min(now, record.heard_at + seconds)

    def bury(self, peer: bytes) -> bool:
        """A peer is dead; false if it was not alive."""
        record = self._records.get(peer)
        if record is None or record.state is not State.ALIVE:
            return False
        record.state = State.DEAD
        return True

    def silent(self, since: float) -> list[bytes]:
        """Those alive from whom nothing has come since a moment."""
        alive = self.in_state(State.ALIVE)
        return [record.member.peer for record in alive if record.heard_at < since]

    def forget(self, now: float, life: float) -> list[bytes]:
        """Forget the dead that have been silent for `life`, and drop what is twice as old."""
        forgotten = []
        for peer, record in list(self._records.items()):
            silence = now - record.heard_at
            if record.state is State.DEAD and silence > life:
                if not self._is_lasting(record.member):
                    record.state = State.FORGOTTEN
                    record.envelope = b""
                    record.member = Member(peer, "", "", b"")
                    forgotten.append(peer)
            elif record.state is State.FORGOTTEN and silence > 2 * life:
                del self._records[peer]
        return forgotten

    def purge(self, peer: bytes) -> bool:
        """Drop all that is known of a peer, its numbers too; false if it was not known."""
        record = self._records.pop(peer, None)
        return record is not None and record.state is not State.FORGOTTEN

    def _evict(self) -> bool:
        """Make room; only forgotten peers go."""
        for peer, record in self._records.items():
            if record.state is State.FORGOTTEN:
                del self._records[peer]
                return True
        return False


def _record_of(alive: Alive, state: State, now: float) -> Record:
    member = Member(alive.peer, alive.endpoint, alive.internal_endpoint, alive.metadata)
    return Record(member, alive.time, alive.envelope, now, state)


def _member_of(alive: Alive, before: Member) -> Member:
    # What comes by way of another organization has lost its secret: that is no news.
    internal = alive.internal_endpoint or before.internal_endpoint
    return Member(alive.peer, alive.endpoint, internal, alive.metadata)


def _add_secret(record: Record, alive: Alive) -> Change | None:
    if record.state is State.FORGOTTEN or not alive.internal_endpoint:
        return None
    was = record.member
    record.member = _member_of(alive, was)
    record.envelope = alive.envelope
    return None if record.member == was else Change.MOVED
