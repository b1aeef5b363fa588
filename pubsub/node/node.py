"""The public node: the one caller of the router, and the one performer of its effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import trio

from pubsub.errors import ClosedError, NotEnoughPeersError, ParamError
from pubsub.host.host import Host
from pubsub.identity import Address, PeerId, parse_address
from pubsub.identity.verify import check_all
from pubsub.node.channel import Channel
from pubsub.node.events import NodeEvent
from pubsub.node.link import Link
from pubsub.node.mismatch import MismatchWatch
from pubsub.node.pace import Pace
from pubsub.node.peering import Peering
from pubsub.node.receipt import Receipt
from pubsub.node.subscription import EventStream, Subscription
from pubsub.node.validation import TopicValidator, Validator
from pubsub.params import Overflow, Params
from pubsub.router import Router
from pubsub.router.effects import (
    Deliver,
    Disconnect,
    Effect,
    MustWait,
    PeerJoined,
    PeerLeft,
    Published,
    Validate,
    Verify,
    Writable,
)
from pubsub.router.events import (
    Event,
    Patience,
    Publish,
    SetValidation,
    Subscribe,
    TimerFired,
    Unsubscribe,
    Validation,
    ValidationFinished,
    Verified,
)
from pubsub.router.message import Message


@final
class Node:
    """A GossipSub node. Made by `open_node`, which also closes it."""

    def __init__(self, host: Host, router: Router, nursery: trio.Nursery) -> None:
        self._host = host
        self._router = router
        self._nursery = nursery
        self._peering = Peering(host, router, nursery, self)
        self._links = self._peering.links
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._event_streams: list[EventStream] = []
        self._validators: dict[str, TopicValidator] = {}
        self._pace = Pace()
        self._joined = trio.lowlevel.ParkingLot()
        "Those who wait for peers in a topic."
        self._lost = 0
        self._closed = False
        self._perform: dict[type[Effect], Callable[[Any], None]] = {
            Writable: self._on_writable,
            Deliver: self._on_deliver,
            Verify: self._on_verify,
            Validate: self._on_validate,
            PeerJoined: self._on_topic_event,
            PeerLeft: self._on_topic_event,
            Disconnect: self._on_disconnect,
            Published: self._ignore,
            MustWait: self._ignore,
        }

    # Who and where

    @property
    def peer_id(self) -> PeerId:
        """Who we are."""
        return self._host.peer_id

    @property
    def addresses(self) -> list[Address]:
        """Where this node listens, with its peer id; what others connect to."""
        return self._host.addresses

    @property
    def params(self) -> Params:
        return self._router.params

    @property
    def host(self) -> Host:
        """The libp2p host underneath, for other protocols and for its peer store."""
        return self._host

    async def connect(self, address: str | Address) -> PeerId:
        """Dial a peer and return its id; at once if it is connected already.

        Raises ParamError for a bad address, DialError if the peer cannot be
        reached or is not the one the address names.
        """
        self._check_open()
        if isinstance(address, str):
            address = parse_address(address)
        return await self._host.connect(address)

    # The two verbs

    def subscribe(
        self,
        topic: str,
        *,
        capacity: int = 1024,
        overflow: Overflow = Overflow.DROP_OLDEST,
    ) -> Subscription:
        """Receive the messages of a topic from now on.

        At most `capacity` messages wait; what a slow reader then loses is
        named by `overflow` and counted in `Subscription.lost`. The topic is
        left when its last subscription is closed. Raises ParamError for a bad
        topic or capacity.
        """
        self._check_open()
        channel = Channel[Message](capacity, overflow)
        self.feed(Subscribe(topic))
        subscription = Subscription(topic, channel, lambda: self._unsubscribe(subscription))
        self._subscriptions.setdefault(topic, []).append(subscription)
        return subscription

    def _unsubscribe(self, subscription: Subscription) -> None:
        others = self._subscriptions.get(subscription.topic, [])
        others.remove(subscription)
        if not others:
            del self._subscriptions[subscription.topic]
            if not self._closed:
                self.feed(Unsubscribe(subscription.topic))

    async def publish(
        self,
        topic: str,
        data: bytes,
        *,
        min_peers: int = 0,
        timeout: float | None = None,
    ) -> Receipt:
        """Send a message and return where it went.

        Waits up to `timeout` seconds (default: parameter `publish_timeout`)
        for `min_peers` subscribers to be there, and for room in the queues of
        slow peers; a peer that is still full then is skipped, pruned and named
        in the receipt. Raises NotEnoughPeersError if it could not be queued to
        `min_peers` peers, ParamError for a bad topic or too much data, LocalError
        if a message with the same id was just seen: without signatures, equal
        data is the same message.
        """
        self._check_open()
        deadline = trio.current_time() + (
            self.params.publish_timeout if timeout is None else timeout
        )
        if min_peers and len(self._router.peers(topic)) < min_peers:
            await self._wait_for_peers(topic, min_peers, deadline)
        await self._pace.checkpoint()
        result = self._publish(topic, data, Patience.WAIT, min_peers)
        while isinstance(result, MustWait):
            waited = await self._wait_for_room(result.peers[0], deadline)
            self._check_open()
            patience = Patience.WAIT if waited else Patience.OVER
            result = self._publish(topic, data, patience, min_peers)
        return self._receipt(result, min_peers)

    def publish_nowait(self, topic: str, data: bytes) -> Receipt:
        """Send a message without waiting for anything.

        Peers whose queues are full are skipped and named in the receipt.
        Raises as `publish` does.
        """
        self._check_open()
        result = self._publish(topic, data, Patience.NONE, 0)
        assert isinstance(result, Published)
        return self._receipt(result, 0)

    def _publish(
        self, topic: str, data: bytes, patience: Patience, min_peers: int
    ) -> Published | MustWait:
        if type(data) is not bytes:
            if not isinstance(data, bytes | bytearray | memoryview):
                raise ParamError(f"data must be bytes, not {type(data).__name__}")
            data = bytes(data)
        effects = self.feed(Publish(topic, data, patience, min_peers))
        result = effects[-1]
        assert isinstance(result, Published | MustWait)
        return result

    def _receipt(self, result: Published, min_peers: int) -> Receipt:
        if len(result.peers) < min_peers:
            raise NotEnoughPeersError(
                f"queued to {len(result.peers)} peers where {min_peers} were asked for"
            )
        message = result.message
        links = [self._links[peer] for peer in result.peers]
        return Receipt(message.topic, message.id, result.peers, result.skipped, links, result.marks)

    async def _wait_for_room(self, peer: PeerId, deadline: float) -> bool:
        """True once `peer` has room or is gone, False at the deadline."""
        link = self._links.get(peer)
        with trio.move_on_at(deadline):
            while link is not None and not link.closed and self._router.is_full(peer):
                await link.changed.park()
            return True
        return False

    # Waiting for others

    async def wait_for_peers(self, topic: str, n: int = 1) -> list[PeerId]:
        """Wait until at least `n` peers subscribe to `topic`, and return them."""
        await trio.lowlevel.checkpoint()
        while len(peers := self._router.peers(topic)) < n:
            self._check_open()
            await self._joined.park()
        return peers

    async def _wait_for_peers(self, topic: str, n: int, deadline: float) -> None:
        with trio.move_on_at(deadline) as scope:
            await self.wait_for_peers(topic, n)
        if scope.cancelled_caught:
            raise NotEnoughPeersError(
                f"{len(self._router.peers(topic))} peers subscribe to {topic!r}, "
                f"where {n} were asked for"
            )

    def peers(self, topic: str | None = None) -> list[PeerId]:
        """The pubsub peers we are linked to, or those of them that subscribe to `topic`."""
        return self._router.peers(topic)

    async def flush(self, timeout: float) -> bool:
        """Wait until everything queued has been handed to the operating system.

        False if that took longer than `timeout` seconds.
        """
        await trio.lowlevel.checkpoint()
        with trio.move_on_after(timeout):
            for link in list(self._links.values()):
                while not link.closed and not self._is_flushed(link):
                    await link.changed.park()
            return True
        return False

    def _is_flushed(self, link: Link) -> bool:
        mark = self._router.watermark(link.peer)
        return mark is None or (link.sent >= mark[0] and self._router.is_empty(link.peer))

    def events(self, *, capacity: int = 4096) -> EventStream:
        """Peers connecting, disconnecting, joining and leaving topics, from now on.

        Of more than `capacity` unread events the oldest are lost, and counted.
        """
        self._check_open()
        channel = Channel[NodeEvent](capacity, Overflow.DROP_OLDEST)
        stream = EventStream(channel, lambda: self._event_streams.remove(stream))
        self._event_streams.append(stream)
        return stream

    # Validation

    def set_validator(
        self,
        topic: str,
        validator: Validator | None,
        *,
        concurrency: int = 64,
        timeout: float | None = None,
    ) -> None:
        """Have every message of a topic judged before it is delivered and passed on.

        `validator(message)` returns `Validation.ACCEPT`, `REJECT` or `IGNORE`,
        or a bool; it is a plain function (called inline: be fast) or an async
        one (at most `concurrency` at a time, ignored after `timeout` seconds,
        default: parameter `validate_timeout`). None removes it. Own publishes
        are not validated. An exception that it raises ends the node.
        """
        self._check_open()
        if validator is None:
            self._validators.pop(topic, None)
        else:
            self._validators[topic] = TopicValidator(
                topic,
                validator,
                concurrency=concurrency,
                timeout=self.params.validate_timeout if timeout is None else timeout,
                nursery=self._nursery,
                finish=self._finish_validation,
            )
        self.feed(SetValidation(topic, validator is not None))

    def _finish_validation(self, message: Message, verdict: Validation) -> None:
        self.feed(ValidationFinished(message.id, verdict))

    # Looking inside

    def snapshot(self) -> dict[str, Any]:
        """The node's state as plain data that `json` can write.

        Keys: those of the router (peers, subscriptions, mesh, fanout, backoff,
        recent, scores, queues, drops, counters, caches), and peer, addresses,
        readers (what waits for each subscription, and what it lost).
        """
        data = self._router.snapshot()
        data["addresses"] = [str(address) for address in self.addresses]
        data["readers"] = {
            topic: [{"waiting": one.waiting, "lost": one.lost} for one in subscriptions]
            for topic, subscriptions in self._subscriptions.items()
        }
        timeouts = sum(validator.timeouts for validator in self._validators.values())
        counters = {"validator_timeouts": timeouts}
        counters.update({f"host_{name}": count for name, count in self._host.counters.items()})
        data["counters"].update({name: count for name, count in counters.items() if count})
        if self._lost:
            data["drops"]["reader_too_slow"] = self._lost
        return data

    # The machine and its effects

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this node is closed")

    def feed(self, event: Event) -> list[Effect]:
        """Give the router an event and do what it asks for. Not for applications."""
        effects = self._router.handle(event, trio.current_time())
        perform = self._perform
        for effect in effects:
            perform[type(effect)](effect)
        return effects

    def tell(self, event: NodeEvent) -> None:
        """Hand an event to those who read events. Not for applications."""
        for stream in self._event_streams:
            stream.offer(event)

    def _ignore(self, effect: Effect) -> None:
        """Results of commands are read from what `feed` returns."""

    def _on_writable(self, effect: Writable) -> None:
        link = self._links.get(effect.peer)
        if link is not None and link.outbound is not None:
            link.outbound.wake()

    def _on_deliver(self, effect: Deliver) -> None:
        subscriptions = self._subscriptions
        for message in effect.messages:
            for subscription in subscriptions.get(message.topic, ()):
                if not subscription.offer(message):
                    self._lost += 1

    def _on_verify(self, effect: Verify) -> None:
        self.feed(Verified(effect.batch, check_all(effect.checks)))

    def _on_validate(self, effect: Validate) -> None:
        message = effect.message
        validator = self._validators.get(message.topic)
        if validator is None:
            self._finish_validation(message, Validation.ACCEPT)
        else:
            validator.submit(message)

    def _on_topic_event(self, effect: PeerJoined | PeerLeft) -> None:
        self.tell(effect)
        self._joined.unpark_all()

    def _on_disconnect(self, effect: Disconnect) -> None:
        self._peering.expel(effect.peer, effect.reason)

    async def beat(self) -> None:
        """Fire the router's timer for as long as the node lives. Not for applications."""
        watch = MismatchWatch(self._router)
        while True:
            await trio.sleep_until(self._router.next_deadline)
            self.feed(TimerFired())
            watch.look()

    def close(self) -> None:
        """End all subscriptions; nothing can be published any more."""
        if self._closed:
            return
        self._closed = True
        for subscription in [one for group in self._subscriptions.values() for one in group]:
            subscription.close()
        for stream in list(self._event_streams):
            stream.close()
        self._joined.unpark_all()
