"""Whether what peers send each other alone is accounted for: what came, or why it did not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from pubsub.fabric import events as ev
from pubsub.fabric_node.engine import Engine
from pubsub.fabric_node.lanes import FULL, LOST, Lanes
from pubsub.fabric_node.service import GossipService
from pubsub.fabric_node.topics import Topics
from tests.io.nodes import until


class Accounts:
    """Counts at both ends of everything, from when it is made, beside the peers' own counters."""

    def __init__(self, monkeypatch) -> None:
        self._sent: Counter[tuple[int, bytes]] = Counter()
        "By sender's lanes and receiver: envelopes handed over to be sent."
        self._came: Counter[tuple[bytes, bytes]] = Counter()
        "By sender and receiver: envelopes that came by streams."
        self._published: defaultdict[int, list[str]] = defaultdict(list)
        self._tap(monkeypatch)

    def _tap(self, monkeypatch) -> None:
        send, feed, publish = Lanes.send, Engine.feed, Topics.publish

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

        monkeypatch.setattr(Lanes, "send", on_send)
        monkeypatch.setattr(Engine, "feed", on_feed)
        monkeypatch.setattr(Topics, "publish", on_publish)

    def published(self, service: GossipService, suffix: str) -> list[str]:
        """The topics to which a peer has published, of those that end so; once for each message."""
        topics = self._published[id(service._engine.topics)]
        return [topic for topic in topics if topic.endswith(suffix)]

    async def balance(self, services: Iterable[GossipService]) -> None:
        """Each envelope to another of these peers came there, waits, or is counted as lost."""
        chosen = list(services)
        await until(lambda: all(self._missing(each, chosen) == 0 for each in chosen), 20)

    def _missing(self, sender: GossipService, services: list[GossipService]) -> int:
        lanes = sender._engine.links.lanes
        told = sender.snapshot()["streams"]
        pairs = [other.pki_id for other in services if other is not sender]
        sent = sum(self._sent[id(lanes), other] for other in pairs)
        came = sum(self._came[sender.pki_id, other] for other in pairs)
        return sent - came - told["waiting"] - told.get(FULL, 0) - told.get(LOST, 0)
