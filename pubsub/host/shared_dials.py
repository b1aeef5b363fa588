"""One dial at a time per peer: who wants a peer that is being dialled waits for that dial."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import trio

from pubsub.errors import DialError
from pubsub.identity import Address, PeerId


@dataclass(slots=True, eq=False)
class _Dial:
    done: trio.Event = field(default_factory=trio.Event)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    waiting: int = 0
    error: DialError | None = None


class SharedDials:
    """The dials to known peers that are under way."""

    def __init__(
        self, dial: Callable[[Sequence[Address], PeerId, float], Awaitable[object]]
    ) -> None:
        self._dial = dial
        self._dials: dict[PeerId, _Dial] = {}

    async def join(
        self, nursery: trio.Nursery, peer: PeerId, addresses: Sequence[Address], limit: float
    ) -> None:
        """Wait for the dial to `peer`, begun in `nursery` with a time limit if there is none yet.

        It goes on while anybody waits for it. Raises DialError if it fails.
        """
        dial = self._dials.get(peer)
        if dial is None:
            dial = self._dials[peer] = _Dial()
            nursery.start_soon(self._run, dial, peer, addresses, limit)
        dial.waiting += 1
        try:
            await dial.done.wait()
        finally:
            dial.waiting -= 1
            if not dial.waiting:
                dial.scope.cancel()
        if dial.error is not None:
            # A fresh one: an error that several tasks raise would gather all their tracebacks.
            raise DialError(str(dial.error))

    async def _run(
        self, dial: _Dial, peer: PeerId, addresses: Sequence[Address], limit: float
    ) -> None:
        dial.error = DialError("the dial was given up")
        try:
            with dial.scope:
                await self._dial(addresses, peer, limit)
                dial.error = None
        except DialError as error:
            dial.error = error
        finally:
            del self._dials[peer]
            dial.done.set()
