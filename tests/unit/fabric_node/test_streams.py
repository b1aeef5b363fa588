from __future__ import annotations

from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pubsub.errors import StreamError
from pubsub.fabric.intake_rules import ON_STREAM
from pubsub.fabric.proof import Proven
from pubsub.fabric.topics import DIRECT, IDENTITY, SHARE
from pubsub.fabric_node.directory import Directory
from pubsub.fabric_node.envelope_stream import Budget
from pubsub.fabric_node.streams import MAX_STREAMS, Streams
from pubsub.identity import PeerId
from pubsub.wire.framing import frame
from pubsub.wire.varint import encode_varint
from tests.unit.fabric_node.fake_hosts import FakeHosts, FakeStream

ANN = Proven(b"ann", b"identity")
PATIENCE = 2.0


class Scene:
    def __init__(self, nursery: trio.Nursery) -> None:
        hosts = FakeHosts(nursery)
        self.us, self.ann = hosts.add(1), hosts.add(2)
        self.ann.link(self.us)
        self.directory = Directory()
        self.heard: list[tuple[bytes, str, bytes]] = []
        self.bad: list[tuple[PeerId, str]] = []
        Streams(
            cast("Any", self.us),
            self.directory,
            lambda *heard: self.heard.append(heard),
            lambda *bad: self.bad.append(bad),
            Budget(1 << 20),
            patience=PATIENCE,
        )

    async def opens(self, protocol: str = DIRECT) -> FakeStream:
        return await self.ann.open_stream(self.us.peer_id, [protocol])

    def proves(self) -> None:
        self.directory.enter(self.ann.peer_id, ANN)


@pytest.fixture
def now(nursery: trio.Nursery) -> Scene:
    return Scene(nursery)


async def is_reset(stream: FakeStream) -> bool:
    with trio.move_on_after(100):
        try:
            return await stream.receive_some() != b""
        except StreamError:
            return True
    return False


def test_all_protocols_but_that_of_proofs_are_served():
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            served = Scene(nursery).us.handlers
            assert set(served) == {*ON_STREAM, SHARE} - {IDENTITY}

    trio.run(main)


async def test_envelopes_are_heard_by_the_identity_that_was_proved(
    now: Scene, autojump_clock: MockClock
):
    now.proves()
    stream = await now.opens()
    await stream.send_all(frame(b"1") + frame(b"2"))
    stream.close()
    await wait_all_tasks_blocked()
    assert now.heard == [(b"ann", DIRECT, b"1"), (b"ann", DIRECT, b"2")]
    assert not await is_reset(stream)


async def test_what_comes_before_the_proof_waits_for_it(now: Scene, autojump_clock: MockClock):
    stream = await now.opens()
    await stream.send_all(frame(b"1"))
    await trio.sleep(PATIENCE / 2)
    assert now.heard == []
    now.proves()
    await wait_all_tasks_blocked()
    assert now.heard == [(b"ann", DIRECT, b"1")]


async def test_who_proves_nothing_in_time_is_not_heard(now: Scene, autojump_clock: MockClock):
    stream = await now.opens()
    await stream.send_all(frame(b"1"))
    assert await is_reset(stream)
    assert (trio.current_time(), now.heard, now.bad) == (PATIENCE, [], [])


async def test_who_is_gone_is_not_heard(now: Scene, autojump_clock: MockClock):
    now.proves()
    stream = await now.opens()
    await wait_all_tasks_blocked()
    now.directory.leave(now.ann.peer_id)
    await stream.send_all(frame(b"1"))
    assert await is_reset(stream)
    assert now.heard == []


async def test_a_length_over_the_limit_is_told_of(now: Scene, autojump_clock: MockClock):
    now.proves()
    stream = await now.opens()
    await stream.send_all(encode_varint(ON_STREAM[DIRECT][1] + 1))
    assert await is_reset(stream)
    assert [(peer, "at most" in why) for peer, why in now.bad] == [(now.ann.peer_id, True)]


async def test_a_stream_that_breaks_is_nobodys_fault(now: Scene, autojump_clock: MockClock):
    now.proves()
    stream = await now.opens()
    await stream.send_all(frame(b"cut off")[:-1])
    stream.close()
    assert await is_reset(stream)
    assert (now.heard, now.bad) == ([], [])


async def test_a_sender_whose_envelope_hardly_goes_on_learns_that_nobody_reads(
    now: Scene, autojump_clock: MockClock
):
    now.proves()
    stream = await now.opens()
    await stream.send_all(frame(bytes(1000))[:10])
    assert await is_reset(stream)
    with pytest.raises(StreamError):
        await stream.send_all(frame(b"lost otherwise"))


async def test_so_many_streams_of_one_protocol_and_peer(now: Scene, autojump_clock: MockClock):
    now.proves()
    streams = [await now.opens() for _ in range(MAX_STREAMS + 1)]
    other = await now.opens(SHARE)
    await wait_all_tasks_blocked()
    assert [stream.was_reset for stream in streams].count(True) == 1
    assert not other.was_reset
    next(stream for stream in streams if not stream.was_reset).close()
    await wait_all_tasks_blocked()
    late = await now.opens()
    await late.send_all(frame(b"late"))
    await wait_all_tasks_blocked()
    assert now.heard == [(b"ann", DIRECT, b"late")]
