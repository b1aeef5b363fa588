"""The user's rarer commands: direct peers, topics' parameters, feedback, tracing, rechecks."""

from __future__ import annotations

from typing import TypeAlias, assert_never

from pubsub.errors import ParamError
from pubsub.router.control import note_subscription
from pubsub.router.core import Core
from pubsub.router.events import (
    Feedback,
    Recheck,
    SetBarred,
    SetDirect,
    SetFrameLimit,
    SetTopic,
    SetTrace,
)
from pubsub.router.message import topic_of
from pubsub.router.outbox import UNLIMITED
from pubsub.router.peer import Peer

Command: TypeAlias = (
    SetDirect | SetTopic | SetTrace | SetBarred | SetFrameLimit | Feedback | Recheck
)


LEAST_FRAME = 2048
"Control must fit: the longest topic and what stands around it (ours)."


def obey(core: Core, command: Command, *, now: float) -> None:
    """Follow a command.

    Raises ParamError for one that cannot be followed.
    """
    match command:
        case SetDirect():
            _set_direct(core, command, now=now)
        case SetTopic():
            core.settings.set(command.topic, command.params)
            topic = core.topics.get(command.topic)
            if topic is not None:
                core.settings.apply(topic)
        case SetTrace():
            core.traced = command.on
        case SetBarred():
            core.barred = {bytes(author): None for author in command.authors}
        case SetFrameLimit():
            _set_frame_limit(core, command)
        case Feedback():
            if core.scores is None:
                raise ParamError("scoring is off: set Params(scoring=True) to give feedback")
            core.scores.feedback(command.peer, command.delta)
        case Recheck():
            for peer in core.peers.values():
                _recheck(core, peer, now=now)
        case _:
            assert_never(command)


def _set_frame_limit(core: Core, command: SetFrameLimit) -> None:
    limit = command.limit
    if limit is not None and limit < LEAST_FRAME:
        raise ParamError(f"a frame limit must be at least {LEAST_FRAME} bytes, not {limit}")
    if limit is None:
        core.frame_limits.pop(command.peer, None)
    else:
        core.frame_limits[command.peer] = limit
    peer = core.peers.get(command.peer)
    if peer is not None:
        peer.outbox.frame_limit = UNLIMITED if limit is None else limit


def _set_direct(core: Core, command: SetDirect, *, now: float) -> None:
    if command.peer == core.id:
        raise ParamError("a node cannot be its own direct peer")
    if command.direct:
        core.direct[command.peer] = None
    else:
        core.direct.pop(command.peer, None)
    peer = core.peers.get(command.peer)
    if peer is not None and peer.direct is not command.direct:
        peer.direct = command.direct
        core.reclassify(peer, now=now)


def _recheck(core: Core, peer: Peer, *, now: float) -> None:
    """Part a peer from topics that it may know no more, and let it into those that it now may.

    It is not told of the parting: what it must not know, an UNSUBSCRIBE would say.
    """
    for name in list(peer.topics):
        if not core.may_know(peer.id, name):
            core.leave(peer, name)
            peer.withheld[name] = None
            core.counters["peers_parted"] += 1
            lost = peer.outbox.forget(name, topic_of)
            core.drop("may_not_know", lost, peer=peer.id, topic=name)
    for topic in core.topics.values():
        if topic.subscribed:
            if core.may_know(peer.id, topic.name):
                # Heard twice it does no harm, and it costs less than to remember who heard it.
                peer.outbox.subscription(topic.name, joined=True)
                core.tell(peer)
            else:
                peer.outbox.forget(topic.name, topic_of)
    for name in list(peer.withheld):
        if core.may_know(peer.id, name):
            del peer.withheld[name]
            note_subscription(core, peer, name, now=now)
            state = core.topics.get(name)
            if state is None or not state.subscribed:
                # It may believe that we are there, since we left while it could not be told.
                peer.outbox.subscription(name, joined=False)
                core.tell(peer)
