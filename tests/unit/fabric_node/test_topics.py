from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
import trio.testing

from pubsub.errors import LocalError, ParamError
from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.actions import Warn
from pubsub.fabric.announcement import announce, block_envelope, read_announcement, request
from pubsub.fabric.envelope import decode_envelope
from pubsub.fabric.ledger import Ledger, LedgerError, MemoryLedger
from pubsub.fabric.proof import Proven
from pubsub.fabric.topics import BLOCK
from pubsub.fabric_node.directory import Directory
from pubsub.fabric_node.envelope_stream import Budget, EnvelopeStream
from pubsub.fabric_node.inlets import Gossiped, Inlets, Received
from pubsub.fabric_node.topics import FETCHES, Topics
from pubsub.identity import PeerId
from pubsub.pb.fabric.block_pb2 import Block
from pubsub.router.events import Validation
from pubsub.wire.framing import frame
from tests.unit.fabric.chains import make_block
from tests.unit.fabric.network import genesis, maker, transaction
from tests.unit.fabric.peering import ANN, BLOCKS, BOB, CHANNEL, HOME, Desk, alive, settled
from tests.unit.fabric_node.fake_hosts import FakeHost, FakeHosts, FakeStream

MAKER = maker()
SMALL = [MAKER.next_block([transaction()]) for _ in range(3)]
LARGE = MAKER.next_block([transaction(bytes(20_000))])
ABOVE = 10_000


def pushed(number: int, raw: bytes) -> bytes:
    return block_envelope(CHANNEL, number, raw).raw


class FakeNode:
    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.neighbours: list[PeerId] = []
        self.validators: dict[str, Callable[[Any], Any] | None] = {}
        self.options: dict[str, Any] = {}
        self.relayed: list[str] = []
        self.published: list[tuple[str, bytes]] = []
        self.refuses: Exception | None = None

    def mesh(self, topic: str) -> list[PeerId]:
        return self.neighbours

    def set_validator(self, topic: str, validator: Any, **options: Any) -> None:
        self.validators[topic] = validator
        self.options = options

    def relay(self, topic: str) -> Any:
        self.relayed.append(topic)
        return SimpleNamespace(close=lambda: self.relayed.remove(topic))

    def publish_nowait(self, topic: str, data: bytes) -> Any:
        if self.refuses is not None:
            raise self.refuses
        self.published.append((topic, data))
        return SimpleNamespace(skipped=("one",))


class Scene:
    """Our topics, around a whole core; ANN and BOB are connected."""

    def __init__(self, nursery: trio.Nursery, desk: Desk, ledger: Ledger | None) -> None:
        self.hosts = FakeHosts(nursery)
        self.us, self.ann, self.bob, self.eve = map(self.hosts.add, range(4))
        self.node = FakeNode(self.us)
        self.directory = Directory()
        for host, who in ((self.ann, ANN), (self.bob, BOB)):
            self.us.link(host)
            self.directory.enter(host.peer_id, Proven(who.pki_id, who.identity))
        self.desk = desk
        self.peer = desk.core
        self.closed = False
        self.done: list[fx.Effect] = []
        self.warnings: list[Warn] = []
        self.failures: list[Exception] = []
        self.inlets = Inlets()
        self.topics = Topics(
            cast("Any", self),
            self.inlets,
            {CHANNEL: ledger},
            above=ABOVE,
            budget=Budget(1 << 30),
        )

    def feed(self, event: ev.Event) -> None:
        for effect in self.desk.on(event):
            if isinstance(effect, fx.Validated):
                self.topics.validated(effect)
            else:
                self.done.append(effect)

    def perform(self, effect: fx.Effect) -> None:
        self.done.append(effect)

    def offer(self, item: Gossiped | Received) -> None:
        self.inlets.offer(item)

    def warn(self, warning: Warn) -> None:
        self.warnings.append(warning)

    def fail(self, error: Exception) -> None:
        self.failures.append(error)

    @property
    def blamed(self) -> list[bytes]:
        return [effect.peer for effect in self.done if isinstance(effect, fx.Blamed)]

    async def hears(self, topic: str, data: bytes, sender: FakeHost | None = None) -> Validation:
        """What becomes of a message of ANN, or another."""
        if topic not in self.node.validators:
            self.topics.join(fx.JoinTopic(topic))
        judge = self.node.validators[topic]
        assert judge is not None
        host = sender or self.ann
        verdict = judge(SimpleNamespace(data=data, received_from=host.peer_id))
        return await verdict() if callable(verdict) else verdict

    def gives(self, host: FakeHost, *envelopes: bytes) -> list[bytes]:
        """Let a peer answer its requests with these, one after the other; what it was asked."""
        asked: list[bytes] = []

        async def answer(stream: FakeStream) -> None:
            envelope = envelopes[len(asked)]
            asked.append(await stream.receive_some())
            await stream.send_all(frame(envelope))
            stream.close()

        host.set_handler(BLOCK, answer)
        return asked


