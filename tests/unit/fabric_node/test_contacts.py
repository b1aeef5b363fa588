from __future__ import annotations

from typing import Any, cast

import pytest
import trio
import trio.testing

from pubsub.errors import DialError, ParamError
from pubsub.fabric.proof import Proven
from pubsub.fabric_node.contacts import Contacts, endpoint_address
from pubsub.fabric_node.directory import Directory
from pubsub.identity import PeerId, parse_address
from tests.unit.fabric_node.fake_hosts import FakeHosts


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("peer0.org1.example.com:7051", "/dns/peer0.org1.example.com/tcp/7051"),
        ("localhost:1", "/dns/localhost/tcp/1"),
        ("127.0.0.1:65535", "/ip4/127.0.0.1/tcp/65535"),
        ("[::1]:7051", "/ip6/::1/tcp/7051"),
        ("[2001:DB8::7]:7051", "/ip6/2001:db8::7/tcp/7051"),
        ("/ip4/10.0.0.1/tcp/7051", "/ip4/10.0.0.1/tcp/7051"),
        ("/dns4/peer0/tcp/7051", "/dns4/peer0/tcp/7051"),
    ],
)
def test_endpoints_are_fabrics_or_multiaddrs(endpoint: str, address: str):
    assert str(endpoint_address(endpoint)) == str(parse_address(address))


@pytest.mark.parametrize(
    "endpoint",
    [
        *("", "peer0", "peer0:", ":7051", "peer0:0x10", "peer0:65536", "peer0:999999"),
        *("::1:7051", "[::1]", "[::1]7051", "[peer0]:7051", "[face]:1", "[10.0.0.1]:1"),
        *("peer0:1:2", "peer 0:1", "http://peer0:1", "peer0:\uff11", "peer0/x:1", "peer0:1\n"),
    ],
)
def test_what_is_no_endpoint_is_refused_by_name(endpoint: str):
    with pytest.raises(ParamError) as caught:
        endpoint_address(endpoint)
    assert "bad endpoint" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_multiaddr_is_refused():
    with pytest.raises(ParamError):
        endpoint_address("/ip4/10.0.0.1")


class Scene:
    """BOB listens at bob:1, and proves who he is `after` so many seconds."""

    def __init__(self, nursery: trio.Nursery, after: float) -> None:
        hosts = FakeHosts(nursery)
        self.us, self.bob = hosts.add(1), hosts.add(2)
        self.us.reachable[endpoint_address("bob:1")] = self.bob
        self.us.addresses = [endpoint_address("us:1").with_peer(self.us.peer_id)]
        self.directory = Directory()
        self.called: list[PeerId] = []
        self.after = after
        self._nursery = nursery
        self.contacts = Contacts(
            cast("Any", self.us), self.directory, self.on_call, dial_timeout=1, proof_timeout=2
        )

    def on_call(self, peer: PeerId) -> None:
        self.called.append(peer)
        self._nursery.start_soon(self.prove, peer)

    async def prove(self, peer: PeerId) -> None:
        await trio.sleep(self.after)
        self.directory.enter(peer, Proven(b"bob", b"identity"))


async def test_a_dial_ends_when_it_is_known_who_is_there(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
):
    now = Scene(nursery, after=1)
    assert (await now.contacts.dial("bob:1")).pki_id == b"bob"
    assert (trio.current_time(), now.called) == (1, [now.bob.peer_id])


async def test_a_dial_fails_if_nobody_proves_anything(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
):
    now = Scene(nursery, after=1000)
    with pytest.raises(DialError, match="not proved who it is"):
        await now.contacts.dial("bob:1")
    assert trio.current_time() == 4


async def test_a_dial_fails_at_once_if_the_connection_ends(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
):
    now = Scene(nursery, after=1000)

    async def part() -> None:
        await trio.sleep(0.5)
        now.us.part(now.bob)
        now.directory.leave(now.bob.peer_id)

    nursery.start_soon(part)
    with pytest.raises(DialError, match="not proved who it is"):
        await now.contacts.dial("bob:1")
    assert trio.current_time() == 0.5


@pytest.mark.parametrize(
    ("endpoint", "text"), [("us:1", "our own address"), ("ann:1", "nobody is at")]
)
async def test_a_dial_says_why_it_failed(nursery: trio.Nursery, endpoint: str, text: str):
    now = Scene(nursery, after=0)
    with pytest.raises(DialError, match=text):
        await now.contacts.dial(endpoint)


async def test_a_peer_is_tried_at_each_of_its_endpoints(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
):
    now = Scene(nursery, after=0)
    assert not await now.contacts.reach(b"bob", [])
    assert not await now.contacts.reach(b"bob", ["ann:1", "not an endpoint"])
    assert not await now.contacts.reach(b"ann", ["bob:1"])
    now.us.part(now.bob)
    now.directory.leave(now.bob.peer_id)
    assert await now.contacts.reach(b"bob", ["ann:1", "bob:1"])
    now.called.clear()
    assert await now.contacts.reach(b"bob", ["bob:1"])
    assert not now.called
