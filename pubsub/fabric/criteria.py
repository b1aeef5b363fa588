"""Sending to some of many peers, and waiting until enough of them have acknowledged.

    criteria = SendCriteria(channel="sales", max_peers=4, min_ack=2, timeout=3.0)
    chosen = choose(criteria, members, rng)
    acks = AckCollector(criteria.min_ack, nonces, deadline=now + criteria.timeout)
    ...                     # on_ack, on_gone and tick, until acks.done
    acks.check()            # raises NotEnoughPeersError

As Fabric's SendByCriteria, with its texts. Who it was that acknowledged has been proved
before, by the connection; the nonce tells which message is meant.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar, final

from pubsub.errors import NotEnoughPeersError, ParamError

MAX_REASON = 200
"Characters kept of what a peer gives as its reason (ours; Fabric keeps all)."

MAX_REASONS = 16
"Different reasons that are told apart in an error's text (ours; Fabric tells all)."

TIMED_OUT = "timed out"
GONE = "disconnected"
OTHER = "other reasons"

T = TypeVar("T")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SendCriteria(Generic[T]):
    """To whom a message goes, and how many must acknowledge it.

    Raises ParamError for numbers that cannot be, or without a `timeout`.
    """

    channel: str = ""
    "Only to peers of this channel; empty: to any member."

    max_peers: int
    "To no more than these; 0: nothing is sent, and that is no error."

    min_ack: int = 0
    "So many must acknowledge in time; 0: it is sent, and none is waited for."

    timeout: float
    "Seconds to wait for acknowledgements."

    is_eligible: Callable[[T], bool] | None = None
    "Whether a peer may be among them; None: all may."

    def __post_init__(self) -> None:
        for name in ("max_peers", "min_ack"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ParamError(f"{name} must be a whole number of at least 0, not {value!r}")
        # As in Fabric, what is sent to nobody needs no timeout.
        is_number = isinstance(self.timeout, int | float) and not isinstance(self.timeout, bool)
        if self.max_peers and not (is_number and 0 < self.timeout < math.inf):
            raise ParamError(f"timeout must be above 0 seconds and finite, not {self.timeout!r}")


def choose(criteria: SendCriteria[T], members: Iterable[T], rng: Random) -> list[T]:
    """Those to send to, at random among the eligible.

    `members` are those of the channel that is meant, each once. Raises NotEnoughPeersError
    if fewer than `min_ack` are found among them.
    """
    if not criteria.max_peers:
        return []
    found: list[T] = []
    candidates = list(members)
    for member in rng.sample(candidates, len(candidates)):
        if criteria.is_eligible is None or criteria.is_eligible(member):
            found.append(member)
            if len(found) == criteria.max_peers:
                break
    if len(found) < criteria.min_ack:
        raise NotEnoughPeersError(
            f"requested to send to at least {criteria.min_ack} peers, "
            f"but know only of {len(found)} suitable peers"
        )
    return found


@final
class AckCollector:
    """Counts who has acknowledged one message; each peer counts once, by what it said first.

    `nonces` are the peers that it was sent to, by PKI-ID, with the nonce that each was given.
    Raises ParamError if more acknowledgements are wanted than there are peers.
    """

    def __init__(self, min_ack: int, nonces: Mapping[bytes, int], *, deadline: float) -> None:
        if not 0 <= min_ack <= len(nonces):
            raise ParamError(f"{min_ack} acknowledgements cannot come from {len(nonces)} peers")
        self._min_ack = min_ack
        self._awaited = dict(nonces)
        self._deadline = deadline
        self._failures: Counter[str] = Counter()
        self.acknowledged = 0
        "How many peers have acknowledged so far."

    @property
    def done(self) -> bool:
        """Whether nothing more is waited for: enough have acknowledged, or all have answered.

        As in Fabric, one peer's refusal does not end it, although enough may be out of reach
        then: the error tells of all.
        """
        return self.acknowledged >= self._min_ack or not self._awaited

    @property
    def next_deadline(self) -> float:
        """When `tick` is due; infinite when done."""
        return math.inf if self.done else self._deadline

    def on_ack(self, peer: bytes, nonce: int, error: str = "") -> bool:
        """A peer has acknowledged, or refused with an `error`; False if it was not awaited."""
        if self._awaited.get(peer) != nonce:
            return False
        if error:
            self._fail(peer, error)
        else:
            del self._awaited[peer]
            self.acknowledged += 1
        return True

    def on_gone(self, peer: bytes, why: str = GONE) -> None:
        """A peer could not be sent to, or is connected no more."""
        if peer in self._awaited:
            self._fail(peer, why)

    def tick(self, now: float) -> None:
        """Whoever has said nothing by the deadline has failed."""
        if now >= self._deadline:
            for peer in list(self._awaited):
                self._fail(peer, TIMED_OUT)

    def check(self) -> None:
        """Raise NotEnoughPeersError if fewer have acknowledged than were wanted.

        Its text counts successes, and failures by reason, as Fabric's does.
        """
        if self.acknowledged >= self._min_ack:
            return
        counted: dict[str, object] = {"failures": dict(self._failures)}
        if self.acknowledged:
            counted["successes"] = self.acknowledged
        raise NotEnoughPeersError(json.dumps(counted, sort_keys=True, separators=(",", ":")))

    def _fail(self, peer: bytes, reason: str) -> None:
        del self._awaited[peer]
        reason = reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 1] + "…"
        is_told = reason in self._failures or len(self._failures) < MAX_REASONS
        self._failures[reason if is_told else OTHER] += 1
