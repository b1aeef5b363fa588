"""`open_node`: puts host, router and node together, and takes them apart again."""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

import trio

from pubsub.discovery.bootstrap import grouped_by_peer, keep_connected
from pubsub.errors import DialError, ParamError, StreamError
from pubsub.host.gate import Gate
from pubsub.host.host import Host
from pubsub.host.params import HostParams
from pubsub.identity import Address, PeerId, PrivateKey
from pubsub.node import arguments
from pubsub.node.arguments import addresses_of
from pubsub.node.engine import Engine
from pubsub.node.failures import Failures
from pubsub.node.node import Node
from pubsub.node.nursery_errors import only_error
from pubsub.node.validation import Validator
from pubsub.params import Params
from pubsub.router import Router
from pubsub.router.message import MessageIdFunction
from pubsub.router.policy import Policy
from pubsub.router.router import NO_TOPICS
from pubsub.router.scoring import Scoring
from pubsub.router.topic_params import TopicParams

MAX_CALLS = 8
"Discovered peers dialled at one time (go's connectors)."
LINGER = 2.0
"Seconds that closing waits for queued messages to be sent (ours)."


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where to listen, and whom to look for."""

    listen: list[Address]
    bootstrap: list[Address]
    direct: list[Address]
    mdns: bool


@asynccontextmanager
async def open_node(
    *,
    listen: Sequence[str | Address] = (),
    bootstrap: Sequence[str | Address] = (),
    key: PrivateKey | None = None,
    params: Params | None = None,
    host_params: HostParams | None = None,
    message_id: MessageIdFunction | str | None = None,
    scoring: Scoring | None = None,
    topics: Mapping[str, TopicParams] = NO_TOPICS,
    validators: Sequence[Validator] = (),
    direct: Sequence[str | Address] = (),
    gate: Gate | None = None,
    may_know: Callable[[PeerId, str], bool] | None = None,
    topic_filter: Callable[[str], bool] | None = None,
    mdns: bool = False,
) -> AsyncGenerator[Node, None]:
    """Run a node for as long as the `async with` block lasts.

    `listen`: addresses such as "/ip4/0.0.0.0/tcp/0"; none means dial only. `bootstrap`: peers
    dialled now and again for as long as the node lives. `key`: who we are; a new key each time by
    default. `message_id` must be the same in the whole network: a function, or the name of an
    implementation whose default it is (`go`, `rust`, `js`, `nim`, `py`), or `sha256`. `scoring`:
    what behaviour is worth (`Params(scoring=False)` turns it off). `topics`: parameters of single
    topics. `validators`: asked about every message of every topic, before the topic's own.
    `direct`: addresses of direct peers, each with its peer id. `gate`: whom this node has to do
    with. `may_know(peer, topic)`: who may know of a topic at all, by default everybody.
    `topic_filter(topic)`: the topics this node has to do with, by default all. `mdns`: find and
    be found on the local network. Leaving the block sends what is queued, for two seconds at
    most. Raises ParamError, in one line, for what cannot work.
    """
    kinds = {"key": key, "params": params, "host_params": host_params, "scoring": scoring}
    _check_kinds({**kinds, "gate": gate, "topics": topics, "mdns": mdns})
    key = key or PrivateKey.generate(os.urandom)
    plan = _Plan(
        listen=addresses_of("listen", listen),
        bootstrap=addresses_of("bootstrap", bootstrap),
        direct=addresses_of("direct", direct),
        mdns=mdns,
    )
    params = params or Params()
    host = Host(key, params=host_params or HostParams(), gate=gate)
    router = Router(
        key,
        params,
        rng=random.Random(os.urandom(16)),
        now=trio.current_time(),
        # Wall time in nanoseconds: a node that restarts never repeats a number.
        first_seqno=time.time_ns(),
        message_id=message_id,
        policy=_policy(host, may_know, topic_filter),
        scoring=scoring,
        topics=topics or {},
    )
    async with _running(host, router, validators, plan) as node:
        yield node


@asynccontextmanager
async def _running(
    host: Host, router: Router, validators: Sequence[Validator], plan: _Plan
) -> AsyncGenerator[Node, None]:
    """The node among its tasks; whatever ends the block is raised as it was."""
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            engine = Engine(host, router, nursery, validators)
            node = Node(engine)
            try:
                await nursery.start(host.run)
                if plan.listen:
                    await host.listen(plan.listen)
                nursery.start_soon(engine.beat)
                nursery.start_soon(engine.peering.watch_frames)
                for group in grouped_by_peer(plan.direct):
                    node.add_direct_peer(*group)
                _discover(node, nursery, plan)
                yield node
                await node.flush(LINGER)
            except BaseException as error:
                failure = error
                raise
            finally:
                engine.close()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        failure = only_error(group, failure)
    else:
        return
    # Outside of the handler, which would replace the cause and the context it has.
    raise failure


_KINDS: dict[str, type] = {
    "key": PrivateKey,
    "params": Params,
    "host_params": HostParams,
    "scoring": Scoring,
    "gate": Gate,
    "topics": Mapping,
    "mdns": bool,
}


def _check_kinds(given: Mapping[str, object]) -> None:
    for name, value in given.items():
        arguments.of_kind(name, value, _KINDS[name])


def _policy(
    host: Host,
    may_know: Callable[[PeerId, str], bool] | None,
    topic_filter: Callable[[str], bool] | None,
) -> Policy:
    """The functions given, with what the host knows."""
    arguments.function("may_know", may_know)
    arguments.function("topic_filter", topic_filter)
    policy = Policy(signed_record=host.peer_store.signed_record)
    if may_know is not None:
        policy = replace(policy, may_know=may_know)
    return policy if topic_filter is None else replace(policy, topics=topic_filter)


def _discover(node: Node, nursery: trio.Nursery, plan: _Plan) -> None:
    if plan.bootstrap:
        rng = random.Random(os.urandom(16))
        nursery.start_soon(
            lambda: keep_connected(
                node.host, plan.bootstrap, rng=rng, on_failure=Failures("bootstrap peer").say
            )
        )
    if plan.mdns:
        from pubsub.discovery.mdns import LOOPBACK, run_mdns

        # Who listens on this machine only has nothing to tell the network.
        local = all(address.ip is not None and address.ip.is_loopback for address in node.addresses)
        call = Callers(node.host, nursery).call
        interfaces = [LOOPBACK] if local and node.addresses else None
        nursery.start_soon(partial(run_mdns, node.host, call, interfaces=interfaces))


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
