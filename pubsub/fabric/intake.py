"""What may come in: every envelope is judged here, the cheap checks first.

    who sent it ─► decoded ─► content and tag ─► channel ─► author ─► freshness ─► signature, block
       REJECT        REJECT         REJECT        REJECT   REJECT (1)    IGNORE        REJECT (2)

(1) an author that we do not know yet is nobody's fault: IGNORE. (2) a block whose orderers
we do not know, and that lies beyond the next one, may follow a change of orderers: IGNORE.
REJECT is held against whoever passed it on, who should have seen the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import final

from pubsub.errors import RemoteError
from pubsub.fabric import topics as names
from pubsub.fabric.access import Access, Kind, Place
from pubsub.fabric.announcement import Announcement
from pubsub.fabric.block_verification import BlockSignatureError
from pubsub.fabric.blocks import BlockError
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.content import PULL, Content, MalformedMessageError
from pubsub.fabric.envelope import GossipEnvelope, decode_envelope, verify_envelope
from pubsub.fabric.identity_errors import IdentityError, PkiIdError
from pubsub.fabric.identity_mapper import IdentityMapper, KnownIdentity
from pubsub.fabric.intake_rules import (
    ASKING,
    IGNORED,
    ON_STREAM,
    ON_TOPIC,
    UNTAGGED,
    Channel,
    Judged,
    Reason,
    Verdict,
    View,
)
from pubsub.fabric.members import MAX_ENVELOPE, Alive, Freshness
from pubsub.fabric.peer_state import PeerState
from pubsub.fabric.state_info import MAX_STATE
from pubsub.fabric.state_info import Verdict as StateVerdict
from pubsub.fabric.tags import EMPTY, IllegalTagError, check_tag
from pubsub.fabric.trust import Trust


class _RefusedError(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


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
        self._mapper = mapper
        self._trust = trust
        self._view = view
        self._channels = channels

    # -- Whole envelopes

    def on_topic(
        self, peer: bytes, topic: str, raw: bytes, *, now: float, when: datetime
    ) -> Judged:
        """An envelope that `peer` passed on; `when` is wall time."""
        try:
            return self._on_topic(peer, topic, raw, now, when)
        except _RefusedError as refusal:
            return self._refused(refusal.reason)

    def on_stream(
        self, peer: bytes, protocol: str, raw: bytes, *, now: float, when: datetime
    ) -> Judged:
        """An envelope that `peer` sent us alone. What is inside it is judged by `alive_in` and
        `state_in`, since the machines know whether it was asked for."""
        try:
            return self._on_stream(peer, protocol, raw)
        except _RefusedError as refusal:
            return self._refused(refusal.reason)

    def _refused(self, reason: Reason) -> Judged:
        self.counters[reason] += 1
        return Judged(Verdict.IGNORE if reason in IGNORED else Verdict.REJECT, reason)

    def _on_topic(self, peer: bytes, topic: str, raw: bytes, now: float, when: datetime) -> Judged:
        place = self._place(peer, topic)
        content, limit = ON_TOPIC[place.kind]
        envelope = _decoded(raw, limit)
        if envelope.content is not content:
            raise _RefusedError(Reason.CONTENT)
        _check_tag(envelope)
        self._check_channel(envelope, place)
        if content is Content.DATA:
            return self._block(envelope, place.channel)
        if content is Content.ALIVE:
            return self._alive(envelope, place, now, when)
        if content is Content.STATE_INFO:
            return self._state(envelope, place.channel, place.orgs, now, when)
        return self._leadership(envelope, place, now, when)

    def _on_stream(self, peer: bytes, protocol: str, raw: bytes) -> Judged:
        if protocol not in ON_STREAM:
            raise _RefusedError(Reason.NOT_OURS)
        org = self._access.org_of(peer)
        if org is None:
            raise _RefusedError(Reason.SENDER)
        contents, limit = ON_STREAM[protocol]
        envelope = _decoded(raw, limit)
        if envelope.content not in contents:
            raise _RefusedError(Reason.CONTENT)
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
                raise _RefusedError(Reason.CONTENT)
            if place.channel != announced.channel:
                raise _RefusedError(Reason.CHANNEL)
            channel = self._channels[place.channel]
            if not channel.wants_block(announced.number):
                channel.pass_over(announced.number)
                raise _RefusedError(Reason.WINDOW)
        except _RefusedError as refusal:
            return self._refused(refusal.reason).reason
        return None

    def _place(self, peer: bytes, topic: str) -> Place:
        place = self._access.place(topic)
        if place is None:
            raise _RefusedError(Reason.NOT_OURS)
        if not self._access.may_peer_know(peer, topic):
            raise _RefusedError(Reason.SENDER)
        return place

    # -- Channels

    def _check_channel(self, envelope: GossipEnvelope, place: Place) -> None:
        named = envelope.message.channel
        is_secret = envelope.content in (Content.ALIVE, Content.STATE_INFO)
        # Those two travel where the channel's name must not be.
        if named != (b"" if is_secret else place.channel.encode()):
            raise _RefusedError(Reason.CHANNEL)

    def _channel_of(self, envelope: GossipEnvelope, peer: bytes, protocol: str) -> str:
        """The name of the channel that a message on a stream is of; empty if of none."""
        message = envelope.message
        if envelope.content is Content.STATE_INFO_REQUEST:
            mac = message.state_info_pull_req.channel_mac
            found = [name for name in self._channels if channel_mac(peer, name) == mac]
            if message.channel:
                raise _RefusedError(Reason.CHANNEL)
            if not found:
                # Whoever asks cannot know that we are not in it, or have forgotten it.
                raise _RefusedError(Reason.NOT_IN_CHANNEL)
            return found[0]
        of_none = protocol == names.MEMBERSHIP or (
            envelope.content in PULL and message.tag == EMPTY
        )
        if protocol in UNTAGGED:
            of_none = not message.channel
        if of_none and not message.channel:
            return ""
        if of_none or not message.channel:
            raise _RefusedError(Reason.CHANNEL)
        for name in self._channels:
            if name.encode() == message.channel:
                return name
        raise _RefusedError(Reason.NOT_IN_CHANNEL)

    def _check_rights(self, envelope: GossipEnvelope, peer: bytes, org: str, name: str) -> None:
        channel = self._channels[name]
        if not channel.is_org_in_channel(org):
            raise _RefusedError(Reason.SENDER)
        if envelope.content in PULL and org != self._org:
            raise _RefusedError(Reason.SENDER)
        is_state = envelope.content in (Content.STATE_INFO_REQUEST, Content.STATE_SNAPSHOT)
        if channel.has_left and not is_state:
            raise _RefusedError(Reason.LEFT)
        if envelope.content in ASKING and not channel.is_eligible(peer):
            raise _RefusedError(Reason.NOT_ELIGIBLE)
        if envelope.content is Content.STATE_REQUEST and not channel.keeps_ledger:
            raise _RefusedError(Reason.NO_LEDGER)

    # -- Contents

    def _alive(self, envelope: GossipEnvelope, place: Place, now: float, when: datetime) -> Judged:
        if place.kind is Kind.CHANNEL_ALIVE:
            if envelope.secret is not None:
                raise _RefusedError(Reason.SECRET)
            if not envelope.message.alive_msg.membership.endpoint:
                raise _RefusedError(Reason.ENDPOINT)
        author = self._author(envelope, now, when)
        if author.msp_id not in place.orgs:
            raise _RefusedError(Reason.OUTSIDE)
        return self._checked_alive(envelope, now)

    def _checked_alive(self, envelope: GossipEnvelope, now: float) -> Judged:
        is_own = envelope.author == self._us
        if not is_own and self._view.freshness(Alive.of(envelope)) is Freshness.OLD:
            raise _RefusedError(Reason.STALE)
        self._check_signature(envelope, now)
        return self._unless_own(envelope)

    def _state(
        self,
        envelope: GossipEnvelope,
        name: str,
        orgs: frozenset[str],
        now: float,
        when: datetime,
    ) -> Judged:
        channel, state = self._channels[name], PeerState.of(envelope)
        if state.mac != channel_mac(state.peer, name):
            raise _RefusedError(Reason.CHANNEL)
        author = self._author(envelope, now, when)
        verdict = channel.judge(state)
        if author.msp_id not in orgs or verdict is StateVerdict.OUTSIDE:
            raise _RefusedError(Reason.OUTSIDE)
        held = channel.state_of(state.peer)
        if held is not None and held.envelope == envelope.raw:
            # It comes by the topic of the channel and by that of the organization.
            return Judged(Verdict.ACCEPT, envelope=envelope, channel=name, is_known=True)
        if verdict is StateVerdict.OLD:
            raise _RefusedError(Reason.STALE)
        if verdict is not StateVerdict.NEW:
            raise _RefusedError(Reason.NO_ROOM)
        self._check_signature_in(name, author, envelope)
        return self._unless_own(envelope, name)

    def _leadership(
        self, envelope: GossipEnvelope, place: Place, now: float, when: datetime
    ) -> Judged:
        author = self._author(envelope, now, when)
        if author.msp_id not in place.orgs:
            raise _RefusedError(Reason.OUTSIDE)
        channel = self._channels[place.channel]
        message = envelope.message.leadership_msg
        if envelope.author != self._us and not channel.is_fresh(envelope.author, message):
            raise _RefusedError(Reason.STALE)
        self._check_signature_in(place.channel, author, envelope)
        return self._unless_own(envelope, place.channel)

    def _block(self, envelope: GossipEnvelope, name: str) -> Judged:
        channel, payload = self._channels[name], envelope.message.data_msg.payload
        if not channel.wants_block(payload.seq_num):
            channel.pass_over(payload.seq_num)
            raise _RefusedError(Reason.WINDOW)
        try:
            channel.verify(payload.seq_num, payload.data)
        except BlockSignatureError as error:
            is_next = payload.seq_num == channel.next_number
            raise _RefusedError(Reason.BLOCK if is_next else Reason.EARLY) from error
        except BlockError as error:
            raise _RefusedError(Reason.BLOCK) from error
        return Judged(Verdict.ACCEPT, envelope=envelope, channel=name)

    def _unless_own(self, envelope: GossipEnvelope, channel: str = "") -> Judged:
        if envelope.author != self._us:
            return Judged(Verdict.ACCEPT, envelope=envelope, channel=channel)
        self.counters[Reason.OWN] += 1
        return Judged(Verdict.IGNORE, Reason.OWN, envelope, channel)

    # -- Parts of answers

    def alive_in(self, raw: bytes, *, now: float, when: datetime) -> Alive | None:
        """The AliveMessage in a request or an answer, if it is good; also one that is old."""
        try:
            envelope = _decoded(raw, MAX_ENVELOPE)
            if envelope.content is not Content.ALIVE:
                raise _RefusedError(Reason.CONTENT)
            _check_tag(envelope)
            self._author(envelope, now, when)
            self._check_signature(envelope, now)
        except _RefusedError as refusal:
            self.counters[refusal.reason] += 1
            return None
        return Alive.of(envelope)

    def state_in(self, raw: bytes, channel: str, *, now: float, when: datetime) -> PeerState | None:
        """The StateInfo in a snapshot of a channel, if it is good and news."""
        try:
            envelope = _decoded(raw, MAX_STATE)
            if envelope.content is not Content.STATE_INFO:
                raise _RefusedError(Reason.CONTENT)
            _check_tag(envelope)
            author = self._author(envelope, now, when)
            judged = self._state(envelope, channel, frozenset((author.msp_id,)), now, when)
        except _RefusedError as refusal:
            self.counters[refusal.reason] += 1
            return None
        return None if judged.is_known else PeerState.of(envelope)

    # -- Authors

    def _author(self, envelope: GossipEnvelope, now: float, when: datetime) -> KnownIdentity:
        """Who claims to have signed this; an AliveMessage may bring the identity along."""
        known = self._mapper.get(envelope.author, now=now)
        if known is None and envelope.content is Content.ALIVE:
            known = self._introduced(envelope, now, when)
        if known is None:
            raise _RefusedError(Reason.UNKNOWN_AUTHOR)
        if when > known.not_after:
            raise _RefusedError(Reason.EXPIRED)
        return known

    def _introduced(
        self, envelope: GossipEnvelope, now: float, when: datetime
    ) -> KnownIdentity | None:
        identity = envelope.message.alive_msg.identity
        if not identity:
            return None
        try:
            return self._mapper.put(envelope.author, identity, now=now, when=when)
        except PkiIdError as error:
            raise _RefusedError(Reason.SIGNATURE) from error
        except IdentityError:
            return None

    def _check_signature(self, envelope: GossipEnvelope, now: float) -> None:
        def verify(data: bytes, signature: bytes) -> None:
            self._mapper.verify(envelope.author, data, signature, now=now)

        try:
            verify_envelope(envelope, verify)
        except RemoteError as error:
            raise _RefusedError(Reason.SIGNATURE) from error

    def _check_signature_in(
        self, channel: str, author: KnownIdentity, envelope: GossipEnvelope
    ) -> None:
        def verify(data: bytes, signature: bytes) -> None:
            self._trust.verify_in_channel(channel, author.encoded, data, signature)

        try:
            verify_envelope(envelope, verify)
        except RemoteError as error:
            raise _RefusedError(Reason.SIGNATURE) from error


def _decoded(raw: bytes, limit: int) -> GossipEnvelope:
    try:
        return decode_envelope(raw, limit=limit)
    except MalformedMessageError as error:
        raise _RefusedError(Reason.MALFORMED) from error


def _check_tag(envelope: GossipEnvelope) -> None:
    try:
        check_tag(envelope.message)
    except IllegalTagError as error:
        raise _RefusedError(Reason.TAG) from error
