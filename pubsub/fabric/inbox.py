"""From the topics and streams to the machines, and from what they ask for to effects.

An envelope that `Intake` has let through goes to the machine of its content. What a machine
did not ask for is not even read: answers hold many signatures to check.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar, assert_never, final

from pubsub.errors import RemoteError
from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.access import Kind
from pubsub.fabric.actions import CloseConnection, Publish, Send, Warn
from pubsub.fabric.channel import JoinedChannel
from pubsub.fabric.content import PULL, Content
from pubsub.fabric.disclosure import without_secret
from pubsub.fabric.effects import Effect
from pubsub.fabric.entry_points import Dial
from pubsub.fabric.envelope import GossipEnvelope, wrap_message
from pubsub.fabric.home import Home
from pubsub.fabric.intake import Intake
from pubsub.fabric.intake_rules import MAX_FAULTS, PROTOCOL_OF, Judged, Verdict
from pubsub.fabric.members import Alive
from pubsub.fabric.membership import Action as MembershipAction
from pubsub.fabric.membership import MemberChanged, Probe
from pubsub.fabric.peer_state import PeerState
from pubsub.fabric.pull import PullEngine
from pubsub.fabric.pull_requester import Pulled

T = TypeVar("T")


@final
class Inbox:
    """The inbox of one peer; `identities` is its pull of identities, `channels` are by name."""

    def __init__(
        self,
        intake: Intake,
        home: Home,
        *,
        identities: PullEngine,
        channels: Mapping[str, JoinedChannel],
    ) -> None:
        self.counters: Counter[str] = Counter()
        "Answers that nobody had asked for, by their content."

        self._intake = intake
        self._access = home.access
        self._membership = home.membership
        self._moment = home.moment
        self._identities = identities
        self._channels = channels

    # -- Topics

    def on_topic(self, event: ev.TopicMessage) -> list[Effect]:
        judged = self._intake.on_topic(
            event.peer,
            event.topic,
            event.envelope,
            now=self._moment.now,
            when=self._moment.when,
        )
        self._heard(event.peer)
        done: list[Effect] = [fx.Validated(event.token, judged.verdict, judged.reason)]
        if judged.envelope is None or judged.is_known:
            return done
        return done + self._take(judged.envelope, judged)

    def _take(self, envelope: GossipEnvelope, judged: Judged) -> list[Effect]:
        if envelope.content is Content.ALIVE:
            alive = Alive.of(envelope)
            return self.perform(self._membership.on_alive(alive, now=self._moment.now))
        channel = self._channels[judged.channel]
        if envelope.content is Content.STATE_INFO:
            return channel.on_state(PeerState.of(envelope))
        if envelope.content is Content.LEADERSHIP:
            return channel.on_leadership(envelope.author, envelope.message.leadership_msg)
        return channel.on_block(envelope)

    # -- Streams

    def on_stream(self, event: ev.StreamMessage) -> list[Effect]:
        judged = self._intake.on_stream(
            event.peer,
            event.protocol,
            event.envelope,
            now=self._moment.now,
            when=self._moment.when,
        )
        if judged.verdict is Verdict.REJECT:
            return [fx.Blamed(event.peer, judged.reason or "")]
        self._heard(event.peer)
        if judged.envelope is None:
            return []
        try:
            return self._read(event.peer, judged.envelope, judged.channel)
        except RemoteError as error:
            return [fx.Blamed(event.peer, str(error))]

    def _read(self, peer: bytes, envelope: GossipEnvelope, name: str) -> list[Effect]:
        message = envelope.message
        if envelope.content in PULL and not name:
            return self.perform(self._identities.on_message(peer, message, self._moment.now))
        if name:
            return self._read_in(self._channels[name], peer, envelope)
        match envelope.content:
            case Content.MEMBERSHIP_REQUEST:
                about = self._intake.alive_in(
                    message.mem_req.self_information,
                    now=self._moment.now,
                    when=self._moment.when,
                )
                return self.perform(
                    self._membership.on_membership_request(
                        peer, about, message.nonce, now=self._moment.now
                    )
                    if about
                    else []
                )
            case Content.MEMBERSHIP_RESPONSE:
                return self._membership_response(peer, envelope)
            case Content.CONNECTION:
                # It was read when the connection was made; a second one says nothing new.
                return []
            case _:
                return [fx.Direct(peer, envelope.raw)]

    def _membership_response(self, peer: bytes, envelope: GossipEnvelope) -> list[Effect]:
        message = envelope.message
        if not self._membership.awaits(peer, message.nonce):
            self.counters[Content.MEMBERSHIP_RESPONSE] += 1
            return []
        read = partial(
            self._intake.news_in, now=self._moment.now, when=self._moment.when, authors=set()
        )
        alive = self._good(message.mem_res.alive, read)
        dead = self._good(message.mem_res.dead, read)
        return self.perform(
            self._membership.on_membership_response(
                peer, message.nonce, alive, dead, now=self._moment.now
            )
        )

    def _good(self, parts: Iterable[bytes], read: Callable[[bytes], T | None]) -> list[T]:
        """The good parts of an answer. Raises RemoteError if there are many others."""
        found, most = [], self._intake.faults + MAX_FAULTS
        for raw in parts:
            part = read(raw)
            if part is not None:
                found.append(part)
            elif self._intake.faults >= most:
                raise RemoteError(f"an answer with {MAX_FAULTS} bad parts or more")
        return found

    def _read_in(
        self, channel: JoinedChannel, peer: bytes, envelope: GossipEnvelope
    ) -> list[Effect]:
        message = envelope.message
        match envelope.content:
            case Content.STATE_INFO_REQUEST:
                return channel.on_state_request(peer, message.state_info_pull_req.channel_mac)
            case Content.STATE_SNAPSHOT:
                return self._snapshot(channel, peer, message.state_snapshot.elements)
            case Content.STATE_REQUEST:
                return channel.on_blocks_request(peer, message)
            case Content.STATE_RESPONSE:
                return channel.on_blocks_response(peer, message)
            case content if content in PULL:
                return channel.on_pull(peer, message)
            case _:
                return [fx.Direct(peer, envelope.raw)]

    def _snapshot(
        self, channel: JoinedChannel, peer: bytes, elements: Iterable[bytes]
    ) -> list[Effect]:
        if not channel.awaits_snapshot(peer):
            self.counters[Content.STATE_SNAPSHOT] += 1
            return []
        read = partial(
            self._intake.state_in,
            channel=channel.name,
            now=self._moment.now,
            when=self._moment.when,
            authors=set(),
        )
        states = self._good(elements, read)
        return channel.on_snapshot(peer, states)

    def _heard(self, peer: bytes) -> None:
        if self._access.org_of(peer) is not None:
            self._membership.on_traffic(peer, now=self._moment.now)

    # -- What machines ask for

    def perform(self, actions: Iterable[MembershipAction | Pulled]) -> list[Effect]:
        """The effects of what membership, or the pull of identities, asks for."""
        return [effect for action in actions for effect in self._done(action)]

    def _done(self, action: MembershipAction | Pulled) -> list[Effect]:
        match action:
            case Publish(envelope):
                return self._published(envelope.raw)
            case Send(peer, message):
                envelope = wrap_message(message)
                return [fx.SendEnvelope(peer, PROTOCOL_OF[envelope.content], envelope.raw)]
            case Dial(endpoint):
                return [fx.Dial(endpoint)]
            case Probe(peer, endpoint):
                return [fx.Dial(endpoint, peer)]
            case Pulled():
                # The identities are in the mapper already.
                return []
            case CloseConnection() | MemberChanged() | Warn():
                return [action]
            case _:
                assert_never(action)

    def _published(self, alive: bytes) -> list[Effect]:
        """Our AliveMessage: all of it to our organization, to others without the secret."""
        done: list[Effect] = []
        home = self._access.find(Kind.ORG_ALIVE)
        if home:
            done.append(fx.Publish(home.topic, alive))
        bare = without_secret(alive)
        for name in self._channels:
            place = self._access.find(Kind.CHANNEL_ALIVE, name)
            if place:
                done.append(fx.Publish(place.topic, bare))
        return done
