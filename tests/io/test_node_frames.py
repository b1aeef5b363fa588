"""Peers that send most of a frame and then nothing more: what they make us keep is bounded."""

import pytest
import trio

import pubsub
from pubsub.node import peering
from pubsub.wire import framing
from pubsub.wire.framing import frame
from tests.io.nodes import LOOPBACK, RawPeer, open_pair, raw_peer, rpc, until

MIB = 1024 * 1024
MOST_OF_A_FRAME = frame(bytes(4 * MIB))[: 3 * MIB]


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peering, "FRAME_CHECK", 0.01)


def held(node: pubsub.Node) -> int:
    return node._engine.peering._frames.held


async def begin_frame(peer: RawPeer, node: pubsub.Node) -> None:
    before = held(node)
    stream = await peer.open(node)
    await stream.send_all(MOST_OF_A_FRAME)
    await until(lambda: held(node) == before + 3 * MIB)


async def test_of_too_much_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    # Room for four whole frames is the least.
    monkeypatch.setattr(peering, "FRAME_BUDGET", 1)
    async with (
        pubsub.open_node(listen=[LOOPBACK]) as node,
        raw_peer() as honest,
        trio.open_nursery() as nursery,
    ):
        await (await honest.open(node)).send_all(frame(bytes(4 * MIB))[:1000])
        attackers: list[RawPeer] = []

        async def attack(*, task_status: trio.TaskStatus[None]) -> None:
            async with raw_peer() as attacker:
                attackers.append(attacker)
                await begin_frame(attacker, node)
                task_status.started()
                await trio.sleep_forever()

        for _ in range(5):
            await nursery.start(attack)
        assert all(attacker.is_connected(node) for attacker in attackers)
        assert held(node) == 15 * MIB + 1000
        async with raw_peer() as another:
            await (await another.open(node)).send_all(MOST_OF_A_FRAME)
            await attackers[0].expelled(node)
            await until(lambda: held(node) == 15 * MIB + 1000)
            assert all(attacker.is_connected(node) for attacker in attackers[1:])
            assert another.is_connected(node)
            assert honest.is_connected(node)
        nursery.cancel_scope.cancel()


async def test_who_does_not_go_on_is_expelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "PATIENCE", 0.5)
    async with pubsub.open_node(listen=[LOOPBACK]) as node, raw_peer() as idle, raw_peer() as busy:
        events = node.events()
        stream = await busy.open(node)
        await begin_frame(idle, node)
        one = rpc(subscribe=("t",))
        await stream.send_all(one[:1])
        while idle.is_connected(node):
            await stream.send_all(one[1:] + one[:1])
            await trio.sleep(0.01)
        assert busy.is_connected(node)
        await until(lambda: held(node) == 1)
        async for event in events:
            if isinstance(event, pubsub.Disconnected):
                assert event.peer == idle.host.peer_id
                assert event.reason == "an unfinished frame does not go on"
                break


async def test_what_was_held_of_a_stream_ends_with_it() -> None:
    async with pubsub.open_node(listen=[LOOPBACK]) as node, raw_peer() as peer:
        await begin_frame(peer, node)
        # The newer one replaces the older.
        stream = await peer.host.open_stream(node.peer_id, ["/meshsub/1.1.0"])
        await stream.send_all(b"\x80")
        await until(lambda: held(node) == 1)
        stream.reset()
        await until(lambda: held(node) == 0)
        await begin_frame(peer, node)
        await peer.host.disconnect(node.peer_id)
        await until(lambda: held(node) == 0)


async def test_what_a_peer_answers_on_our_stream_is_bounded_too() -> None:
    async with pubsub.open_node(listen=[LOOPBACK]) as node, raw_peer() as peer:
        await peer.open(node)
        await until(lambda: peer.inbound)
        await peer.inbound[0].send_all(MOST_OF_A_FRAME)
        await until(lambda: held(node) == 3 * MIB)
        peer.inbound[0].reset()
        await until(lambda: held(node) == 0)


async def test_honest_nodes_hold_nothing() -> None:
    async with open_pair() as (one, two), one.subscribe("t") as messages:
        await two.wait_for_peers("t")
        for _ in range(20):
            await two.publish("t", bytes(300_000))
        for _ in range(20):
            await messages.receive()
        assert held(one) == held(two) == 0
