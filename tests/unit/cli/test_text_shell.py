"""What a person sees and types."""

from __future__ import annotations

import logging

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.cli.options import parse_addresses
from pubsub.cli.shell import dial_problem
from pubsub.cli.text_shell import TextShell, new_drops, split_topic
from pubsub.identity import PrivateKey, peer_id_of
from pubsub.node.events import Connected, Disconnected, Grafted, PeerJoined, PeerLeft, Pruned
from pubsub.params import Params
from tests.unit.cli.stage import FakeMessage

ANN, BOB = (peer_id_of(PrivateKey(bytes([n]) * 32).public_key) for n in (1, 2))
SHORT_ANN, SHORT_BOB = (f"12D3…{str(peer)[-6:]}" for peer in (ANN, BOB))


async def test_listening_is_told_at_the_start(make_stage) -> None:
    stage = make_stage()
    async with stage.running(TextShell):
        assert stage.err.take() == [f"listening on {stage.node.addresses[0]}"]
        assert list(stage.node.subscriptions) == ["A"]


async def test_messages_are_printed_safely(make_stage) -> None:
    stage = make_stage()
    async with stage.running(TextShell):
        stage.node.deliver(FakeMessage("A", b"hello"))
        stage.node.deliver(FakeMessage("A", b"\x1b[2Jboo\xff\n", author=None))
        assert await stage.line(stage.out, 2) == [
            f"[A] {SHORT_ANN}: hello",
            "[A] anonymous: \\x1b[2Jboo\\xff\\n",
        ]


async def test_peers_are_named_when_they_come_and_go(make_stage) -> None:
    stage = make_stage()
    async with stage.running(TextShell):
        stage.err.take()
        for event in (
            *(Connected(ANN), PeerJoined("A", ANN), PeerJoined("other", ANN)),
            *(PeerLeft("A", ANN), Disconnected(ANN)),
        ):
            stage.node.tell(event)
        assert await stage.line(stage.err, 2) == [
            f"peer joined A: {SHORT_ANN}",
            f"peer left A: {SHORT_ANN}",
        ]


async def test_verbose_tells_of_connections_mesh_and_drops(
    make_stage, autojump_clock: MockClock
) -> None:
    stage = make_stage(verbose=True)
    async with stage.running(TextShell):
        stage.err.take()
        stage.node.tell(Connected(ANN))
        stage.node.tell(Disconnected(ANN))
        await wait_all_tasks_blocked()
        assert stage.err.take() == [f"connected {SHORT_ANN}", f"disconnected {SHORT_ANN}"]
        stage.node.meshes = {"A": [ANN, BOB]}
        stage.node.tell(Grafted("A", ANN))
        await wait_all_tasks_blocked()
        stage.node.meshes = {"A": [BOB]}
        stage.node.tell(Pruned("A", ANN))
        await wait_all_tasks_blocked()
        assert stage.err.take() == [
            # It came by this event, and is named before what it does.
            f"connected {SHORT_ANN}",
            f"mesh of A: +{SHORT_ANN}, now 2 peers",
            f"mesh of A: -{SHORT_ANN}, now 1 peer",
        ]
        stage.node.state = {"drops": {"queue_full": 3}}
        await trio.sleep(1.5)
        assert stage.err.take() == ["dropped 3: queue_full"]
        await trio.sleep(5)
        assert stage.err.take() == []


async def test_without_verbose_changes_of_the_mesh_are_not_told(make_stage) -> None:
    stage = make_stage()
    async with stage.running(TextShell):
        stage.err.take()
        stage.node.tell(Grafted("A", ANN))
        stage.node.tell(Pruned("A", ANN))
        await wait_all_tasks_blocked()
        assert stage.err.take() == []


async def test_relayed_topics_are_passed_on_and_not_read(make_stage) -> None:
    stage = make_stage(relay=("R",))
    stage.node.join("R", ANN)
    async with stage.running(TextShell):
        assert stage.node.relayed == ["R"]
        assert list(stage.node.subscriptions) == ["A"]
        assert stage.err.take()[1:] == [f"peer joined R: {SHORT_ANN}"]
        stage.node.tell(PeerLeft("R", ANN))
        assert await stage.line(stage.err) == [f"peer left R: {SHORT_ANN}"]


async def test_who_relays_only_has_nowhere_to_publish_to(make_stage) -> None:
    stage = make_stage(topics=(), relay=("R",), quit_at_eof=True)
    async with stage.running(TextShell):
        stage.err.take()
        stage.type("hello\n")
        stage.end_input()
        assert await stage.finish() == 1
    assert stage.err.take() == ["pubsub-node: line 1: there is no --topic to publish to"]
    assert stage.node.published == []


