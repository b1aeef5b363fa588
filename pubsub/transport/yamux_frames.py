"""What Yamux sends and tells (specs: yamux/README.md).

A frame is version, type, flags, stream id and length, 12 bytes big-endian; only a
data frame has a body. In the others the length is the window's growth, a ping's
value or the reason for going away.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from pubsub.errors import ParamError

HEADER = struct.Struct(">BBHII")
HEADER_SIZE = HEADER.size
VERSION = 0
DATA, WINDOW_UPDATE, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8
ALL_FLAGS = SYN | ACK | FIN | RST
NORMAL, PROTOCOL_ERROR, INTERNAL_ERROR = range(3)

KIB = 1024
INITIAL_WINDOW = 256 * KIB
"Both windows of a new stream, by the specification."
MAX_WINDOW = 16 * KIB * KIB
"go's and js's largest."
MAX_BODY = 65535 - 16 - HEADER_SIZE
"One data frame then fills one Noise frame exactly. go sends 64 KiB, rust takes 1 MiB."
MAX_SEND_WINDOW = 2**32 - 1
MAX_STREAM_ID = 2**32 - 1


@dataclass(frozen=True, slots=True)
class YamuxLimits:
    """What one peer may make us hold."""

    inbound_streams: int = 256
    "Streams the peer has open; rust's and go's own bound."

    outbound_streams: int = 1024
    "Streams we have open; ours."

    unacknowledged_streams: int = 256
    "Streams we opened that the peer has not accepted; rust and go refuse more."

    receive_window: int = INITIAL_WINDOW
    "What the peer may send on a stream before the application has taken it."

    control_bytes: int = KIB * KIB
    "Unsent answers (pings, resets, acknowledgements) a peer may provoke; ours."

    def __post_init__(self) -> None:
        if not INITIAL_WINDOW <= self.receive_window <= MAX_WINDOW:
            raise ParamError(f"receive_window is {self.receive_window}; must be 256 KiB to 16 MiB")
        counts = (self.inbound_streams, self.outbound_streams, self.unacknowledged_streams)
        if min(counts) < 0 or self.control_bytes < HEADER_SIZE:
            raise ParamError("a Yamux limit is negative, or leaves no room for one answer")


class StreamOpened(NamedTuple):
    """The peer opened a stream; it has been acknowledged."""

    stream_id: int


class DataReceived(NamedTuple):
    """Bytes came; `consumed` must be told when the application has taken them."""

    stream_id: int
    data: bytes


class StreamEnded(NamedTuple):
    """The peer will send nothing more on the stream."""

    stream_id: int


class StreamReset(NamedTuple):
    """The peer threw the stream away; it is gone."""

    stream_id: int


class WindowOpened(NamedTuple):
    """More may be sent on the stream."""

    stream_id: int


class Pong(NamedTuple):
    """The peer answered our ping."""

    value: int


class GoAway(NamedTuple):
    """The peer accepts no new streams; with a code other than 0 it is about to hang up."""

    code: int


YamuxEvent: TypeAlias = (
    StreamOpened | DataReceived | StreamEnded | StreamReset | WindowOpened | Pong | GoAway
)
