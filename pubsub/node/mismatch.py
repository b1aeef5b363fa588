"""Says once when peers sign where we do not, or the other way round: it looks like silence."""

from __future__ import annotations

import logging

from pubsub.router import Router

logger = logging.getLogger("pubsub")


class MismatchWatch:
    """Looks at the router's drops, and warns the first time."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._said = False

    def look(self) -> None:
        if not self._said and self._router.dropped("signing_policy"):
            self._said = True
            logger.warning(
                "messages are refused because of how they are signed: ours is %r, and all "
                "nodes of a topic must agree (Params.signing, --sign)",
                self._router.params.signing.value,
            )
