"""Nothing of a channel reaches a peer outside, in any frame: counted over routers and streams."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from pubsub.fabric import effects as fx
from pubsub.fabric.blocks import parse_block
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.message_ids import message_id
from pubsub.fabric.topics import Scope
from pubsub.pb import rpc_pb2
from pubsub.router.policy import Policy
from pubsub.sim.fabric_city import RPC
from pubsub.wire.rpc import decode_rpc
from tests.sim.fabric_people import (
    WHEN,
    genesis,
    maker_after,
    organization,
    profile,
    transaction,
)
from tests.sim.fabric_quarter import HEARTBEAT, LATENCY, Frame, Neighbour, Quarter, QuarterNode

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
COMMON, RED, BLUE = "everybody", "red-channel", "blue-channel"
SECRETS = {RED: b"what red transactions say", BLUE: b"what blue transactions say"}
BOUNDS = {"max_publish": 10_000, "max_control": 10_000}


def ids_in(frame: Frame) -> list[bytes]:
    """The ids of messages that a frame names, and of those that it holds."""
    if frame.protocol != RPC:
        return []
    found = [message_id(topic, data) for topic, data in published(frame)]
    control = decode_rpc(frame.raw, **BOUNDS).control
    if control is not None:
        found += [each for _, ids in control.ihave for each in ids]
        found += [*control.iwant, *control.idontwant]
    return found


def published(frame: Frame) -> list[tuple[str, bytes]]:
    if frame.protocol != RPC:
        return []
    messages = [rpc_pb2.Message.FromString(raw) for raw in decode_rpc(frame.raw, **BOUNDS).publish]
    return [(message.topic, message.data) for message in messages]


def secrets(quarter: Quarter, name: str) -> dict[str, list[bytes]]:
    """What nobody outside a channel may read."""
    chain, topics = quarter.chains[name], quarter.topics(name)
    members = [each for each in quarter.residents.values() if each.core.channel(name) is not None]
    ids = {
        message_id(topic, data)
        for frame in quarter.frames
        for topic, data in published(frame)
        if topic.startswith(topics.prefix)
    }
    return {
        "name": [name.encode()],
        "topic": [topics.prefix.encode()],
        "id": list(ids),
        "genesis": [chain[0].hash],
        "content": [SECRETS[name], *(block.hash for block in chain[1:])],
        "MAC": [channel_mac(each.core.pki_id, name) for each in members],
    }


def leaks(quarter: Quarter, name: str, outsiders: Iterable[Neighbour]) -> list[tuple[Frame, str]]:
    """The frames that told an outsider anything of a channel, and what it was."""
    forbidden = secrets(quarter, name)
    ids = set(forbidden.pop("id"))
    receivers = {each.number for each in outsiders}
    found = []
    for frame in quarter.frames:
        if frame.receiver not in receivers:
            continue
        if not ids.isdisjoint(ids_in(frame)):
            found.append((frame, "id"))
        # Nothing is compressed: what a frame says in any of its parts stands in its bytes.
        whole = frame.protocol.encode() + frame.raw
        found += [
            (frame, what) for what, each in forbidden.items() if any(one in whole for one in each)
        ]
    return found


class Leaky(QuarterNode):
    """A peer that has forgotten who may know what."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._options["policy"] = Policy(may_know=lambda peer, topic: True)


def crowd(quarter: Quarter, kind: type[QuarterNode] = QuarterNode) -> dict[int, list[Neighbour]]:
    """Ten peers of three organizations, all connected; two channels beside one of all."""
    births = {
        1: [genesis(COMMON, 1, 2, 3), genesis(RED, 1, 2)],
        2: [genesis(COMMON, 1, 2, 3), genesis(RED, 1, 2), genesis(BLUE, 2, 3)],
        3: [genesis(COMMON, 1, 2, 3), genesis(BLUE, 2, 3)],
    }
    residents: dict[int, list[Neighbour]] = {}
    for number, count in ((1, 4), (2, 3), (3, 3)):
        for n in range(count):
            of_kind = kind if (number, n) == (1, 3) else QuarterNode
            resident = quarter.moves_in(
                organization(number), f"peer{n}", births[number], kind=of_kind, after=0.1 * n
            )
            residents.setdefault(number, []).append(resident)
    quarter.run_until(2)
    quarter.all_connect()
    quarter.run_until(25)
    makers = {name: maker_after(quarter.chains[name][0]) for name in (RED, BLUE)}
    for n in range(10):
        for name, making in makers.items():
            data = b"%s %s %d" % (SECRETS[name], bytes(2000), n)
            quarter.order_in(name, making.next_block([transaction(data, name)]))
        quarter.run_for(0.3)
    quarter.run_for(12)
    return residents


