"""Copies of one id with different contents, while the first of them is judged.

Without signatures an id need not bind what a message says: two copies may differ, and only a
validator can tell which is right. The first is judged; others wait, and if it is not accepted
the next is judged in its place. So a wrong copy that was quicker does not keep the right one
away.
"""

from __future__ import annotations

from pubsub.router.message import Message

MAX_RIVALS = 4
"Of one message (ours), each of another sender: more would be work without end."


class Rivals:
    """By id, and by sender in the order in which they came."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[bytes, dict[bytes, Message]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    def add(self, judged: Message, rival: Message) -> bool:
        """Keep a copy while another is judged; False if it is none, or one too many."""
        waiting = self._waiting.get(rival.id, {})
        others = (judged, *waiting.values())
        if len(waiting) >= MAX_RIVALS or any(
            each.data == rival.data or each.received_from == rival.received_from for each in others
        ):
            return False
        self._waiting.setdefault(rival.id, waiting)[rival.received_from] = rival
        return True

    def next(self, message_id: bytes) -> Message | None:
        """The copy to be judged now, which waits no more."""
        waiting = self._waiting.get(message_id)
        if not waiting:
            return None
        rival = waiting.pop(next(iter(waiting)))
        if not waiting:
            del self._waiting[message_id]
        return rival

    def forget(self, message_id: bytes) -> None:
        """One of the copies was right."""
        self._waiting.pop(message_id, None)
