"""What may come in: every envelope is judged here, the cheap checks first.

    who sent it ─► decoded ─► content and tag ─► channel ─► author ─► freshness ─► signature, block
       REJECT        REJECT         REJECT        REJECT   REJECT (1)    IGNORE        REJECT (2)

(1) an author that we do not know yet is nobody's fault: IGNORE. (2) a block whose orderers
we do not know, and that lies beyond the next one, may follow a change of orderers: RETRY, or
any peer could have others pass over a true block by a copy of it without signatures.
REJECT is held against whoever passed it on, who should have seen the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import final

from pubsub.fabric import topics as names
from pubsub.fabric.access import Access, Kind, Place
from pubsub.fabric.announcement import Announcement
from pubsub.fabric.author_pace import AuthorPace
from pubsub.fabric.authors import Authors, RefusedError
from pubsub.fabric.block_verification import BlockSignatureError
from pubsub.fabric.blocks import BlockError
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.content import PULL, Content, MalformedMessageError
from pubsub.fabric.envelope import GossipEnvelope, decode_envelope, is_bare
from pubsub.fabric.identity_mapper import IdentityMapper
from pubsub.fabric.intake_rules import (
    ASKING,
    FAULTS,
    ON_STREAM,
    ON_TOPIC,
    UNTAGGED,
    Channel,
    Judged,
    Reason,
    Verdict,
    View,
    verdict_of,
)
from pubsub.fabric.members import MAX_ENVELOPE, Alive, Freshness
from pubsub.fabric.peer_state import PeerState
from pubsub.fabric.state_info import MAX_STATE
from pubsub.fabric.state_info import Verdict as StateVerdict
from pubsub.fabric.tags import EMPTY, IllegalTagError, check_tag
from pubsub.fabric.trust import Trust


@final
class Intake:
    """The judge of one peer, `us`, of organization `org`; `channels` are by name."""

    def __init__(
        self,
        us: bytes,
        org: str,
        *,
        access: Access,
        mapper: IdentityMapper,
        trust: Trust,
        view: View,
        channels: Mapping[str, Channel],
    ) -> None:
        self.counters: Counter[str] = Counter()
        "Why envelopes were not accepted, and how often."

        self._us = us
        self._org = org
        self._access = access
        self._authors = Authors(mapper, trust)
        self._view = view
        self._channels = channels
        self._pace = AuthorPace()

    # -- Whole envelopes

    def on_topic(
        self, peer: bytes, topic: str, raw: bytes, *, now: float, when: datetime
    ) -> Judged:
        """An envelope that `peer` passed on; `when` is wall time."""
        try:
            return self._on_topic(peer, topic, raw, now, when)
        except RefusedError as refusal:
            return self._refused(refusal.reason)

    def on_stream(
        self, peer: bytes, protocol: str, raw: bytes, *, now: float, when: datetime
    ) -> Judged:
        """An envelope that `peer` sent us alone. What is inside it is judged by `alive_in` and
        `state_in`, since the machines know whether it was asked for."""
        try:
            return self._on_stream(peer, protocol, raw)
        except RefusedError as refusal:
            return self._refused(refusal.reason)

    def _refused(self, reason: Reason) -> Judged:
        self.counters[reason] += 1
        return Judged(verdict_of(reason), reason)

    def _on_topic(self, peer: bytes, topic: str, raw: bytes, now: float, when: datetime) -> Judged:
        place = self._place(peer, topic)
        content, limit = ON_TOPIC[place.kind]
        envelope = _decoded(raw, limit)
        if envelope.content is not content:
            raise RefusedError(Reason.CONTENT)
        if not is_bare(envelope):
            raise RefusedError(Reason.DRESSED_UP)
        _check_tag(envelope)
        self._check_channel(envelope, place)
        if content is Content.DATA:
            return self._block(envelope, place.channel)
        spoken = (topic, envelope.author)
        if not self._pace.allows(spoken, now):
            raise RefusedError(Reason.TOO_OFTEN)
        judged = self._signed(envelope, place, now, when)
        if judged.verdict is Verdict.ACCEPT:
            self._pace.count(spoken, now)
        return judged

    def _signed(self, envelope: GossipEnvelope, place: Place, now: float, when: datetime) -> Judged:
        if envelope.content is Content.ALIVE:
            return self._alive(envelope, place, now, when)
        if envelope.content is Content.STATE_INFO:
            return self._state(envelope, place.channel, place.orgs, now, when)
        return self._leadership(envelope, place, now, when)

    def _on_stream(self, peer: bytes, protocol: str, raw: bytes) -> Judged:
        if protocol not in ON_STREAM:
            raise RefusedError(Reason.NOT_OURS)
        org = self._access.org_of(peer)
        if org is None:
            raise RefusedError(Reason.SENDER)
        contents, limit = ON_STREAM[protocol]
        envelope = _decoded(raw, limit)
        if envelope.content not in contents:
            raise RefusedError(Reason.CONTENT)
        if protocol not in UNTAGGED:
            _check_tag(envelope)
        channel = self._channel_of(envelope, peer, protocol)
        if channel:
            self._check_rights(envelope, peer, org, channel)
        return Judged(Verdict.ACCEPT, envelope=envelope, channel=channel)

    def on_announcement(self, peer: bytes, topic: str, announced: Announcement) -> Reason | None:
        """Why the block that `peer` announced is not to be fetched; None if it is."""
        try:
            place = self._place(peer, topic)
            if place.kind is not Kind.BLOCKS:
                raise RefusedError(Reason.CONTENT)
            if place.channel != announced.channel:
                raise RefusedError(Reason.CHANNEL)
            channel = self._channels[place.channel]
            if not channel.wants_block(announced.number):
                channel.pass_over(announced.number)
                raise RefusedError(Reason.WINDOW)
        except RefusedError as refusal:
            return self._refused(refusal.reason).reason
        return None

    def _place(self, peer: bytes, topic: str) -> Place:
        place = self._access.place(topic)
        if place is None:
            raise RefusedError(Reason.NOT_OURS)
        if not self._access.may_peer_know(peer, topic):
            raise RefusedError(Reason.SENDER)
        return place

    # -- Channels

    def _check_channel(self, envelope: GossipEnvelope, place: Place) -> None:
        named = envelope.message.channel
        is_secret = envelope.content in (Content.ALIVE, Content.STATE_INFO)
        # Those two travel where the channel's name must not be.
        if named != (b"" if is_secret else place.channel.encode()):
            raise RefusedError(Reason.CHANNEL)

    def _channel_of(self, envelope: GossipEnvelope, peer: bytes, protocol: str) -> str:
        """The name of the channel that a message on a stream is of; empty if of none."""
        message = envelope.message
        if envelope.content is Content.STATE_INFO_REQUEST:
            mac = message.state_info_pull_req.channel_mac
            found = [name for name in self._channels if channel_mac(peer, name) == mac]
            if message.channel:
                raise RefusedError(Reason.CHANNEL)
            if not found:
                # Whoever asks cannot know that we are not in it, or have forgotten it.
                raise RefusedError(Reason.NOT_IN_CHANNEL)
            return found[0]
        of_none = protocol in (names.IDENTITY, names.MEMBERSHIP) or (
            envelope.content in PULL and message.tag == EMPTY
        )
        if protocol == names.DIRECT:
            of_none = not message.channel
        if of_none and not message.channel:
            return ""
        if of_none or not message.channel:
            raise RefusedError(Reason.CHANNEL)
        for name in self._channels:
            if name.encode() == message.channel:
                return name
        raise RefusedError(Reason.NOT_IN_CHANNEL)

    def _check_rights(self, envelope: GossipEnvelope, peer: bytes, org: str, name: str) -> None:
        channel = self._channels[name]
        if not channel.is_org_in_channel(org):
            # It may have been removed, and not know that yet.
            raise RefusedError(Reason.NOT_MEMBER)
        if envelope.content in PULL and org != self._org:
            raise RefusedError(Reason.SENDER)
        is_state = envelope.content in (Content.STATE_INFO_REQUEST, Content.STATE_SNAPSHOT)
        if channel.has_left and not is_state:
            raise RefusedError(Reason.LEFT)
        if envelope.content in ASKING and not channel.is_eligible(peer):
            raise RefusedError(Reason.NOT_ELIGIBLE)
        if envelope.content is Content.STATE_REQUEST and not channel.keeps_ledger:
            raise RefusedError(Reason.NO_LEDGER)

    # -- Contents

    def _alive(self, envelope: GossipEnvelope, place: Place, now: float, when: datetime) -> Judged:
        if place.kind is Kind.CHANNEL_ALIVE:
            if envelope.secret is not None:
                raise RefusedError(Reason.SECRET)
            if not envelope.message.alive_msg.membership.endpoint:
                raise RefusedError(Reason.ENDPOINT)
        self._authors.of(envelope, place.orgs, now=now, when=when)
        return self._checked_alive(envelope, now)

    def _checked_alive(self, envelope: GossipEnvelope, now: float) -> Judged:
        is_own = envelope.author == self._us
        if not is_own and self._view.freshness(Alive.of(envelope)) is Freshness.OLD:
            raise RefusedError(Reason.STALE)
        self._authors.check(envelope, now=now)
        return self._unless_own(envelope)

    def _state(
        self,
        envelope: GossipEnvelope,
        name: str,
        orgs: frozenset[str] | None,
        now: float,
        when: datetime,
    ) -> Judged:
        channel, state = self._channels[name], PeerState.of(envelope)
        if state.mac != channel_mac(state.peer, name):
            raise RefusedError(Reason.CHANNEL)
        author = self._authors.of(envelope, orgs, now=now, when=when)
        verdict = channel.judge(state)
        if verdict is StateVerdict.OUTSIDE:
            raise RefusedError(Reason.OUTSIDE)
        held = channel.state_of(state.peer)
        if held is not None and held.envelope == envelope.raw:
            # It comes by the topic of the channel and by that of the organization.
            return Judged(Verdict.ACCEPT, envelope=envelope, channel=name, is_known=True)
        if verdict is StateVerdict.OLD:
            raise RefusedError(Reason.STALE)
        if verdict is not StateVerdict.NEW:
            raise RefusedError(Reason.NO_ROOM)
        self._authors.check_in(name, author, envelope)
        return self._unless_own(envelope, name)

    def _leadership(
        self, envelope: GossipEnvelope, place: Place, now: float, when: datetime
    ) -> Judged:
        author = self._authors.of(envelope, place.orgs, now=now, when=when)
        channel = self._channels[place.channel]
        message = envelope.message.leadership_msg
        if envelope.author != self._us and not channel.is_fresh(envelope.author, message):
            raise RefusedError(Reason.STALE)
        self._authors.check_in(place.channel, author, envelope)
        return self._unless_own(envelope, place.channel)

    def _block(self, envelope: GossipEnvelope, name: str) -> Judged:
        channel, payload = self._channels[name], envelope.message.data_msg.payload
        if not channel.wants_block(payload.seq_num):
            channel.pass_over(payload.seq_num)
            raise RefusedError(Reason.WINDOW)
        try:
            channel.verify(payload.seq_num, payload.data)
        except BlockSignatureError as error:
            is_next = payload.seq_num == channel.next_number
            raise RefusedError(Reason.BLOCK if is_next else Reason.EARLY) from error
        except BlockError as error:
            raise RefusedError(Reason.BLOCK) from error
        return Judged(Verdict.ACCEPT, envelope=envelope, channel=name)

    def _unless_own(self, envelope: GossipEnvelope, channel: str = "") -> Judged:
        if envelope.author != self._us:
            return Judged(Verdict.ACCEPT, envelope=envelope, channel=channel)
        self.counters[Reason.OWN] += 1
        return Judged(Verdict.IGNORE, Reason.OWN, envelope, channel)

    # -- Parts of answers

    def alive_in(self, raw: bytes, *, now: float, when: datetime) -> Alive | None:
        """The AliveMessage of one that asks and is known, if it is good; also one that is old."""
        return self._alive_in(raw, now, when, introduces=False)

    def news_in(
        self, raw: bytes, *, now: float, when: datetime, authors: set[bytes]
    ) -> Alive | None:
        """An AliveMessage in an answer, if it is good and news, perhaps of one not known yet.

        Its author is noted in `authors`: of each the first one counts.
        """
        return self._alive_in(raw, now, when, told=authors)

    @property
    def faults(self) -> int:
        """How many parts of answers were refused for what is hardly ever so in an honest one."""
        return sum(self.counters[reason] for reason in FAULTS)

    def _alive_in(
        self,
        raw: bytes,
        now: float,
        when: datetime,
        *,
        introduces: bool = True,
        told: set[bytes] | None = None,
    ) -> Alive | None:
        try:
            envelope = _decoded(raw, MAX_ENVELOPE)
            if envelope.content is not Content.ALIVE:
                raise RefusedError(Reason.CONTENT)
            _check_tag(envelope)
            alive = Alive.of(envelope)
            # Answers hold all that is known to others: nearly all of it is known here too.
            if told is not None:
                _note(alive.peer, told)
                if alive.peer != self._us and not self._view.is_news(alive):
                    return None
            self._authors.of(envelope, now=now, when=when, introduces=introduces)
            self._authors.check(envelope, now=now)
        except RefusedError as refusal:
            self.counters[refusal.reason] += 1
            return None
        return alive

    def state_in(
        self, raw: bytes, channel: str, *, now: float, when: datetime, authors: set[bytes]
    ) -> PeerState | None:
        """The StateInfo in a snapshot of a channel, if it is good and news; `authors` as above."""
        try:
            envelope = _decoded(raw, MAX_STATE)
            if envelope.content is not Content.STATE_INFO:
                raise RefusedError(Reason.CONTENT)
            _check_tag(envelope)
            _note(envelope.author, authors)
            judged = self._state(envelope, channel, None, now, when)
        except RefusedError as refusal:
            self.counters[refusal.reason] += 1
            return None
        return None if judged.is_known else PeerState.of(envelope)


def _decoded(raw: bytes, limit: int) -> GossipEnvelope:
    try:
        return decode_envelope(raw, limit=limit)
    except MalformedMessageError as error:
        raise RefusedError(Reason.MALFORMED) from error


def _note(author: bytes, authors: set[bytes]) -> None:
    if author in authors:
        raise RefusedError(Reason.REPEATED)
    authors.add(author)


def _check_tag(envelope: GossipEnvelope) -> None:
    try:
        check_tag(envelope.message)
    except IllegalTagError as error:
        raise RefusedError(Reason.TAG) from error
