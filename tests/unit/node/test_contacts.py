"""What the router's peers mean for the host: kept, protected, dialled."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.errors import DialError, ParamError
from pubsub.host.peer_store import PeerStore
from pubsub.identity import Address, PeerId, PrivateKey, peer_id_of
from pubsub.identity.envelope import seal_peer_record
from pubsub.node.contacts import BAD_RECORD, Contacts
from pubsub.router.effects import Dial, Dropped, Grafted, Pruned
from pubsub.router.events import Event, SetDirect

KEYS = [PrivateKey(bytes([number]) * 32) for number in range(4)]
US, ANN, BOB, CY = (peer_id_of(key.public_key) for key in KEYS)


def address(peer: PeerId | None, port: int = 4001) -> Address:
    return Address("ip4", "192.0.2.7", port, peer)


def record(number: int, seq: int = 1) -> bytes:
    """The peer's own word that it listens at one address."""
    return seal_peer_record(KEYS[number], [address(None, 4000 + number)], seq)


class FakeHost:
    """Knows who is connected, and what it was asked."""

    peer_id = US

    def __init__(self) -> None:
        self.peer_store = PeerStore()
        self.protected: dict[PeerId, dict[str, None]] = {}
        self.connected: list[PeerId] = []
        self.dialled: list[tuple[Address, ...]] = []
        self.asked: list[tuple[PeerId, PeerId | None]] = []
        self.listeners: list[object] = []

    def protect(self, peer: PeerId, tag: str) -> None:
        self.protected.setdefault(peer, {})[tag] = None

    def unprotect(self, peer: PeerId, tag: str) -> bool:
        self.protected.get(peer, {}).pop(tag, None)
        return bool(self.protected.get(peer))

    def is_protected(self, peer: PeerId) -> bool:
        return bool(self.protected.get(peer))

    def connected_peers(self) -> list[PeerId]:
        return self.connected

    def add_listener(self, listener: object) -> None:
        self.listeners.append(listener)

    def remove_listener(self, listener: object) -> None:
        self.listeners.remove(listener)

    async def connect(self, *addresses: Address) -> PeerId:
        self.dialled.append(addresses)
        await trio.lowlevel.checkpoint()
        raise DialError("refused")

    def dial_later(self, peer: PeerId, *, source: PeerId | None = None) -> bool:
        self.asked.append((peer, source))
        return True


class Desk:
    def __init__(self, nursery: trio.Nursery) -> None:
        self.host = FakeHost()
        self.fed: list[Event] = []
        self.failures: list[str] = []
        self.dropped: list[Dropped] = []
        self.contacts = Contacts(
            self.host,
            nursery,
            self.feed,
            on_failure=lambda where, why: self.failures.append(f"{where.port}: {why}"),
            on_drop=self.dropped.append,
        )

    def feed(self, event: Event) -> None:
        if isinstance(event, SetDirect) and event.peer == US:
            raise ParamError("a node cannot be its own direct peer")
        self.fed.append(event)


@pytest.fixture
async def desk(nursery: trio.Nursery) -> Desk:
    return Desk(nursery)


# Direct peers


async def test_a_direct_peer_is_told_to_the_router_protected_and_dialled_again_and_again(
    desk: Desk, autojump_clock: MockClock
) -> None:
    addresses = [address(ANN, 1), address(ANN, 2)]
    assert desk.contacts.add_direct(addresses) == ANN
    assert desk.contacts.direct == [ANN]
    assert desk.fed == [SetDirect(ANN, True)]
    assert desk.host.is_protected(ANN)
    await trio.sleep(30)
    assert len(desk.host.dialled) > 3
    assert set(desk.host.dialled) == {tuple(addresses)}
    assert set(desk.failures) == {"1: refused"}


async def test_one_that_is_removed_is_dialled_no_more(
    desk: Desk, autojump_clock: MockClock
) -> None:
    desk.contacts.add_direct([address(ANN)])
    await trio.sleep(30)
    desk.contacts.remove_direct(ANN)
    dialled = len(desk.host.dialled)
    await trio.sleep(300)
    assert len(desk.host.dialled) == dialled > 0
    assert desk.host.listeners == []
    assert desk.contacts.direct == []
    assert desk.fed == [SetDirect(ANN, True), SetDirect(ANN, False)]
    assert not desk.host.is_protected(ANN)
    with pytest.raises(ParamError, match="is not a direct peer"):
        desk.contacts.remove_direct(ANN)