async def test_warnings_of_the_package_are_problems(make_stage) -> None:
    stage = make_stage(quiet=True)
    logger = logging.getLogger("pubsub")
    before = list(logger.handlers)
    async with stage.running(TextShell):
        logger.warning("direct peer %s: %s", "x", "refused\n")
        logger.info("not that")
        assert stage.err.take() == ["pubsub-node: direct peer x: refused\\n"]
    assert logger.handlers == before


async def test_quiet_silences_all_but_problems(make_stage) -> None:
    stage = make_stage(quiet=True, params=Params(max_message_size=10))
    async with stage.running(TextShell):
        stage.node.tell(Connected(ANN))
        stage.node.tell(PeerJoined("A", ANN))
        stage.type("hello\n")
        await wait_all_tasks_blocked(0.01)
        assert stage.err.take() == []
        stage.type("this is too long\n")
        assert "16 bytes long" in (await stage.line(stage.err))[0]
        stage.node.deliver(FakeMessage("A", b"hello"))
        assert await stage.line(stage.out)


async def test_peers_who_were_there_before_us_are_greeted(make_stage) -> None:
    stage = make_stage(verbose=True)
    stage.node.join("A", ANN)
    async with stage.running(TextShell):
        assert stage.err.take()[1:] == [f"connected {SHORT_ANN}", f"peer joined A: {SHORT_ANN}"]


async def test_lines_are_published(make_stage) -> None:
    stage = make_stage()
    stage.node.join("A", ANN)
    async with stage.running(TextShell):
        stage.type("hello\n\nA: kept as it is\r\nlast")
        stage.end_input()
        with trio.fail_after(5):
            while len(stage.node.published) < 3:
                await wait_all_tasks_blocked(0.001)
    assert [data for _, data in stage.node.published] == [b"hello", b"A: kept as it is", b"last"]


async def test_empty_lines_count_when_they_are_piped(make_stage) -> None:
    stage = make_stage(quit_at_eof=True)
    stage.is_terminal = False
    stage.node.join("A", ANN)
    async with stage.running(TextShell):
        stage.type("a\n\nb\n")
        stage.end_input()
        assert await stage.finish() == 0
    assert [data for _, data in stage.node.published] == [b"a", b"", b"b"]


async def test_with_several_topics_a_line_names_its_own(make_stage) -> None:
    stage = make_stage("A", "A:B")
    stage.node.join("A", ANN)
    stage.node.join("A:B", ANN)
    async with stage.running(TextShell):
        stage.err.take()
        stage.type("A: one\nA:B: two\nA:three\nC: four\n")
        problems = await stage.line(stage.err)
    assert stage.node.published == [("A", b"one"), ("A:B", b"two"), ("A", b"three")]
    assert problems[-1] == 'pubsub-node: line 4: write "TOPIC: text" with one of A, A:B'


def test_the_longest_topic_that_fits_is_meant() -> None:
    assert split_topic(b"a:b: c", ("a", "a:b")) == ("a:b", b"c")
    assert split_topic(b"a:  c", ("a", "a:b")) == ("a", b" c")
    assert split_topic(b"a c", ("a",)) is None
    assert split_topic("é: x".encode(), ("é",)) == ("é", b"x")
    assert split_topic(b"\xff", ("a",)) is None


async def test_a_line_that_is_too_long_is_refused_with_its_size(make_stage) -> None:
    stage = make_stage(params=Params(max_message_size=100), quit_at_eof=True)
    stage.node.join("A", ANN)
    async with stage.running(TextShell):
        stage.err.take()
        stage.type(b"x" * 5000 + b"\n" + b"y" * 101 + b"\nok\n")
        stage.end_input()
        assert await stage.finish() == 1
    assert stage.node.published == [("A", b"ok")]
    first, second = stage.err.take()
    assert "line 1 is 5,000 bytes long; a message holds at most 100" in first
    assert second == "pubsub-node: line 2: not published: the message is too large"


async def test_publishing_to_nobody_is_said_once(make_stage) -> None:
    stage = make_stage()
    async with stage.running(TextShell):
        stage.err.take()
        stage.type("1\n2\n")
        await wait_all_tasks_blocked(0.02)
        assert stage.err.take() == ["nobody is in A yet: the message reached no one"]
        stage.node.join("A", ANN)
        stage.node.skipped = {BOB: "queue full"}
        stage.type("3\n")
        assert await stage.line(stage.err) == [f"not sent to {SHORT_BOB}: queue full"]


async def test_quitting_at_the_end_of_input(make_stage) -> None:
    stage = make_stage(quit_at_eof=True)
    stage.node.join("A", ANN)
    async with stage.running(TextShell):
        stage.type("hello\n")
        stage.end_input()
        assert await stage.finish() == 0
    assert stage.node.published == [("A", b"hello")]


