"""What a run remembers of each message: who should have it, who got it, when and over whom."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from pubsub.router.message import Message


class Arrival(NamedTuple):
    """The first time that a message reached a subscriber."""

    at: float
    parent: int
    "Whom it came from."
    hops: int


@dataclass(slots=True)
class Journey:
    """One message on its way through the network."""

    topic: str
    publisher: int
    at: float
    expected: tuple[int, ...]
    "The honest subscribers at the moment of publishing, but for the publisher."
    arrivals: dict[int, Arrival] = field(default_factory=dict)
    later_lives: dict[int, float] = field(default_factory=dict)
    "When it reached a subscriber again that had forgotten it by a restart."


class Farewell(NamedTuple):
    """A node closed its connection to another."""

    at: float
    node: int
    peer: int
    reason: str


class Record:
    """Filled by the nodes while the network runs; a report is made of it."""

    def __init__(self) -> None:
        self.journeys: dict[bytes, Journey] = {}
        self.repeated: Counter[tuple[int, bytes]] = Counter()
        "How often a node, in one life, delivered a message again; by node and message id."
        self.invented: Counter[int] = Counter()
        "How many messages a node delivered that no honest node had published."
        self.farewells: list[Farewell] = []
        self._reborn: dict[int, float] = {}
        self._subscribers: dict[str, dict[int, None]] = {}
        self._listed: dict[str, tuple[int, ...]] = {}

    def joined(self, topic: str, node: int) -> None:
        """From now on `node` should have every message of `topic`."""
        self._subscribers.setdefault(topic, {})[node] = None
        self._listed.pop(topic, None)

    def left(self, topic: str, node: int) -> None:
        """`node` need not have what is published from now on."""
        self._subscribers.get(topic, {}).pop(node, None)
        self._listed.pop(topic, None)

    def restarted(self, node: int, now: float) -> None:
        """`node` has forgotten what it had."""
        self._reborn[node] = now

    def published(self, message: Message, node: int, now: float) -> None:
        """`node` sent a new message on its way."""
        listed = self._listed.get(message.topic)
        if listed is None:
            listed = self._listed[message.topic] = tuple(self._subscribers.get(message.topic, ()))
        expected = tuple(number for number in listed if number != node)
        self.journeys[message.id] = Journey(message.topic, node, now, expected)

    def delivered(self, message: Message, node: int, parent: int, now: float) -> None:
        """`node` handed a message to its application."""
        journey = self.journeys.get(message.id)
        if journey is None:
            self.invented[node] += 1
        elif node in journey.arrivals:
            last = journey.later_lives.get(node, journey.arrivals[node].at)
            if last < self._reborn.get(node, 0.0):
                journey.later_lives[node] = now
            else:
                self.repeated[node, message.id] += 1
        elif node == journey.publisher:
            self.repeated[node, message.id] += 1
        else:
            before = journey.arrivals.get(parent)
            journey.arrivals[node] = Arrival(now, parent, before.hops + 1 if before else 1)
