"""Reaching a peer: names resolved, addresses tried with a head start for the earlier ones.

    connect ──► address 1 ── TCP ── handshake ──► the first that is secured wins
            └─► address 2 ── TCP ── …              0.25 s later, or as soon as 1 failed

The others are dropped. If none wins, the error tells how each one failed.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import trio

from pubsub.errors import DialError, PubSubError
from pubsub.host.connection import HostConnection
from pubsub.host.params import HostParams
from pubsub.host.pipe import LOST, SocketPipe
from pubsub.identity import Address

Upgrade: TypeAlias = Callable[[trio.abc.Stream, Address], Awaitable[HostConnection]]
"Secures the connection made to an address; closes the stream if that fails."

Refusal: TypeAlias = Callable[[Address], str | None]
"Why a numeric address must not be dialled, None if it may be."

FAMILIES = {
    "ip4": socket.AF_INET,
    "ip6": socket.AF_INET6,
    "dns": socket.AF_UNSPEC,
    "dns4": socket.AF_INET,
    "dns6": socket.AF_INET6,
}


@dataclass(slots=True, eq=False)
class _Race:
    """One dial: who is running, who fell, who won."""

    winner: HostConnection | None = None
    failures: dict[Address, str] = field(default_factory=dict)
    "In words, for each address that was tried."


class Dialer:
    """Makes outbound connections."""

    def __init__(self, params: HostParams) -> None:
        self._params = params
        self._limiter = trio.CapacityLimiter(params.max_dials)

    async def dial(
        self, addresses: Sequence[Address], upgrade: Upgrade, refusal: Refusal
    ) -> HostConnection:
        """Try the addresses until one leads to a secured connection.

        Raises DialError, which names each address and why it failed.
        """
        race = _Race()
        try:
            targets = await self._resolve_all(addresses, refusal, race)
            await self._run(targets, race, upgrade)
        except BaseException:
            # Cancelled, but perhaps in a group: there are tasks.
            if race.winner is not None:
                await race.winner.abandon()
            raise
        if race.winner is not None:
            return race.winner
        reasons = "; ".join(f"{address}: {why}" for address, why in race.failures.items())
        raise DialError(f"could not connect: {reasons}")

    async def _run(self, targets: Sequence[Address], race: _Race, upgrade: Upgrade) -> None:
        async with trio.open_nursery() as nursery:
            for target in targets:
                over = trio.Event()
                nursery.start_soon(self._attempt, target, race, upgrade, over, nursery)
                with trio.move_on_after(self._params.dial_stagger):
                    await over.wait()

    async def _attempt(
        self,
        target: Address,
        race: _Race,
        upgrade: Upgrade,
        over: trio.Event,
        nursery: trio.Nursery,
    ) -> None:
        race.failures[target] = "no answer in time"
        try:
            async with self._limiter:
                pipe = await self._connect(target)
                connection = await upgrade(pipe, target)
        except (PubSubError, trio.TooSlowError, *LOST) as error:
            race.failures[target] = _reason(error)
        else:
            if race.winner is None:
                race.winner = connection
                nursery.cancel_scope.cancel()
            else:
                await connection.abandon()
        finally:
            over.set()

    async def _connect(self, target: Address) -> SocketPipe:
        sock = trio.socket.socket(FAMILIES[target.family], socket.SOCK_STREAM)
        try:
            with trio.move_on_after(self._params.tcp_timeout):
                await sock.connect((target.host, target.port))
                return SocketPipe.from_trio(sock)
        finally:
            sock.close()
        raise DialError(f"no TCP connection in {self._params.tcp_timeout:g} s")

    async def _resolve_all(
        self, addresses: Sequence[Address], refusal: Refusal, race: _Race
    ) -> list[Address]:
        targets: dict[Address, None] = {}
        for address in addresses:
            try:
                for target in await resolve(address, self._params.tcp_timeout):
                    # Only now: a name may lead anywhere.
                    why_not = refusal(target)
                    if why_not is None:
                        targets[target] = None
                    else:
                        race.failures[target] = why_not
            except DialError as error:
                race.failures[address] = str(error)
        return list(targets)[: self._params.max_dial_addresses]


async def resolve(address: Address, timeout: float) -> list[Address]:
    """The numeric addresses behind an address.

    Raises DialError if its name cannot be resolved.
    """
    if address.ip is not None:
        return [address]
    try:
        with trio.fail_after(timeout):
            found = await trio.socket.getaddrinfo(
                address.host, address.port, FAMILIES[address.family], socket.SOCK_STREAM
            )
    except (OSError, UnicodeError, trio.TooSlowError) as error:
        raise DialError(f"name cannot be resolved: {_reason(error)}") from error
    return [
        Address("ip6" if family == socket.AF_INET6 else "ip4", str(at[0]), int(at[1]), address.peer)
        for family, _, _, _, at in found
        if family in (socket.AF_INET, socket.AF_INET6)
    ]


def _reason(error: Exception) -> str:
    if isinstance(error, trio.TooSlowError):
        return "no answer in time"
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return str(error)
