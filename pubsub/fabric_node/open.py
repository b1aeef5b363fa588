"""`open_fabric_peer`: puts core, node and service together, and takes them apart again."""

from __future__ import annotations

import os
import random
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import final

import trio

from pubsub.fabric import events as ev
from pubsub.fabric.identities import Signer
from pubsub.fabric.message_ids import message_id
from pubsub.fabric.msp import Msp
from pubsub.fabric.params import V3, GossipParams
from pubsub.fabric.peer import Peer
from pubsub.fabric.topics import Network, Scope
from pubsub.fabric_node import given
from pubsub.fabric_node.contacts import endpoint_address
from pubsub.fabric_node.directory import Directory
from pubsub.fabric_node.engine import Engine
from pubsub.fabric_node.own_words import checked_metadata
from pubsub.fabric_node.service import GossipService
from pubsub.fabric_node.tracker import track_membership
from pubsub.host import HostParams
from pubsub.identity import Address, PeerId, PrivateKey
from pubsub.node import arguments
from pubsub.node.node import Node
from pubsub.node.nursery_errors import only_error
from pubsub.node.open import open_node
from pubsub.params import Params, Signing

ANNOUNCE_ABOVE = 512 * 1024
"Larger blocks are announced by digest (ours)."
MIN_ANNOUNCE_ABOVE = 4 * 1024
SLACK = 64 * 1024
"What a topic's message may hold beside a block that is not announced."


@asynccontextmanager
async def open_fabric_peer(
    signer: Signer,
    msp: Msp,
    *,
    network: str | Network = "fabric",
    scope: Scope = Scope.ORG,
    params: GossipParams = V3,
    listen: Sequence[str | Address] = (),
    key: PrivateKey | None = None,
    metadata: bytes = b"",
    announce_above: int = ANNOUNCE_ABOVE,
) -> AsyncGenerator[GossipService, None]:
    """Be a Fabric peer for as long as the `async with` block lasts.

    `signer` is who we are and `msp` our organization, as `pubsub.fabric_node.msp_directory` reads
    them. `network`: a name on which all its peers agree. `scope`: whether blocks are pushed within
    each organization or to the whole channel; all must agree on it, too. `params`: the keys of
    `peer.gossip`. `listen`: addresses such as "/ip4/0.0.0.0/tcp/7051"; those in `params`, by
    which others find us, must lead there. `key`: our libp2p key, a new one each time by
    default. `metadata`: what others are told of us. Blocks over `announce_above` bytes are
    announced on topics and fetched over streams. Nothing is announced on the local network.

    Raises ParamError, and IdentityError if the signer is not one of `msp`'s.
    """
    given.instance("signer", signer, Signer)
    given.instance("msp", msp, Msp)
    given.instance("network", network, str, Network)
    given.instance("scope", scope, Scope)
    given.instance("params", params, GossipParams)
    plan = _Plan(
        signer,
        params,
        listen=arguments.addresses_of("listen", listen),
        key=key or PrivateKey.generate(os.urandom),
        announce_above=arguments.count("announce_above", announce_above, least=MIN_ANNOUNCE_ABOVE),
    )
    _check_endpoints(params)
    peer = Peer(
        signer,
        msp,
        Network(network) if isinstance(network, str) else network,
        params,
        rng=random.Random(os.urandom(16)),
        now=trio.current_time(),
        wall_ns=time.time_ns(),
        scope=scope,
        metadata=checked_metadata(metadata),
    )
    async with _running(plan, peer) as service:
        yield service


@asynccontextmanager
async def _running(plan: _Plan, peer: Peer) -> AsyncGenerator[GossipService, None]:
    """The service beside the block; whatever ends the two is raised as it was."""
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            service: GossipService = await nursery.start(plan.run, peer)
            try:
                yield service
            except BaseException as error:
                failure = error
                raise
            finally:
                with trio.CancelScope(shield=True):
                    await service.stop()
    except BaseExceptionGroup as group:
        failure = only_error(group, failure)
    else:
        return
    # Outside of the handler, which would replace the cause and the context it has.
    raise failure


@final
@dataclass(frozen=True)
class _Plan:
    """What is needed to run a peer's core."""

    signer: Signer
    params: GossipParams
    listen: list[Address]
    key: PrivateKey
    announce_above: int

    async def run(
        self,
        peer: Peer,
        task_status: trio.TaskStatus[GossipService] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run node and service until the service is to stop."""
        directory = Directory()

        def may_know(other: PeerId, topic: str) -> bool:
            pki_id = directory.pki_id(other)
            return pki_id is not None and peer.access.may_peer_know(pki_id, topic)

        service: GossipService | None = None
        try:
            async with (
                self._open_node(may_know) as node,
                trio.open_nursery() as nursery,
            ):
                engine = self._engine(peer, node, directory, nursery)
                service = GossipService(engine, random.Random(os.urandom(16)))
                try:
                    # Only now: whoever comes asks at once which streams we serve.
                    if self.listen:
                        await node.host.listen(self.listen)
                    engine.feed(ev.Started())
                    nursery.start_soon(engine.beat)
                    interval = self.params.membership_tracker_interval
                    nursery.start_soon(track_membership, engine, interval)
                    task_status.started(service)
                    await service.wait_for_stop()
                    engine.close()
                    await engine.links.finish()
                finally:
                    engine.close()
                    nursery.cancel_scope.cancel()
        finally:
            if service is not None:
                service.tell_stopped()

    def _open_node(
        self, may_know: Callable[[PeerId, str], bool]
    ) -> AbstractAsyncContextManager[Node]:
        size = max(Params().max_message_size, self.announce_above + SLACK)
        return open_node(
            key=self.key,
            params=Params(signing=Signing.NONE, max_message_size=size),
            # Endpoints are told by Fabric's rules: an internal one to its organization only.
            host_params=HostParams(tell_addresses=False),
            message_id=lambda message: message_id(message.topic, message.data),
            may_know=may_know,
        )

    def _engine(
        self, peer: Peer, node: Node, directory: Directory, nursery: trio.Nursery
    ) -> Engine:
        return Engine(
            peer,
            self.signer,
            self.params,
            node,
            directory,
            nursery,
            announce_above=self.announce_above,
        )


def _check_endpoints(params: GossipParams) -> None:
    for endpoint in (*params.bootstrap, params.endpoint, params.external_endpoint):
        if endpoint:
            endpoint_address(endpoint)
