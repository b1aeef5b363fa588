"""How a Fabric peer ends: in bounded time, with nothing left behind, and with the error that
ended it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.lowlevel

from pubsub.errors import ClosedError, ParamError, RemoteError
from pubsub.fabric.access import Kind
from pubsub.fabric.envelope import wrap_message
from pubsub.fabric.ledger import LedgerError, MemoryLedger
from pubsub.fabric.params import GossipParams
from pubsub.fabric.topics import DIRECT
from pubsub.fabric.versioned_store import VersionedStore
from pubsub.fabric_node.inlets import Gossiped, Received
from pubsub.fabric_node.open import open_fabric_peer
from pubsub.fabric_node.service import GossipService
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.io.fabric_peers import LOOPBACK, QUICK, Channel, Town, open_town, org, topic_of
from tests.io.nodes import SECONDS, until
from tests.io.test_node_closing import nothing_left

BOUND = 5.0
"Seconds in which a peer has stopped: up to three for what waits, and some to say goodbye."
LEADS, FOLLOWS = (
    QUICK.replaced(use_leader_election=False, org_leader=leads) for leads in (True, False)
)
MIB = 1 << 20


@asynccontextmanager
async def cleanly() -> AsyncIterator[None]:
    """Fail if tasks, sockets, files or busy threads are left at the end of the block."""
    async with nothing_left():
        yield
    assert not trio.to_thread.current_default_thread_limiter().borrowed_tokens


@asynccontextmanager
async def two(
    channel: Channel, ledger: MemoryLedger | None = None, **more: object
) -> AsyncIterator[tuple[Town, GossipService, GossipService]]:
    """A leader and a follower with this ledger, each in the mesh of the other."""
    async with open_town() as town:
        ann = await town.opens(1, 0, params=LEADS, **more)
        await town.joins(ann, channel)
        bob = await town.opens(1, 1, params=FOLLOWS, bootstrap=[ann], **more)
        await town.joins(bob, channel, ledger)
        topics = [(each, topic_of(each, channel, Kind.BLOCKS)) for each in (ann, bob)]
        await until(lambda: all(each.node.mesh(topic) for each, topic in topics))
        yield town, ann, bob


async def stops(service: GossipService) -> None:
    started = trio.current_time()
    await service.stop()
    assert trio.current_time() - started < BOUND


# -- In bounded time, with nothing left


async def test_a_peer_stops_under_load():
    channel = Channel.make()
    async with cleanly(), two(channel) as (town, ann, bob):
        async with trio.open_nursery() as nursery:

            async def order() -> None:
                while True:
                    channel.orders(1, size=20_000)
                    await trio.lowlevel.checkpoint()

            nursery.start_soon(order)
            await until(lambda: bob.height("sales") > 5)
            await stops(bob)
            height = town.ledger(bob, channel).height
            await stops(ann)
            nursery.cancel_scope.cancel()
        assert town.ledger(bob, channel).height == height


async def test_a_peer_may_be_stopped_by_many_and_again():
    async with cleanly(), open_town() as town:
        ann = await town.opens(1, 0)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(stops, ann)
        await stops(ann)
        with pytest.raises(ClosedError):
            ann.events()


class Gate(MemoryLedger):
    """Lets a reader or writer in when it is open."""

    def __init__(self, *, appends: bool = True) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.opened = threading.Event()
        self._appends = appends

    def append(self, number: int, raw: bytes) -> None:
        if number and self._appends:
            self.entered.set()
            assert self.opened.wait(SECONDS)
        super().append(number, raw)


async def test_a_block_that_is_being_written_is_written():
    channel, ledger = Channel.make(), Gate()
    async with cleanly(), two(channel, ledger) as (_, ann, bob):
        channel.orders(3)
        await until(ledger.entered.is_set)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stops, bob)
            await trio.sleep(0.1)
            assert ledger.height == 1
            ledger.opened.set()
        assert ledger.height == 2
        assert ann.height("sales") == 4


async def test_what_was_sent_leaves_before_a_peer_stops():
    channel = Channel.make()
    async with cleanly(), two(channel) as (_, ann, bob):
        inlet = bob.accept(lambda item: True, True)
        message = GossipMessage(tag=GossipMessage.CHAN_ONLY, private_data={"payload": {}})
        for number in range(1, 100):
            message.nonce = number
            await ann.send(message, bob.pki_id)
        await stops(ann)
        with trio.fail_after(SECONDS):
            nonces = [(await inlet.receive()).message.nonce for _ in range(99)]
        assert nonces == list(range(1, 100))


async def test_time_ends_with_a_peer():
    async with cleanly(), open_town() as town:
        ann = await town.opens(1, 0)
        ann._engine.close()
        with trio.fail_after(SECONDS):
            await ann._engine.beat()


@pytest.mark.slow
async def test_a_peer_stops_in_the_middle_of_a_state_transfer():
    channel = Channel.make()
    async with cleanly(), open_town() as town:
        ann = await town.opens(1, 0, params=LEADS)
        await town.joins(ann, channel)
        channel.orders(200, size=20_000)
        await until(lambda: ann.height("sales") == 201)
        bob = await town.opens(1, 1, params=FOLLOWS, bootstrap=[ann])
        await town.joins(bob, channel)
        await until(lambda: bob.height("sales") > 20)
        await stops(bob)
        reached = town.ledger(bob, channel).height
        assert 20 < reached < 201
        # Where it ended, it begins again.
        again = await town.opens(1, 1, params=FOLLOWS, bootstrap=[ann])
        await town.joins(again, channel)
        assert again.height("sales") == reached
        await town.all_at(channel, reached + 20, [again])


@pytest.mark.slow
@pytest.mark.parametrize("giver", [True, False])
async def test_a_peer_stops_in_the_middle_of_a_large_block(giver: bool):
    channel = Channel.make()
    async with cleanly(), two(channel) as (town, ann, bob):
        channel.orders(1, size=20 * MIB)
        await until(lambda: ann._engine.topics.large._given)
        first, second = (ann, bob) if giver else (bob, ann)
        await stops(first)
        await stops(second)
        assert (town.ledger(ann, channel).height, town.ledger(bob, channel).height) == (2, 1)


async def test_a_peer_that_is_cancelled_leaves_nothing_behind():
    channel = Channel.make()
    async with cleanly():
        with trio.CancelScope() as scope:
            async with two(channel) as (_, _, bob):
                channel.orders(5)
                await until(lambda: bob.height("sales") > 1)
                started = trio.current_time()
                scope.cancel()
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert trio.current_time() - started < BOUND


async def test_those_who_come_while_a_peer_stops_do_it_no_harm():
    async with cleanly(), open_town() as town:
        ann, bob = await town.opens(1, 0), await town.opens(1, 1)
        [address, *_] = ann.node.addresses

        async def comes() -> None:
            while True:
                with suppress(Exception):
                    await bob.node.connect(address)
                    await bob.node.host.disconnect(ann.node.peer_id)
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(comes)
            await until(lambda: bob.node.host.connected_peers())
            await stops(ann)
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"listen": ["/ip4/192.0.2.1/tcp/0"]}, "cannot listen on"),
        ({"listen": ["nonsense"]}, "nonsense"),
        ({"params": QUICK.replaced(bootstrap=("nowhere",))}, "bad endpoint 'nowhere'"),
        ({"params": QUICK.replaced(external_endpoint=":1")}, "bad endpoint ':1'"),
        ({"announce_above": 1}, "announce_above must be a whole number of at least"),
        ({"announce_above": "1"}, "announce_above must be a whole number"),
        ({"metadata": "text"}, "metadata must be bytes"),
        ({"listen": "/ip4/127.0.0.1/tcp/0"}, "listen takes a list of addresses"),
        ({"listen": [7051]}, "not an address: 7051"),
        ({"params": None}, "params must be a GossipParams, not None"),
        ({"network": b"dev"}, "network must be a str or Network"),
        ({"scope": "org"}, "scope must be a Scope, not 'org'"),
    ],
)
async def test_what_cannot_work_is_said_in_one_line(options: dict[str, object], text: str):
    member = next(iter(org(1).members.values()))

    async def run() -> None:
        async with open_fabric_peer(member.signer, org(1).msp(), **options):  # type: ignore[arg-type]
            pytest.fail("began all the same")

    async with cleanly():
        with pytest.raises(ParamError) as caught:
            await run()
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


# -- Errors of the user's own


class OddError(Exception):
    pass


ERRORS = [OddError("x"), OSError("y"), RemoteError("z"), ClosedError("c"), ValueError("v")]


async def comes_out(error: BaseException, run: Callable[[], Awaitable[None]]) -> None:
    """See that a peer ends with this very error, and that nothing is left."""
    async with cleanly():
        with pytest.raises(type(error)) as caught, trio.fail_after(SECONDS):
            await run()
    assert caught.value is error


@asynccontextmanager
async def failing(**more: object) -> AsyncIterator[GossipService]:
    """The peer whose user makes the mistake."""
    member = list(org(1).members.values())[2]
    async with open_fabric_peer(
        member.signer,
        org(1).msp(),
        listen=[LOOPBACK],
        **{"params": LEADS, **more},  # type: ignore[arg-type]
    ) as service:
        yield service


@asynccontextmanager
async def beside(
    params: GossipParams = QUICK, **more: object
) -> AsyncIterator[tuple[GossipService, GossipService]]:
    """A peer that makes no mistake, and one that does."""
    async with open_town() as town:
        ann = await town.opens(1, 0, params=params)
        async with failing(**more) as eve:
            yield ann, eve


@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_what_a_predicate_raises_about_gossip_comes_out(error: Exception):
    def fail(item: Gossiped) -> bool:
        raise error

    async def run() -> None:
        async with beside() as (ann, eve):
            eve.accept(fail)
            await eve.node.connect(ann.node.addresses[0])
            await trio.sleep_forever()

    await comes_out(error, run)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_what_a_predicate_raises_about_a_message_comes_out(error: Exception):
    def fail(item: Received) -> bool:
        raise error

    async def run() -> None:
        async with beside() as (ann, eve):
            await ann.node.connect(eve.node.addresses[0])
            await until(lambda: ann._engine.directory.peer(eve.pki_id))
            eve.accept(fail, True)
            message = GossipMessage(tag=GossipMessage.CHAN_ONLY, private_data={"payload": {}})
            await ann.send(message, eve.pki_id)
            await trio.sleep_forever()

    await comes_out(error, run)


async def test_of_many_errors_the_first_comes_out():
    errors: list[OddError] = []

    def fail(item: Received) -> bool:
        errors.append(OddError(len(errors)))
        raise errors[-1]

    async def run() -> None:
        async with beside() as (ann, eve):
            await ann.node.connect(eve.node.addresses[0])
            await until(lambda: ann._engine.directory.peer(eve.pki_id))
            eve.accept(fail, True)
            message = GossipMessage(tag=GossipMessage.CHAN_ONLY, private_data={"payload": {}})
            raw = wrap_message(message).raw
            for _ in range(2):
                eve._engine._on_envelope(ann.pki_id, DIRECT, raw)
            await trio.sleep_forever()

    async with cleanly():
        with pytest.raises(OddError) as caught, trio.fail_after(SECONDS):
            await run()
    assert len(errors) == 2
    assert caught.value is errors[0]


class Broken(MemoryLedger):
    def __init__(self, error: Exception, *, reads: bool = False) -> None:
        super().__init__()
        self.error = error
        self.fails_to_read = reads

    def append(self, number: int, raw: bytes) -> None:
        if number and not self.fails_to_read:
            raise self.error
        super().append(number, raw)

    def block(self, number: int) -> bytes | None:
        if number and self.fails_to_read:
            raise self.error
        return super().block(number)


@pytest.mark.parametrize("error", [OddError("x"), OSError("y")], ids=repr)
async def test_what_a_ledger_raises_when_it_keeps_a_block_comes_out(error: Exception):
    channel = Channel.make()

    async def run() -> None:
        async with failing() as eve:
            ledger = Broken(error)
            await eve.join_channel(channel.genesis.raw, ledger=ledger, delivery=channel.orderer)
            channel.orders(1)
            await trio.sleep_forever()

    await comes_out(error, run)


@pytest.mark.parametrize("error", [OddError("x"), OSError("y")], ids=repr)
async def test_what_a_ledger_raises_when_it_is_read_comes_out(error: Exception):
    channel = Channel.make()
    channel.orders(30)

    async def run() -> None:
        ledger = Broken(error, reads=True)
        async with beside(FOLLOWS) as (ann, eve):
            await eve.join_channel(channel.genesis.raw, ledger=ledger, delivery=channel.orderer)
            await eve.wait_for_height("sales", 31)
            await ann.join_channel(channel.genesis.raw, ledger=MemoryLedger())
            await ann.node.connect(eve.node.addresses[0])
            await trio.sleep_forever()

    await comes_out(error, run)


async def test_a_ledger_that_says_why_does_not_end_its_peer():
    channel = Channel.make()
    async with cleanly(), failing() as eve:
        ledger = Broken(LedgerError("the disk is full"))
        await eve.join_channel(channel.genesis.raw, ledger=ledger, delivery=channel.orderer)
        channel.orders(1)
        await until(lambda: eve.snapshot()["warnings"].get("channel.commit"))
        assert eve.height("sales") == 1


@pytest.mark.parametrize("error", [OddError("x"), OSError("y")], ids=repr)
async def test_what_a_ledger_raises_when_a_large_block_is_asked_for_comes_out(error: Exception):
    only_pushed = FOLLOWS.replaced(state_enabled=False)
    channel = Channel.make()

    async def run() -> None:
        ledger = Broken(error, reads=True)
        async with beside(only_pushed, announce_above=5000) as (ann, eve):
            await eve.join_channel(channel.genesis.raw, ledger=ledger, delivery=channel.orderer)
            await ann.join_channel(channel.genesis.raw, ledger=MemoryLedger())
            await ann.node.connect(eve.node.addresses[0])
            topic = topic_of(eve, channel, Kind.BLOCKS)
            await until(lambda: eve.node.mesh(topic))
            # As if it had been announced long ago.
            eve._engine.topics.large.keep = lambda announced, envelope: None  # type: ignore[method-assign]
            channel.orders(1, size=10_000)
            await trio.sleep_forever()

    await comes_out(error, run)


@pytest.mark.slow
@pytest.mark.parametrize("error", [OddError("x"), OSError("y")], ids=repr)
async def test_what_raises_about_a_shared_store_comes_out(error: Exception):
    def fail(peer: bytes, contents: list[object]) -> None:
        raise error

    async def run() -> None:
        async with beside() as (ann, eve):
            store = VersionedStore()
            store.put(b"colour", 1, b"green")
            ann.share(store, kind=100)
            eve.share(VersionedStore(), kind=100, on_pulled=fail)
            await eve.node.connect(ann.node.addresses[0])
            await trio.sleep_forever()

    await comes_out(error, run)


async def test_an_error_in_the_block_comes_out_as_itself():
    error = OddError("x")
    cause = error.__cause__ = ValueError("cause")

    async def run() -> None:
        async with failing():
            raise error

    await comes_out(error, run)
    assert error.__cause__ is cause


async def test_an_error_comes_out_of_a_peer_that_is_stopped_at_once():
    error = OddError("x")

    async def run() -> None:
        async with failing() as eve:
            eve._engine.fail(error)
            await eve.stop()

    await comes_out(error, run)
