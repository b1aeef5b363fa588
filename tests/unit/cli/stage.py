"""A node without a network and a terminal without a screen, for trying the shells."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
import trio.testing

from pubsub.cli.command_run import Terminal
from pubsub.cli.options import Options
from pubsub.cli.shell import Shell
from pubsub.errors import DialError, ParamError
from pubsub.identity import Address, PeerId, PrivateKey, peer_id_of
from pubsub.node.channel import Channel
from pubsub.node.subscription import EventStream, Subscription
from pubsub.params import Overflow, Params

US, ANN, BOB = (peer_id_of(PrivateKey(bytes([n]) * 32).public_key) for n in range(3))


@dataclass
class FakeReceipt:
    topic: str
    id: bytes
    peers: tuple[PeerId, ...]
    skipped: dict[PeerId, str] = field(default_factory=dict)


@dataclass
class FakeMessage:
    topic: str
    data: bytes
    author: PeerId | None = ANN
    received_from: PeerId = BOB
    id: bytes = b"\x01\xff"
    seqno: int | None = 7


class FakeHost:
    """What staying connected needs of a host; dials as its node does."""

    def __init__(self, node: FakeNode) -> None:
        self.peer_id = US
        self.connect = node.connect

    def connected_peers(self) -> list[PeerId]:
        return []

    def add_listener(self, listener: object) -> None:
        pass

    def remove_listener(self, listener: object) -> None:
        pass


class FakeNode:
    """What the shells use of a node, with everything in the test's hands."""

    def __init__(self, params: Params | None = None) -> None:
        self.peer_id = US
        self.addresses = [Address("ip4", "127.0.0.1", 4001, US)]
        self.params = params or Params()
        self.published: list[tuple[str, bytes]] = []
        self.subscribers: dict[str, list[PeerId]] = {}
        self.skipped: dict[PeerId, str] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.relayed: list[str] = []
        self.meshes: dict[str, list[PeerId]] = {}
        self.dialled: list[Address] = []
        self.reachable = True
        self.flushes = True
        self.state: dict[str, Any] = {"peers": {}, "mesh": {}, "drops": {}}
        self.host = FakeHost(self)
        self._events: EventStream | None = None
        self._joined = trio.lowlevel.ParkingLot()

    def relay(self, topic: str) -> None:
        self.relayed.append(topic)

    def mesh(self, topic: str) -> list[PeerId]:
        return self.meshes.get(topic, [])

    def subscribe(self, topic: str, *, capacity: int = 1024) -> Subscription:
        channel = Channel[Any](capacity, Overflow.DROP_OLDEST)
        self.subscriptions[topic] = Subscription(
            topic, channel, lambda: self.subscriptions.pop(topic) and None
        )
        return self.subscriptions[topic]

    async def publish(self, topic: str, data: bytes) -> FakeReceipt:
        if len(data) > self.params.max_message_size:
            raise ParamError("the message is too large")
        await trio.lowlevel.checkpoint()
        self.published.append((topic, data))
        number = len(self.published).to_bytes(2, "big")
        return FakeReceipt(topic, number, tuple(self.peers(topic)), self.skipped)

    def peers(self, topic: str | None = None) -> list[PeerId]:
        if topic is None:
            return list({peer: None for peers in self.subscribers.values() for peer in peers})
        return list(self.subscribers.get(topic, []))

    async def wait_for_peers(self, topic: str, n: int = 1) -> list[PeerId]:
        while len(self.peers(topic)) < n:
            await self._joined.park()
        return self.peers(topic)

    async def connect(self, address: Address) -> PeerId:
        self.dialled.append(address)
        if not self.reachable:
            raise DialError("connection refused")
        return ANN

    async def flush(self, timeout: float) -> bool:
        return self.flushes

    def snapshot(self) -> dict[str, Any]:
        return self.state

    def events(self) -> EventStream:
        self._events = EventStream(Channel(4096, Overflow.DROP_OLDEST), lambda: None)
        return self._events

    # The test's side.

    def tell(self, event: Any) -> None:
        assert self._events is not None
        self._events.offer(event)

    def join(self, topic: str, peer: PeerId) -> None:
        self.subscribers.setdefault(topic, []).append(peer)
        self._joined.unpark_all()

    def deliver(self, message: FakeMessage) -> None:
        self.subscriptions[message.topic].offer(message)


class Lines:
    """A LineWriter that keeps the lines, as long as there is room."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.lost = 0
        self.room = 10**9

    def write(self, text: str) -> None:
        if not self.try_write(text):
            self.lost += 1

    def try_write(self, text: str) -> bool:
        if len(self.lines) >= self.room:
            return False
        self.lines.append(text)
        return True

    def take(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


class Stage:
    """A shell that runs, and everything it touches."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.node = FakeNode(options.params)
        self.out, self.err = Lines(), Lines()
        self.is_terminal = True
        self.status: int | None = None
        self.source, self._sink = os.pipe()
        self.ended = trio.Event()

    def type(self, text: str | bytes) -> None:
        os.write(self._sink, text.encode() if isinstance(text, str) else text)

    def end_input(self) -> None:
        if self._sink is not None:
            os.close(self._sink)
            self._sink = None

    def make(self, kind: type[Shell]) -> Shell:
        terminal = Terminal(self.out, self.err, self.source, self.is_terminal)
        return kind(self.node, self.options, terminal)

    @asynccontextmanager
    async def running(self, kind: type[Shell]) -> AsyncIterator[Shell]:
        """The shell runs in the block and is cancelled at its end."""
        shell = self.make(kind)

        async def run() -> None:
            self.status = await shell.run()
            self.ended.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await trio.testing.wait_all_tasks_blocked()
            yield shell
            nursery.cancel_scope.cancel()

    async def finish(self) -> int:
        """The exit status, once the shell has ended by itself."""
        with trio.fail_after(60):
            await self.ended.wait()
        assert self.status is not None
        return self.status

    async def line(self, writer: Lines, number: int = 1) -> list[str]:
        """Wait until there are that many lines, and take them."""
        with trio.fail_after(60):
            while len(writer.lines) < number:
                await trio.testing.wait_all_tasks_blocked(0.001)
        return writer.take()

    def close(self) -> None:
        # Not the reading end: a thread left behind may yet read from that number,
        # which must not belong to the pipe of the next test.
        self.end_input()
