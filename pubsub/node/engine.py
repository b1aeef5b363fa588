"""The engine: the one caller of the router, and the one performer of its effects."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import trio

from pubsub.errors import ClosedError
from pubsub.host.host import Host
from pubsub.identity import PeerId
from pubsub.identity.verify import check_all
from pubsub.node.contacts import Contacts
from pubsub.node.events import NodeEvent
from pubsub.node.failures import Failures
from pubsub.node.mismatch import MismatchWatch
from pubsub.node.peering import Peering
from pubsub.node.publisher import Publisher
from pubsub.node.readers import Readers
from pubsub.node.validation import Validator
from pubsub.node.validators import Validators
from pubsub.router import Router
from pubsub.router.effects import (
    Deliver,
    Dial,
    Disconnect,
    Dropped,
    Effect,
    Grafted,
    MustWait,
    PeerJoined,
    PeerLeft,
    Pruned,
    Published,
    Validate,
    Verify,
    Writable,
)
from pubsub.router.events import (
    Event,
    SetBarred,
    SetTrace,
    Subscribe,
    TimerFired,
    Unsubscribe,
    Verified,
)

logger = logging.getLogger("pubsub")


class Engine:
    """A router among sockets: what happens goes in, what it asks for is done."""

    def __init__(
        self, host: Host, router: Router, nursery: trio.Nursery, validators: Sequence[Validator]
    ) -> None:
        self.host = host
        self.router = router
        self.closed = False
        self.bad_frames = 0
        self.peering = Peering(host, router, nursery, self)
        self.links = self.peering.links
        self.readers = Readers(self._enter, self._leave, self._trace)
        self.publisher = Publisher(router, self.links, self.feed, self.check_open)
        self.validators = Validators(validators, router, nursery, self.feed)
        say = Failures("direct peer").say
        self.contacts = Contacts(host, nursery, self.feed, say, self.readers.tell_traces)
        self._barred: list[PeerId] = []
        self._perform: dict[type[Effect], Callable[[Any], None]] = {
            Writable: self._on_writable,
            Deliver: self.readers.deliver,
            Verify: self._on_verify,
            Validate: self.validators.judge,
            PeerJoined: self._on_topic_event,
            PeerLeft: self._on_topic_event,
            Grafted: self._on_mesh_event,
            Pruned: self._on_mesh_event,
            Dial: self.contacts.dial,
            Dropped: self.readers.tell_traces,
            Disconnect: self._on_disconnect,
            Published: self._ignore,
            MustWait: self._ignore,
        }
        host.gate.watch(self._bar_denied)
        self._bar_denied()

    def feed(self, event: Event) -> list[Effect]:
        """Give the router an event, do what it asks for, and return that."""
        effects = self.router.handle(event, trio.current_time())
        perform = self._perform
        for effect in effects:
            perform[type(effect)](effect)
        return effects

    def tell(self, event: NodeEvent) -> None:
        """Hand an event to those who read events."""
        self.readers.tell(event)

    def tell_bad_frame(self, peer: PeerId, reason: str) -> None:
        """Count and trace what could not even be read, and log it the first time."""
        if not self.bad_frames:
            logger.warning(
                "%s is disconnected: %s; where it may be honest, raise max_message_size",
                peer,
                reason,
            )
        self.bad_frames += 1
        self.readers.tell_traces(Dropped("bad_frame", 1, peer, "", b""))

    def check_open(self) -> None:
        """Raise ClosedError if the node is closed."""
        if self.closed:
            raise ClosedError("this node is closed")

    async def beat(self) -> None:
        """Fire the router's timer for as long as the node lives."""
        watch = MismatchWatch(self.router)
        while True:
            await trio.sleep_until(self.router.next_deadline)
            self.feed(TimerFired())
            self.readers.tell_losses()
            if self._barred:
                # Bans end by themselves.
                self._bar_denied()
            watch.look()

    def close(self) -> None:
        """End all subscriptions; nothing can be published any more."""
        if self.closed:
            return
        self.closed = True
        self.host.gate.unwatch(self._bar_denied)
        self.readers.close()
        self.publisher.wake()

    # What the parts ask for

    def _enter(self, topic: str) -> None:
        self.feed(Subscribe(topic))
        self.validators.enter(topic)

    def _leave(self, topic: str) -> None:
        if not self.closed:
            self.feed(Unsubscribe(topic))
            self.validators.leave(topic)

    def _trace(self, on: bool) -> None:
        self._perform[Published] = self.readers.tell_traces if on else self._ignore
        self.feed(SetTrace(on))

    def _bar_denied(self) -> None:
        barred = self.host.gate.denied_peers()
        if barred != self._barred:
            self._barred = barred
            self.feed(SetBarred(barred))

    # Effects

    def _ignore(self, effect: Effect) -> None:
        """Results of commands are read from what `feed` returns."""

    def _on_writable(self, effect: Writable) -> None:
        link = self.links.get(effect.peer)
        if link is not None and link.outbound is not None:
            link.outbound.wake()

    def _on_verify(self, effect: Verify) -> None:
        self.feed(Verified(effect.batch, check_all(effect.checks)))

    def _on_topic_event(self, effect: PeerJoined | PeerLeft) -> None:
        self.tell(effect)
        self.publisher.wake()

    def _on_mesh_event(self, effect: Grafted | Pruned) -> None:
        if isinstance(effect, Grafted):
            self.contacts.grafted(effect)
        else:
            self.contacts.pruned(effect)
        self.tell(effect)

    def _on_disconnect(self, effect: Disconnect) -> None:
        self.peering.expel(effect.peer, effect.reason)
