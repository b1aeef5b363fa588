"""`open_node`: puts host, router and node together, and takes them apart again."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio

from pubsub.errors import DialError, ParamError, StreamError
from pubsub.host.host import Host
from pubsub.host.params import HostParams
from pubsub.identity import Address, PeerId, PrivateKey, parse_address
from pubsub.node.node import Node
from pubsub.params import Params
from pubsub.router import Router
from pubsub.router.message import MessageIdFunction
from pubsub.router.scoring import Scoring

logger = logging.getLogger("pubsub")
MAX_SAID = 100
"Different failures logged (ours)."
MAX_CALLS = 8
"Discovered peers dialled at one time (go's connectors)."
LINGER = 2.0
"Seconds that closing waits for queued messages to be sent (ours)."


@asynccontextmanager
async def open_node(
    *,
    listen: Sequence[str | Address] = (),
    bootstrap: Sequence[str | Address] = (),
    key: PrivateKey | None = None,
    params: Params | None = None,
    host_params: HostParams | None = None,
    message_id: MessageIdFunction | None = None,
    scoring: Scoring | None = None,
    mdns: bool = False,
) -> AsyncGenerator[Node, None]:
    """Run a node for as long as the `async with` block lasts.

    `listen`: addresses such as "/ip4/0.0.0.0/tcp/0"; none means dial only.
    `bootstrap`: peers dialled now and again and again for as long as the node
    lives. `key`: who we are; a new key each time by default. `message_id` must
    be the same function in the whole network. `scoring`: what behaviour is
    worth (`Params(scoring=False)` turns it off). `mdns`: find and be found on the
    local network. Leaving the block sends what is queued, for two seconds at
    most. Raises ParamError, in one line, for what cannot work.
    """
    key = key or PrivateKey.generate(os.urandom)
    listening = _addresses("listen", listen)
    bootstrapping = _addresses("bootstrap", bootstrap)
    host = Host(key, params=host_params or HostParams())
    router = Router(
        key,
        params,
        rng=random.Random(os.urandom(16)),
        now=trio.current_time(),
        # Wall time in nanoseconds: a node that restarts never repeats a number.
        first_seqno=time.time_ns(),
        message_id=message_id,
        scoring=scoring,
    )
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            node = Node(host, router, nursery)
            try:
                await nursery.start(host.run)
                if listening:
                    await host.listen(listening)
                nursery.start_soon(node.beat)
                _discover(node, nursery, bootstrapping, mdns=mdns)
                yield node
                await node.flush(LINGER)
            except BaseException as error:
                failure = error
                raise
            finally:
                node.close()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        failure = _only(group, failure)
    else:
        return
    # Outside of the handler, which would replace the cause and the context it has.
    raise failure


def _addresses(name: str, given: Sequence[str | Address]) -> list[Address]:
    if isinstance(given, str):
        raise ParamError(f"{name} takes a list of addresses: {name}=[{given!r}]")
    return [parse_address(one) if isinstance(one, str) else one for one in given]


def _only(group: BaseExceptionGroup[BaseException], raised: BaseException | None) -> BaseException:
    """The one exception in the nursery's group, or the group where there are several.

    Callers write `except ParamError`, and need not know that a nursery is here;
    what they `raised` themselves, perhaps a group, comes out as it is.
    """
    error: BaseException = group
    # By its leaves: trio makes a group anew when it takes a cancellation out of it.
    if raised is not None and _leaves(raised) == _leaves(group):
        return raised
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]


def _discover(
    node: Node, nursery: trio.Nursery, bootstrap: Sequence[Address], *, mdns: bool
) -> None:
    if bootstrap:
        from pubsub.discovery.bootstrap import keep_connected

        rng = random.Random(os.urandom(16))
        nursery.start_soon(
            lambda: keep_connected(node.host, bootstrap, rng=rng, on_failure=_say_failure())
        )
    if mdns:
        from pubsub.discovery.mdns import LOOPBACK, run_mdns

        # Who listens on this machine only has nothing to tell the network.
        local = all(address.ip is not None and address.ip.is_loopback for address in node.addresses)
        call = Callers(node.host, nursery).call
        interfaces = [LOOPBACK] if local and node.addresses else None
        nursery.start_soon(partial(run_mdns, node.host, call, interfaces=interfaces))


def _say_failure() -> Callable[[Address, str], None]:
    """Log why a bootstrap peer cannot be reached, once for each reason."""
    said: dict[tuple[Address, str], None] = {}

    def say(address: Address, reason: str) -> None:
        if (address, reason) not in said and len(said) < MAX_SAID:
            said[address, reason] = None
            logger.warning("bootstrap peer %s: %s; trying on", address, reason)

    return say


class Callers:
    """Dials discovered peers, few at a time: whoever is on the network can announce thousands."""

    def __init__(self, host: Host, nursery: trio.Nursery) -> None:
        self._host = host
        self._nursery = nursery
        self._calling: dict[PeerId | None, None] = {}

    def call(self, addresses: list[Address]) -> None:
        """Dial a peer, unless too many are being dialled; it will be announced again."""
        peer = addresses[0].peer if addresses else None
        if addresses and peer not in self._calling and len(self._calling) < MAX_CALLS:
            self._calling[peer] = None
            self._nursery.start_soon(self._dial, peer, addresses)

    async def _dial(self, peer: PeerId | None, addresses: Sequence[Address]) -> None:
        try:
            await self._host.connect(*addresses)
        except (DialError, StreamError, ParamError):
            # One that is not there is no news.
            await trio.lowlevel.checkpoint()
        finally:
            self._calling.pop(peer, None)