@pytest.fixture
def now(nursery: trio.Nursery) -> Scene:
    return Scene(nursery, settled(), MemoryLedger())


# -- In and out of topics


def test_topics_are_relayed_and_judged_while_we_are_in_them():
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            now = Scene(nursery, settled(), None)
            now.topics.join(fx.JoinTopic(HOME))
            assert (now.node.relayed, now.node.options["concurrency"]) == ([HOME], FETCHES)
            now.topics.leave(fx.LeaveTopic(HOME))
            assert (now.node.relayed, now.node.validators) == ([], {HOME: None})

    trio.run(main)


async def test_what_is_small_is_published_whole_and_what_is_large_by_its_announcement(now: Scene):
    small, large = pushed(1, SMALL[0].raw), pushed(4, LARGE.raw)
    for topic, data in ((HOME, large), (BLOCKS, small), (BLOCKS, large)):
        now.topics.publish(fx.Publish(topic, data))
    assert now.node.published == [(HOME, large), (BLOCKS, small), (BLOCKS, announce(large))]
    assert now.topics.counters == {"published": 3, "skipped peers with full queues": 3}


async def test_what_cannot_be_published_is_told_of_and_what_others_published_is_not(now: Scene):
    now.node.refuses = ParamError("too long")
    now.topics.publish(fx.Publish(HOME, b"data"))
    now.node.refuses = LocalError("published already")
    now.topics.publish(fx.Publish(HOME, b"data"))
    assert now.warnings == [Warn("publish", f"{HOME}: too long")]
    assert now.topics.counters == {"published by others before": 1}


# -- What others publish


async def test_the_core_judges_and_what_it_accepts_is_read(now: Scene):
    inlet = now.inlets.accept(lambda item: True)
    good, bad = alive(ANN, seq=2).raw, b"what?"
    assert await now.hears(HOME, good) is Validation.ACCEPT
    assert await now.hears(HOME, good[:-1]) is Validation.REJECT
    assert await now.hears(HOME, bad) is Validation.REJECT
    assert await now.hears(HOME, alive(ANN, seq=1).raw) is Validation.IGNORE
    block = pushed(1, SMALL[0].raw)
    assert await now.hears(BLOCKS, block) is Validation.ACCEPT
    first, second = inlet.receive_nowait(), inlet.receive_nowait()
    assert (first.channel, first.envelope, first.sender) == ("", good, ANN.pki_id)
    assert (second.channel, second.envelope) == (CHANNEL, block)
    assert inlet.waiting == 0


async def test_what_comes_from_a_peer_that_is_gone_is_passed_over(now: Scene):
    large = pushed(4, LARGE.raw)
    for data in (alive(ANN, seq=2).raw, announce(large)):
        assert await now.hears(BLOCKS, data, now.eve) is Validation.IGNORE
    assert now.topics.counters == {"from peers that are gone": 1}


async def test_blocks_whose_ledger_the_user_keeps_are_read_once(nursery: trio.Nursery):
    now = Scene(nursery, settled(), None)
    inlet = now.inlets.accept(lambda item: True)
    raw = SMALL[0].raw
    assert await now.hears(BLOCKS, pushed(1, raw)) is Validation.ACCEPT
    assert inlet.waiting == 0
    now.topics.receive(fx.BlockReceived(CHANNEL, 1, raw))
    assert inlet.receive_nowait().message.data_msg.payload.data == raw


# -- Large blocks


async def test_an_announced_block_is_fetched_and_judged(
    now: Scene, autojump_clock: trio.testing.MockClock
):
    large = pushed(4, LARGE.raw)
    announced = read_announcement(announce(large))
    assert announced is not None
    asked = now.gives(now.ann, large)
    inlet = now.inlets.accept(lambda item: True)
    assert await now.hears(BLOCKS, announce(large)) is Validation.ACCEPT
    assert asked == [frame(request(announced))]
    assert inlet.receive_nowait().envelope == large
    assert now.blamed == []


@pytest.mark.parametrize(
    ("number", "channel", "verdict"),
    [
        (0, CHANNEL, Validation.IGNORE),
        (10_000, CHANNEL, Validation.IGNORE),
        (1, "otherchannel", Validation.REJECT),
    ],
)
async def test_an_announcement_that_is_not_wanted_is_not_followed(
    number: int, channel: str, verdict: Validation, now: Scene
):
    raw = genesis().raw if not number else make_block(number, bytes(32), [])
    announced = announce(block_envelope(channel, number, raw).raw)
    asked = now.gives(now.ann)
    assert await now.hears(BLOCKS, announced) is verdict
    assert asked == []


