"""Whether everything that peers send each other is accounted for: used, or counted as dropped."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from pubsub.fabric import events as ev
from pubsub.fabric_node.engine import Engine
from pubsub.fabric_node.lanes import FULL, LOST, Lanes
from pubsub.fabric_node.service import GossipService
from pubsub.fabric_node.topics import Topics
from pubsub.host.registry import Registry
from pubsub.identity import PeerId
from pubsub.router import receiving
from pubsub.router.events import Validation
from tests.io.nodes import until


class Accounts:
    """Counts at both ends of everything, from when it is made, beside the peers' own counters."""

    def __init__(self, monkeypatch) -> None:
        self._sent: Counter[tuple[int, bytes]] = Counter()
        "By sender's lanes and receiver: envelopes handed over to be sent."
        self._came: Counter[tuple[bytes, bytes]] = Counter()
        "By sender and receiver: envelopes that came by streams."
        self._published: defaultdict[int, list[str]] = defaultdict(list)
        self._parted: set[frozenset[PeerId]] = set()
        "Pairs of which a connection has ended: what was on it is lost, as with any network."
        self._released: Counter[int] = Counter()
        "By router: messages that were delivered and passed on."
        self.messages = 0
        "That came by topics."
        self.silent: list[str] = []
        "What happened to those of which no counter told."
        self._tap_streams(monkeypatch)
        self._tap_topics(monkeypatch)

    def _tap_topics(self, monkeypatch) -> None:
        on_message, finish = receiving._on_message, receiving.on_validation_finished
        release, feed = receiving._release, Engine.feed

        def on_message_tapped(core, peer, raw, batch, *, now):
            before = self._told(core)
            on_message(core, peer, raw, batch, now=now)
            self.messages += 1
            if self._told(core) <= before:
                self.silent.append("a message that came")

        def on_finish(core, event):
            before = self._told(core)
            finish(core, event)
            if self._told(core) < before:
                self.silent.append("a message that was judged")

        def on_release(core, message):
            self._released[id(core)] += 1
            release(core, message)

        def on_feed(engine, event):
            before = sum(engine.peer.refusals.values())
            done = feed(engine, event)
            if isinstance(event, ev.TopicMessage) and not engine.closed:
                accepted = event.token.verdict is Validation.ACCEPT
                if not accepted and sum(engine.peer.refusals.values()) == before:
                    self.silent.append(f"a message of {event.topic}")
            return done

        monkeypatch.setattr(receiving, "_on_message", on_message_tapped)
        monkeypatch.setattr(receiving, "on_validation_finished", on_finish)
        monkeypatch.setattr(receiving, "_release", on_release)
        monkeypatch.setattr(Engine, "feed", on_feed)

    def _told(self, core) -> int:
        """Of how many messages it is known what became of them, or that they are judged now."""
        counted = core.counters["duplicate"] + core.counters["rivals"] + sum(core.drops.values())
        return counted + len(core.validating) + self._released[id(core)]

    def check_topics(self) -> None:
        """Each message that came by a topic was used, was here, or is counted as dropped."""
        assert self.messages > 100
        assert self.silent == []

    def _tap_streams(self, monkeypatch) -> None:
        send, feed, publish, leave = Lanes.send, Engine.feed, Topics.publish, Registry.leave

        def on_send(lanes, peer, protocol, envelope):
            self._sent[id(lanes), peer] += 1
            return send(lanes, peer, protocol, envelope)

        def on_feed(engine, event):
            if isinstance(event, ev.StreamMessage) and not engine.closed:
                self._came[event.peer, engine.peer.pki_id] += 1
            return feed(engine, event)

        def on_publish(topics, effect):
            self._published[id(topics)].append(effect.topic)
            publish(topics, effect)

        def on_leave(registry, connection):
            self._parted.add(frozenset((registry._own_id, connection.peer)))
            leave(registry, connection)

        monkeypatch.setattr(Registry, "leave", on_leave)
        monkeypatch.setattr(Lanes, "send", on_send)
        monkeypatch.setattr(Engine, "feed", on_feed)
        monkeypatch.setattr(Topics, "publish", on_publish)

    def published(self, service: GossipService, suffix: str) -> list[str]:
        """The topics to which a peer has published, of those that end so; once for each message."""
        topics = self._published[id(service._engine.topics)]
        return [topic for topic in topics if topic.endswith(suffix)]

    async def balance(self, services: Iterable[GossipService]) -> None:
        """Each envelope to another of these peers came there, waits, or is counted as lost."""
        self.check_topics()
        chosen = list(services)
        await until(lambda: not any(self._missing(each, chosen) for each in chosen), 30)
        pairs = [(one, other) for one in chosen for other in chosen if one is not other]
        assert 2 * sum(self._stayed(*pair) for pair in pairs) > len(pairs)

    def _missing(self, sender: GossipService, services: list[GossipService]) -> int:
        """How many are not accounted for; of peers that parted it cannot be said."""
        lanes = sender._engine.links.lanes
        told = sender.snapshot()["streams"]
        others = [each.pki_id for each in services if self._stayed(sender, each)]
        sent = sum(self._sent[id(lanes), other] for other in others)
        came = sum(self._came[sender.pki_id, other] for other in others)
        known = told["waiting"] + told.get(FULL, 0) + told.get(LOST, 0)
        return max(0, sent - came - known)

    def _stayed(self, one: GossipService, other: GossipService) -> bool:
        ids = frozenset((one.node.peer_id, other.node.peer_id))
        return one is not other and ids not in self._parted
