"""A small network of Fabric peers, without sockets: what each asks for is done after a delay.

Topics reach all that are in them and may know them, as far as the sender knows; streams
reach their peer. Connections are made when they are needed, and begin with the proof of
identities: who calls is proved first, so that nobody learns more than it may. Every byte
that reaches a peer is kept.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.actions import CloseConnection, Warn
from pubsub.fabric.blocks import Block
from pubsub.fabric.config import ChannelConfig, config_from_block
from pubsub.fabric.identities import Signer
from pubsub.fabric.ledger import MemoryLedger
from pubsub.fabric.make_org import OrganizationMaker
from pubsub.fabric.members import Member
from pubsub.fabric.params import V14, GossipParams
from pubsub.fabric.peer import Peer
from pubsub.fabric.topics import Network

NETWORK = Network("town")
DELAY = 0.01


@dataclass
class Resident:
    """A peer, and what a shell would hold for it."""

    name: str
    core: Peer
    signer: Signer
    ledgers: dict[str, MemoryLedger]
    born: int
    linked: dict[bytes, None] = field(default_factory=dict)
    topics: dict[str, None] = field(default_factory=dict)
    effects: list[tuple[float, fx.Effect]] = field(default_factory=list)
    received: list[tuple[bytes, str, bytes]] = field(default_factory=list)
    "From whom, by which topic or protocol, and what."

    commits: list[tuple[str, int]] = field(default_factory=list)
    commit_time: float = 0.0
    "How long a block takes to be in the ledger."


class Town:
    """All residents, and what happens between them.

    `strangers_meet`: whether a topic connects those who have not heard of each other. Else
    what is published reaches only peers that its sender is connected with, or holds for alive.
    """

    def __init__(self, start_ns: int, *, seed: int = 1, strangers_meet: bool = True) -> None:
        self.now = 0.0
        self.start_ns = start_ns
        self.rng = Random(seed)
        self.residents: dict[bytes, Resident] = {}
        self.at: dict[str, bytes] = {}
        self.blocks: dict[str, list[Block]] = {}
        self.letters: list[tuple[float, int, bytes, int, Callable[[Resident], None]]] = []
        self.count = itertools.count()
        self.strangers_meet = strangers_meet
        self.silent: dict[bytes, None] = {}
        "Peers of whose messages none arrives, though their connections stand."

    @property
    def wall_ns(self) -> int:
        return self.start_ns + int(self.now * 1e9)

    # -- Peers come and go

    def moves_in(
        self,
        org: OrganizationMaker,
        name: str,
        *,
        external: bool,
        bootstrap: Iterable[str] = (),
        params: GossipParams = V14,
        ledgers: dict[str, MemoryLedger] | None = None,
    ) -> Resident:
        """`bootstrap` names peers of the organization, or whole endpoints."""
        member = org.members[f"{name}.{org.domain}"]
        signer = member.signer
        outside, inside = f"{member.name}:7051", f"{member.name}:17051"
        entries = [other if ":" in other else f"{other}.{org.domain}:17051" for other in bootstrap]
        params = params.replaced(
            endpoint=inside,
            external_endpoint=outside if external else "",
            bootstrap=tuple(entries),
        )
        core = Peer(
            signer,
            org.msp(),
            NETWORK,
            params,
            rng=Random(self.rng.random()),
            now=self.now,
            wall_ns=self.wall_ns,
        )
        short = f"{name}.{org.msp_id}"
        resident = Resident(short, core, signer, ledgers or {}, next(self.count))
        self.residents[signer.pki_id] = resident
        self.at[inside] = self.at[outside] = signer.pki_id
        self.tells(resident, ev.Started())
        return resident

    def joins(
        self, resident: Resident, genesis: Block, config: ChannelConfig | None = None
    ) -> None:
        config = config or config_from_block(genesis)
        ledger = resident.ledgers.setdefault(config.channel, MemoryLedger())
        if not ledger.height:
            ledger.append(0, genesis.raw)
        self.blocks.setdefault(config.channel, [genesis])
        self.tells(resident, ev.JoinChannel(config, genesis.hash, ledger.height))

    def dies(self, resident: Resident) -> None:
        peer = resident.core.pki_id
        del self.residents[peer]
        for other in self.residents.values():
            if other.linked.pop(peer, 0) is None:
                self.tells(other, ev.PeerGone(peer))

    # -- The orderer

    def orders(self, channel: str, block: Block) -> None:
        """A further block; all who lead in the channel get it."""
        self.blocks[channel].append(block)
        for resident in self.residents.values():
            self.delivers(resident, channel)

    def delivers(self, resident: Resident, channel: str) -> None:
        joined = resident.core.channel(channel)
        if joined is None or not joined.leading:
            return
        # The orderer knows one channel of the name.
        if resident.ledgers[channel].block(0) == self.blocks[channel][0].raw:
            for block in self.blocks[channel][joined.first_missing :]:
                self.tells(resident, ev.BlockDelivered(channel, block.raw))

    # -- Time and post

    def until(self, end: float) -> None:
        while True:
            due = min(self.residents.values(), key=lambda each: each.core.next_deadline)
            deadline = max(self.now, due.core.next_deadline)
            if self.letters and self.letters[0][0] <= deadline:
                if self.letters[0][0] > end:
                    break
                self.now, _, receiver, born, opens = heapq.heappop(self.letters)
                resident = self.residents.get(receiver)
                if resident is not None and resident.born == born:
                    opens(resident)
            elif deadline > end:
                break
            else:
                self.now = deadline
                self.tells(due, ev.TimerFired())
        self.now = end

    def posts(
        self, peer: bytes, opens: Callable[[Resident], None], *, delay: float = DELAY
    ) -> None:
        if peer in self.residents:
            born = self.residents[peer].born
            entry = (self.now + delay, next(self.count), peer, born, opens)
            heapq.heappush(self.letters, entry)

    def tells(self, resident: Resident, event: ev.Event) -> None:
        done = resident.core.handle(event, now=self.now, wall_ns=self.wall_ns)
        for effect in done:
            resident.effects.append((self.now, effect))
            self.does(resident, effect)

    def does(self, resident: Resident, effect: fx.Effect) -> None:
        match effect:
            case fx.JoinTopic(topic):
                resident.topics[topic] = None
            case fx.LeaveTopic(topic):
                del resident.topics[topic]
            case fx.Publish(topic, envelope):
                self.publishes(resident, topic, envelope)
            case fx.SendEnvelope(peer, protocol, envelope):
                self.sends(resident, peer, protocol, envelope)
            case fx.Dial(endpoint, peer):
                self.dials(resident, endpoint, peer)
            case CloseConnection(peer):
                self.unlinks(resident, peer)
            case fx.Commit(channel, number, raw):
                self.commits(resident, channel, number, raw)
            case fx.Answer(channel):
                answer = resident.core.answer(effect, resident.ledgers[channel])
                self.does(resident, answer)
                self.tells(resident, ev.Answered(channel))
            case fx.LeaderChanged(channel, True):
                self.posts(resident.core.pki_id, lambda r: self.delivers(r, channel))

    def commits(self, resident: Resident, channel: str, number: int, raw: bytes) -> None:
        def commit(keeper: Resident) -> None:
            keeper.ledgers[channel].append(number, raw)
            keeper.commits.append((channel, number))
            self.tells(keeper, ev.Committed(channel, number))

        if resident.commit_time:
            self.posts(resident.core.pki_id, commit, delay=resident.commit_time)
        else:
            commit(resident)

    # -- Connections

    def links(self, caller: Resident, peer: bytes) -> bool:
        """Whether the two are connected: the one that is called looks first who calls."""
        called = self.residents.get(peer)
        if called is None or called is caller:
            return False
        if peer in caller.linked:
            return True
        for here, there in ((called, caller), (caller, called)):
            here.linked[there.core.pki_id] = None
            self.tells(here, ev.PeerProven(there.core.pki_id, there.signer.identity))
            if there.core.pki_id not in here.linked:
                return False
        return peer in caller.linked

    def unlinks(self, resident: Resident, peer: bytes) -> None:
        other = self.residents.get(peer)
        if resident.linked.pop(peer, 0) is None:
            self.tells(resident, ev.PeerGone(peer))
        if other is not None and other.linked.pop(resident.core.pki_id, 0) is None:
            self.tells(other, ev.PeerGone(resident.core.pki_id))

    def dials(self, resident: Resident, endpoint: str, peer: bytes | None) -> None:
        found = self.at.get(endpoint)
        if found is None or not self.links(resident, found):
            if peer is None:
                refused = ev.DialFailed(endpoint, "refused")
                self.posts(resident.core.pki_id, lambda r: self.tells(r, refused))
        elif peer is None:
            dialed = ev.Dialed(endpoint, found)
            self.posts(resident.core.pki_id, lambda r: self.tells(r, dialed))

    def sends(self, resident: Resident, peer: bytes, protocol: str, envelope: bytes) -> None:
        sender = resident.core.pki_id
        if not self.links(resident, peer):
            self.posts(sender, lambda r: self.tells(r, ev.PeerUnreachable(peer)))
            return

        def opens(receiver: Resident) -> None:
            if self.arrives(sender, receiver):
                receiver.received.append((sender, protocol, envelope))
                self.tells(receiver, ev.StreamMessage(sender, protocol, envelope))

        self.posts(peer, opens)

    def publishes(self, resident: Resident, topic: str, envelope: bytes) -> None:
        """To all in the topic; as a router would, only to those who may know it."""
        sender = resident.core.pki_id

        def opens(receiver: Resident) -> None:
            if self.arrives(sender, receiver):
                receiver.received.append((sender, topic, envelope))
                self.tells(receiver, ev.TopicMessage(sender, topic, envelope))

        for peer, other in list(self.residents.items()):
            # Nobody connects to one who may not know the topic, or tells it if connected.
            access = resident.core.access
            if topic not in other.topics or not access.may_know(other.core.org, topic):
                continue
            if not self.strangers_meet and not self.knows(resident, peer):
                continue
            if self.links(resident, peer) and access.may_peer_know(peer, topic):
                self.posts(peer, opens)

    def arrives(self, sender: bytes, receiver: Resident) -> bool:
        """Not what was under way on a connection that has been closed since."""
        return sender in receiver.linked and sender not in self.silent

    def knows(self, resident: Resident, peer: bytes) -> bool:
        return peer in resident.linked or resident.core.membership.is_alive(peer)

    # -- What is seen

    def members(self, resident: Resident) -> list[Member]:
        return resident.core.membership.members

    def view(self, resident: Resident) -> list[str]:
        return sorted(self.name(each.peer) for each in self.members(resident))

    def name(self, peer: bytes) -> str:
        return self.residents[peer].name if peer in self.residents else peer.hex()[:8]

    def warnings(self, resident: Resident) -> list[Warn]:
        return [effect for _, effect in resident.effects if isinstance(effect, Warn)]

    def seen(self, resident: Resident, kind: type[Any]) -> list[Any]:
        return [effect for _, effect in resident.effects if isinstance(effect, kind)]
