"""What the application decides for the router: who may know what, and what it has to do with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pubsub.identity.peer_id import PeerId


def _anyone(_peer: PeerId, _topic: str) -> bool:
    return True


def _any_topic(_topic: str) -> bool:
    return True


def _no_record(_peer: PeerId) -> bytes | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Functions that the router asks. They must be quick, and always answer the same.

    Where an answer changes, the router must be told (event `Recheck`).
    """

    may_know: Callable[[PeerId, str], bool] = _anyone
    "Whether a peer may learn that we know a topic, hear of it, and be heard in it."

    topics: Callable[[str], bool] = _any_topic
    "The topics that we have to do with at all; of others nothing is noted nor sent."

    signed_record: Callable[[PeerId], bytes | None] = _no_record
    "A peer's own signed word on its addresses, to pass on in peer exchange."

    @property
    def guarded(self) -> bool:
        """True if there is anything that some peer may not know."""
        return self.may_know is not _anyone
