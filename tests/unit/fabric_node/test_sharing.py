from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
import trio.testing

from pubsub.errors import ParamError, RemoteError
from pubsub.fabric import effects as fx
from pubsub.fabric.envelope import wrap_message
from pubsub.fabric.params import V14
from pubsub.fabric.pull_store import Mode
from pubsub.fabric.topics import SHARE
from pubsub.fabric.versioned_store import Entry, VersionedStore
from pubsub.fabric_node.sharing import Sharing
from pubsub.pb.fabric.gossip_pb2 import GossipMessage

ORG = "Org1MSP"
KIND = 100


class Peer:
    """One peer's shared stores; what it sends comes to the others at once."""

    def __init__(self, street: Street, name: bytes, org: str) -> None:
        self.street = street
        self.name = name
        self.org = org
        self.peer: Any = self
        self.access: Any = self
        self.blamed: list[bytes] = []
        self.failures: list[Exception] = []
        self.in_channel = True
        self.sent: list[bytes] = []
        owner = cast("Any", self)
        self.sharing = Sharing(owner, self.send, V14, street.nursery, Random(1))

    @property
    def membership(self) -> Any:
        others = [SimpleNamespace(peer=name) for name in self.street.peers if name != self.name]
        return SimpleNamespace(members=others)

    def org_of(self, peer: bytes) -> str:
        return self.street.peers[peer].org

    def channel(self, name: str) -> Any:
        if name != "sales" or not self.in_channel:
            return None
        return SimpleNamespace(
            peers=[SimpleNamespace(member=each) for each in self.membership.members],
            has_left=False,
            is_org_in_channel=lambda org: org != "EvilMSP",
        )

    def send(self, peer: bytes, protocol: str, raw: bytes) -> None:
        assert protocol == SHARE
        self.sent.append(peer)
        self.street.peers[peer].sharing.take(self.name, raw)

    def perform(self, effect: fx.Effect) -> None:
        assert isinstance(effect, fx.Blamed)
        self.blamed.append(effect.peer)

    def fail(self, error: Exception) -> None:
        self.failures.append(error)

    def shares(self, store: Any, *, channel: str = "sales", told: Any = None) -> Any:
        return self.sharing.share(store, KIND, channel, Mode.PUSH_PULL, told)


class Street:
    def __init__(self, nursery: trio.Nursery, orgs: str = ORG) -> None:
        self.nursery = nursery
        self.peers: dict[bytes, Peer] = {}
        for name in (b"ann", b"bob"):
            self.peers[name] = Peer(self, name, ORG if name == b"ann" else orgs)

    @property
    def both(self) -> tuple[Peer, Peer]:
        return self.peers[b"ann"], self.peers[b"bob"]


def filled(key: bytes, version: int, value: bytes) -> VersionedStore:
    store = VersionedStore()
    store.put(key, version, value)
    return store


async def test_a_store_comes_to_be_the_same_and_what_is_new_is_told(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
):
    ann, bob = Street(nursery).both
    told: list[tuple[bytes, list[object]]] = []
    mine, others = filled(b"colour", 2, b"blue"), filled(b"colour", 1, b"green")
    ann.shares(mine)
    bob.shares(others, told=lambda peer, contents: told.append((peer, contents)))
    await trio.sleep(30)
    assert others.get(b"colour") == mine.get(b"colour")
    assert told == [(b"ann", [(b"colour", Entry(2, b"blue"))])]
    assert (ann.blamed, bob.blamed, ann.failures) == ([], [], [])


async def test_nothing_is_asked_or_answered_after_the_end(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
):
    ann, bob = Street(nursery).both
    with bob.shares(VersionedStore()), ann.shares(filled(b"colour", 2, b"blue")):
        pass
    await trio.sleep(100)
    assert (ann.sent, bob.sent) == ([], [])
    bob.shares(VersionedStore())
    await trio.sleep(100)
    assert (bob.sent != [], ann.sent) == (True, [])


async def test_who_may_not_have_a_store_gets_nothing(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
):
    ann, bob = Street(nursery, orgs="EvilMSP").both
    for channel in ("sales", ""):
        secret, open_ = filled(b"secret", 1, b"x"), VersionedStore()
        with ann.shares(secret, channel=channel), bob.shares(open_, channel=channel):
            await trio.sleep(60)
            assert open_.get(b"secret") is None
    ann.in_channel = False
    with ann.shares(VersionedStore()):
        ann.sent.clear()
        await trio.sleep(60)
        assert ann.sent == []


async def test_one_kind_is_one_store(nursery: trio.Nursery):
    ann, _ = Street(nursery).both
    share = ann.shares(VersionedStore())
    with pytest.raises(ParamError, match="kind 100 is shared there already"):
        ann.shares(VersionedStore())
    ann.shares(VersionedStore(), channel="")
    share.close()
    ann.shares(VersionedStore())
    for kind in (0, 99):
        with pytest.raises(ParamError):
            ann.sharing.share(VersionedStore(), kind, "", Mode.PULL, None)


@pytest.mark.parametrize(
    "raw",
    [
        b"what?",
        wrap_message(GossipMessage(tag=GossipMessage.EMPTY, empty={})).raw,
        wrap_message(GossipMessage(tag=GossipMessage.EMPTY, mem_res={})).raw,
    ],
)
async def test_what_is_not_of_a_store_is_its_senders_fault(raw: bytes, nursery: trio.Nursery):
    ann, _ = Street(nursery).both
    ann.sharing.take(b"bob", raw)
    assert (ann.blamed, ann.failures) == ([b"bob"], [])


class Broken:
    """A store whose items nobody can have."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def digests(self, peer: bytes) -> list[bytes]:
        raise self.error


@pytest.mark.parametrize("error", [OSError("x"), ValueError("y")], ids=repr)
async def test_what_a_store_raises_is_the_users(
    error: Exception, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
):
    ann, bob = Street(nursery).both
    ann.sharing.share(cast("Any", Broken(error)), KIND, "sales", Mode.PULL, None)
    bob.shares(VersionedStore())
    await trio.sleep(30)
    assert ann.failures[:1] == [error]
    assert (bob.failures, ann.blamed) == ([], [])


@pytest.mark.parametrize("error", [OSError("x"), ValueError("y"), RemoteError("z")], ids=repr)
async def test_what_a_function_raises_is_the_users(
    error: Exception, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
):
    ann, bob = Street(nursery).both

    def fail(peer: bytes, contents: list[object]) -> None:
        raise error

    ann.shares(filled(b"colour", 2, b"blue"))
    bob.shares(VersionedStore(), told=fail)
    await trio.sleep(30)
    assert bob.failures[:1] == [error]
    assert (ann.failures, ann.blamed, bob.blamed) == ([], [], [])
