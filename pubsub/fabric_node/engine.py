"""The one caller of a Fabric peer's core, and the one performer of what it asks for.

topics, streams, proofs, ledgers, timer ──► feed ──► Peer.handle ──► effects, done at once
"""

from __future__ import annotations

import math
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, final

import trio

from pubsub.errors import ClosedError, ParamError
from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.actions import CloseConnection, Warn
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import decode_envelope
from pubsub.fabric.identities import Signer, identify
from pubsub.fabric.identity_errors import IdentityError
from pubsub.fabric.ledger import Ledger
from pubsub.fabric.membership import MemberChanged
from pubsub.fabric.params import GossipParams
from pubsub.fabric.peer import Peer
from pubsub.fabric.topics import SHARE, STATE_TRANSFER
from pubsub.fabric_node.acks import Acks
from pubsub.fabric_node.channel_shell import ChannelShell
from pubsub.fabric_node.delivery import Delivery
from pubsub.fabric_node.directory import Directory
from pubsub.fabric_node.envelope_stream import Budget
from pubsub.fabric_node.inlets import Gossiped, Inlets, Received
from pubsub.fabric_node.links import Links
from pubsub.fabric_node.log import WarningLog
from pubsub.fabric_node.news import BlockCommitted, News
from pubsub.fabric_node.sharing import Sharing
from pubsub.fabric_node.streams import Streams
from pubsub.fabric_node.topics import Topics
from pubsub.node.node import Node
from pubsub.pb.fabric.gossip_pb2 import GossipMessage

MAX_UNFINISHED = 256 << 20
"Bytes of all envelopes that are being received over streams."


