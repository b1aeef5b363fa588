"""Catching up: blocks that a ledger lacks are fetched from peers whose ledgers are higher.

    every check_interval: some peer's ledger is higher than ours
    we ── StateRequest(nonce, first…last) ──► one of those that have `last`
    we ◄─ StateResponse(nonce, blocks) ────── it
       (verified; on from the first block that is still missing, to what was highest at the start)

A request is for `batch_size` blocks and one, as Fabric's are. What is not answered in time, or
not as it should be, is asked of another; after `max_retries` more attempts for the same
blocks we wait for the next check. While the buffer is full nothing is asked for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol, TypeAlias

from pubsub.errors import ParamError, RemoteError
from pubsub.fabric.actions import Send, short
from pubsub.fabric.block_verification import BlockSignatureError
from pubsub.fabric.params import GossipParams
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, Payload, RemoteStateRequest

ROOM_CHECK = 0.1
"Seconds between two looks at whether the buffer has room; Fabric's."
STRAGGLER_THRESHOLD = 100
"So many blocks behind is far (Fabric's)."


@dataclass(frozen=True, slots=True, repr=False)
class Fetched:
    """These blocks are genuine and in order: push them into the buffer, then call `tick`.

    What the buffer does not keep is fetched again.
    """

    peer: bytes
    payloads: tuple[Payload, ...]

    def __repr__(self) -> str:
        return f"Fetched({short(self.peer)}, {[one.seq_num for one in self.payloads]})"


@dataclass(frozen=True, slots=True)
class GaveUp:
    """No peer sent these blocks; the next check tries again."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Straggling:
    """Our ledger is far behind, and nothing is set up that would fetch what it lacks."""

    height: int
    number: int
    "Of a block that came."


Action: TypeAlias = Send | Fetched | GaveUp


class Channel(Protocol):
    """What state transfer asks about its channel."""

    @property
    def height(self) -> int:
        """The ledger's."""

    @property
    def first_missing(self) -> int:
        """The lowest block that is neither in the ledger nor in the buffer."""

    @property
    def has_room(self) -> bool:
        """Whether the buffer would keep another batch."""

    def heights(self) -> Mapping[bytes, int]:
        """The ledger heights that the channel's peers advertise."""

    def knows(self, number: int) -> bool:
        """Whether a block is in the ledger, or in the buffer."""

    def verify(self, number: int, raw: bytes) -> object:
        """Raise RemoteError unless `raw` is block `number` of the channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateParams:
    """Fabric's defaults."""

    check_interval: float = 10.0
    response_timeout: float = 3.0
    batch_size: int = 10
    max_retries: int = 3

    def __post_init__(self) -> None:
        if min(self.check_interval, self.response_timeout, self.batch_size) <= 0:
            raise ParamError("times and batch_size of state transfer must be above 0")
        if self.max_retries < 0:
            raise ParamError("max_retries must be 0 or more")

    @classmethod
    def of(cls, params: GossipParams) -> StateParams:
        """What Fabric's own keys say."""
        return cls(
            check_interval=params.state_check_interval,
            response_timeout=params.state_response_timeout,
            batch_size=params.state_batch_size,
            max_retries=params.state_max_retries,
        )


