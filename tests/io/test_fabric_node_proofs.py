"""Who a peer is, over loopback: proofs that do not hold, and certificates that change."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from pubsub.errors import StreamError
from pubsub.fabric.envelope import wrap_message
from pubsub.fabric.identities import Signer
from pubsub.fabric.make_org import UNITS
from pubsub.fabric.msp import Msp, Role
from pubsub.fabric.proof import check_proof, key_hash, make_proof
from pubsub.fabric.tags import EMPTY
from pubsub.fabric.topics import DIRECT, Network
from pubsub.fabric_node.open import open_fabric_peer
from pubsub.fabric_node.proofs import Proofs
from pubsub.fabric_node.service import GossipService
from pubsub.host import Host
from pubsub.host.connection import HostConnection
from pubsub.identity import PeerId, PrivateKey, parse_address, peer_id_of
from pubsub.pb.fabric.gossip_pb2 import ConnEstablish, Envelope, GossipMessage
from pubsub.wire.framing import FrameReader, frame
from tests.io.fabric_peers import LOOPBACK, QUICK, WHEN, Channel, free_port, org
from tests.io.fabric_taps import Taps
from tests.io.nodes import SECONDS, until

IDENTITY = Network("fabric").identity_protocol

HASTY = QUICK.replaced(conn_timeout=0.3)


def signer(number: int, peer: int) -> Signer:
    return list(org(number).members.values())[peer].signer


def certified(number: int, *, when: datetime = WHEN, **more: Any) -> Signer:
    """Another peer of an organization."""
    units = [UNITS[Role.PEER]]
    made = org(number).authority.issue("other", when=when, units=units, **more)
    return Signer(org(number).msp_id, made.certificate.pem, made.key)


@asynccontextmanager
async def service_of(
    number: int = 1, peer: int = 0, *, msp: Msp | None = None, **more: Any
) -> AsyncIterator[GossipService]:
    """One peer that knows of nobody."""
    async with open_fabric_peer(
        signer(number, peer),
        msp or org(number).msp(),
        listen=[LOOPBACK],
        **{"params": QUICK, **more},
    ) as service:
        yield service


class Caller:
    """A libp2p host that says what it likes on the streams of a service."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.node = host
        self.lost = trio.Event()

    def peer_connected(self, peer: PeerId, connection: HostConnection) -> None:
        """Nothing that matters here."""

    def peer_identified(self, peer: PeerId, protocols: tuple[str, ...]) -> None:
        """Nothing that matters here."""

    def peer_disconnected(self, peer: PeerId) -> None:
        self.lost.set()

    async def connect(self, service: GossipService) -> None:
        with trio.fail_after(SECONDS):
            await self.host.connect(service.node.addresses[0])

    async def says(self, service: GossipService, data: bytes, protocol: str = IDENTITY) -> bytes:
        """What the service answers to these bytes, after which we end our half."""
        answer = b""
        with trio.fail_after(SECONDS):
            try:
                stream = await self.host.open_stream(service.node.peer_id, [protocol])
                await stream.send_all(data)
                await stream.send_eof()
                while data := await stream.receive_some():
                    answer += data
            except StreamError:
                await trio.lowlevel.checkpoint()
        return answer

    async def is_thrown_out(self) -> None:
        with trio.fail_after(SECONDS):
            await self.lost.wait()


@asynccontextmanager
async def caller(key: PrivateKey | None = None, *, listen: bool = False) -> AsyncIterator[Caller]:
    host = Host(key or PrivateKey.generate(os.urandom))
    made = Caller(host)
    host.add_listener(made)
    async with trio.open_nursery() as nursery:
        await nursery.start(host.run)
        yield made
        nursery.cancel_scope.cancel()


# -- What is refused


def proof_of(who: Callable[[], Signer]) -> Callable[[Caller], bytes]:
    return lambda ann: make_proof(who(), ann.host.peer_id)


def forged(ann: Caller) -> bytes:
    raw = bytearray(make_proof(signer(1, 1), ann.host.peer_id))
    raw[-2] ^= 1
    return bytes(raw)


def anothers(ann: Caller) -> bytes:
    return make_proof(signer(1, 1), peer_id_of(PrivateKey(bytes([7]) * 32).public_key))