@final
class Engine:
    """A peer's core among streams, topics and ledgers."""

    def __init__(
        self,
        peer: Peer,
        signer: Signer,
        params: GossipParams,
        node: Node,
        directory: Directory,
        nursery: trio.Nursery,
        *,
        announce_above: int,
    ) -> None:
        self.peer = peer
        self.node = node
        self.directory = directory
        self.params = params
        self.closed = False
        self._has_failed = False
        self.counters: Counter[str] = Counter()
        "Warnings by their keys, those that were not logged included."
        self.channels: dict[str, ChannelShell] = {}
        self.ledgers: dict[str, Ledger | None] = {}
        self.inlets = Inlets()
        self.news = News()
        self.acks = Acks()
        self._nursery = nursery
        self._log = WarningLog()
        self._timer: trio.CancelScope | None = None
        self._timer_at = -math.inf
        budget = Budget(MAX_UNFINISHED)
        self.links = Links(self, self.acks, signer, params, nursery)
        self.topics = Topics(self, self.inlets, self.ledgers, above=announce_above, budget=budget)
        Streams(
            node.host,
            directory,
            self._on_envelope,
            self.links.refuse,
            budget,
            patience=params.conn_timeout,
        )
        rng = random.Random(os.urandom(16))
        self.sharing = Sharing(self, self.links.lanes.send, params, nursery, rng)
        self._perform = self._performers()

    def _performers(self) -> dict[type, Callable[[Any], None]]:
        return {
            fx.Validated: self.topics.validated,
            fx.Publish: self.topics.publish,
            fx.JoinTopic: self.topics.join,
            fx.LeaveTopic: self.topics.leave,
            fx.Recheck: lambda effect: self.node.recheck(),
            fx.SendEnvelope: self.links.send,
            fx.Dial: self.links.dial,
            fx.Blamed: self.links.blame,
            CloseConnection: self.links.hang_up,
            fx.Commit: lambda effect: self.channels[effect.channel].commit(effect),
            fx.Answer: self._on_answer,
            fx.BlockReceived: self.topics.receive,
            fx.LeaderChanged: self._on_leader,
            fx.StateChanged: self.news.tell,
            fx.Direct: self._on_direct,
            MemberChanged: self.news.tell,
            Warn: self.warn,
        }

    # -- In and out

    def feed(self, event: ev.Event) -> list[fx.Effect]:
        """Give the core an event, do what it asks for, and return that."""
        if self.closed:
            return []
        effects = self.peer.handle(event, now=trio.current_time(), wall_ns=time.time_ns())
        for effect in effects:
            self.perform(effect)
        if isinstance(event, ev.Committed):
            self.news.tell(BlockCommitted(event.channel, event.number))
        elif isinstance(event, ev.PeerGone | ev.PeerUnreachable):
            self.sharing.forget(event.peer)
        if isinstance(event, ev.Committed | ev.Configure | ev.LeaveChannel):
            self._close_if_left(event.channel)
        if self._timer is not None and self.peer.next_deadline < self._timer_at:
            self._timer.cancel()
        return effects

    def perform(self, effect: fx.Effect) -> None:
        self._perform[type(effect)](effect)

    async def beat(self) -> None:
        """Fire the core's timer for as long as the service lives."""
        while not self.closed:
            self._timer_at = self.peer.next_deadline
            with trio.CancelScope() as self._timer:
                await trio.sleep_until(self._timer_at)
            self._timer = None
            if trio.current_time() >= self.peer.next_deadline:
                self.feed(ev.TimerFired())

    def warn(self, warning: Warn) -> None:
        self.counters[warning.key] += 1
        self._log.warn(warning)

    def fail(self, error: Exception) -> None:
        """What the user gave has raised this: it is to come out of the service.

        It is raised in a task of ours, since whoever carries streams takes some kinds of
        errors for a peer's.
        """

        async def fail() -> None:
            # Before anything that waits, or it would be lost when the service stops now.
            raise error

        # Only the first: it would come out among others, and not as itself.
        if not self.closed and not self._has_failed:
            self._has_failed = True
            self._nursery.start_soon(fail)

    def offer(self, item: Gossiped | Received) -> None:
        """Hand an item to the user's readers that want it."""
        try:
            is_read = self.inlets.offer(item)
            if isinstance(item, Received) and not is_read:
                self.counters["messages to us alone that nobody accepts"] += 1
        except Exception as error:  # noqa: BLE001 - whatever a predicate raises
            self.fail(error)

    def check_open(self) -> None:
        """Raise ClosedError if the service has stopped."""
        if self.closed:
            raise ClosedError("this service has stopped")

    def close(self) -> None:
        """Nothing more is taken in, and all readers are told."""
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        for shell in self.channels.values():
            shell.close()
        self.inlets.close()
        self.news.close()
        self.acks.close()
        self._log.flush()

    # -- Channels

    def join(self, event: ev.JoinChannel, ledger: Ledger | None, delivery: Delivery | None) -> None:
        """Join a channel with this ledger and delivery. Raises ParamError."""
        name = event.config.channel
        before, kept = self.channels.get(name), self.ledgers.get(name)
        self.channels[name] = self._shell(name, ledger, delivery)
        self.ledgers[name] = ledger
        try:
            self.feed(event)
            self._check_ourselves(event)
        except ParamError:
            del self.channels[name], self.ledgers[name]
            if before is not None:
                # One that we have left, and that others still ask about.
                self.channels[name], self.ledgers[name] = before, kept
            raise

    def _check_ourselves(self, event: ev.JoinChannel) -> None:
        """Tell the operator if the channel will not know us for one of our organization."""
        try:
            identify(self.peer.identity, event.config.msps)
        except IdentityError as error:
            name = event.config.channel
            text = f"{name}: its configuration refuses our own certificate: {error}"
            self.warn(Warn("channel.identity", text))

    def _shell(self, name: str, ledger: Ledger | None, delivery: Delivery | None) -> ChannelShell:
        return ChannelShell(
            name,
            self,
            self._nursery,
            ledger=ledger,
            delivery=delivery,
            patience=self.params.reconnect_total_time_threshold,
            # Half of what followers take, because they are behind us by the way there.
            ahead=self.params.state_block_buffer_size // 2,
        )

    def _close_if_left(self, name: str) -> None:
        """We may have left by a command, or because a block has removed our organization."""
        core = self.peer.channel(name)
        shell = self.channels.get(name)
        if shell is not None and (core is None or core.has_left):
            shell.close()

    def _on_answer(self, effect: fx.Answer) -> None:
        if self.links.lanes.is_slow(effect.request.peer, STATE_TRANSFER):
            # It has not taken the last ones: another need not be read.
            self._nursery.start_soon(self._pass_over, effect)
        else:
            self.channels[effect.channel].answer(effect)

    async def _pass_over(self, effect: fx.Answer) -> None:
        # In a task, because the next request may be of the same peer, and many wait.
        await trio.lowlevel.checkpoint()
        self.feed(ev.Answered(effect.channel))

    def _on_leader(self, effect: fx.LeaderChanged) -> None:
        shell = self.channels.get(effect.channel)
        if shell is not None:
            shell.lead(effect.leading)
        self.news.tell(effect)

    # -- What peers send to us alone

    def _on_envelope(self, pki_id: bytes, protocol: str, raw: bytes) -> None:
        if self.closed:
            return
        if protocol == SHARE:
            self.sharing.take(pki_id, raw)
        else:
            self.feed(ev.StreamMessage(pki_id, protocol, raw))

    def _on_direct(self, effect: fx.Direct) -> None:
        envelope = decode_envelope(effect.envelope)
        message = envelope.message
        if envelope.content is Content.ACK:
            self.acks.take(effect.peer, message.nonce, message.ack.error)
            return
        org = self.peer.access.org_of(effect.peer) or ""

        async def send(answer: GossipMessage) -> None:
            await trio.lowlevel.checkpoint()
            self.send(effect.peer, answer)

        self.offer(Received(effect.peer, org, message, send))

    def send(self, peer: bytes, message: GossipMessage) -> bool:
        """Queue a message of the user for one peer; False if there is no room for it.

        Raises ParamError if it may not be sent.
        """
        self.check_open()
        return self.links.send_message(peer, message)
