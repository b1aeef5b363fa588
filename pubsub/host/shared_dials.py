"""One dial at a time per peer: who wants a peer that is being dialled joins that dial.

connect(1) ──► dial ──► leg: address 1      the first connection ends the dial for all;
connect(1, 2) ──┴─────► leg: address 2      it fails when no leg is left
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import trio

from pubsub.errors import DialError
from pubsub.identity import Address, PeerId


@dataclass(slots=True, eq=False)
class _Leg:
    """The addresses that one of those who wait was the first to name."""

    addresses: Sequence[Address]
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)


@dataclass(slots=True, eq=False)
class _Dial:
    legs: list[_Leg] = field(default_factory=list)
    done: trio.Event = field(default_factory=trio.Event)
    waiting: int = 0
    connected: bool = False
    failures: dict[str, None] = field(default_factory=dict)

    def lacking(self, addresses: Sequence[Address]) -> list[Address]:
        """Those that are not being tried at the moment, each once."""
        under_way = [address for leg in self.legs for address in leg.addresses]
        return [address for address in dict.fromkeys(addresses) if address not in under_way]

    def stop(self) -> None:
        for leg in self.legs:
            leg.scope.cancel()


class SharedDials:
    """The dials to known peers that are under way."""

    def __init__(self, dial: Callable[[Sequence[Address], PeerId], Awaitable[object]]) -> None:
        self._dial = dial
        self._dials: dict[PeerId, _Dial] = {}

    async def join(self, nursery: trio.Nursery, peer: PeerId, addresses: Sequence[Address]) -> None:
        """Wait for a connection to `peer`, with a part in the dial that is under way, if any.

        Addresses that are not being tried yet are, at once, by a task in `nursery`. The dial
        goes on for as long as anybody waits for it, so whoever calls sets the time limit.
        Raises DialError when all addresses have failed, those of the others included.
        """
        dial = self._dials.setdefault(peer, _Dial())
        # An address that is given with the peer's id and without it is the same one.
        lacking = dial.lacking([address.with_peer(peer) for address in addresses])
        if lacking:
            leg = _Leg(lacking)
            dial.legs.append(leg)
            nursery.start_soon(self._run, dial, leg, peer)
        dial.waiting += 1
        try:
            await dial.done.wait()
        finally:
            dial.waiting -= 1
            if not dial.waiting:
                self._end(dial, peer)
        if not dial.connected:
            # A fresh one: an error that several tasks raise would gather all their tracebacks.
            raise DialError("; ".join(dial.failures) or "the dial was given up")

    async def _run(self, dial: _Dial, leg: _Leg, peer: PeerId) -> None:
        try:
            with leg.scope:
                await self._dial(leg.addresses, peer)
                dial.connected = True
        except DialError as error:
            dial.failures[str(error)] = None
        finally:
            dial.legs.remove(leg)
            if dial.connected or not dial.legs:
                self._end(dial, peer)

    def _end(self, dial: _Dial, peer: PeerId) -> None:
        # At once, so that nobody joins a dial that is being stopped.
        if self._dials.get(peer) is dial:
            del self._dials[peer]
        dial.stop()
        dial.done.set()
