"""Our node and the unmodified Go and JavaScript implementations in one topic, over loopback."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

import pubsub
from interop.peers import ForeignPeer, foreign_peer
from pubsub.router.message_ids import PRESETS

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

TOPIC = "interop"
COUNT, SMALLEST, LARGEST = 200, 10, 60 * 1024
GOSSIPED = 50
FOLLOWUP = 0.4
"Seconds in which what was asked for must come; ten times that from a peer that sends meanwhile."
LOOPBACK = "/ip4/127.0.0.1/tcp/0"


@asynccontextmanager
async def linked(
    command: list[str], direction: str, params: pubsub.Params | None = None, *options: str
) -> AsyncIterator[tuple[pubsub.Node, ForeignPeer]]:
    """A node of ours and a foreign peer, dialled one way or the other, both seeing the other."""
    async with pubsub.open_node(listen=[LOOPBACK], params=params) as node:
        if direction == "theirs":
            options += ("--connect", str(node.addresses[0]))
        async with foreign_peer(command, "--topic", TOPIC, *options) as peer:
            if direction == "ours":
                await node.connect(peer.address)
            with trio.fail_after(20):
                await node.wait_for_peers(TOPIC)
            yield node, peer


async def until(ready: object, seconds: float = 20) -> None:
    """Wait for something that only polling shows."""
    assert callable(ready)
    with trio.fail_after(seconds):
        while not ready():  # noqa: ASYNC110 - a snapshot announces nothing
            await trio.sleep(0.05)


def payloads(seed: int) -> list[bytes]:
    rng = random.Random(seed)
    return [
        number.to_bytes(4, "big") + rng.randbytes(rng.randint(SMALLEST, LARGEST) - 4)
        for number in range(COUNT)
    ]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def collect(messages: pubsub.Subscription, count: int, seconds: float = 30) -> Counter[str]:
    """Read until `count` different messages have come, and a moment longer for surplus ones."""
    got: Counter[str] = Counter()
    with trio.move_on_after(seconds):
        while len(got) < count:
            got[digest((await messages.receive()).data)] += 1
    with trio.move_on_after(0.5):
        async for message in messages:
            got[digest(message.data)] += 1
    return got


def published(peer: ForeignPeer) -> Counter[str]:
    return Counter(event["sha256"] for event in peer.of("published"))


def received(peer: ForeignPeer) -> Counter[str]:
    return Counter(event["sha256"] for event in peer.of("message"))


@asynccontextmanager
async def gossiped(
    command: list[str], preset: str, sign: str, *more: str
) -> AsyncIterator[tuple[pubsub.Node, pubsub.Subscription, ForeignPeer, ForeignPeer]]:
    """Our node, a relay in whose mesh it is not, and an author in the relay's mesh.

    Both of them make message ids in their own way; `more` are options of the author.
    """
    params = pubsub.Params(
        d=0, d_low=0, d_high=0, signing=pubsub.Signing(sign), iwant_followup_time=FOLLOWUP
    )
    options = ["--topic", TOPIC, "--sign", sign, "--msg-id", "default"]
    async with (
        pubsub.open_node(params=params, message_id=PRESETS[preset]) as node,
        node.subscribe(TOPIC) as messages,
        foreign_peer(command, *options) as relay,
        foreign_peer(command, *options, *more, "--connect", relay.address) as author,
    ):
        await node.connect(relay.address)
        await relay.wait_for(lambda: relay.of("prune", dir="in", peer=str(node.peer_id)), "PRUNE")
        await relay.wait_for(lambda: relay.of("graft", peer=author.id), "the author in its mesh")
        await author.wait_for(lambda: author.of("graft"), "the relay in its mesh")
        yield node, messages, relay, author


@pytest.mark.parametrize("direction", ["ours", "theirs"])
@pytest.mark.parametrize("sign", ["strict", "none"])
async def test_every_message_arrives_exactly_once(
    command: list[str], direction: str, sign: str
) -> None:
    params = pubsub.Params(signing=pubsub.Signing(sign))
    async with (
        linked(command, direction, params, "--sign", sign) as (node, peer),
        node.subscribe(TOPIC) as messages,
    ):
        await peer.wait_for(lambda: peer.of("peer_joined"), "our subscription")
        await until(lambda: node.snapshot()["mesh"][TOPIC])
        await peer.tell(do="publish", count=COUNT, min=SMALLEST, max=LARGEST, interval_ms=0, seed=7)
        ours = payloads(1)
        for data in ours:
            receipt = await node.publish(TOPIC, data)
            assert [str(one) for one in receipt.peers] == [peer.id]
        got = await collect(messages, COUNT)
        expected = Counter(digest(data) for data in ours)
        await peer.wait_for(lambda: len(received(peer)) >= COUNT, "our messages", 30)
        await peer.wait_for(lambda: peer.of("done_publishing"), "the end of its publishing")
        assert received(peer) == expected
        assert got == published(peer)
        assert not peer.of("rejected")
        drops = node.snapshot()["drops"]
        assert not drops, drops


async def test_graft_and_prune_pass_both_ways(command: list[str]) -> None:
    async with linked(command, "ours") as (node, peer):
        messages = node.subscribe(TOPIC)
        # Whoever is quicker grafts, and the other accepts without a word.
        await until(lambda: node.snapshot()["mesh"][TOPIC] == [peer.id])
        await peer.wait_for(lambda: peer.of("graft"), "a GRAFT on its side")

        messages.close()
        await peer.wait_for(lambda: peer.of("prune", dir="in"), "our PRUNE")
        await peer.wait_for(lambda: peer.of("peer_left"), "our UNSUBSCRIBE")

        # The backoff after leaving is 10 s; a GRAFT before that would be refused.
        before = node.snapshot()["counters"].get("prune_received", 0)
        messages = node.subscribe(TOPIC)
        await until(lambda: node.snapshot()["mesh"][TOPIC] == [peer.id], 30)
        await peer.tell(do="unsubscribe")
        await until(lambda: node.snapshot()["counters"].get("prune_received", 0) > before)
        assert node.snapshot()["mesh"][TOPIC] == []
        messages.close()


@pytest.mark.parametrize("first", ["ours", "theirs"])
async def test_either_side_grafts(command: list[str], first: str) -> None:
    """The side that subscribes while the other is already there gets or sends the GRAFT."""
    options = ("--subscribe", "off") if first == "ours" else ()
    async with pubsub.open_node(listen=[LOOPBACK]) as node:
        if first == "ours":
            node.subscribe(TOPIC)
        async with foreign_peer(command, "--topic", TOPIC, *options) as peer:
            await node.connect(peer.address)
            if first == "ours":
                await peer.wait_for(lambda: peer.of("peer_joined"), "our subscription")
                await peer.tell(do="subscribe")
            else:
                with trio.fail_after(20):
                    await node.wait_for_peers(TOPIC)
                node.subscribe(TOPIC)
            await until(lambda: node.snapshot()["mesh"][TOPIC] == [peer.id])
            counters = node.snapshot()["counters"]
            assert counters.get("graft_sent", 0) + counters.get("graft_received", 0) >= 1
            await peer.wait_for(lambda: peer.of("graft"), "the mesh on its side")


@pytest.mark.parametrize("direction", ["ours", "theirs"])
async def test_gossip_reaches_a_node_outside_the_mesh(command: list[str], direction: str) -> None:
    """Held out of the mesh (it prunes, D=0), a node gets and gives messages by IHAVE/IWANT."""
    held_out = pubsub.Params(d=0, d_low=0, d_high=0)
    async with (
        linked(command, direction, held_out) as (node, peer),
        node.subscribe(TOPIC) as messages,
        pubsub.open_node() as other,
        other.subscribe(TOPIC) as at_other,
    ):
        # It grafts us, now or at its heartbeat, and is told off.
        await peer.wait_for(lambda: peer.of("prune", dir="in"), "our PRUNE")
        # `other` is in the peer's mesh; what it publishes, the peer only tells us about.
        await other.connect(peer.address)
        await until(lambda: other.snapshot()["mesh"][TOPIC] == [peer.id], 30)
        await peer.wait_for(lambda: len(peer.of("peer_joined")) >= 2, "both subscriptions")
        ours, others = payloads(2)[:50], payloads(3)[:50]
        for mine, theirs in zip(ours, others, strict=True):
            assert (await node.publish(TOPIC, mine)).peers == ()
            await other.publish(TOPIC, theirs)
        got = await collect(messages, len(others))
        assert got == Counter(digest(data) for data in others)
        at_the_other = await collect(at_other, len(ours))
        assert at_the_other == Counter(digest(data) for data in ours)
        counters = node.snapshot()["counters"]
        assert counters["iwant_sent"] >= len(others)
        assert counters["iwant_answered"] >= len(ours)
        assert node.snapshot()["mesh"][TOPIC] == []


@pytest.mark.parametrize(
    ("command", "preset", "sign", "more"),
    [
        ("go", "go", "strict", ()),
        ("js", "js", "strict", ()),
        ("js", "js", "strict", ("--key", "rsa")),
        ("js", "js", "none", ()),
    ],
    indirect=["command"],
)
async def test_gossip_names_messages_as_the_others_do_by_default(
    command: list[str], preset: str, sign: str, more: tuple[str, ...]
) -> None:
    """What they publish and what we publish crosses between us by IHAVE and IWANT alone."""
    async with gossiped(command, preset, sign, *more) as (node, messages, relay, author):
        await author.tell(do="publish", count=GOSSIPED, min=10, max=2000, interval_ms=0, seed=7)
        ours = payloads(2)[:GOSSIPED]
        for data in ours:
            assert (await node.publish(TOPIC, data)).peers == ()
        ids: Counter[str] = Counter()
        with trio.fail_after(30):
            while len(ids) < GOSSIPED:
                ids[(await messages.receive()).id.hex()] += 1
        await relay.wait_for(lambda: len(received(relay)) >= 2 * GOSSIPED, "all messages")
        # Long enough for a promise under another name to be seen to be broken.
        await trio.sleep(10 * FOLLOWUP + 2)
        assert ids == Counter(event["id"] for event in author.of("published"))
        assert received(relay) == published(author) + Counter(map(digest, ours))
        snapshot = node.snapshot()
        assert snapshot["counters"]["iwant_sent"] == GOSSIPED
        assert snapshot["counters"]["iwant_answered"] == GOSSIPED
        assert not {"broken_promises", "duplicate", "iwant_unknown"} & snapshot["counters"].keys()
        assert snapshot["drops"].keys() <= {"graft_refused"}


@pytest.mark.parametrize("command", ["js"], indirect=True)
async def test_gossip_under_other_names_is_promises_broken(command: list[str]) -> None:
    async with gossiped(command, "go", "strict") as (node, _, _, author):
        await author.tell(do="publish", count=1, min=10, max=10, interval_ms=0, seed=7)
        await until(lambda: node.snapshot()["counters"].get("broken_promises"))


@pytest.mark.parametrize("command", ["js"], indirect=True)
async def test_an_author_with_an_rsa_key(command: list[str]) -> None:
    """His id does not hold his key, which comes with each message."""
    async with (
        linked(command, "ours", None, "--key", "rsa") as (node, peer),
        node.subscribe(TOPIC) as messages,
    ):
        assert peer.id.startswith("Qm")
        await until(lambda: node.snapshot()["mesh"][TOPIC] == [peer.id])
        await peer.wait_for(lambda: peer.of("graft"), "the mesh on its side")
        await peer.tell(do="publish", count=5, min=10, max=2000, interval_ms=0, seed=7)
        assert await collect(messages, 5) == published(peer)
        await node.publish(TOPIC, b"hello")
        await peer.wait_for(lambda: received(peer) == {digest(b"hello"): 1}, "our message")
