"""Who has to do with whom, who may know what, and what the application thinks of messages."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

import pubsub
from pubsub import Params
from pubsub.host import Stream
from pubsub.identity import PrivateKey, peer_id_of
from pubsub.pb import rpc_pb2
from tests.io.nodes import (
    LOOPBACK,
    TOPIC,
    RawPeer,
    drops,
    is_linked,
    know,
    link,
    mesh,
    open_pair,
    raw_peer,
    rpc,
    take,
    until,
)

QUICK = Params(heartbeat_interval=0.05)


# Validators of the node


async def test_the_nodes_validators_are_asked_before_the_topics_own():
    asked: list[str] = []

    def short(message: pubsub.Message) -> bool:
        asked.append("short")
        return len(message.data) < 10

    async def calm(message: pubsub.Message) -> bool:
        await trio.lowlevel.checkpoint()
        asked.append("calm")
        return not message.data.endswith(b"!")

    def lower(message: pubsub.Message) -> bool:
        asked.append("lower")
        return message.data.islower()

    async with (
        pubsub.open_node(listen=[LOOPBACK], validators=[short, calm]) as ann,
        pubsub.open_node() as bob,
    ):
        await link(bob, ann)
        async with ann.subscribe(TOPIC) as messages, ann.subscribe("other") as others:
            ann.set_validator(TOPIC, lower)
            await know(bob, "other")
            await bob.publish(TOPIC, b"good")
            assert await take(messages, 1) == [b"good"]
            # Those that must be awaited come last: they cost more.
            assert asked == ["short", "lower", "calm"]
            for data in (b"much too long for us", b"GOOD", b"good!"):
                await bob.publish(TOPIC, data)
            await until(lambda: drops(ann, "rejected_by_validator") == 3)
            await bob.publish("other", b"OTHER")
            assert await take(others, 1) == [b"OTHER"]
            await bob.publish("other", b"OTHER!")
            await until(lambda: drops(ann, "rejected_by_validator") == 4)
            # Without its own the topic is judged like all others.
            ann.set_validator(TOPIC, None)
            await bob.publish(TOPIC, b"LOUD")
            assert await take(messages, 1) == [b"LOUD"]
            await bob.publish(TOPIC, b"LOUD!")
            await until(lambda: drops(ann, "rejected_by_validator") == 5)


@pytest.mark.parametrize("validators", [len, ["no"]])
async def test_validators_that_are_none_are_refused(validators: object):
    with pytest.raises(pubsub.ParamError, match="list of functions"):
        async with pubsub.open_node(validators=validators):
            raise AssertionError("it opened")


# What the application thinks of a peer


async def test_feedback_counts_in_the_score_and_shows():
    async with open_pair(QUICK) as (ann, bob), ann.subscribe(TOPIC), bob.subscribe(TOPIC):
        await until(lambda: ann.mesh(TOPIC) == [bob.peer_id] and bob.mesh(TOPIC) == [ann.peer_id])
        ann.feedback(bob.peer_id, 2.0)
        report = ann.inspect(bob.peer_id)
        assert report.connected
        assert report.feedback == pytest.approx(2.0, rel=0.01)
        assert report.p5 > 0
        assert report.total == pytest.approx(report.p5 + report.topic_total)
        ann.feedback(bob.peer_id, -4.0)
        assert ann.inspect(bob.peer_id).total < 0
        await until(lambda: ann.mesh(TOPIC) == [])
        nobody = peer_id_of(PrivateKey.generate(os.urandom).public_key)
        assert ann.inspect(nobody) == pubsub.ScoreReport()
        with pytest.raises(pubsub.ParamError, match="a finite number"):
            ann.feedback(bob.peer_id, float("nan"))


async def test_without_scores_there_is_no_feedback():
    async with pubsub.open_node(params=Params(scoring=False)) as node:
        with pytest.raises(pubsub.ParamError, match="scoring is off"):
            node.feedback(node.peer_id, 1.0)
        assert node.inspect(node.peer_id) == pubsub.ScoreReport()


# The gate


async def test_a_peer_that_is_denied_is_gone_at_once_and_does_not_come_back():
    async with open_pair() as (ann, bob), ann.events() as events:
        ann.gate.deny(bob.peer_id)
        with trio.fail_after(2):
            assert await events.receive() == pubsub.Disconnected(bob.peer_id)
        assert ann.peers() == []
        await until(lambda: not bob.peers())
        with pytest.raises(pubsub.DialError, match="denied by this host's gate"):
            await ann.connect(bob.addresses[0])
        ann.gate.allow(bob.peer_id)
        await link(ann, bob)


async def test_a_gate_that_is_given_is_heeded_from_the_start():
    async with pubsub.open_node(listen=[LOOPBACK]) as ann:
        gate = pubsub.Gate(deny_peers=[ann.peer_id])
        async with pubsub.open_node(gate=gate) as bob:
            assert bob.gate is gate
            with pytest.raises(pubsub.DialError, match="denied by this host's gate"):
                await bob.connect(ann.addresses[0])


@pytest.mark.parametrize("banned", [False, True])
async def test_what_a_denied_peer_wrote_is_dropped_whoever_brings_it(banned: bool):
    author = PrivateKey.generate(os.urandom)
    authors_id = peer_id_of(author.public_key)
    async with (
        pubsub.open_node(listen=[LOOPBACK], params=QUICK) as node,
        raw_peer() as friend,
        node.subscribe(TOPIC) as messages,
    ):
        if banned:
            node.gate.ban(authors_id, 0.4)
        else:
            node.gate.deny(authors_id)
        stream = await friend.open(node)
        theirs = friend.message(TOPIC, b"by the denied one", author)
        await stream.send_all(rpc(theirs, friend.message(TOPIC, b"by the friend")))
        assert await take(messages, 1) == [b"by the friend"]
        assert drops(node, "author_barred") == 1
        # The friend is not to blame.
        assert node.inspect(friend.host.peer_id).total >= 0
        # A ban ends by itself.
        if not banned:
            node.gate.allow(authors_id)
        await until(lambda: not node._engine._barred)
        await stream.send_all(rpc(theirs))
        assert await take(messages, 1) == [b"by the denied one"]


async def test_a_banned_peer_may_return_when_the_ban_is_over():
    time = [0.0]
    async with (
        pubsub.open_node(
            listen=[LOOPBACK], params=QUICK, gate=pubsub.Gate(clock=lambda: time[0])
        ) as ann,
        pubsub.open_node(listen=[LOOPBACK], params=QUICK) as bob,
    ):
        await link(ann, bob)
        ann.gate.ban(bob.peer_id, 60)
        await until(lambda: not bob.peers())
        with pytest.raises(pubsub.DialError):
            await ann.connect(bob.addresses[0])
        time[0] = 61.0
        await link(ann, bob)


# Who may know what


def mentions(peer: RawPeer, topic: str) -> list[str]:
    """Every frame that a raw peer got and that has to do with a topic, by its parts' names."""
    found: list[str] = []
    for one in peer.rpcs():
        found += ["subscription" for entry in one.subscriptions if entry.topic_id == topic]
        messages = [rpc_pb2.Message.FromString(raw) for raw in one.publish]
        found += ["message" for message in messages if message.topic == topic]
        control = one.control
        for kind in ("ihave", "graft", "prune"):
            found += [kind for entry in getattr(control, kind) if entry.topic_id == topic]
        found += ["iwant"] * len(control.iwant) + ["idontwant"] * len(control.idontwant)
    return found


