from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from pubsub.errors import ParamError
from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.actions import CloseConnection, Warn
from pubsub.fabric.criteria import AckCollector
from pubsub.fabric.proof import Proven, check_proof, make_proof
from pubsub.fabric.topics import DIRECT, Network
from pubsub.fabric_node.acks import Acks
from pubsub.fabric_node.contacts import endpoint_address
from pubsub.fabric_node.directory import Directory
from pubsub.fabric_node.links import DISLIKED, MAX_FACES, Links, check_direct
from pubsub.identity import PeerId
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from pubsub.wire.framing import frame
from tests.unit.fabric.making import one_of_each
from tests.unit.fabric.peering import ANN, BOB, US
from tests.unit.fabric_node.fake_hosts import FakeHost, FakeHosts, FakeStream

IDENTITY = Network("net").identity_protocol

ENDPOINT = "bob:1"


class Scene:
    """Our links. BOB's host is at ENDPOINT, and proves that it is his; ours knows him."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.hosts = FakeHosts(nursery)
        self.us, self.bob = self.hosts.add(1), self.hosts.add(2)
        self.us.reachable[endpoint_address(ENDPOINT)] = self.bob
        self.bob.set_handler(IDENTITY, self.prove)
        self.node = SimpleNamespace(host=self.us, feedback=self.feed_back)
        self.directory = Directory()
        self.peer: Any = self
        self.network = Network("net")
        self.access: Any = self
        self.membership = SimpleNamespace(lookup=self.lookup)
        self.accepts = True
        self.endpoints = {BOB.pki_id: (ENDPOINT, "elsewhere:1")}
        self.closed = False
        self.proven: dict[bytes, str] = {}
        self.events: list[ev.Event] = []
        self.warnings: list[str] = []
        self.disliked: list[tuple[PeerId, float]] = []
        self.acks = Acks()
        params = SimpleNamespace(dial_timeout=1, conn_timeout=1, send_buff_size=2)
        owner, signer = cast("Any", self), US
        self.links = Links(owner, self.acks, signer, cast("Any", params), nursery)

    async def prove(self, stream: FakeStream) -> None:
        await stream.receive_some()
        await stream.send_all(frame(make_proof(BOB, self.bob.peer_id)))

    def feed_back(self, peer: PeerId, delta: float) -> None:
        self.disliked.append((peer, delta))

    # The core, as far as it is asked.

    def lookup(self, pki_id: bytes) -> Any:
        if pki_id not in self.endpoints:
            return None
        internal, external = self.endpoints[pki_id]
        return SimpleNamespace(internal_endpoint=internal, endpoint=external)

    def org_of(self, pki_id: bytes) -> str | None:
        return self.proven.get(pki_id)

    def check_proof(self, raw: bytes, peer: PeerId) -> Proven:
        return check_proof(raw, peer, lambda *proof: None)

    # The engine.

    def feed(self, event: ev.Event) -> None:
        self.events.append(event)
        if isinstance(event, ev.PeerProven) and self.accepts:
            self.proven[event.peer] = "Org"
        if isinstance(event, ev.PeerGone):
            self.proven.pop(event.peer, None)

    def warn(self, warning: Warn) -> None:
        self.warnings.append(warning.key)

    def face(self, number: int) -> FakeHost:
        """Another host that has proved to be BOB's."""
        host = self.hosts.add(number)
        self.us.link(host)
        assert self.links.admit(host.peer_id, Proven(BOB.pki_id, BOB.identity))
        return host


@pytest.fixture
def now(nursery: trio.Nursery) -> Scene:
    return Scene(nursery)


PROVEN = ev.PeerProven(BOB.pki_id, BOB.identity)


async def test_an_endpoint_is_dialled_and_who_is_there_is_said(now: Scene):
    now.links.dial(fx.Dial(ENDPOINT))
    await wait_all_tasks_blocked()
    assert now.events == [PROVEN, ev.Dialed(ENDPOINT, BOB.pki_id)]
    assert now.us.protected == {(now.bob.peer_id, f"fabric:{ENDPOINT}")}
    assert now.us.tags == {(now.bob.peer_id, "fabric")}


async def test_another_at_the_same_endpoint_is_protected_in_place_of_the_first(now: Scene):
    now.links.dial(fx.Dial(ENDPOINT))
    await wait_all_tasks_blocked()
    now.us.part(now.bob)
    now.bob = now.hosts.add(3)
    now.bob.set_handler(IDENTITY, now.prove)
    now.us.reachable[endpoint_address(ENDPOINT)] = now.bob
    now.links.dial(fx.Dial(ENDPOINT))
    await wait_all_tasks_blocked()
    assert now.us.protected == {(now.bob.peer_id, f"fabric:{ENDPOINT}")}