@pytest.mark.parametrize(
    "bad", [pushed(1, SMALL[0].raw), b"what?", pushed(4, make_block(4, bytes(32), []))]
)
async def test_a_block_that_is_not_the_one_announced_is_its_givers_fault(
    bad: bytes, now: Scene, autojump_clock: trio.testing.MockClock
):
    large = pushed(4, LARGE.raw)
    now.node.neighbours = [now.ann.peer_id, now.bob.peer_id]
    now.gives(now.ann, bad)
    now.gives(now.bob, b"what?")
    assert await now.hears(BLOCKS, announce(large)) is Validation.RETRY
    assert now.blamed == [ANN.pki_id, BOB.pki_id]
    now.gives(now.ann, large)
    assert await now.hears(BLOCKS, announce(large)) is Validation.ACCEPT
    assert now.blamed == [ANN.pki_id, BOB.pki_id]


async def test_a_block_that_cannot_be_judged_yet_is_not_kept_and_hides_no_other(
    now: Scene, autojump_clock: trio.testing.MockClock
):
    bare = Block.FromString(LARGE.raw)
    bare.metadata.metadata[0] = b""
    large, unsigned = pushed(4, LARGE.raw), pushed(4, bare.SerializeToString())
    now.gives(now.ann, unsigned)
    assert await now.hears(BLOCKS, announce(large)) is Validation.RETRY
    assert await asks(now, now.ann, large) is None
    now.gives(now.ann, large)
    assert await now.hears(BLOCKS, announce(large)) is Validation.ACCEPT
    assert await asks(now, now.ann, large) == large
    assert now.blamed == []


async def test_a_block_that_came_by_other_ways_meanwhile_is_nobodys_fault(
    now: Scene, autojump_clock: trio.testing.MockClock
):
    large = pushed(4, LARGE.raw)
    bob_asked = now.gives(now.bob, large)
    now.node.neighbours = [now.bob.peer_id]

    async def answer(stream: FakeStream) -> None:
        await stream.receive_some()
        assert await now.hears(BLOCKS, large) is Validation.ACCEPT
        await stream.send_all(frame(large))

    now.ann.set_handler(BLOCK, answer)
    assert await now.hears(BLOCKS, announce(large)) is Validation.IGNORE
    assert (now.blamed, bob_asked) == ([], [])
    # Nobody has looked whether that copy is genuine, so nobody gets it.
    assert await asks(now, now.ann, large) is None


class Broken(MemoryLedger):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def block(self, number: int) -> bytes | None:
        raise self.error


async def asks(now: Scene, host: FakeHost, envelope: bytes) -> bytes | None:
    announced = read_announcement(announce(envelope))
    assert announced is not None
    stream = await host.open_stream(now.us.peer_id, [BLOCK])
    await stream.send_all(frame(request(announced)))
    return await EnvelopeStream(cast("Any", stream), 1 << 30, Budget(1 << 30)).receive()


def filled(blocks: Sequence[bytes]) -> MemoryLedger:
    ledger = MemoryLedger()
    for number, raw in enumerate(blocks):
        ledger.append(number, raw)
    return ledger


async def test_blocks_of_the_ledger_are_given_to_those_who_may_have_them(nursery: trio.Nursery):
    blocks = [genesis().raw, *(block.raw for block in SMALL), LARGE.raw]
    now = Scene(nursery, settled(), filled(blocks))
    large = pushed(4, LARGE.raw)
    assert await asks(now, now.ann, large) == large
    # BOB is of another organization, and EVE has proved nothing.
    now.us.link(now.eve)
    assert [await asks(now, host, large) for host in (now.bob, now.eve)] == [None, None]
    assert decode_envelope(large).raw == large


async def test_a_block_that_the_ledger_has_another_of_or_none_is_not_given(nursery: trio.Nursery):
    now = Scene(nursery, settled(), filled([genesis().raw, SMALL[0].raw]))
    other = pushed(1, make_block(1, bytes(32), []))
    assert [await asks(now, now.ann, each) for each in (other, pushed(4, LARGE.raw))] == [None] * 2
    assert now.failures == []


@pytest.mark.parametrize("error", [OSError("broken"), ValueError("bad")])
async def test_what_a_ledger_raises_is_the_users(error: Exception, nursery: trio.Nursery):
    now = Scene(nursery, settled(), Broken(error))
    assert await asks(now, now.ann, pushed(4, LARGE.raw)) is None
    assert now.failures == [error]


async def test_a_ledger_that_says_why_ends_the_request_alone(nursery: trio.Nursery):
    now = Scene(nursery, settled(), Broken(LedgerError("closed")))
    with pytest.raises(Exception, match="reset"):
        await asks(now, now.ann, pushed(4, LARGE.raw))
    assert now.failures == []
    assert now.topics.large.counters == {"requests broken off": 1}
