"""Connections and streams to other peers over TCP, on trio."""

from pubsub.host.connection import ConnectionInfo, HostConnection
from pubsub.host.gate import DeniedError, Gate
from pubsub.host.host import Host
from pubsub.host.params import HostParams
from pubsub.host.peer_store import PeerStore
from pubsub.host.registry import HostListener
from pubsub.host.signed_record import SignedRecord
from pubsub.host.stream import Stream
from pubsub.host.stream_table import Handler

__all__ = [
    "ConnectionInfo",
    "DeniedError",
    "Gate",
    "Handler",
    "Host",
    "HostConnection",
    "HostListener",
    "HostParams",
    "PeerStore",
    "SignedRecord",
    "Stream",
]
