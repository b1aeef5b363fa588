"""How many entries an encoded message may hold, counted before it is decoded.

A list of two-byte entries takes many times its size once it is decoded, so the
size alone does not bound what a peer can make us allocate. Only long payloads are
looked at: a short one cannot hold many.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from pubsub.fabric.content import MalformedMessageError

LOOKED_AT = 64 * 1024
"Payloads up to this many bytes are not counted (ours)."
MAX_ENTRIES = 16_384
"Fields at the levels that have lists: a pull's digests, the peers of a response (ours)."

Levels: TypeAlias = dict[int, Any]
"Numbers of the fields to look into, each with what to look into below it."

GOSSIP_MESSAGE: Levels = {number: {} for number in range(5, 26)} | {
    8: {1: {}},  # data_msg: private data of the block
    15: {5: {}},  # state_info: chaincodes
    19: {1: {}},  # state_response: private data of each block
    24: {1: {}},  # private_res: payloads of each element
}


def check_entries(
    payload: bytes, levels: Levels = GOSSIP_MESSAGE, *, most: int = MAX_ENTRIES
) -> None:
    """Raise MalformedMessageError if an encoded message holds too many entries.

    It is a GossipMessage, or one that has its lists at other `levels`.
    """
    if len(payload) <= LOOKED_AT:
        return
    entries = 0
    pending = [(0, len(payload), levels)]
    while pending:
        start, end, within = pending.pop()
        for number, first, last in _fields(payload, start, end):
            entries += 1
            if entries > most:
                raise MalformedMessageError(f"message with more than {most} entries")
            if number in within:
                pending.append((first, last, within[number]))


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field's bytes; numbers have none."""
    position = start
    while position < end:
        tag, position = _varint(data, position, end)
        length = 0
        match tag & 7:
            case 0:
                _, position = _varint(data, position, end)
            case 1:
                position += 8
            case 2:
                length, position = _varint(data, position, end)
            case 5:
                position += 4
            case kind:
                raise MalformedMessageError(f"field of wire type {kind}")
        if position + length > end:
            raise MalformedMessageError("field that is longer than its message")
        yield tag >> 3, position, position + length
        position += length


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise MalformedMessageError("number that does not end")
