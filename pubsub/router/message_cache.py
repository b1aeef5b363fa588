"""The last few heartbeats of messages, kept to be told about (IHAVE) and asked for (IWANT).

v1.0 §Message Cache: `history_length` windows, of which the `history_gossip`
newest are told about. Bounded by bytes as well; what goes early is counted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from pubsub.identity.peer_id import PeerId


@dataclass(slots=True)
class CachedMessage:
    """A message ready to be sent again."""

    topic: str

    encoded: bytes
    "The message as a field of an RPC."

    sent: dict[PeerId, int] = field(default_factory=dict)
    "How often each peer was answered."


class MessageCache:
    """Messages by id, in windows of one heartbeat each."""

    def __init__(self, length: int, gossip: int, max_bytes: int) -> None:
        self._length = length
        self._gossip = gossip
        self._max_bytes = max_bytes
        self._messages: dict[bytes, CachedMessage] = {}
        self._windows: deque[dict[str, deque[bytes]]] = deque([{}])
        self.bytes = 0
        self.evicted = 0
        "Messages dropped before their time because of `max_bytes`."

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message_id: bytes, topic: str, encoded: bytes) -> None:
        """Add a message to the newest window, unless it is there already."""
        if message_id in self._messages:
            return
        self._messages[message_id] = CachedMessage(topic, encoded)
        self.bytes += len(encoded)
        window = self._windows[-1]
        ids = window.get(topic)
        if ids is None:
            ids = window[topic] = deque()
        ids.append(message_id)
        if self.bytes > self._max_bytes:
            self._evict()

    def get(self, message_id: bytes) -> CachedMessage | None:
        return self._messages.get(message_id)

    def topics(self) -> list[str]:
        """Topics with messages in the windows that are told about."""
        found: dict[str, None] = {}
        for window in self._gossip_windows():
            found.update(dict.fromkeys(window))
        return list(found)

    def gossip_ids(self, topic: str) -> list[bytes]:
        """Ids of a topic in the windows that are told about, oldest first."""
        return [
            message_id for window in self._gossip_windows() for message_id in window.get(topic, ())
        ]

    def _gossip_windows(self) -> list[dict[str, deque[bytes]]]:
        return list(self._windows)[-self._gossip :] if self._gossip else []

    def shift(self) -> None:
        """Start a new window and drop the oldest, once there are enough."""
        self._windows.append({})
        if len(self._windows) > self._length:
            for ids in self._windows.popleft().values():
                for message_id in ids:
                    self._remove(message_id)

    def _evict(self) -> None:
        for window in self._windows:
            while window and self.bytes > self._max_bytes:
                topic, ids = next(iter(window.items()))
                self._remove(ids.popleft())
                self.evicted += 1
                if not ids:
                    del window[topic]

    def _remove(self, message_id: bytes) -> None:
        message = self._messages.pop(message_id, None)
        if message is not None:
            self.bytes -= len(message.encoded)

    def recent(self, count: int) -> list[tuple[str, bytes]]:
        """(topic, id) of the newest messages, newest last."""
        everything = [
            (topic, message_id)
            for window in self._windows
            for topic, ids in window.items()
            for message_id in ids
        ]
        return everything[-count:]
