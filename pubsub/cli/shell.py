"""What the text shell and the JSON shell have in common: the life of the command.

    standard input ──► shell ──► publisher ──► node
    node ── messages, events ──► shell ──► standard output and error

A shell says how input is read and what output looks like; when and in which
order is said here. Every task lives in one nursery and ends with it.
"""

from __future__ import annotations

import os
import random
from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING

import trio

from pubsub.cli.command_run import Terminal
from pubsub.cli.line_reader import Line, LineReader, TooLong
from pubsub.cli.log_lines import warnings_to
from pubsub.cli.options import Options
from pubsub.cli.printable import count, printable, short
from pubsub.cli.publisher import Publisher
from pubsub.errors import ClosedError, PubSubError
from pubsub.identity import Address, PeerId

if TYPE_CHECKING:
    from pubsub import EventStream, Message, Node, Receipt, Subscription
    from pubsub.node.events import NodeEvent

PROGRAM = "pubsub-node"
SUBSCRIPTION_CAPACITY = 8192
LOSS_CHECK_INTERVAL = 1.0
TOO_FAST = "they came faster than we could print"


class Quit(Exception):
    """Raised while input is handled, to end the command with this exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Shell(ABC):
    def __init__(self, node: Node, options: Options, terminal: Terminal) -> None:
        self.node = node
        self.options = options
        self.terminal = terminal
        self.publisher = Publisher(
            node,
            wait_for_first=not terminal.input_is_terminal,
            on_waiting=self.on_waiting,
        )
        self.failed = False
        "True once something in the input could not be done."
        self._subscriptions: dict[str, Subscription] = {}
        self._connected: dict[PeerId, None] = {}
        self._lost_by_closed: Counter[str] = Counter()
        "Messages that subscriptions since closed have lost, by topic."
        self._unreachable: dict[Address, str] = {}
        "Bootstrap addresses that cannot be reached, and why, as far as it was said."
        self._said_lost_lines = 0
        self._said_lost_messages: Counter[str] = Counter()
        self._said_lost_events = 0

    # What a shell says, and how it reads.

    @abstractmethod
    def on_listening(self) -> None: ...

    @abstractmethod
    def on_message(self, message: Message) -> None: ...

    @abstractmethod
    def on_waiting(self, topic: str) -> None: ...

    @abstractmethod
    def on_published(self, receipt: Receipt) -> None: ...

    @abstractmethod
    def on_connected(self, peer: PeerId) -> None: ...

    @abstractmethod
    def on_disconnected(self, peer: PeerId) -> None: ...

    @abstractmethod
    def on_joined(self, topic: str, peer: PeerId) -> None: ...

    @abstractmethod
    def on_left(self, topic: str, peer: PeerId) -> None: ...

    @abstractmethod
    def on_grafted(self, topic: str, peer: PeerId) -> None: ...

    @abstractmethod
    def on_pruned(self, topic: str, peer: PeerId) -> None: ...

    @abstractmethod
    def on_lost(self, topic: str, messages: int) -> None:
        """So many messages of a topic came faster than they could be handled."""

    @abstractmethod
    def on_problem(self, text: str) -> None: ...

    @abstractmethod
    def line_limit(self) -> int: ...

    @abstractmethod
    async def on_line(self, line: Line | TooLong) -> None: ...

    @abstractmethod
    async def drained(self) -> None:
        """Wait until the input handled so far has been published."""

    @abstractmethod
    def start_tasks(self, nursery: trio.Nursery) -> None:
        """Start what only this shell needs."""

    # The life of the command.

    async def run(self) -> int:
        """Serve until the input says so, or for ever; the exit status."""
        try:
            with warnings_to(self.on_problem):
                return await self._serve()
        finally:
            self.say_losses()

    async def _serve(self) -> int:
        async with self.node.events() as events, trio.open_nursery() as nursery:
            self._nursery, self._events = nursery, events
            self._start(nursery)
            try:
                await self._read_input()
                await trio.sleep_forever()
            except Quit as quitting:
                status = quitting.status
                nursery.cancel_scope.cancel()
        return status

    def _start(self, nursery: trio.Nursery) -> None:
        options = self.options
        for topic in options.topics:
            self.subscribe(topic)
        for topic in options.relay:
            # Until the node ends.
            self.node.relay(topic)
        self.on_listening()
        self._greet_present_peers()
        nursery.start_soon(self._watch_events, self._events)
        nursery.start_soon(self._watch_losses)
        self.start_tasks(nursery)
        for address in options.connect:
            nursery.start_soon(self.connect, address)
        if options.bootstrap:
            nursery.start_soon(self._keep_connected)
        if options.publish_interval is not None:
            nursery.start_soon(self._publish_now_and_then, options.publish_interval)

    def subscribe(self, topic: str) -> None:
        """Join `topic`; nothing happens if we are in it."""
        if topic not in self._subscriptions:
            subscription = self.node.subscribe(topic, capacity=SUBSCRIPTION_CAPACITY)
            self._subscriptions[topic] = subscription
            self._nursery.start_soon(self._receive, subscription)

    def unsubscribe(self, topic: str) -> bool:
        """Leave `topic`; False if we are not in it."""
        subscription = self._subscriptions.pop(topic, None)
        if subscription is None:
            return False
        self._lost_by_closed[topic] += subscription.lost
        subscription.close()
        return True

    async def connect(self, address: Address, *, source: str | None = None) -> None:
        """Dial, and tell if it fails; `source` names the input that asked for it."""
        try:
            await self.node.connect(address)
        except PubSubError as error:
            problem = dial_problem(address, str(error))
            self.on_problem(problem if source is None else f"{source}: {problem}")

    async def _keep_connected(self) -> None:
        from pubsub.discovery.bootstrap import keep_connected

        await keep_connected(
            self.node.host,
            self.options.bootstrap,
            rng=random.Random(os.urandom(16)),
            on_failure=self._on_unreachable,
        )

    def _on_unreachable(self, address: Address, reason: str) -> None:
        """Say why a bootstrap peer is not there, once for each reason and outage."""
        if self._unreachable.get(address) != reason:
            self._unreachable[address] = reason
            self.on_problem(f"{dial_problem(address, reason)}; trying on")

    async def publish(self, topic: str, data: bytes, *, source: str) -> None:
        """Publish, and tell how it went; `source` names the input it came from."""
        try:
            receipt = await self.publisher.publish(topic, data)
        except PubSubError as error:
            self.fail(f"{source}: not published: {error}")
            return
        self.on_published(receipt)

    def fail(self, text: str) -> None:
        """Say that something in the input could not be done."""
        self.failed = True
        self.on_problem(text)

    async def _receive(self, subscription: Subscription) -> None:
        try:
            while True:
                for message in await subscription.receive_batch(SUBSCRIPTION_CAPACITY):
                    self.on_message(message)
        except ClosedError:
            return

    async def _watch_events(self, events: EventStream) -> None:
        async for event in events:
            self._on_event(event)

    def _on_event(self, event: NodeEvent) -> None:
        from pubsub.node.events import (
            Connected,
            Disconnected,
            Grafted,
            PeerJoined,
            PeerLeft,
            Pruned,
        )

        match event:
            case Connected(peer=peer):
                self._meet(peer)
            case Disconnected(peer=peer):
                if peer in self._connected:
                    del self._connected[peer]
                    self.on_disconnected(peer)
            case PeerJoined(topic=topic, peer=peer):
                self._meet(peer)
                self.on_joined(topic, peer)
            case PeerLeft(topic=topic, peer=peer):
                self.on_left(topic, peer)
            case Grafted(topic=topic, peer=peer):
                self._meet(peer)
                self.on_grafted(topic, peer)
            case Pruned(topic=topic, peer=peer):
                self.on_pruned(topic, peer)

    def _meet(self, peer: PeerId) -> None:
        if peer not in self._connected:
            self._connected[peer] = None
            self._unreachable.clear()
            self.on_connected(peer)

    def _greet_present_peers(self) -> None:
        """Tell of those who came before we listened for events."""
        for peer in self.node.peers():
            self._meet(peer)
        for topic in dict.fromkeys(self.options.topics + self.options.relay):
            for peer in self.node.peers(topic):
                self.on_joined(topic, peer)

    async def _publish_now_and_then(self, interval: float) -> None:
        number = 0
        while True:
            await trio.sleep(interval)
            number += 1
            text = f"message {number} from {short(self.node.peer_id)}"
            for topic in self.options.topics:
                try:
                    self.on_published(await self.node.publish(topic, text.encode()))
                except PubSubError as error:
                    self.on_problem(f"{text}: not published: {error}")

    async def _read_input(self) -> None:
        """Handle standard input to its end.

        Raises Quit if the command shall end with it.
        """
        if self.terminal.input is not None:
            reader = LineReader(self.terminal.input, self.line_limit())
            while lines := await reader.receive():
                for line in lines:
                    await self.on_line(line)
        if self.options.quit_at_eof:
            await self.drained()
            raise Quit(await self._account())

    async def _account(self) -> int:
        """At the end of input: send the rest, say what failed, return the exit status."""
        if not await self.publisher.flush():
            self.fail("not everything was sent: the network is too slow")
        if self.publisher.unreached:
            alone = count(self.publisher.unreached, "message")
            total = self.publisher.published
            self.fail(f"nobody was there: {alone} of {total:,} reached no peer")
        return 1 if self.failed else 0

    # What was lost.

    async def _watch_losses(self) -> None:
        while True:
            await trio.sleep(LOSS_CHECK_INTERVAL)
            self.say_losses()

    def say_losses(self) -> None:
        """Say what was lost since this was last said."""
        lines = self.terminal.out.lost - self._said_lost_lines
        if lines:
            self._said_lost_lines += lines
            self.say(f"{count(lines, 'line')} lost: standard output is not being read")
        lost = self._lost_by_closed.copy()
        for topic, subscription in self._subscriptions.items():
            lost[topic] += subscription.lost
        for topic, messages in (lost - self._said_lost_messages).items():
            self._said_lost_messages[topic] += messages
            self.on_lost(topic, messages)
        events = self._events.lost - self._said_lost_events
        if events:
            self._said_lost_events += events
            self.on_problem(f"{count(events, 'event')} lost: {TOO_FAST}")

    def say(self, text: str) -> None:
        """A line on standard error that nothing silences."""
        self.terminal.err.write(f"{PROGRAM}: {printable(text)}")


def dial_problem(address: Address, reason: str) -> str:
    """Why a peer was not reached; most reasons name the address themselves."""
    if str(address.with_peer(None)) in reason:
        return reason
    return f"cannot connect to {address}: {reason}"
