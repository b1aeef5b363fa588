"""What the parts of the service ask of the whole."""

from __future__ import annotations

from typing import Protocol

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.actions import Warn
from pubsub.fabric.peer import Peer
from pubsub.fabric_node.directory import Directory
from pubsub.fabric_node.inlets import Gossiped, Received
from pubsub.node.node import Node


class Owner(Protocol):
    """The engine, as its parts see it."""

    @property
    def peer(self) -> Peer:
        """The core; for questions."""

    @property
    def node(self) -> Node:
        """The node below."""

    @property
    def directory(self) -> Directory:
        """Who is connected."""

    @property
    def closed(self) -> bool:
        """Whether the service has stopped."""

    def feed(self, event: ev.Event) -> object:
        """Tell the core what has happened."""

    def perform(self, effect: fx.Effect) -> None:
        """Do what the core asks for."""

    def offer(self, item: Gossiped | Received) -> None:
        """Hand an item to those of the user's readers that want it."""

    def fail(self, error: Exception) -> None:
        """What the user gave has raised this: end the service, and let it come out as it is."""

    def warn(self, warning: Warn) -> None:
        """Tell the operator."""
