"""Which of two messages makes the other worthless.

    alive_msg, state_info, leadership_msg   by one author: the later wins, and of
                                            equal ones the first
    peer_identity                           by one author: the first stays
    data_msg                                of one number: the first stays; else the
                                            higher wins, if they are further apart
                                            than a window

Messages of different contents or authors leave each other be. "Later" is the
incarnation (when the author started) and then its count, both the author's word.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from pubsub.errors import ParamError
from pubsub.fabric.content import Content, author_of, content_of
from pubsub.pb.fabric import gossip_pb2

Stamp: TypeAlias = tuple[int, int]
"Incarnation and count of a PeerTime."

BY_AUTHOR = frozenset((Content.ALIVE, Content.STATE_INFO, Content.LEADERSHIP, Content.IDENTITY))
"Contents of which an author's latest is the one that counts."


class Verdict(enum.Enum):
    """What a new message does to an old one."""

    NO_ACTION = "no action"
    INVALIDATES = "invalidates"
    INVALIDATED = "invalidated"
    "The old one stays, the new one is worthless."


def stamp_of(message: gossip_pb2.GossipMessage) -> Stamp:
    """When a message was made, by its author's clock; always the same for an identity.

    Raises ParamError for contents without a time.
    """
    match content_of(message):
        case Content.ALIVE:
            time = message.alive_msg.timestamp
        case Content.STATE_INFO:
            time = message.state_info.timestamp
        case Content.LEADERSHIP:
            time = message.leadership_msg.timestamp
        case Content.IDENTITY:
            return (0, 0)
        case content:
            raise ParamError(f"{content or 'a message without content'} has no time")
    return (time.inc_num, time.seq_num)


def compare_stamps(new: Stamp, old: Stamp) -> Verdict:
    """Judge two messages of one author."""
    return Verdict.INVALIDATES if new > old else Verdict.INVALIDATED


def compare_numbers(new: int, old: int, window: int) -> Verdict:
    """Judge two blocks by their numbers."""
    if new != old and abs(new - old) <= window:
        return Verdict.NO_ACTION
    return Verdict.INVALIDATES if new > old else Verdict.INVALIDATED


def compare(
    new: gossip_pb2.GossipMessage, old: gossip_pb2.GossipMessage, *, window: int = 0
) -> Verdict:
    """Judge two messages; `window` is how far apart blocks leave each other be."""
    content = content_of(new)
    if content_of(old) is not content:
        return Verdict.NO_ACTION
    if content is Content.DATA:
        return compare_numbers(new.data_msg.payload.seq_num, old.data_msg.payload.seq_num, window)
    if content in BY_AUTHOR and author_of(new) == author_of(old):
        return compare_stamps(stamp_of(new), stamp_of(old))
    return Verdict.NO_ACTION