SECRET = "members only"
BIG = bytes(5000)
"Large enough to be announced by IDONTWANT."


@asynccontextmanager
async def club(members: set[pubsub.PeerId]) -> AsyncIterator[tuple[pubsub.Node, RawPeer, Stream]]:
    """A node in a topic that members may know, and a raw peer that wants to."""

    def may_know(peer: pubsub.PeerId, topic: str) -> bool:
        return topic != SECRET or peer in members

    async with (
        pubsub.open_node(listen=[LOOPBACK], params=QUICK, may_know=may_know) as node,
        raw_peer() as peer,
        node.subscribe(SECRET),
        node.subscribe(TOPIC),
    ):
        stream = await peer.open(node)
        await stream.send_all(rpc(subscribe=(SECRET, TOPIC)))
        await until(lambda: "graft" in mentions(peer, TOPIC))
        yield node, peer, stream


async def test_an_outsider_hears_nothing_of_the_topic():
    async with club(set()) as (node, peer, stream), node.subscribe(SECRET) as messages:
        receipt = await node.publish(SECRET, BIG)
        await node.publish("else", b"x")
        assert receipt.peers == ()
        # Whatever it tries.
        await stream.send_all(
            rpc(
                peer.message(SECRET, BIG),
                graft=[rpc_pb2.ControlGraft(topic_id=SECRET)],
                prune=[rpc_pb2.ControlPrune(topic_id=SECRET)],
                ihave=[rpc_pb2.ControlIHave(topic_id=SECRET, message_ids=[b"some id"])],
                iwant=[rpc_pb2.ControlIWant(message_ids=[receipt.id])],
            )
        )
        await until(lambda: drops(node, "may_not_know") == 2)
        await node.publish(TOPIC, b"for all")
        await until(lambda: b"for all" in peer.messages())
        await trio.sleep(3 * QUICK.heartbeat_interval)
        assert mentions(peer, SECRET) == []
        assert SECRET.encode() not in peer.heard
        assert messages.waiting == 0
        assert node.peers(SECRET) == node.mesh(SECRET) == []
        assert node.peers(TOPIC) == [peer.host.peer_id]


