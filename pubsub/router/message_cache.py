"""The last few heartbeats of messages, kept to be told about (IHAVE) and asked for (IWANT).

v1.0 §Message Cache: `history_length` windows, of which the `history_gossip`
newest are told about. Bounded by bytes as well; what goes early is counted.
"""

from __future__ import annotations

from collections import deque

from pubsub.identity.peer_id import PeerId


class MessageCache:
    """Messages by id, in windows of one heartbeat each."""

    def __init__(self, length: int, gossip: int, max_bytes: int) -> None:
        self._length = length
        self._gossip = gossip
        self._max_bytes = max_bytes
        self._messages: dict[bytes, tuple[str, bytes]] = {}
        # Plain tuples of texts and bytes: the garbage collector need not visit them.
        self._sent: dict[bytes, dict[PeerId, int]] = {}
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
        self._messages[message_id] = (topic, encoded)
        self.bytes += len(encoded)
        window = self._windows[-1]
        ids = window.get(topic)
        if ids is None:
            ids = window[topic] = deque()
        ids.append(message_id)
        if self.bytes > self._max_bytes:
            self._evict()

    def get(self, message_id: bytes) -> tuple[str, bytes] | None:
        """The topic of a message, and the message as a field of an RPC."""
        return self._messages.get(message_id)

    def times_sent(self, message_id: bytes, peer: PeerId) -> int:
        """How often `peer` was sent the message because it asked."""
        return self._sent.get(message_id, {}).get(peer, 0)

    def count_sent(self, message_id: bytes, peer: PeerId) -> None:
        """Note that `peer` was sent a cached message because it asked."""
        times = self._sent.setdefault(message_id, {})
        times[peer] = times.get(peer, 0) + 1

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
            self.bytes -= len(message[1])
            self._sent.pop(message_id, None)

    def recent(self, count: int) -> list[tuple[str, bytes]]:
        """(topic, id) of the newest messages, newest last."""
        everything = [
            (topic, message_id)
            for window in self._windows
            for topic, ids in window.items()
            for message_id in ids
        ]
        return everything[-count:]
