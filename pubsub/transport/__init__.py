"""From a socket's bytes to streams and back: multistream-select, Noise, Yamux. Pure."""

from pubsub.transport.connection import Connection, ConnectionEvent, Ready, Secured
from pubsub.transport.multistream import Initiator, Responder
from pubsub.transport.noise import NoiseHandshake
from pubsub.transport.noise_session import NoiseSession
from pubsub.transport.yamux import YamuxSession
from pubsub.transport.yamux_frames import (
    DataReceived,
    GoAway,
    Pong,
    StreamEnded,
    StreamOpened,
    StreamReset,
    WindowOpened,
    YamuxEvent,
    YamuxLimits,
)

__all__ = [
    "Connection",
    "ConnectionEvent",
    "DataReceived",
    "GoAway",
    "Initiator",
    "NoiseHandshake",
    "NoiseSession",
    "Pong",
    "Ready",
    "Responder",
    "Secured",
    "StreamEnded",
    "StreamOpened",
    "StreamReset",
    "WindowOpened",
    "YamuxEvent",
    "YamuxLimits",
    "YamuxSession",
]
