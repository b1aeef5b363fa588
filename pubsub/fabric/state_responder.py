"""The side of state transfer that has blocks: it queues requests and answers them from its ledger.

A ledger is slow, so that a request is only written down when it comes. The composition
calls `answer` when it has time, in a thread if it likes; requests that find the
queue full are dropped, as in Fabric.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pubsub.errors import ParamError
from pubsub.fabric.actions import Send
from pubsub.fabric.ledger import Ledger
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, Payload, RemoteStateResponse

MAX_RESPONSE_BYTES = 16 << 20
"Of the blocks in one response (ours); the first is sent whatever its size."
MAX_REQUESTS_OF_PEER = 4
"Of one peer that wait: a request and its retries (ours)."


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is in order."""

    peer: bytes
    nonce: int
    first: int
    last: int


class StateResponder:
    """Answers for one channel; `name` is the channel's as it travels.

    Who feeds requests in has checked that their senders are in the channel.
    `private_data(number, peer)` gives what the peer may read of a block's private data.
    """

    def __init__(
        self,
        name: bytes,
        *,
        batch_size: int = 10,
        queue_size: int = 100,
        max_bytes: int = MAX_RESPONSE_BYTES,
        private_data: Callable[[int, bytes], Sequence[bytes]] = lambda number, peer: (),
    ) -> None:
        if min(batch_size, queue_size, max_bytes) < 1:
            raise ParamError("batch_size, queue_size and max_bytes must be 1 or more")
        self.counters: Counter[str] = Counter()
        "Why requests were dropped, and how often."

        self._name = name
        self._batch_size = batch_size
        self._queue_size = queue_size
        self._max_bytes = max_bytes
        self._private_data = private_data
        self._queue: deque[Request] = deque()

    def __len__(self) -> int:
        """How many requests wait."""
        return len(self._queue)

    def on_request(self, peer: bytes, message: GossipMessage) -> bool:
        """A StateRequest; False if it is not in order, or finds no place."""
        asked = message.state_request
        first, last = asked.start_seq_num, asked.end_seq_num
        if message.channel != self._name:
            return self._dropped("another channel")
        if not first <= last <= first + self._batch_size:
            return self._dropped("range not in order")
        if len(self._queue) >= self._queue_size:
            return self._dropped("queue full")
        if sum(request.peer == peer for request in self._queue) >= MAX_REQUESTS_OF_PEER:
            return self._dropped("too many of one peer")
        self._queue.append(Request(peer, message.nonce, first, last))
        return True

    def _dropped(self, reason: str) -> bool:
        self.counters[reason] += 1
        return False

    def take(self) -> Request | None:
        """The request that waits longest, which leaves the queue."""
        return self._queue.popleft() if self._queue else None

    def answer(self, request: Request, ledger: Ledger) -> Send:
        """What to send to the peer: what the ledger has of it, from the first block on.

        That can be nothing: then the peer at least need not wait. Raises what the ledger does.
        """
        response = RemoteStateResponse()
        room = self._max_bytes
        for number in range(request.first, min(request.last + 1, ledger.height)):
            raw = ledger.block(number)
            if raw is None:
                self.counters["block missing"] += 1
                break
            private = self._private_data(number, request.peer)
            payload = Payload(seq_num=number, data=raw, private_data=private)
            if payload.ByteSize() > room and response.payloads:
                self.counters["response cut"] += 1
                break
            response.payloads.append(payload)
            room -= payload.ByteSize()
        message = GossipMessage(
            nonce=request.nonce,
            channel=self._name,
            tag=GossipMessage.CHAN_OR_ORG,
            state_response=response,
        )
        return Send(request.peer, message)

    def forget(self, peer: bytes) -> None:
        """The peer is gone, or may not be here any more."""
        self._queue = deque(request for request in self._queue if request.peer != peer)
