from __future__ import annotations

from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.fabric.proof import Proven
from pubsub.fabric_node import directory as directory_module
from pubsub.fabric_node.directory import Directory
from tests.unit.fabric_node.fake_hosts import peer_id

ONE, TWO, THREE = (peer_id(number) for number in (1, 2, 3))
ANN, BOB = Proven(b"ann", b"identity of ann"), Proven(b"bob", b"identity of bob")


def test_who_has_proved_what():
    directory = Directory()
    directory.enter(ONE, ANN)
    directory.enter(TWO, BOB)
    assert (directory.of(ONE), directory.pki_id(TWO), directory.of(THREE)) == (ANN, b"bob", None)
    assert directory.pki_id(THREE) is None
    assert (directory.peer(b"ann"), directory.peer(b"eve")) == (ONE, None)


def test_one_identity_by_several_peers_is_gone_with_the_last_of_them():
    directory = Directory()
    directory.enter(ONE, ANN)
    directory.enter(TWO, ANN)
    assert (directory.peers(b"ann"), directory.peer(b"ann")) == ([ONE, TWO], TWO)
    assert directory.leave(TWO) is None
    assert directory.peer(b"ann") == ONE
    assert directory.leave(ONE) == b"ann"
    assert (directory.peers(b"ann"), directory.leave(ONE)) == ([], None)


def test_another_identity_takes_the_place_of_the_first():
    directory = Directory()
    directory.enter(ONE, ANN)
    directory.enter(ONE, BOB)
    assert (directory.of(ONE), directory.peers(b"ann")) == (BOB, [])
    assert directory.leave(ONE) == b"bob"


def test_only_an_identity_that_counted_is_remembered_and_beyond_the_connection():
    directory = Directory()
    directory.enter(ONE, ANN)
    assert directory.before(ONE) is None
    directory.remember(ONE)
    directory.leave(ONE)
    directory.enter(ONE, BOB)
    assert directory.before(ONE) == b"ann"
    directory.remember(ONE)
    assert directory.before(ONE) == b"bob"


def test_so_many_are_remembered(monkeypatch: Any):
    monkeypatch.setattr(directory_module, "MAX_PAST", 2)
    directory = Directory()
    for peer in (ONE, TWO, ONE, THREE):
        directory.enter(peer, ANN)
        directory.remember(peer)
    assert [directory.before(peer) for peer in (ONE, TWO, THREE)] == [b"ann", None, b"ann"]


async def test_a_proof_is_waited_for(nursery: trio.Nursery, autojump_clock: MockClock):
    directory = Directory()

    async def prove() -> None:
        await trio.sleep(1)
        directory.enter(TWO, BOB)
        await trio.sleep(1)
        directory.enter(ONE, ANN)

    nursery.start_soon(prove)
    assert await directory.wait_for(ONE, 3) == ANN
    assert trio.current_time() == 2
    assert await directory.wait_for(ONE, 0) == ANN


async def test_a_proof_is_waited_for_so_long(autojump_clock: MockClock):
    assert await Directory().wait_for(ONE, 3) is None
    assert trio.current_time() == 3


async def test_nobody_waits_for_one_that_is_gone(nursery: trio.Nursery, autojump_clock: MockClock):
    directory, gone, told = Directory(), [], []

    async def wait() -> None:
        told.append(await directory.wait_for(ONE, 3, unless=lambda: bool(gone)))

    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    directory.leave(TWO)
    await wait_all_tasks_blocked()
    assert not told
    gone.append(ONE)
    directory.leave(ONE)
    await wait_all_tasks_blocked()
    assert (told, trio.current_time()) == ([None], 0)