async def test_who_becomes_a_member_is_told_and_let_in_and_who_is_none_any_more_is_parted():
    members: set[pubsub.PeerId] = set()
    async with club(members) as (node, peer, stream), node.subscribe(SECRET) as messages:
        members.add(peer.host.peer_id)
        node.recheck()
        await until(lambda: mentions(peer, SECRET) == ["subscription", "graft"])
        await node.publish(SECRET, b"welcome")
        await until(lambda: b"welcome" in peer.messages())
        await stream.send_all(rpc(peer.message(SECRET, b"thanks")))
        assert await take(messages, 1) == [b"thanks"]

        members.clear()
        node.recheck()
        assert node.peers(SECRET) == node.mesh(SECRET) == []
        before = len(mentions(peer, SECRET))
        assert (await node.publish(SECRET, BIG)).peers == ()
        await stream.send_all(rpc(peer.message(SECRET, b"still me")))
        await node.publish(TOPIC, b"for all")
        await until(lambda: b"for all" in peer.messages())
        await trio.sleep(3 * QUICK.heartbeat_interval)
        assert len(mentions(peer, SECRET)) == before
        assert messages.waiting == 0


async def test_what_waits_for_one_who_may_know_no_more_is_taken_back():
    members: set[pubsub.PeerId] = set()
    async with club(members) as (node, peer, _):
        members.add(peer.host.peer_id)
        node.recheck()
        await until(lambda: node.mesh(SECRET))
        # Queued, and not yet taken: nothing runs in between.
        receipt = node.publish_nowait(SECRET, BIG)
        assert receipt.peers == (peer.host.peer_id,)
        members.clear()
        node.recheck()
        await node.publish(TOPIC, b"for all")
        await until(lambda: b"for all" in peer.messages())
        assert BIG not in peer.messages()
        assert drops(node, "may_not_know") == 2


async def test_two_members_talk_while_a_third_peer_between_them_hears_nothing():
    members: set[pubsub.PeerId] = set()

    def may_know(peer: pubsub.PeerId, topic: str) -> bool:
        return topic != SECRET or peer in members

    async with (
        pubsub.open_node(listen=[LOOPBACK], params=QUICK, may_know=may_know) as ann,
        pubsub.open_node(params=QUICK, may_know=may_know) as bob,
        raw_peer() as outsider,
    ):
        members |= {ann.peer_id, bob.peer_id}
        stream = await outsider.open(ann)
        await stream.send_all(rpc(subscribe=(SECRET, TOPIC)))
        await link(bob, ann)
        async with bob.subscribe(SECRET) as messages, ann.subscribe(SECRET), ann.subscribe(TOPIC):
            await until(lambda: mesh(ann, SECRET) and mesh(bob, SECRET))
            await ann.publish(SECRET, BIG)
            assert await take(messages, 1) == [BIG]
            await bob.publish(SECRET, b"and back")
            await until(lambda: "graft" in mentions(outsider, TOPIC))
            await trio.sleep(3 * QUICK.heartbeat_interval)
            assert mentions(outsider, SECRET) == []


# Topics that a node has to do with


async def test_topics_that_the_filter_keeps_out_are_nothing_to_the_node():
    async with (
        pubsub.open_node(listen=[LOOPBACK], topic_filter=lambda t: t.startswith("ours/")) as ann,
        pubsub.open_node() as bob,
    ):
        bob.subscribe("ours/news")
        bob.subscribe("theirs/news")
        await bob.connect(ann.addresses[0])
        await until(lambda: is_linked(ann, bob) and drops(ann, "subscription_refused"))
        assert await know(ann, "ours/news") == [bob.peer_id]
        assert ann.peers("theirs/news") == []
        for verb in (ann.subscribe, ann.relay, lambda topic: ann.publish_nowait(topic, b"x")):
            with pytest.raises(pubsub.ParamError, match="is not one of those that this node's"):
                verb("theirs/news")
        assert len((await ann.publish("ours/news", b"x")).peers) == 1
