"""What Fabric messages a user reads, as Fabric's Accept gives them.

    async with inlets.accept(lambda item: item.message.HasField("data_msg")) as blocks:
        async for gossiped in blocks:
            ...

There are two kinds. `Gossiped` is what was judged and found good, and is handled by the
gossip itself too. With `pass_through` it is `Received`: what a peer sent to us alone, for
the user to answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, final, overload

from pubsub.errors import ClosedError, ParamError
from pubsub.fabric.actions import short, summary
from pubsub.node.channel import Channel
from pubsub.node.subscription import Reader
from pubsub.params import Overflow
from pubsub.pb.fabric.gossip_pb2 import Acknowledgement, GossipMessage

CAPACITY = 100
"Items that wait in one inlet (Fabric's)."
MAX_BYTES = 256 << 20
"What the large ones among them may hold together; one alone may hold more (ours)."


@final
@dataclass(frozen=True, slots=True, repr=False)
class Gossiped:
    """A message that others gossiped. All who read it share it: it is not to be changed."""

    channel: str
    "Its name; empty for what is of no channel."

    message: GossipMessage
    envelope: bytes
    "As it came, with its signature."

    sender: bytes
    "PKI-ID of the peer that passed it on, who need not be its author; empty for a block of a"
    "channel without a ledger here, which may have been pulled."

    def __repr__(self) -> str:
        return f"Gossiped({self.channel!r}, {summary(self.message)}, {short(self.sender)})"


@final
@dataclass(frozen=True, slots=True, repr=False)
class Received:
    """A message that `peer` sent to us alone. All who read it share it, as with `Gossiped`."""

    peer: bytes
    "Its PKI-ID, which it has proved."

    org: str
    "MSP id of its organization."

    message: GossipMessage
    send: Callable[[GossipMessage], Awaitable[None]] = field(compare=False)
    "Sends to `peer`."

    async def respond(self, message: GossipMessage) -> None:
        """Send a message back, unsigned. Raises what sending to a peer does."""
        await self.send(message)

    async def ack(self, error: str = "") -> None:
        """Acknowledge the message, or refuse it with an `error`, as `respond` sends."""
        await self.send(GossipMessage(nonce=self.message.nonce, ack=Acknowledgement(error=error)))

    def __repr__(self) -> str:
        return f"Received({summary(self.message)}, {short(self.peer)} of {self.org})"


T = TypeVar("T", bound=Gossiped | Received)


@final
class Inlet(Reader[T]):
    """The messages that a predicate wanted, from when `accept` was called.

    A slow reader loses the newest ones, so that what waits has no hole in it; `lost` counts
    them. Nobody waits for it.
    """

    def __init__(
        self, channel: Channel[T], on_close: Callable[[], None], predicate: Callable[[T], bool]
    ) -> None:
        super().__init__(channel, on_close)
        self._predicate = predicate
        self._capacity = channel.capacity

    def offer(self, item: T) -> bool:
        """Take an item, or lose it for want of room; False if it is not wanted."""
        if self._channel.closed or not self._predicate(item):
            return False
        if self._has_room(item.message.ByteSize()):
            self._channel.offer(item)
        else:
            self._channel.lose()
        return True

    def _has_room(self, size: int) -> bool:
        # Messages of which as many as may wait fit in need no adding up.
        if size * self._capacity <= MAX_BYTES:
            return True
        held = sum(each.message.ByteSize() for each in self._channel)
        return not held or held + size <= MAX_BYTES

    def snapshot(self) -> dict[str, int]:
        """What waits, and what was lost."""
        return {"waiting": self.waiting, "lost": self.lost}

    async def __aenter__(self) -> Inlet[T]:
        return self

    def __aiter__(self) -> Inlet[T]:
        return self

    def __repr__(self) -> str:
        return f"<Inlet, {self.waiting} waiting, {self.lost} lost>"


@final
class Inlets:
    """All inlets of one service."""

    def __init__(self) -> None:
        # The tuples are made anew at each change, so that a predicate may open or close one.
        self._inlets: dict[type, tuple[Inlet[Any], ...]] = {Gossiped: (), Received: ()}
        self._closed = False

    @overload
    def accept(
        self,
        predicate: Callable[[Gossiped], bool],
        pass_through: Literal[False] = False,
        *,
        capacity: int = CAPACITY,
    ) -> Inlet[Gossiped]: ...

    @overload
    def accept(
        self,
        predicate: Callable[[Received], bool],
        pass_through: Literal[True],
        *,
        capacity: int = CAPACITY,
    ) -> Inlet[Received]: ...

    def accept(
        self,
        predicate: Callable[[Any], bool],
        pass_through: bool = False,
        *,
        capacity: int = CAPACITY,
    ) -> Inlet[Gossiped] | Inlet[Received]:
        """Read what `predicate` says yes to, from now on; to be closed.

        It is called with each message as it comes, and must be quick. An exception of its own
        is the caller's: it comes out of `offer`, and so ends the service.
        Raises ParamError, or ClosedError once all are closed.
        """
        if self._closed:
            raise ClosedError("this service is closed")
        if not callable(predicate):
            raise ParamError(f"accept takes a function of a message, not {predicate!r:.80}")
        kind = Received if pass_through else Gossiped
        channel = Channel[Any](capacity, Overflow.DROP_NEWEST)
        inlet = Inlet(channel, lambda: self._drop(kind, inlet), predicate)
        self._inlets[kind] = (*self._inlets[kind], inlet)
        return inlet

    def offer(self, item: Gossiped | Received) -> bool:
        """Hand an item to all who want it, without waiting; False if nobody does.

        Raises what a predicate raises.
        """
        return sum(inlet.offer(item) for inlet in self._inlets[type(item)]) > 0

    def close(self) -> None:
        """End all. What waits can still be read."""
        self._closed = True
        for inlets in list(self._inlets.values()):
            for inlet in inlets:
                inlet.close()

    @property
    def reads_gossip(self) -> bool:
        """Whether anybody wants `Gossiped` items."""
        return bool(self._inlets[Gossiped])

    def snapshot(self) -> dict[str, list[dict[str, int]]]:
        """What waits for each reader, and what it lost."""
        return {
            kind.__name__.lower(): [inlet.snapshot() for inlet in inlets]
            for kind, inlets in self._inlets.items()
        }

    def _drop(self, kind: type, closed: Inlet[Any]) -> None:
        self._inlets[kind] = tuple(each for each in self._inlets[kind] if each is not closed)