def test_no_frame_tells_an_outsider_anything_of_a_channel() -> None:
    quarter = Quarter(genesis(COMMON, 1, 2, 3), seed=1)
    residents = crowd(quarter)
    everybody = [each for group in residents.values() for each in group]
    for resident in everybody:
        assert len(resident.linked) == 9
    members = {RED: residents[1] + residents[2], BLUE: residents[2] + residents[3]}
    for name, outsiders in ((RED, residents[3]), (BLUE, residents[1])):
        assert all(each.ledgers[name].height == 11 for each in members[name])
        reached = [f for f in quarter.frames if f.receiver in {each.number for each in outsiders}]
        assert len(reached) > 1000
        assert leaks(quarter, name, outsiders) == []
        # The same search finds all of it where it may be.
        kinds = {what for _, what in leaks(quarter, name, members[name])}
        assert kinds == {"name", "topic", "id", "genesis", "content", "MAC"}


def test_a_peer_that_tells_what_it_should_not_is_found_out() -> None:
    quarter = Quarter(genesis(COMMON, 1, 2, 3), seed=1)
    residents = crowd(quarter, Leaky)
    found = leaks(quarter, RED, residents[3])
    assert {what for _, what in found} >= {"topic"}
    assert {frame.sender for frame, _ in found} == {residents[1][3].number}


class Clinging(QuarterNode):
    """A peer of an organization that is removed, which takes no notice: it asks on."""

    class Resident(Neighbour):
        def _commit_to(self, block: fx.Commit) -> None:
            if not parse_block(block.raw).is_config():
                super()._commit_to(block)

    lives_here = Resident


@pytest.mark.parametrize("scope", [Scope.ORG, Scope.CHANNEL])
@pytest.mark.parametrize("kind", [QuarterNode, Clinging])
def test_from_the_heartbeat_after_its_removal_on_an_organization_gets_nothing(
    scope: Scope, kind: type[QuarterNode]
) -> None:
    births = [genesis(COMMON, 1, 2), genesis(RED, 1, 2)]
    quarter = Quarter(births[0], seed=2, scope=scope)
    ours = [quarter.moves_in(organization(1), f"peer{n}", births) for n in range(4)]
    theirs = [quarter.moves_in(organization(2), f"peer{n}", births, kind=kind) for n in range(4)]
    quarter.run_until(2)
    quarter.all_connect()
    quarter.run_until(25)
    making = maker_after(births[1])
    for n in range(60):
        if n == 20:
            block = making.next_config(profile(RED, 1), when=WHEN)
        else:
            block = making.next_block([transaction(b"%s %d" % (SECRETS[RED], n), RED)])
        quarter.order_in(RED, block)
        quarter.run_for(0.2)
    quarter.run_for(15)
    assert all(each.ledgers[RED].height == 61 for each in ours)
    for resident in theirs:
        channel = resident.core.channel(RED)
        assert (channel is None or channel.has_left) == (kind is QuarterNode)
    removed = {each.number: each.commits[RED, 21] for each in ours}
    by_us = [
        (frame.time - removed[frame.sender], what, frame)
        for frame, what in leaks(quarter, RED, theirs)
        if frame.sender in removed
    ]
    before = {what for after, what, _ in by_us if after < 0}
    assert before >= {"name", "topic", "MAC"}
    assert ("content" in before) == (scope is Scope.CHANNEL)
    assert [one for one in by_us if one[0] > HEARTBEAT + LATENCY[1]] == []
    # What else they share goes on.
    last = max(frame.time for frame in quarter.frames if frame.receiver == theirs[0].number)
    assert last > max(removed.values()) + 10
