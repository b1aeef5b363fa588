"""What waits to be sent to one peer, by priority, and how it becomes bytes.

    hello      our subscriptions, first on every new stream
    idontwant  ids that the peer need not send us, before the messages they are of
    control    SUBSCRIBE, GRAFT, PRUNE, IWANT: never dropped; too many mean a dead peer
    messages   bounded by count and bytes; when full, the publisher waits or the message is dropped
    gossip     IHAVE: dropped first

Control is kept as facts and encoded when it is taken, so that many changes
become one RPC (go-libp2p counts every RPC with control against a budget).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from pubsub.params import Params
from pubsub.wire.framing import frame
from pubsub.wire.rpc import Control, PrunedTopic, encode_control, encode_idontwant
from pubsub.wire.varint import encode_varint

_NOTHING = PrunedTopic("")
UNLIMITED = 1 << 60


class Outbox:
    """The queues of one peer.

    `full` says that no message has room; `flagged` that the shell was told to
    come and take. `queued` and `taken` count messages since the beginning, so
    that a message is known to have left when `taken` reaches what `queued` was
    after it.
    """

    __slots__ = (
        "_bytes", "_control", "_hello", "_idontwant", "_ihave", "_ihave_ids", "_iwant",
        "_messages", "_params", "_subscriptions", "_tail", "_tail_is_message", "cancelled",
        "flagged", "frame_limit", "full", "queued", "taken", "unwanted",
    )  # fmt: skip

    def __init__(self, params: Params) -> None:
        self._params = params
        self._hello: list[str] | None = None
        self._subscriptions: dict[str, bool] = {}
        self._control: dict[str, PrunedTopic | None] = {}
        "For each topic the last of GRAFT (None) and PRUNE; an earlier one no longer matters."
        self._iwant: dict[bytes, None] = {}
        self._ihave: dict[str, list[bytes]] = {}
        self._ihave_ids = 0
        self._idontwant: list[bytes] = []
        self._messages: deque[tuple[bytes, bytes]] = deque()
        "Id and encoded message."
        self._bytes = 0
        self._tail = memoryview(b"")
        "The rest of a frame that was cut to fit the stream's window; goes before all else."
        self._tail_is_message = False
        self.frame_limit = UNLIMITED
        "The largest RPC that the peer is known to take. The caller looks before `message`."
        self.flagged = False
        self.full = False
        self.queued = 0
        self.taken = 0
        self.unwanted: dict[bytes, int] = {}
        "Ids that the peer asked us not to send, and the heartbeat in which that is forgotten."
        self.cancelled = 0
        "Messages that were queued when the peer said so, and were not sent."

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of messages waiting."""
        return self._bytes

    def has_room(self, count: int, size: int) -> bool:
        """True if so many messages of so many bytes together find room, or all room is free."""
        if self.full:
            return False
        return (
            count == 1
            or not self._messages
            or (
                len(self._messages) + count <= self._params.queue_messages
                and self._bytes + size <= self._params.queue_bytes
            )
        )

    @property
    def half_free(self) -> bool:
        """True when at most half of the room for messages is taken."""
        return (
            2 * len(self._messages) <= self._params.queue_messages
            and 2 * self._bytes <= self._params.queue_bytes
        )

    @property
    def overgrown(self) -> bool:
        """True when so much control waits that the peer cannot be reading."""
        waiting = len(self._subscriptions) + len(self._control) + len(self._iwant)
        waiting += len(self._idontwant)
        return waiting > self._params.queue_control

    @property
    def empty(self) -> bool:
        return not (
            self._messages or self._tail or self._subscriptions or self._control
            or self._iwant or self._ihave or self._hello or self._idontwant
        )  # fmt: skip

    # What is put in

    def hello(self, topics: list[str]) -> int:
        """Begin a new stream: a frame cut off on the old one is void; all topics are announced.

        Returns how many messages were lost in that frame.
        """
        lost = int(self._tail_is_message)
        self._tail = memoryview(b"")
        self._tail_is_message = False
        self.taken += lost
        self._hello = topics
        # What we left while no stream stood must still be said.
        for topic in [topic for topic, joined in self._subscriptions.items() if joined]:
            del self._subscriptions[topic]
        self.flagged = False
        return lost

    def subscription(self, topic: str, *, joined: bool) -> None:
        self._subscriptions[topic] = joined

    def graft(self, topic: str) -> None:
        self._control[topic] = None

    def prune(self, pruned: PrunedTopic) -> None:
        self._control[pruned.topic] = pruned

    def withdraw_graft(self, topic: str) -> None:
        """Take back a GRAFT that has not left yet: the peer would punish it."""
        if self._control.get(topic, _NOTHING) is None:
            del self._control[topic]

    def forget(self, topic: str, topic_of: Callable[[bytes], str]) -> int:
        """Take back all that would tell of a topic; returns how many messages that were.

        Ids do not say their topic, so none is told. A frame that was cut goes on:
        the peer has its beginning.
        """
        self._subscriptions.pop(topic, None)
        self._control.pop(topic, None)
        if self._hello is not None and topic in self._hello:
            self._hello.remove(topic)
        self._ihave_ids -= len(self._ihave.pop(topic, ()))
        self._iwant.clear()
        self._idontwant.clear()
        kept = [entry for entry in self._messages if topic_of(entry[1]) != topic]
        lost = len(self._messages) - len(kept)
        if lost:
            self._messages = deque(kept)
            self._bytes = sum(len(encoded) for _, encoded in kept)
            self.taken += lost
            self.full = False
        return lost

    def withdraw_control(self) -> None:
        """Take back all that only gossipsub peers understand."""
        self._control.clear()
        self._iwant.clear()
        self._idontwant.clear()
        self._ihave.clear()
        self._ihave_ids = 0

    def iwant(self, ids: list[bytes]) -> None:
        self._iwant.update(dict.fromkeys(ids))

    def ihave(self, topic: str, ids: list[bytes]) -> int:
        """Queue gossip, replacing what still waits for the topic; returns how many had no room."""
        self._ihave_ids -= len(self._ihave.pop(topic, ()))
        room = max(0, self._params.queue_gossip - self._ihave_ids)
        if ids[:room]:
            self._ihave[topic] = ids[:room]
            self._ihave_ids += len(ids[:room])
        return max(0, len(ids) - room)

    def idontwant(self, message_id: bytes) -> None:
        self._idontwant.append(message_id)

    def message(self, message_id: bytes, encoded: bytes) -> None:
        """Queue a message, encoded as a field of an RPC. The caller has looked at `full`."""
        self._messages.append((message_id, encoded))
        self._bytes += len(encoded)
        self.queued += 1
        if (
            len(self._messages) >= self._params.queue_messages
            or self._bytes >= self._params.queue_bytes
        ):
            self.full = True

    # What is taken out

    def take(self, max_bytes: int) -> bytes:
        """Up to `max_bytes` bytes for the stream, or nothing if nothing waits.

        A frame may be cut; its rest comes with the next call.
        """
        self.flagged = False
        if max_bytes <= 0:
            return b""
        if self._tail:
            return self._take_tail(max_bytes)
        parts: list[bytes] = []
        size = self._take_control(parts) if self._has_control() else 0
        while self._messages and size < max_bytes:
            if self.unwanted and self._cancel():
                continue
            taken = self._take_messages(parts, max_bytes - size, alone=size == 0)
            if not taken:
                break
            size += taken
        if self._ihave and not self._messages and size < max_bytes:
            size += self._take_gossip(parts)
        if size <= max_bytes:
            if self._tail_is_message:
                self._tail_is_message = False
                self.taken += 1
            return b"".join(parts)
        # A view, so that a large message is not copied again at every pull.
        data = memoryview(b"".join(parts))
        self._tail = data[max_bytes:]
        return bytes(data[:max_bytes])

    def _take_tail(self, max_bytes: int) -> bytes:
        data, self._tail = bytes(self._tail[:max_bytes]), self._tail[max_bytes:]
        if not self._tail and self._tail_is_message:
            self._tail_is_message = False
            self.taken += 1
        return data

    def _has_control(self) -> bool:
        return bool(
            self._idontwant
            or self._control
            or self._iwant
            or self._subscriptions
            or self._hello is not None
        )

    def _take_control(self, parts: list[bytes]) -> int:
        subscriptions = [(topic, True) for topic in self._hello or ()]
        subscriptions += self._subscriptions.items()
        control = Control(
            iwant=list(self._iwant),
            graft=[topic for topic, prune in self._control.items() if prune is None],
            prune=[prune for prune in self._control.values() if prune is not None],
        )
        self._hello = None
        self._subscriptions.clear()
        self._control.clear()
        self._iwant.clear()
        size = self._encode(parts, subscriptions, control)
        for payload in encode_idontwant(self._idontwant):
            parts.append(frame(payload))
            size += len(parts[-1])
        self._idontwant.clear()
        return size

    def _take_gossip(self, parts: list[bytes]) -> int:
        control = Control(ihave=list(self._ihave.items()))
        self._ihave = {}
        self._ihave_ids = 0
        return self._encode(parts, [], control)

    def _encode(
        self, parts: list[bytes], subscriptions: list[tuple[str, bool]], control: Control
    ) -> int:
        size = 0
        limit = min(self._params.control_batch_bytes, self.frame_limit)
        for payload in encode_control(subscriptions, control, limit=limit):
            framed = frame(payload)
            parts.append(framed)
            size += len(framed)
        return size

    def _cancel(self) -> int:
        """Drop the first messages that the peer no longer wants; they count as taken."""
        messages, before = self._messages, self.cancelled
        while messages and messages[0][0] in self.unwanted:
            self._bytes -= len(messages.popleft()[1])
            self.taken += 1
            self.cancelled += 1
            self.full = False
        return self.cancelled - before

    def _take_messages(self, parts: list[bytes], room: int, *, alone: bool) -> int:
        """Make one RPC of messages that fits `room`; one too large for it is cut if `alone`."""
        messages = self._messages
        limit = min(self._params.rpc_batch_bytes, self.frame_limit, room - 4)
        fields: list[bytes] = []
        size = 0
        unwanted = self.unwanted
        while messages and size + len(messages[0][1]) <= limit:
            if unwanted and messages[0][0] in unwanted:
                break
            field = messages.popleft()[1]
            fields.append(field)
            size += len(field)
        if not fields:
            too_long = len(messages[0][1]) > room - 4
            if too_long and not alone:
                return 0
            field = messages.popleft()[1]
            fields.append(field)
            size = len(field)
            self._tail_is_message = too_long
        self._bytes -= size
        self.taken += len(fields) - self._tail_is_message
        self.full = False
        prefix = encode_varint(size)
        parts.append(prefix)
        parts += fields
        return size + len(prefix)