@dataclass(slots=True)
class Transfer:
    """One catching up: from the first block that was missing to what was the last of all."""

    first: int
    "The lowest block that was missing when we last asked."

    end: int
    "The last one."

    until: float
    "When to look again: for an answer, or for room."

    tries: int = 0
    tried: dict[bytes, None] = field(default_factory=dict)
    "Who was asked for `first` already."

    silent: dict[bytes, None] = field(default_factory=dict)
    "Who gave nothing of use: asked again when nobody else is left."

    asked: Asked | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that is out."""

    peer: bytes
    nonce: int
    first: int
    last: int


class StateTransfer:
    """The side that lacks blocks, for one channel; `name` is the channel's as it travels.

    Who feeds responses in has checked that their senders are in the channel.
    """

    def __init__(
        self, name: bytes, channel: Channel, params: StateParams, *, rng: Random, now: float
    ) -> None:
        self.counters: Counter[str] = Counter()
        "Why responses were not used, and how often."

        self._name = name
        self._channel = channel
        self._params = params
        self._rng = rng
        self._transfer: Transfer | None = None
        self._next_check = now + params.check_interval

    @property
    def next_deadline(self) -> float:
        """When `tick` has something to do."""
        return self._transfer.until if self._transfer else self._next_check

    @property
    def is_running(self) -> bool:
        """Whether blocks are being fetched."""
        return self._transfer is not None

    def tick(self, now: float) -> list[Action]:
        """Compare heights when it is time; ask again for what was not answered in time."""
        if self._transfer is None:
            return self._check(now) if now >= self._next_check else []
        if now < self._transfer.until:
            return []
        if self._transfer.asked is not None:
            self.counters["not answered"] += 1
            self._transfer.silent[self._transfer.asked.peer] = None
        return self._ask(self._transfer, now)

    def hurry(self, now: float) -> None:
        """Compare heights with the next tick: there are blocks that nobody will push any more."""
        self._next_check = min(self._next_check, now)

    def _check(self, now: float) -> list[Action]:
        highest = max(self._channel.heights().values(), default=0)
        self._transfer = Transfer(self._channel.first_missing, highest - 1, now)
        return self._ask(self._transfer, now)

    def _ask(self, transfer: Transfer, now: float) -> list[Action]:
        transfer.asked = None
        missing = self._channel.first_missing
        if missing > transfer.first:
            transfer.tries = 0
            transfer.tried.clear()
        transfer.first = missing
        if missing > transfer.end:
            self._end(now)
            return []
        if not self._channel.has_room:
            transfer.until = now + ROOM_CHECK
            return []
        last = min(transfer.end, transfer.first + self._params.batch_size)
        if transfer.tries > self._params.max_retries:
            return self._give_up(transfer, last, now)
        chosen = self._choose(transfer, last)
        if chosen is None:
            return self._give_up(transfer, last, now)
        peer, last = chosen
        transfer.tries += 1
        transfer.tried[peer] = None
        transfer.until = now + self._params.response_timeout
        transfer.asked = Asked(peer, self._rng.getrandbits(64), transfer.first, last)
        return [Send(peer, self._request(transfer.asked))]

    def _choose(self, transfer: Transfer, last: int) -> tuple[bytes, int] | None:
        """Whom to ask, and for how far; None if nobody has anything."""
        heights = self._channel.heights()
        able = [peer for peer, height in heights.items() if height >= last]
        passed_over = transfer.tried | transfer.silent
        fresh = [peer for peer in able if peer not in passed_over]
        if fresh:
            return self._rng.choice(fresh), last
        # Whoever advertises a height that is not true must not keep us from those who can send
        # a part of it.
        shorter = [
            peer
            for peer, height in heights.items()
            if transfer.first < height < last and peer not in passed_over
        ]
        if shorter:
            peer = self._rng.choice(shorter)
            return peer, heights[peer] - 1
        able = [peer for peer in able if peer not in transfer.tried] or able
        return (self._rng.choice(able), last) if able else None

    def _request(self, asked: Asked) -> GossipMessage:
        return GossipMessage(
            nonce=asked.nonce,
            channel=self._name,
            tag=GossipMessage.CHAN_OR_ORG,
            state_request=RemoteStateRequest(start_seq_num=asked.first, end_seq_num=asked.last),
        )

    def _give_up(self, transfer: Transfer, last: int, now: float) -> list[Action]:
        self._end(now)
        return [GaveUp(transfer.first, last)]

    def _end(self, now: float) -> None:
        self._transfer = None
        self._next_check = now + self._params.check_interval

    def on_response(self, peer: bytes, message: GossipMessage, now: float) -> list[Action]:
        """A StateResponse. One that we did not ask for, or no longer wait for, is ignored.

        Raises RemoteError if it holds what was not asked for or is not genuine; then none of it
        is taken, and `tick`, due at once, asks another peer.
        """
        transfer = self._transfer
        asked = transfer.asked if transfer else None
        if transfer is None or asked is None or now >= transfer.until:
            self.counters["late or unasked"] += 1
            return []
        if (peer, message.nonce, message.channel) != (asked.peer, asked.nonce, self._name):
            self.counters["late or unasked"] += 1
            return []
        transfer.asked = None
        # `tick` sees what the buffer has kept, and goes on from there.
        transfer.until = now
        try:
            payloads = self._checked(message.state_response.payloads, asked)
        except RemoteError:
            self.counters["bad response"] += 1
            transfer.silent[peer] = None
            raise
        if payloads is None:
            # What is on its way into the ledger may change the orderers: that takes a moment.
            transfer.until = now + ROOM_CHECK
            transfer.tried.clear()
            return []
        if not payloads or payloads[0].seq_num != asked.first:
            self.counters["nothing of use"] += 1
            transfer.silent[peer] = None
        return [Fetched(peer, tuple(payloads))] if payloads else []

    def _checked(self, payloads: Iterable[Payload], asked: Asked) -> list[Payload] | None:
        """Those that are lacking, in order, as far as they can be verified under the newest
        configuration in the ledger; None if that is needed for the first one."""
        found: dict[int, Payload] = {}
        for payload in payloads:
            number = payload.seq_num
            if not asked.first <= number <= asked.last or number in found:
                raise RemoteError("a block that was not asked for, or comes twice")
            found[number] = payload
        # What was pushed to us meanwhile was verified then.
        lacking = [number for number in sorted(found) if not self._channel.knows(number)]
        for index, number in enumerate(lacking):
            try:
                self._channel.verify(number, found[number].data)
            except BlockSignatureError:
                if number == self._channel.height:
                    raise
                return [found[each] for each in lacking[:index]] or None
        return [found[number] for number in lacking]

    def forget(self, peer: bytes) -> None:
        """The peer is gone: what it was asked for is asked of another at once."""
        transfer = self._transfer
        if transfer and transfer.asked and transfer.asked.peer == peer:
            transfer.until = -math.inf


class StragglerWatch:
    """Notices, where state transfer is off, that nothing brings the blocks we lack."""

    def __init__(self, params: GossipParams, *, pause: float = 60.0) -> None:
        # Whoever is a leader by its configuration gets all blocks from the orderer.
        depends = params.use_leader_election or not params.org_leader
        self._watching = depends and not params.state_enabled
        self._pause = pause
        self._silent_until = -math.inf

    def on_block(self, number: int, height: int, now: float) -> list[Straggling]:
        """Block `number` came by gossip while our ledger had `height`."""
        if not self._watching or number <= height + STRAGGLER_THRESHOLD:
            return []
        if now < self._silent_until:
            return []
        self._silent_until = now + self._pause
        return [Straggling(height, number)]
