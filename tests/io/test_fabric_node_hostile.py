"""Peers of the Fabric service that try their worst."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from pubsub.errors import PubSubError
from pubsub.fabric.identities import Signer
from pubsub.fabric.proof import make_proof
from pubsub.fabric.topics import Network
from pubsub.fabric_node import proofs
from pubsub.fabric_node.envelope_stream import Budget, EnvelopeStream
from pubsub.fabric_node.links import MAX_FACES
from pubsub.fabric_node.proofs import MAX_PROOFS
from pubsub.fabric_node.service import GossipService
from pubsub.host import Host
from pubsub.identity import PrivateKey
from pubsub.wire.framing import frame
from tests.io.fabric_peers import open_town, org
from tests.io.nodes import until

IDENTITY = Network("fabric").identity_protocol


class Chunks:
    """A stream on which everything has come already."""

    def __init__(self, *chunks: bytes) -> None:
        self.peer = b"peer"
        self._chunks = list(chunks)

    async def receive_some(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._chunks.pop(0) if self._chunks else b""


# -- Reading


async def test_others_have_their_turn_between_the_envelopes_of_one_chunk():
    stream = EnvelopeStream(Chunks(frame(b"x") * 1000), 10, Budget(100))
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        for _ in range(1000):
            assert await stream.receive() == b"x"
        assert await stream.receive() is None
        nursery.cancel_scope.cancel()
    assert turns >= 1000


# -- Connections


class Attacker:
    """A host with an identity, or without one, and nothing else of ours."""

    def __init__(self, host: Host, signer: Signer | None) -> None:
        self.host = host
        self.signer = signer

    async def connects(self, victim: GossipService) -> None:
        await self.host.connect(victim.node.host.addresses[0])
        if self.signer is not None:
            assert await self.proves(victim)

    async def proves(self, victim: GossipService) -> bytes:
        """The proof that comes back."""
        stream = await self.host.open_stream(victim.node.peer_id, [IDENTITY])
        assert self.signer is not None
        await stream.send_all(frame(make_proof(self.signer, self.host.peer_id)))
        return await stream.receive_some()

    def is_connected(self, victim: GossipService) -> bool:
        return self.host.is_connected(victim.node.peer_id)


@asynccontextmanager
async def attackers(count: int, signer: Signer | None = None) -> AsyncIterator[list[Attacker]]:
    async with trio.open_nursery() as nursery:
        made = [Attacker(Host(PrivateKey.generate(os.urandom)), signer) for _ in range(count)]
        for each in made:
            await nursery.start(each.host.run)
        yield made
        nursery.cancel_scope.cancel()


def member(number: int, peer: int) -> Signer:
    return list(org(number).members.values())[peer].signer


async def test_one_identity_has_a_few_libp2p_peers_and_the_newest_stay():
    async with attackers(MAX_FACES + 2, member(1, 5)) as faces, open_town() as town:
        victim = await town.opens(1, 0)
        for each in faces:
            await each.connects(victim)
        await until(lambda: len(victim.node.host.connected_peers()) == MAX_FACES)
        assert [each.is_connected(victim) for each in faces] == [False] * 2 + [True] * MAX_FACES
        assert [known.pki_id for known in victim.identity_info()].count(member(1, 5).pki_id) == 1


async def test_one_peer_may_prove_itself_so_often():
    async with attackers(1, member(1, 5)) as (attacker,), open_town() as town:
        victim = await town.opens(1, 0)
        await attacker.connects(victim)
        for _ in range(MAX_PROOFS - 1):
            assert await attacker.proves(victim)
        with pytest.raises(PubSubError):
            await attacker.proves(victim)
        # It is still who it is.
        assert attacker.is_connected(victim)
        assert victim.node.host.connected_peers() == [attacker.host.peer_id]


async def test_strangers_that_prove_nothing_do_not_take_the_places_of_others(monkeypatch):
    monkeypatch.setattr(proofs, "MAX_UNPROVEN", 3)
    async with attackers(8) as strangers, open_town() as town:
        victim = await town.opens(1, 0)
        friend = await town.opens(1, 1, bootstrap=[victim])
        await until(lambda: victim.peers() and friend.peers())
        for each in strangers:
            await each.connects(victim)
        await until(lambda: sum(each.is_connected(victim) for each in strangers) == 3)
        assert friend.node.peer_id in victim.node.host.connected_peers()
        assert [each.is_connected(victim) for each in strangers] == [False] * 5 + [True] * 3
