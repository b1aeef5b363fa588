"""Warnings in the log, so few that a peer cannot fill the disk.

Each kind is logged at most once in an interval. What is left out is counted, and said with
the next line of that kind, or by `flush`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import final

import trio

from pubsub.errors import ParamError
from pubsub.fabric.actions import Warn

logger = logging.getLogger("pubsub.fabric")

INTERVAL = 10.0
MAX_KINDS = 64
"Kinds that are kept apart; further ones share one place until another is free."

MAX_TEXT = 500
"Characters logged of a text: parts of it may be a peer's."


@dataclass(slots=True)
class _Kind:
    quiet_until: float
    left_out: int = 0
    last: str = ""


@final
class WarningLog:
    """Logs to "pubsub.fabric", one line for each key in `interval` seconds of trio's clock."""

    def __init__(self, *, interval: float = INTERVAL, max_kinds: int = MAX_KINDS) -> None:
        if not interval >= 0:
            raise ParamError(f"interval must be at least 0 seconds, not {interval!r}")
        if max_kinds < 1:
            raise ParamError(f"max_kinds must be at least 1, not {max_kinds!r}")
        self._interval = interval
        self._max = max_kinds
        self._kinds: dict[str | None, _Kind] = {}
        "By key; None is for those that found no place."

    def warn(self, warning: Warn) -> None:
        """Log it, or count it as left out."""
        now = trio.current_time()
        text = f"{warning.key}: {_one_line(warning.text)}"
        key = self._place(warning.key, now)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = _Kind(now)
        if now < kind.quiet_until:
            kind.left_out += 1
            kind.last = text
            return
        if kind.left_out:
            logger.warning("%s (%d more before it were left out)", text, kind.left_out)
        else:
            logger.warning("%s", text)
        self._kinds[key] = _Kind(now + self._interval)

    def flush(self) -> None:
        """Log how many are left out that no line has told of, and the last one of each kind."""
        for kind in self._kinds.values():
            _tell(kind)

    def _place(self, key: str, now: float) -> str | None:
        if key in self._kinds or len(self._kinds) < self._max:
            return key
        for other, kind in self._kinds.items():
            if other is not None and now >= kind.quiet_until:
                _tell(kind)
                del self._kinds[other]
                return key
        return None


def _tell(kind: _Kind) -> None:
    if kind.left_out:
        others = f"the last of {kind.left_out} that were" if kind.left_out > 1 else "was"
        logger.warning("%s (%s left out)", kind.last, others)
        kind.left_out = 0


def _one_line(text: str) -> str:
    """`text` as it may stand in a log: no line breaks, nothing that moves a terminal's cursor."""
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT - 1] + "…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
