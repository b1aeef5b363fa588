"""Unsigned varints as multiformats and protobuf write them: 7 bits a byte, low bits first."""

from __future__ import annotations

from pubsub.errors import RemoteError

MAX_BYTES = 9
"63 bits: the longest that the multiformats specification allows."

_SMALL = [bytes((n,)) for n in range(128)] + [
    bytes((n & 0x7F | 0x80, n >> 7)) for n in range(128, 1 << 14)
]
# Lengths of messages and frames are nearly always below 16 KiB, and a table
# look-up costs a quarter of the loop.


def encode_varint(value: int) -> bytes:
    """The varint of a number that is not negative."""
    if value < 16384:
        return _SMALL[value]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(data: bytes, offset: int = 0) -> tuple[int, int] | None:
    """Read (value, offset after it), or None if `data` ends inside the varint.

    Raises RemoteError if it is longer than 9 bytes.
    """
    value = shift = 0
    end = len(data)
    for position in range(offset, offset + MAX_BYTES):
        if position >= end:
            return None
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position + 1
        shift += 7
    raise RemoteError("length prefix longer than 9 bytes")
