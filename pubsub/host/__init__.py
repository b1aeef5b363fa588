"""Connections and streams to other peers over TCP, on trio."""

from pubsub.host.connection import ConnectionInfo, Handler, HostConnection
from pubsub.host.host import Host, HostListener
from pubsub.host.params import HostParams
from pubsub.host.peer_store import PeerStore
from pubsub.host.stream import Stream

__all__ = [
    "ConnectionInfo",
    "Handler",
    "Host",
    "HostConnection",
    "HostListener",
    "HostParams",
    "PeerStore",
    "Stream",
]