@pytest.mark.parametrize(
    ("endpoint", "warnings"), [("ann:1", []), ("not an endpoint", ["peer.endpoint"])]
)
async def test_a_dial_that_fails_is_said(endpoint: str, warnings: list[str], now: Scene):
    now.links.dial(fx.Dial(endpoint))
    await wait_all_tasks_blocked()
    [failed] = now.events
    assert isinstance(failed, ev.DialFailed)
    assert (failed.endpoint, now.warnings) == (endpoint, warnings)
    assert failed.why


async def test_one_thought_dead_is_looked_for(now: Scene):
    now.links.dial(fx.Dial("nowhere:1", ANN.pki_id))
    await wait_all_tasks_blocked()
    assert now.events == []
    now.links.dial(fx.Dial(ENDPOINT, BOB.pki_id))
    await wait_all_tasks_blocked()
    assert set(now.events) == {PROVEN}
    now.events.clear()
    # It is connected: then it was only silent.
    now.links.dial(fx.Dial("nowhere:1", BOB.pki_id))
    await wait_all_tasks_blocked()
    assert (now.events, now.warnings) == ([PROVEN], [])


async def test_one_that_refuses_our_identity_is_hung_up_on(now: Scene):
    async def refuse(stream: FakeStream) -> None:
        await stream.receive_some()
        stream.close()

    now.bob.set_handler(IDENTITY, refuse)
    now.links.dial(fx.Dial(ENDPOINT))
    await wait_all_tasks_blocked()
    assert not now.us.is_connected(now.bob.peer_id)
    assert now.warnings == ["peer.refused"]
    assert [type(event) for event in now.events] == [ev.DialFailed]


async def test_one_whose_identity_does_not_count_is_nobody(now: Scene):
    now.accepts = False
    now.links.dial(fx.Dial(ENDPOINT))
    await wait_all_tasks_blocked()
    assert now.directory.peer(BOB.pki_id) is None
    assert now.directory.before(now.bob.peer_id) is None
    # The core, which says why, hangs up as well.
    assert now.warnings == []


async def test_an_identity_has_so_many_faces_and_is_gone_with_the_last(now: Scene):
    faces = [now.face(number) for number in range(10, 11 + MAX_FACES)]
    await wait_all_tasks_blocked()
    assert [now.us.is_connected(host.peer_id) for host in faces] == [False] + [True] * MAX_FACES
    now.links.blame(fx.Blamed(BOB.pki_id, "that"))
    assert now.disliked == [(host.peer_id, DISLIKED) for host in faces[1:]]
    assert not [event for event in now.events if isinstance(event, ev.PeerGone)]
    now.links.hang_up(CloseConnection(BOB.pki_id))
    await wait_all_tasks_blocked()
    assert now.us.peers == {}
    assert now.events[-1:] == [ev.PeerGone(BOB.pki_id)]
    assert now.events.count(ev.PeerGone(BOB.pki_id)) == 1
    assert now.warnings == ["peer.blamed"]


async def test_nobody_is_let_in_when_the_service_has_stopped(now: Scene):
    now.closed = True
    now.us.link(now.bob)
    proof = make_proof(BOB, now.bob.peer_id)
    stream = await now.bob.open_stream(now.us.peer_id, [IDENTITY])
    await stream.send_all(frame(proof))
    assert await stream.receive_some() == b""
    assert (now.events, now.warnings) == ([], [])


async def test_a_peer_that_cannot_be_reached_is_said_to_be(now: Scene):
    collector = AckCollector(1, {ANN.pki_id: 1}, deadline=trio.current_time() + 60)
    message = GossipMessage(tag=GossipMessage.CHAN_ONLY, private_data={"payload": {}})
    with now.acks.collecting(collector):
        assert now.links.send_message(ANN.pki_id, message)
        await wait_all_tasks_blocked()
        assert collector.done
    assert now.events == [ev.PeerUnreachable(ANN.pki_id)]
    assert now.warnings == ["peer.unreachable"]
    now.closed = True
    now.links.send_message(ANN.pki_id, message)
    await wait_all_tasks_blocked()
    assert now.warnings == ["peer.unreachable"]


async def test_a_peer_is_sent_to_at_its_endpoint_and_told_of_when_it_is_slow(now: Scene):
    heard: list[bytes] = []

    async def hear(stream: FakeStream) -> None:
        while data := await stream.receive_some():
            heard.append(data)

    now.bob.set_handler(DIRECT, hear)
    message = GossipMessage(tag=GossipMessage.CHAN_ONLY, private_data={"payload": {}})
    assert [now.links.send_message(BOB.pki_id, message) for _ in range(3)] == [True, True, False]
    await wait_all_tasks_blocked()
    assert (len(heard), now.warnings) == (2, ["peer.slow"])
    await now.links.finish()
    assert now.links.lanes.waiting == 0


TAKEN = {"ack", "private_data", "private_req", "private_res"}


@pytest.mark.parametrize(("content", "message"), one_of_each().items())
def test_what_users_may_send(content: str, message: GossipMessage):
    if content in TAKEN:
        check_direct(message)
    else:
        with pytest.raises(ParamError, match=f"not {content}"):
            check_direct(message)
