"""The public node: every verb of the user."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, final

import trio

from pubsub.host.gate import Gate
from pubsub.host.host import Host
from pubsub.identity import Address, PeerId
from pubsub.node import arguments
from pubsub.node.arguments import address_of, peer_of
from pubsub.node.contacts import BAD_RECORD
from pubsub.node.engine import Engine
from pubsub.node.readers import TOO_SLOW
from pubsub.node.receipt import Receipt
from pubsub.node.subscription import EventStream, Relay, Subscription
from pubsub.node.validation import SLOW_SECONDS, Validator
from pubsub.params import Overflow, Params
from pubsub.router.events import Feedback, Recheck, SetFrameLimit, SetTopic
from pubsub.router.message import Message
from pubsub.router.topic_params import TopicParams
from pubsub.score import ScoreReport


@final
class Node:
    """A GossipSub node. Made by `open_node`, which also closes it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._host = engine.host
        self._router = engine.router

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

    @property
    def gate(self) -> Gate:
        """Whom this node has to do with, by peer and by address; change it at any time.

        Messages that a denied peer wrote are dropped, whoever brings them.
        """
        return self._host.gate

    async def connect(self, address: str | Address) -> PeerId:
        """Dial a peer and return its id; at once if it is connected already.

        Raises ParamError for a bad address, DialError if the peer cannot be
        reached or is not the one the address names.
        """
        self._engine.check_open()
        return await self._host.connect(address_of(address))

    def add_direct_peer(self, *addresses: str | Address) -> PeerId:
        """Agree with a peer to send each other everything, and return its id.

        It is dialled now, and again whenever it is gone; it gets all messages of
        its topics, in no mesh and whatever its score (v1.1 §Explicit Peering
        Agreements). The other side must do the same. Raises ParamError unless
        the addresses are of one peer and name it.
        """
        self._engine.check_open()
        return self._engine.contacts.add_direct([address_of(one) for one in addresses])

    def remove_direct_peer(self, peer: PeerId | str) -> None:
        """End such an agreement; the connection stays. ParamError if there is none."""
        self._engine.check_open()
        self._engine.contacts.remove_direct(peer_of(peer))

    @property
    def direct_peers(self) -> list[PeerId]:
        return self._engine.contacts.direct

    # The two verbs

    def subscribe(
        self,
        topic: str,
        *,
        capacity: int | None = None,
        overflow: Overflow | None = None,
        where: Callable[[Message], bool] | None = None,
    ) -> Subscription:
        """Receive the messages of a topic from now on; with `where`, those it says yes to.

        At most `capacity` messages wait (default: parameter
        `subscription_buffer`); what a slow reader then loses is named by
        `overflow`, counted in `Subscription.lost` and told by `events`. The
        topic is left when its last subscription is closed. Raises ParamError
        for a bad topic or capacity.
        """
        self._engine.check_open()
        params = self._router.params_of(topic)
        return self._engine.readers.subscribe(
            topic,
            params.subscription_buffer if capacity is None else capacity,
            params.subscription_overflow if overflow is None else overflow,
            where,
        )

    def relay(self, topic: str) -> Relay:
        """Pass a topic's messages on without reading them, until the relay is closed.

        Validators judge them as always. Raises ParamError for a bad topic.
        """
        self._engine.check_open()
        return self._engine.readers.relay(topic)

    async def publish(
        self, topic: str, data: bytes, *, min_peers: int = 0, timeout: float | None = None
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
        return await self._engine.publisher.publish(topic, data, min_peers, timeout)

    def publish_nowait(self, topic: str, data: bytes) -> Receipt:
        """Send a message without waiting for anything.

        Peers whose queues are full are skipped and named in the receipt.
        Raises as `publish` does.
        """
        self._engine.check_open()
        return self._engine.publisher.publish_nowait(topic, data)

    async def publish_batch(
        self, messages: Iterable[tuple[str, bytes]], *, timeout: float | None = None
    ) -> list[Receipt]:
        """Send many messages, each a topic and data, and return a receipt for each.

        They take turns: one copy of each leaves before the second copy of any, so
        that others can pass them on while we still send. A turn is up to 64 messages,
        fewer where queues are small, and waits up to `timeout` seconds for room, as
        `publish` does. Raises as `publish` does; then nothing of that turn was sent, and
        what was sent before stays sent.
        """
        return await self._engine.publisher.publish_batch(messages, timeout)

    async def wait_for_peers(self, topic: str, n: int = 1) -> list[PeerId]:
        """Wait until at least `n` peers subscribe to `topic`, and return them.

        Raises ParamError for what cannot be a topic of this node.
        """
        return await self._engine.publisher.wait_for_peers(topic, n)

    async def flush(self, timeout: float) -> bool:
        """Wait until everything queued has been handed to the operating system.

        False if that took longer than `timeout` seconds.
        """
        return await self._engine.publisher.flush(arguments.seconds("timeout", timeout))

    # Rules of the user

    def configure_topic(self, topic: str, params: TopicParams | None) -> None:
        """Give a topic parameters of its own from now on, or with None those of the node.

        Subscriptions and validators go by those that hold when they are made. Raises
        ParamError for an impossible set, and for a `max_message_size` for which the
        streams are too small: give that to `open_node(topics=…)`.
        """
        self._engine.check_open()
        if isinstance(params, TopicParams) and params.max_message_size is not None:
            self._engine.peering.check_message_size(params.max_message_size)
        self._engine.feed(SetTopic(topic, params))

    def set_validator(
        self,
        topic: str,
        validator: Validator | None,
        *,
        concurrency: int | None = None,
        timeout: float | None = None,
        slow_after: float | None = SLOW_SECONDS,
    ) -> None:
        """Have every message of a topic judged before it is delivered and passed on.

        `validator(message)` returns `Validation.ACCEPT`, `REJECT` or `IGNORE`,
        or a bool; it is a plain function (called inline: be fast) or an async
        one (at most `concurrency` at a time, ignored after `timeout` seconds;
        defaults: parameters `validate_concurrency`, `validate_timeout`). A plain one that
        needs time for a certain message returns an async function of nothing, which is
        then awaited within those limits and answers in its place. It is asked
        after those of `open_node(validators=…)`, but plain functions before async ones.
        None removes it, and leaves those. A plain one that takes over `slow_after` seconds
        is named in the log once; None: never.
        Own publishes are not validated. An exception that it raises ends the node.
        """
        self._engine.check_open()
        self._engine.validators.set(
            topic, validator, concurrency=concurrency, timeout=timeout, slow_after=slow_after
        )

    def set_frame_limit(self, peer: PeerId | str, limit: int | None) -> None:
        """Say that a peer takes no RPC of more than `limit` bytes; None takes that back.

        What is sent to it is split accordingly, and a message that is larger is
        not sent to it: the receipt names it. Rust peers close the stream at
        64 KiB unless they are set otherwise; of no peer is that assumed.
        """
        self._engine.check_open()
        if limit is not None:
            arguments.count("limit", limit)
        self._engine.feed(SetFrameLimit(peer_of(peer), limit))

    def recheck(self) -> None:
        """Ask `may_know` again, of every peer and topic, because its answers have changed.

        A peer that may know a topic no more is parted from it at once, and what
        waits for it is taken back; one that now may is told and let in.
        """
        self._engine.check_open()
        self._engine.feed(Recheck())

    def feedback(self, peer: PeerId | str, delta: float) -> None:
        """Let a peer's score know that the application liked (> 0) or disliked what it did.

        Feedback adds up and is forgotten slowly; it counts with
        `ScoreParams.app_specific_weight`. Raises ParamError where scoring is off.
        """
        self._engine.check_open()
        self._engine.feed(Feedback(peer_of(peer), delta))

    # Looking inside

    def peers(self, topic: str | None = None) -> list[PeerId]:
        """The pubsub peers we are linked to, or those of them that subscribe to `topic`."""
        return self._router.peers(topic)

    def mesh(self, topic: str) -> list[PeerId]:
        """The peers that we exchange full messages of `topic` with."""
        return self._router.mesh(topic)

    def inspect(self, peer: PeerId | str) -> ScoreReport:
        """A peer's score and how it comes about; all zero for one that is not known."""
        return self._router.inspect(peer_of(peer), trio.current_time())

    def events(self, *, topic: str | None = None, capacity: int = 4096) -> EventStream:
        """What happens from now on: peers come, go, join and leave topics and meshes.

        Also what slow subscriptions lose.

        With `topic`, only what belongs to that topic. Of more than `capacity`
        unread events the oldest are lost, and counted.
        """
        self._engine.check_open()
        if topic is not None:
            self._router.check_topic(topic)
        return self._engine.readers.events(capacity, topic)

    def trace(self, *, topic: str | None = None, capacity: int = 65_536) -> EventStream:
        """All events, and what is published, delivered and dropped, with the reason of each drop.

        It costs time for each message while somebody traces, and nothing otherwise.
        """
        self._engine.check_open()
        if topic is not None:
            self._router.check_topic(topic)
        return self._engine.readers.trace(capacity, topic)

    def snapshot(self) -> dict[str, Any]:
        """The node's state as plain data that `json` can write.

        Keys: those of the router (peers, subscriptions, mesh, fanout, backoff,
        recent, scores, queues, drops, counters, caches), and peer, addresses, direct,
        readers (what waits for each subscription, and what it lost).
        """
        data = self._router.snapshot()
        data["addresses"] = [str(address) for address in self.addresses]
        data["direct"] = [str(peer) for peer in self.direct_peers]
        data["readers"] = self._engine.readers.snapshot()
        counters = {"validator_timeouts": self._engine.validators.timeouts}
        counters.update({f"host_{name}": count for name, count in self._host.counters.items()})
        data["counters"].update({name: count for name, count in counters.items() if count})
        drops = {
            TOO_SLOW: self._engine.readers.lost,
            BAD_RECORD: self._engine.contacts.bad_offers,
        }
        data["drops"].update({name: count for name, count in drops.items() if count})
        return data
