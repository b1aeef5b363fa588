"""What the parts of the service ask of the whole."""

from __future__ import annotations

from typing import Protocol

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.actions import Warn
from pubsub.fabric.peer import Peer
from pubsub.fabric_node.directory import Directory
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

    def warn(self, warning: Warn) -> None:
        """Tell the operator."""