async def test_adding_one_again_is_taking_its_new_addresses(
    desk: Desk, autojump_clock: MockClock
) -> None:
    desk.contacts.add_direct([address(ANN, 1)])
    await wait_all_tasks_blocked()
    desk.contacts.add_direct([address(ANN, 2)])
    desk.host.dialled.clear()
    await trio.sleep(100)
    assert set(desk.host.dialled) == {(address(ANN, 2),)}
    assert desk.contacts.direct == [ANN]


@pytest.mark.parametrize(
    "addresses", [[], [address(None)], [address(ANN), address(None)], [address(ANN), address(BOB)]]
)
async def test_a_direct_peer_is_one_peer_with_a_name(desk: Desk, addresses: list[Address]) -> None:
    with pytest.raises(ParamError, match="must all end in its id"):
        desk.contacts.add_direct(addresses)
    assert desk.fed == []
    assert desk.contacts.direct == []


async def test_what_the_router_refuses_is_not_kept(desk: Desk) -> None:
    with pytest.raises(ParamError, match="its own direct peer"):
        desk.contacts.add_direct([address(US)])
    assert desk.contacts.direct == []
    assert not desk.host.is_protected(US)


# Members of meshes


async def test_members_are_protected_until_they_are_in_no_mesh(desk: Desk) -> None:
    desk.contacts.grafted(Grafted("t", ANN))
    desk.contacts.grafted(Grafted("u", ANN))
    desk.contacts.pruned(Pruned("t", ANN))
    assert desk.host.is_protected(ANN)
    desk.contacts.pruned(Pruned("u", ANN))
    assert not desk.host.is_protected(ANN)


async def test_a_direct_peer_stays_protected_whatever_the_meshes_do(desk: Desk) -> None:
    desk.contacts.grafted(Grafted("t", ANN))
    desk.contacts.add_direct([address(ANN)])
    desk.contacts.pruned(Pruned("t", ANN))
    assert desk.host.is_protected(ANN)


# Peers that others offer


async def test_an_offered_peer_is_dialled_where_its_record_says(desk: Desk) -> None:
    desk.contacts.dial(Dial(ANN, record(1), BOB))
    assert desk.host.asked == [(ANN, BOB)]
    assert desk.host.peer_store.addresses(ANN) == [address(ANN, 4001)]


@pytest.mark.parametrize(
    "bad", [record(2), record(1)[:-1], b"nonsense", record(1)[:-4] + bytes(4)], ids=range(4)
)
async def test_a_record_that_is_not_the_peers_own_is_dropped(desk: Desk, bad: bytes) -> None:
    desk.contacts.dial(Dial(ANN, bad, BOB))
    assert desk.host.asked == []
    assert len(desk.host.peer_store) == 0
    assert desk.contacts.bad_offers == 1
    assert desk.dropped == [Dropped(BAD_RECORD, 1, BOB, "", b"")]


async def test_without_a_record_a_peer_is_dialled_where_it_is_known_to_be(desk: Desk) -> None:
    desk.contacts.dial(Dial(ANN, b"", BOB))
    assert desk.host.asked == []
    desk.host.peer_store.add_addresses(ANN, [address(None, 9)])
    desk.contacts.dial(Dial(ANN, b"", BOB))
    assert desk.host.asked == [(ANN, BOB)]
    assert desk.contacts.bad_offers == 0


async def test_an_old_record_does_not_replace_a_newer_one(desk: Desk) -> None:
    newer = seal_peer_record(KEYS[1], [address(None, 5000)], 9)
    desk.contacts.dial(Dial(ANN, newer, BOB))
    desk.contacts.dial(Dial(ANN, record(1, seq=3), CY))
    assert desk.host.peer_store.addresses(ANN) == [address(ANN, 5000)]
    assert desk.host.asked == [(ANN, BOB), (ANN, CY)]
