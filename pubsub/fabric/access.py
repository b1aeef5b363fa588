"""Who may know which of our topics.

    topic                                      may be known by
    /fabric/1/N/o/OURS/alive                   our organization
    /fabric/1/N/c/C/{state,alive,blocks}       the organizations of the channel
    /fabric/1/N/c/C/o/OURS/{state,leader,blocks}   our organization, while it is in the channel
    any other                                  nobody

A peer that others may not know (one without an external endpoint) is not in the topics of
a whole channel: what it needs comes to it by those of its organization. Whoever has not
proved an identity has no organization, and so knows nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import final

from pubsub.fabric.topics import ChannelTopics, Network, Scope


class Kind(enum.Enum):
    """What a topic is for."""

    ORG_ALIVE = "alive, in an organization"
    CHANNEL_ALIVE = "alive, in a channel"
    STATE = "state, in a channel"
    ORG_STATE = "state, of an organization in a channel"
    LEADER = "leader"
    BLOCKS = "blocks"


@dataclass(frozen=True, slots=True)
class Place:
    """A topic that we are in."""

    topic: str
    kind: Kind
    orgs: frozenset[str]
    "MSP ids of those who may know it, and whose peers may be authors there."

    channel: str = ""
    "Its name; empty for what is of no channel."


@dataclass(frozen=True, slots=True)
class Change:
    """What became different: topics to join or leave, and peers that may know more or less."""

    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    peers: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.joined or self.left or self.peers)


@dataclass(slots=True)
class _Channel:
    topics: ChannelTopics
    orgs: frozenset[str]
    has_left: bool = False


@final
class Access:
    """Topics, peers and rights of one peer, whose organization is `org`.

    `external`: whether peers of other organizations may know us. `elects`: whether leaders
    are elected. `pushes_blocks`: whether blocks are gossiped, in `scope`.
    """

    def __init__(
        self,
        network: Network,
        org: str,
        *,
        external: bool,
        elects: bool = True,
        pushes_blocks: bool = True,
        scope: Scope = Scope.ORG,
    ) -> None:
        self._org = org
        self._external = external
        self._elects = elects
        self._pushes_blocks = pushes_blocks
        self._scope = scope
        self._channels: dict[str, _Channel] = {}
        self._peers: dict[bytes, str] = {}
        home = Place(network.org_alive(org), Kind.ORG_ALIVE, frozenset((org,)))
        self._home = home
        self._places = {home.topic: home}

    # -- Questions

    @property
    def topics(self) -> list[str]:
        """Those to be in."""
        return list(self._places)

    @property
    def peers(self) -> list[bytes]:
        """Those that have proved who they are, and are connected."""
        return list(self._peers)

    def place(self, topic: str) -> Place | None:
        """What we know of a topic; None if it is not ours."""
        return self._places.get(topic)

    def find(self, kind: Kind, channel: str = "") -> Place | None:
        """Our topic of that kind; None if there is none now."""
        for place in self._places.values():
            if place.kind is kind and place.channel == channel:
                return place
        return None

    def org_of(self, peer: bytes) -> str | None:
        """The MSP id of a connected peer; None if it has not proved who it is."""
        return self._peers.get(peer)

    def may_know(self, org: str | None, topic: str) -> bool:
        """Whether peers of `org` may know that we are in a topic, and what is said there."""
        place = self._places.get(topic)
        return place is not None and org in place.orgs

    def may_peer_know(self, peer: bytes, topic: str) -> bool:
        """The same for one peer that is connected."""
        return self.may_know(self._peers.get(peer), topic)

    # -- What changes the answers

    def on_proven(self, peer: bytes, org: str) -> Change:
        """A connected peer has proved an identity of `org`."""
        before = self._peers.get(peer)
        self._peers[peer] = org
        differs = self._known_by(before, self._places) != self._known_by(org, self._places)
        return Change(peers=(peer,) if differs else ())

    def on_gone(self, peer: bytes) -> Change:
        """A peer is connected no more, or its identity is no longer good."""
        org = self._peers.pop(peer, None)
        return Change(peers=(peer,) if self._known_by(org, self._places) else ())

    def join(self, channel: str, topics: ChannelTopics, orgs: Iterable[str]) -> Change:
        """We are in a channel, or again in one that we had left."""
        self._channels[channel] = _Channel(topics, frozenset(orgs))
        return self._renew()

    def configure(self, channel: str, orgs: Iterable[str]) -> Change:
        """The organizations of a channel are these now."""
        self._channels[channel].orgs = frozenset(orgs)
        return self._renew()

    def leave(self, channel: str) -> Change:
        """We leave: others still hear of us that we have left, and no more."""
        self._channels[channel].has_left = True
        return self._renew()

    def forget(self, channel: str) -> Change:
        """We are in no topic of the channel any more."""
        self._channels.pop(channel, None)
        return self._renew()

    def _renew(self) -> Change:
        before = self._places
        after = {self._home.topic: self._home}
        for name, channel in self._channels.items():
            after |= {place.topic: place for place in self._places_in(name, channel)}
        self._places = after
        changed = [
            peer
            for peer, org in self._peers.items()
            if self._known_by(org, before) != self._known_by(org, after)
        ]
        return Change(_without(after, before), _without(before, after), tuple(changed))

    def _places_in(self, name: str, channel: _Channel) -> list[Place]:
        if self._org not in channel.orgs:
            return []
        topics, everyone, ours = channel.topics, channel.orgs, frozenset((self._org,))
        places = [Place(topics.org_state(self._org), Kind.ORG_STATE, ours, name)]
        if self._external:
            places.append(Place(topics.state, Kind.STATE, everyone, name))
            places.append(Place(topics.alive, Kind.CHANNEL_ALIVE, everyone, name))
        if channel.has_left:
            return places
        if self._elects:
            places.append(Place(topics.leader(self._org), Kind.LEADER, ours, name))
        if self._pushes_blocks:
            allowed = ours if self._scope is Scope.ORG else everyone
            topic = topics.blocks(self._org, self._scope)
            places.append(Place(topic, Kind.BLOCKS, allowed, name))
        return places

    @staticmethod
    def _known_by(org: str | None, places: dict[str, Place]) -> list[str]:
        return [topic for topic, place in places.items() if org in place.orgs]


def _without(topics: Collection[str], others: Collection[str]) -> tuple[str, ...]:
    return tuple(topic for topic in topics if topic not in others)