def misnamed(ann: Caller) -> bytes:
    one, other = signer(1, 1), signer(1, 2)
    key = key_hash(ann.host.peer_id)
    conn = ConnEstablish(pki_id=other.pki_id, identity=one.identity, tls_cert_hash=key)
    payload = GossipMessage(tag=EMPTY, conn=conn).SerializeToString()
    return Envelope(payload=payload, signature=one.sign(payload)).SerializeToString()


def other_content(ann: Caller) -> bytes:
    return wrap_message(GossipMessage(tag=EMPTY, hello={"nonce": 1})).raw


@pytest.mark.parametrize(
    ("proof", "words"),
    [
        (forged, "the proof's signature"),
        (anothers, "the proof was made for another connection"),
        (misnamed, "the proof's PKI-ID is not that of its identity"),
        (other_content, "in place of a proof of identity"),
        (lambda ann: b"what?", "no proof of identity"),
        (lambda ann: b"", "no proof of identity"),
        (lambda ann: bytes(200_000), "an envelope of 200000 bytes"),
        (proof_of(lambda: signer(9, 0)), "MSP 'Org9MSP' is not known"),
        (proof_of(lambda: certified(1, lifetime=timedelta(minutes=30))), "'other' expired"),
        (
            proof_of(lambda: certified(1, when=datetime.now(UTC) + timedelta(hours=1))),
            "'other' is not valid yet",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_proof_that_does_not_hold_is_refused_by_its_own_words(
    proof: Callable[[Caller], bytes],
    words: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    taps = Taps(monkeypatch)
    async with service_of() as service, caller() as ann:
        await ann.connect(service)
        assert await ann.says(service, frame(proof(ann))) == b""
        await ann.is_thrown_out()
        await is_told(service, caplog, words)
        said = taps.said(service, SimpleNamespace(node=ann.host))  # type: ignore[arg-type]
        assert said
        assert b"CERTIFICATE" not in said
        assert signer(1, 0).pki_id not in said
        assert [known.pki_id for known in service.identity_info()] == [service.pki_id]


async def is_told(service: GossipService, caplog: pytest.LogCaptureFixture, words: str) -> None:
    """Wait until one warning has said why, and see that no other has."""
    await until(lambda: sum(service.snapshot()["warnings"].values()))
    await wait_all_tasks_blocked()
    told = [record.message for record in caplog.records if record.name == "pubsub.fabric"]
    assert len(told) == 1
    assert words in told[0]


async def test_a_certificate_that_was_taken_back_is_refused(caplog: pytest.LogCaptureFixture):
    revoked = signer(1, 1)
    member = list(org(1).members.values())[1]
    crl = org(1).authority.revocation_list([member.identity.certificate], when=WHEN)
    async with service_of(msp=org(1).msp(revocation_lists=[crl])) as service, caller() as ann:
        await ann.connect(service)
        assert await ann.says(service, frame(make_proof(revoked, ann.host.peer_id))) == b""
        await ann.is_thrown_out()
        await is_told(service, caplog, "has been revoked")


async def test_a_peer_that_proves_nothing_is_thrown_out(caplog: pytest.LogCaptureFixture):
    async with service_of(params=HASTY) as service, caller() as ann:
        await ann.connect(service)
        await ann.is_thrown_out()
        await is_told(service, caplog, "it has not proved who it is")


@pytest.mark.parametrize(
    ("data", "ends", "words"),
    [
        (b"", True, "it proved nothing"),
        (b"", False, "did not come in time"),
        (b"\xff", False, "did not come in time"),
        (frame(bytes(1000))[:500], False, "did not come in time"),
    ],
)
async def test_a_proof_that_is_not_sent_is_not_waited_for(
    data: bytes, ends: bool, words: str, caplog: pytest.LogCaptureFixture
):
    params = HASTY.replaced(conn_timeout=1.0) if ends else HASTY
    async with service_of(params=params) as service, caller() as ann:
        await ann.connect(service)
        # Else it would be told first that nothing was proved at all.
        service._engine.links._proofs._asking[ann.host.peer_id].scope.cancel()
        stream = await ann.host.open_stream(service.node.peer_id, [IDENTITY])
        await stream.send_all(data)
        if ends:
            await stream.send_eof()
        await ann.is_thrown_out()
        await is_told(service, caplog, words)


async def test_who_has_proved_nothing_is_served_on_no_other_stream():
    async with service_of(params=HASTY.replaced(conn_timeout=2.0)) as service, caller() as ann:
        await ann.connect(service)
        with trio.move_on_after(0.2):
            assert await ann.says(service, frame(b"hello"), DIRECT) == b""
        assert service._engine.peer.refusals == {}
        assert service.peers() == []


async def test_one_that_is_called_and_proves_nothing_is_thrown_out(
    caplog: pytest.LogCaptureFixture,
):
    async with service_of(params=HASTY) as service, caller() as ann:
        [address] = await ann.host.listen([parse_address(LOOPBACK)])
        await service.node.connect(address)
        await ann.is_thrown_out()
        await is_told(service, caplog, "no stream for proofs of identity")


async def test_one_that_is_called_and_proves_another_identity_is_thrown_out(
    caplog: pytest.LogCaptureFixture,
):
    async with service_of() as service, caller() as ann:
        shown = FrameReader(200_000)

        async def answer(stream: Any) -> None:
            envelopes: list[bytes] = []
            while not envelopes:
                envelopes = shown.feed(await stream.receive_some())
            assert check_proof(envelopes[0], service.node.peer_id, lambda *any_: None)
            await stream.send_all(frame(anothers(ann)))

        ann.host.set_handler(IDENTITY, answer)
        [address] = await ann.host.listen([parse_address(LOOPBACK)])
        await service.node.connect(address)
        await ann.is_thrown_out()
        await is_told(service, caplog, "made for another connection")


# -- What is let in


async def test_a_proof_that_holds_is_answered():
    async with service_of() as service, caller() as ann:
        await ann.connect(service)
        answer = await ann.says(service, frame(make_proof(signer(1, 1), ann.host.peer_id)))
        [proof] = FrameReader(200_000).feed(answer)
        proven = check_proof(proof, service.node.peer_id, lambda *any_: None)
        assert proven.pki_id == service.pki_id
        known = {each.pki_id for each in service.identity_info()}
        assert known == {service.pki_id, signer(1, 1).pki_id}
        # Once more, as who called at the same time does.
        again = await ann.says(service, frame(make_proof(signer(1, 1), ann.host.peer_id)))
        assert FrameReader(200_000).feed(again)
        assert ann.host.is_connected(service.node.peer_id)


@pytest.mark.parametrize("turn", range(5))
async def test_two_that_dial_each_other_at_once_know_each_other_at_once(turn: int):
    params = QUICK.replaced(conn_timeout=6.0)
    async with service_of(params=params) as one, service_of(1, 1, params=params) as other:
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            for service, peer in ((one, other), (other, one)):
                address = str(peer.node.addresses[0].with_peer(None))
                nursery.start_soon(service._engine.links._contacts.dial, address)
        assert trio.current_time() - started < 3
        for service, peer in ((one, other), (other, one)):
            assert service._engine.directory.peer(peer.pki_id) == peer.node.peer_id
            assert not service.snapshot()["warnings"]


async def test_both_may_see_the_others_call_first(monkeypatch: pytest.MonkeyPatch):
    """Then each takes the other for the caller."""
    connected = Proofs.peer_connected

    def answered(proofs: Proofs, peer: PeerId, connection: HostConnection) -> None:
        connected(proofs, peer, SimpleNamespace(outbound=False))  # type: ignore[arg-type]

    monkeypatch.setattr(Proofs, "peer_connected", answered)
    async with service_of() as one, service_of(1, 1) as other:
        address = str(other.node.addresses[0].with_peer(None))
        with trio.fail_after(2):
            proven = await one._engine.links._contacts.dial(address)
        assert proven.pki_id == other.pki_id
        assert other._engine.directory.peer(one.pki_id) == one.node.peer_id


# -- Certificates that change


class Comings:
    """A peer's connections to a service, one after the other, all with one libp2p key."""

    def __init__(self, service: GossipService) -> None:
        self.service = service
        self.key = PrivateKey.generate(os.urandom)

    async def comes(self, who: Signer) -> bool:
        """Whether it is let in."""
        async with caller(self.key) as ann:
            await ann.connect(self.service)
            answer = await ann.says(self.service, frame(make_proof(who, ann.host.peer_id)))
            if not answer:
                await ann.is_thrown_out()
            await wait_all_tasks_blocked()
        await until(lambda: not self.service.node.host.is_connected(ann.host.peer_id))
        return bool(answer)

    def knows(self, who: Signer) -> bool:
        return who.pki_id in [known.pki_id for known in self.service.identity_info()]


async def test_a_renewed_certificate_takes_the_place_of_the_old_one():
    old, new = certified(1), certified(1)
    async with service_of() as service:
        peer = Comings(service)
        assert await peer.comes(old)
        assert peer.knows(old)
        assert await peer.comes(new)
        assert (peer.knows(old), peer.knows(new)) == (False, True)


async def test_a_renewed_certificate_may_be_shown_over_the_same_connection():
    old, new = certified(1), certified(1)
    async with service_of() as service, caller() as ann:
        await ann.connect(service)
        for who in (old, new):
            assert await ann.says(service, frame(make_proof(who, ann.host.peer_id)))
        await wait_all_tasks_blocked()
        assert ann.host.is_connected(service.node.peer_id)
        assert service._engine.directory.pki_id(ann.host.peer_id) == new.pki_id
        assert service._engine.peer.access.peers == [new.pki_id]


@pytest.mark.parametrize("same_connection", [False, True])
async def test_a_certificate_of_another_organization_is_no_renewal(
    same_connection: bool, caplog: pytest.LogCaptureFixture
):
    ours, theirs = certified(1), certified(2)
    channel = Channel.make()
    async with service_of() as service:
        await service.join_channel(channel.genesis.raw)
        peer = Comings(service)
        if same_connection:
            async with caller(peer.key) as ann:
                await ann.connect(service)
                assert await ann.says(service, frame(make_proof(ours, ann.host.peer_id)))
                assert not await ann.says(service, frame(make_proof(theirs, ann.host.peer_id)))
                await ann.is_thrown_out()
            await until(lambda: not service._engine.peer.access.peers)
        else:
            assert await peer.comes(ours)
        for _ in range(2):
            assert not await peer.comes(theirs)
        assert (peer.knows(ours), peer.knows(theirs)) == (True, False)
        assert service._engine.peer.access.peers == []
        assert await peer.comes(ours)
    told = {record.message for record in caplog.records if "another organization" in record.message}
    assert told


async def test_a_certificate_that_ended_while_we_had_forgotten_it_is_renewed():
    old, new = certified(1, lifetime=timedelta(minutes=30)), certified(1)
    async with service_of() as service:
        peer = Comings(service)
        # It is refused, and its owner learns by that that it has ended.
        assert not await peer.comes(old)
        assert await peer.comes(new)


async def test_a_certificate_that_was_put_out_is_renewed():
    old, new = signer(1, 1), certified(1)
    member = list(org(1).members.values())[1]
    crl = org(1).authority.revocation_list([member.identity.certificate], when=WHEN)
    async with service_of() as service:
        peer = Comings(service)
        assert await peer.comes(old)
        service._engine.peer._trust.local = org(1).msp(revocation_lists=[crl])
        service.suspect_peers(lambda identity: identity == old.identity)
        assert not peer.knows(old)
        assert not await peer.comes(old)
        assert await peer.comes(new)


async def test_a_peer_comes_back_with_a_renewed_certificate():
    key, old, new = PrivateKey.generate(os.urandom), certified(1), certified(1)
    here, there = (f"127.0.0.1:{free_port()}" for _ in range(2))
    listen = f"/ip4/127.0.0.1/tcp/{here.partition(':')[2]}"
    async with open_fabric_peer(
        signer(1, 0), org(1).msp(), params=QUICK.replaced(endpoint=here), listen=[listen]
    ) as service:
        for who in (old, new):
            params = QUICK.replaced(endpoint=there, bootstrap=(here,))
            async with open_fabric_peer(who, org(1).msp(), params=params, key=key) as peer:
                await until(lambda w=who: w.pki_id in [each.pki_id for each in service.peers()])
                await until(peer.peers)
        known = {each.pki_id for each in service.identity_info()}
        assert known == {service.pki_id, new.pki_id}
        assert old.pki_id not in [each.pki_id for each in service.peers()]
