"""The trio side of mDNS, with no network: what the thread hands over, and how it ends."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.discovery import mdns
from pubsub.discovery.mdns import _Inbox, _txt_listener, local_interfaces, run_mdns, takes_multicast
from pubsub.discovery.mdns_records import SERVICE, encode_txt
from pubsub.identity import Address, PeerId, PrivateKey, peer_id_of

US, ANN = (peer_id_of(PrivateKey(bytes([n]) * 32).public_key) for n in range(2))


def address(peer: PeerId, port: int) -> Address:
    return Address("ip4", "192.0.2.7", port, peer)


class Host:
    def __init__(self, *ports: int) -> None:
        self.peer_id = US
        self.addresses = [address(US, port) for port in ports]


def inbox() -> _Inbox:
    return _Inbox(trio.lowlevel.current_trio_token(), US)


def record(text: bytes, name: str = f"abc.{SERVICE}", type: int = 16, ttl: int = 120) -> Any:
    return SimpleNamespace(new=SimpleNamespace(type=type, name=name, ttl=ttl, text=text))


def hear(box: _Inbox, *records: Any) -> list[list[Address]]:
    _txt_listener(SERVICE, box).async_update_records(None, 0.0, list(records))
    return list(box.waiting)


async def test_txt_records_below_the_service_are_heard() -> None:
    addresses = [address(ANN, 1), address(ANN, 2)]
    assert hear(inbox(), record(encode_txt(addresses))) == [addresses]
    assert hear(inbox(), record(encode_txt(addresses), name=f"ABC.{SERVICE.upper()}"))


async def test_one_record_for_each_address_is_one_answer() -> None:
    one, two = address(ANN, 1), address(ANN, 2)
    heard = hear(inbox(), record(encode_txt([one])), record(encode_txt([two])))
    assert heard == [[one, two]]


async def test_other_records_are_not_heard() -> None:
    good = encode_txt([address(ANN, 1)])
    assert hear(inbox(), record(good, name="abc._http._tcp.local.")) == []
    assert hear(inbox(), record(good, name=SERVICE)) == []
    assert hear(inbox(), record(good, type=12)) == []
    assert hear(inbox(), record(good, ttl=0)) == [], "a goodbye is no news"
    assert hear(inbox(), record(encode_txt([address(US, 1)]))) == []


async def test_what_waits_for_trio_is_bounded() -> None:
    box = inbox()
    for n in range(mdns.MAX_WAITING * 2):
        peer = PeerId(bytes((0, 36)) + n.to_bytes(36, "big"))
        hear(box, record(encode_txt([address(peer, 1)])))
    assert len(box.waiting) == mdns.MAX_WAITING


async def test_what_the_thread_leaves_reaches_the_callback() -> None:
    box, found = inbox(), list[list[Address]]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.deliver, found.append)
        for port in (1, 2):
            peer = peer_id_of(PrivateKey(bytes([port + 10]) * 32).public_key)
            raw = encode_txt([address(peer, port)])
            await trio.to_thread.run_sync(hear, box, record(raw))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert [addresses[0].port for addresses in found] == [1, 2]


def test_hearing_after_trio_has_ended_is_harmless() -> None:
    async def make() -> _Inbox:
        return inbox()

    hear(trio.run(make), record(encode_txt([address(ANN, 1)])))


class FakeSession:
    """Stands for the thread: ends when stopped, or never, or at once with a reason."""

    made: list[FakeSession]
    failures: list[str]
    hangs = False

    def __init__(self, announcement: Any, interfaces: list[str], inbox: Any) -> None:
        self.announcement, self.interfaces = announcement, interfaces
        self.failure: str | None = None
        self.over = threading.Event()
        self.made.append(self)

    def run(self) -> None:
        if self.failures:
            self.failure = self.failures.pop()
            return
        self.over.wait()

    def stop(self) -> None:
        if not self.hangs:
            self.over.set()


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[FakeSession]:
    monkeypatch.setattr(mdns, "_Session", FakeSession)
    FakeSession.made, FakeSession.failures = [], []
    return FakeSession.made


async def test_a_changed_address_is_announced_anew(
    sessions: list[FakeSession], mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host(1)
    interfaces = ["127.0.0.1"]
    monkeypatch.setattr(mdns, "local_interfaces", lambda: list(interfaces))

    async def pass_time() -> None:
        for _ in range(3):
            await wait_all_tasks_blocked(0.01)
            mock_clock.jump(mdns.CHECK_INTERVAL)
        while not all(s.over.is_set() for s in sessions[:-1]):
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked(0.01)

    async with trio.open_nursery() as nursery:
        await nursery.start(run_mdns, host, lambda found: None)
        await pass_time()
        assert [s.announcement.addresses for s in sessions] == [[address(US, 1)]]
        host.addresses.append(address(US, 2))
        await pass_time()
        assert sessions[-1].announcement.addresses == [address(US, 1), address(US, 2)]
        assert len(sessions) == 2
        interfaces.append("192.0.2.7")
        await pass_time()
        assert [s.interfaces for s in sessions[1:]] == [["127.0.0.1"], interfaces]
        assert len({s.announcement.name for s in sessions}) == 1
        nursery.cancel_scope.cancel()
    assert all(session.over.is_set() for session in sessions)


async def test_a_network_that_refuses_is_said_and_tried_again(
    sessions: list[FakeSession], autojump_clock: MockClock
) -> None:
    autojump_clock.autojump_threshold = 0.02  # real threads take real time to answer
    FakeSession.failures = ["no multicast", "network is down"]
    said: list[str] = []
    with trio.move_on_after(mdns.RETRY_INTERVAL * 2.5):
        await run_mdns(
            Host(1), lambda found: None, interfaces=["127.0.0.1"], on_failure=said.append
        )
    assert said == ["network is down", "no multicast"]
    assert len(sessions) == 3


async def test_a_thread_that_hangs_is_left_behind(
    sessions: list[FakeSession], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    autojump_clock.autojump_threshold = 0.02
    monkeypatch.setattr(FakeSession, "hangs", True)
    started = trio.current_time()
    with trio.move_on_after(1):
        await run_mdns(Host(1), lambda found: None, interfaces=["127.0.0.1"])
    assert trio.current_time() - started <= 1 + mdns.CLOSE_TIMEOUT + 0.01
    for session in sessions:
        session.over.set()


def test_loopback_is_always_among_the_interfaces() -> None:
    assert local_interfaces()[0] == "127.0.0.1"
    assert len(set(local_interfaces())) == len(local_interfaces()) <= mdns.MAX_INTERFACES


def test_an_address_that_is_not_ours_takes_no_multicast() -> None:
    assert takes_multicast("127.0.0.1")
    assert not takes_multicast("198.51.100.77")
