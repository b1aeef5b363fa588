"""Protection against replays: a validator that accepts each number of an author once.

The seen cache forgets after two minutes, and a copy of an old message that
somebody sends again later is as good as new. This validator remembers for each
author how far his sequence numbers have come (the idea of go's
BasicSeqnoValidator, `validation_builtin.go`).

Go keeps the highest number alone and ignores what is not above it. That costs
messages: where an older one comes after a newer one, by a longer way or late by
IWANT, it is dropped. So a window below the highest number stays open here for
numbers that are still missing; `window=0` is go's rule.

It is for authors whose numbers grow, also over their restarts: go, rust, js
(@libp2p/gossipsub 17) and this package, which start from the time in
nanoseconds. Of others it drops messages, the author's peers unblamed:

- rust with `MessageAuthenticity::Author` or `RandomAuthor`, and older js: their
  numbers are random;
- nim: counts from 1 again after each restart; jvm: from a number of the
  application's choice, if it says nothing a random one;
- py-libp2p: starts from the time in seconds, and so falls behind itself by a
  restart if it had sent more than one message a second.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from pubsub.errors import ParamError
from pubsub.identity.peer_id import PeerId, parse_peer_id
from pubsub.router.events import Validation
from pubsub.router.message import Message

MAX_WINDOW = 65_536
LARGEST = (1 << 64) - 1


class SeqnoValidator:
    """A validator that ignores replays: each number of each author is accepted once.

        validator = SeqnoValidator()
        node.set_validator("news", validator)

    Anonymous messages are accepted. One validator may serve several topics. It
    remembers what it accepts: where there are other checks, ask it last.

    `window`: how many numbers below the highest are still accepted, each once, by
    default 1024 (ours). `max_authors`: of more authors, whoever was heard least
    recently is forgotten, and his old messages can be replayed; anybody can make
    up authors, so in an open network this bounds memory and is no wall. An author
    takes about 500 bytes with the default window.

    A new validator knows nothing, and takes each old message once. To close that
    after a restart, save `snapshot()` now and then and at the end (it can be
    written as JSON) and give it to the next validator as `known`; messages
    accepted after the last save can be replayed once. With another window than
    before, no number is accepted a second time.

    Raises ParamError if `known` is not what `snapshot` returned.
    """

    def __init__(
        self,
        *,
        max_authors: int = 16_384,
        window: int = 1024,
        known: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        if max_authors < 1:
            raise ParamError(f"max_authors must be at least 1, not {max_authors}")
        if not 0 <= window <= MAX_WINDOW:
            raise ParamError(f"window must be between 0 and {MAX_WINDOW}, not {window}")
        self.forgotten = 0
        "Authors forgotten because there were too many."
        self._max_authors = max_authors
        self._window = window
        self._all_missing = (1 << window) - 1
        # Bit i of `missing` stands for the number i + 1 below the highest: set while it
        # may still be accepted, so that all that is not known of is refused.
        self._authors: OrderedDict[PeerId, tuple[int, int]] = OrderedDict()
        "Highest number and what is missing below it; who was heard last is at the end."
        for text, record in (known or {}).items():
            highest, missing = _record(text, record)
            self._keep(parse_peer_id(text), highest, missing & self._all_missing)

    def __call__(self, message: Message) -> Validation:
        """ACCEPT what is new or anonymous, and IGNORE the rest."""
        author, seqno = message.author, message.seqno
        if author is None:
            return Validation.ACCEPT
        if seqno is None or seqno > LARGEST:
            return Validation.IGNORE
        known = self._authors.get(author)
        if known is None:
            self._keep(author, seqno, self._all_missing)
            return Validation.ACCEPT
        # Also for a replay, lest its author be forgotten meanwhile.
        self._authors.move_to_end(author)
        found = self._advanced(*known, seqno)
        if found is None:
            return Validation.IGNORE
        self._authors[author] = found
        return Validation.ACCEPT

    def snapshot(self) -> dict[str, list[int]]:
        """All that is remembered, as plain data: for each author two whole numbers.

        The second has as many bits as the window; write it where large numbers
        survive (Python's JSON does).
        """
        return {str(author): [*record] for author, record in self._authors.items()}

    def _advanced(self, highest: int, missing: int, seqno: int) -> tuple[int, int] | None:
        """The author's record once `seqno` is accepted; None if it must not be."""
        ahead = seqno - highest
        if ahead > self._window:
            return seqno, self._all_missing
        if ahead > 0:
            between = (1 << (ahead - 1)) - 1
            return seqno, (missing << ahead | between) & self._all_missing
        # The highest itself has no bit.
        bit = 1 << (-ahead - 1) if 0 < -ahead <= self._window else 0
        return (highest, missing ^ bit) if missing & bit else None

    def _keep(self, author: PeerId, highest: int, missing: int) -> None:
        self._authors[author] = (highest, missing)
        if len(self._authors) > self._max_authors:
            self._authors.popitem(last=False)
            self.forgotten += 1


def _record(author: str, record: Sequence[int]) -> tuple[int, int]:
    match record:
        case [int(highest), int(missing)] if 0 <= highest <= LARGEST and missing >= 0:
            return highest, missing
    raise ParamError(f"known: the record of {author[:80]!r} is not two whole numbers")