async def test_nobody_was_there(make_stage, autojump_clock: MockClock) -> None:
    autojump_clock.autojump_threshold = 0.02
    stage = make_stage(quit_at_eof=True)
    stage.is_terminal = False
    async with stage.running(TextShell):
        stage.type("1\n2\n")
        stage.end_input()
        assert await stage.finish() == 1
    assert 10 <= trio.current_time() < 12
    assert stage.err.take()[1:] == [
        "waiting up to 10 s for a first peer in A",
        "nobody is in A yet: the message reached no one",
        "pubsub-node: nobody was there: 2 messages of 2 reached no peer",
    ]


async def test_a_network_that_is_too_slow_is_a_failure(make_stage) -> None:
    stage = make_stage(quit_at_eof=True)
    stage.node.join("A", ANN)
    stage.node.flushes = False
    async with stage.running(TextShell):
        stage.type("1\n")
        stage.end_input()
        assert await stage.finish() == 1
    assert stage.err.take()[-1] == "pubsub-node: not everything was sent: the network is too slow"


async def test_without_quitting_the_node_outlives_its_input(make_stage) -> None:
    stage = make_stage()
    async with stage.running(TextShell):
        stage.end_input()
        await wait_all_tasks_blocked(0.02)
        assert not stage.ended.is_set()
        stage.node.deliver(FakeMessage("A", b"still here"))
        assert await stage.line(stage.out) == [f"[A] {SHORT_ANN}: still here"]


async def test_a_dial_that_fails_is_said_and_survived(make_stage) -> None:
    address = parse_addresses("--connect", ["/ip4/127.0.0.1/tcp/1"])
    stage = make_stage(connect=address)
    stage.node.reachable = False
    async with stage.running(TextShell):
        assert stage.node.dialled == list(address)
        assert stage.err.take()[-1] == (
            "pubsub-node: cannot connect to /ip4/127.0.0.1/tcp/1: connection refused"
        )
        assert not stage.ended.is_set()


async def test_a_bootstrap_peer_that_is_not_there_is_said_once(
    make_stage, autojump_clock: MockClock
) -> None:
    stage = make_stage(bootstrap=parse_addresses("", ["/ip4/127.0.0.1/tcp/1"]))
    stage.node.reachable = False
    said = "pubsub-node: cannot connect to /ip4/127.0.0.1/tcp/1: connection refused; trying on"
    async with stage.running(TextShell):
        await trio.sleep(100)
        assert len(stage.node.dialled) > 3
        assert stage.err.take()[1:] == [said]
        stage.node.tell(Connected(BOB))
        await trio.sleep(100)
        assert stage.err.take() == [said], "after somebody came it is a new outage"


async def test_numbered_messages_at_an_interval(make_stage, autojump_clock: MockClock) -> None:
    stage = make_stage("A", "B", publish_interval=0.5)
    async with stage.running(TextShell):
        await trio.sleep(1.1)
    texts = [(topic, data.decode()) for topic, data in stage.node.published]
    us = f"12D3…{str(stage.node.peer_id)[-6:]}"
    assert texts == [(t, f"message {n} from {us}") for n in (1, 2) for t in ("A", "B")]


async def test_losses_are_said(make_stage, autojump_clock: MockClock) -> None:
    stage = make_stage()
    stage.out.room = 2
    async with stage.running(TextShell):
        stage.err.take()
        for _ in range(5):
            stage.node.deliver(FakeMessage("A", b"x"))
        await trio.sleep(1.5)
        assert stage.err.take() == ["pubsub-node: 3 lines lost: standard output is not being read"]
        for _ in range(9000):
            stage.node.deliver(FakeMessage("A", b"x"))
        await trio.sleep(1)
        for _ in range(5000):
            stage.node.tell(Connected(ANN))
        await trio.sleep(1)
        problems = stage.err.take()
        assert (
            "pubsub-node: 808 messages lost in A: they came faster than we could print" in problems
        )
        assert "pubsub-node: 904 events lost: they came faster than we could print" in problems


async def test_losses_are_said_even_at_a_sudden_end(make_stage) -> None:
    stage = make_stage()
    stage.out.room = 0
    async with stage.running(TextShell):
        stage.node.deliver(FakeMessage("A", b"x"))
        await wait_all_tasks_blocked()
    assert stage.err.take()[-1] == ("pubsub-node: 1 line lost: standard output is not being read")


def test_an_address_is_named_once() -> None:
    (address,) = parse_addresses("", ["/ip4/127.0.0.1/tcp/1"])
    named = "could not connect: /ip4/127.0.0.1/tcp/1: refused"
    assert dial_problem(address.with_peer(ANN), named) == named
    assert dial_problem(address, "refused") == f"cannot connect to {address}: refused"


def test_new_drops_are_told_by_reason() -> None:
    assert new_drops({"a": 1, "b": 2}, {"a": 1, "b": 1002, "c": 3}) == [
        "dropped 1,000: b",
        "dropped 3: c",
    ]
