"""Says why a peer cannot be reached, once for each reason."""

from __future__ import annotations

import logging

from pubsub.identity import Address

logger = logging.getLogger("pubsub")
MAX_SAID = 100
"Different failures logged (ours)."


class Failures:
    """Logs failed dials to peers of one kind, such as "bootstrap peer"."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._said: dict[tuple[Address, str], None] = {}

    def say(self, address: Address, reason: str) -> None:
        if (address, reason) not in self._said and len(self._said) < MAX_SAID:
            self._said[address, reason] = None
            logger.warning("%s %s: %s; trying on", self._kind, address, reason)
