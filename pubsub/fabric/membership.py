"""Who is there: heartbeats, membership exchange, death and return.

    every 5 s     our AliveMessage to all, while anybody else is alive
    every 4 s     MembershipRequest to 3 random living peers ──► their alive and dead
    every 2.5 s   whoever was silent for 25 s is dead, and hung up on
    every 25 s    the dead are dialled; one that answers is asked who is there

A dead peer returns by an AliveMessage newer than its last. What keeps a living one alive:
a newer AliveMessage, by whatever way, and (ours) `on_traffic`, anything that came from
it on a connection on which it has proved its identity. Relayed messages other than newer
AliveMessages do not count, since anybody can repeat them; and nothing but a newer
AliveMessage brings the dead back. So with hundreds of peers a lost heartbeat is no death.
Nor is it one that we ourselves were held up: the time of a late check is not counted.

"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from pubsub.fabric.actions import CloseConnection, Publish, Send, Warn, short
from pubsub.fabric.disclosure import Standing, envelope_for, may_tell, without_secret
from pubsub.fabric.entry_points import Dial, EntryPoints
from pubsub.fabric.heartbeat import Heartbeat, Sign, Us
from pubsub.fabric.members import Alive, Change, Freshness, Member, Members, State
from pubsub.fabric.params import GossipParams
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, MembershipRequest, MembershipResponse

CHECKS = 10
"How often within the expiration timeout we look who was silent (Fabric's)."

MAX_PROBES = 100
"Dead peers dialled in a round (ours); of more, others each time."


@dataclass(frozen=True, slots=True)
class Probe:
    """Connect to a dead peer; if it can be reached, say `on_connected`."""

    peer: bytes
    endpoint: str

    def __repr__(self) -> str:
        return f"Probe({short(self.peer)})"


@dataclass(frozen=True, slots=True)
class MemberChanged:
    """The view has changed."""

    peer: bytes
    change: Change

    def __repr__(self) -> str:
        return f"MemberChanged({short(self.peer)}, {self.change.name})"


Action = CloseConnection | Dial | MemberChanged | Probe | Publish | Send | Warn


@dataclass(slots=True)
class _Asked:
    nonce: int
    until: float


class Membership:
    """The view of one peer.

    `org_of` gives the MSP id of an identity that has been checked, None for an unknown one.
    Messages are fed in after their signatures have been checked. It begins with `connect`, to
    the bootstrap peers; those and all others connected to so are never forgotten.
    """

    def __init__(
        self,
        us: Us,
        params: GossipParams,
        *,
        org_of: Callable[[bytes], str | None],
        sign: Sign,
        rng: Random,
        started_ns: int,
        now: float,
    ) -> None:
        self.counters: Counter[str] = Counter()
        "Why messages were ignored, and how often."

        self._us = us
        self._params = params
        self._org_of = org_of
        self._rng = rng
        self._heartbeat = Heartbeat(us, params, sign=sign, started_ns=started_ns, now=now)
        self._lasting: dict[str, None] = {}
        self._members = Members(is_lasting=self._is_lasting)
        self._entries = EntryPoints(params)
        self._asked: dict[bytes, _Asked] = {}
        self._check_every = params.alive_expiration_timeout / CHECKS
        self._alive_due = now + params.alive_time_interval
        self._check_due = now + self._check_every
        self._probe_due = now + params.reconnect_interval
        self._pull_due = now

    # -- The view

    @property
    def us(self) -> Member:
        """Ourselves, as our next AliveMessage says it."""
        us = self._us
        return Member(us.peer, us.endpoint, us.internal_endpoint, us.metadata)

    @property
    def members(self) -> list[Member]:
        """Those alive, without us."""
        return [record.member for record in self._members.in_state(State.ALIVE)]

    @property
    def dead(self) -> list[Member]:
        return [record.member for record in self._members.in_state(State.DEAD)]

    def lookup(self, peer: bytes) -> Member | None:
        """A peer that is alive or dead."""
        record = self._members.get(peer)
        return record.member if record else None

    def is_alive(self, peer: bytes) -> bool:
        record = self._members.get(peer)
        return record is not None and record.state is State.ALIVE

    def freshness(self, alive: Alive) -> Freshness:
        """To be asked before signatures are checked.

        The SAME message of a living peer comes with its secret by one topic and without it
        by another, so topics carry it on; what is OLD ends here. So does the same message
        with another secret: an author's old secrets are good too, and anybody may put one in.
        """
        freshness = self._members.freshness(alive.peer, alive.time)
        if freshness is not Freshness.SAME:
            return freshness
        record = self._members.get(alive.peer)
        if record is None or record.state is not State.ALIVE:
            return Freshness.OLD
        held, came = record.envelope, alive.envelope
        forms = (held, without_secret(held))
        is_same = came in forms or without_secret(came) == held
        return Freshness.SAME if is_same else Freshness.OLD

    def is_news(self, alive: Alive) -> bool:
        """Whether it is newer than what we hold, or brings an internal endpoint that we lack."""
        freshness = self.freshness(alive)
        if freshness is not Freshness.SAME:
            return freshness is Freshness.NEW
        member = self.lookup(alive.peer)
        return bool(alive.internal_endpoint and member and not member.internal_endpoint)

    def standing(self, peer: bytes) -> Standing:
        """What decides who may hear of a peer."""
        if peer == self._us.peer:
            return Standing(self._us.org, bool(self._us.endpoint))
        member = self.lookup(peer)
        return Standing(self._org_of(peer), bool(member and member.endpoint))

    # -- What the user does

    def update(self, *, metadata: bytes | None = None, endpoint: str | None = None) -> None:
        """Change what our next AliveMessages say."""
        self._heartbeat.update(metadata=metadata, endpoint=endpoint)

    def connect(self, endpoints: Iterable[str], org: str, *, now: float) -> list[Action]:
        """Reach bootstrap peers, or the anchor peers that a channel names for `org`."""
        own_org = org == self._us.org
        if not own_org and not self._us.endpoint:
            text = f"anchor peers of {org} are passed over: we have no external endpoint"
            return [Warn("membership.no_external_endpoint", text)]
        actions: list[Action] = []
        for endpoint in endpoints:
            if endpoint in ("", self._us.endpoint, self._us.internal_endpoint):
                continue
            self._lasting[endpoint] = None
            actions += self._entries.add(endpoint, own_org_only=own_org, now=now)
        return actions

    def release(self, endpoints: Iterable[str]) -> None:
        """Nothing names these endpoints any more: they are like any others."""
        for endpoint in endpoints:
            self._lasting.pop(endpoint, None)
            self._entries.drop(endpoint)

    def purge(self, peer: bytes) -> list[Action]:
        """Drop a peer whose identity is no longer good, or who has another one now."""
        self._asked.pop(peer, None)
        return self._change(peer, Change.FORGOTTEN) if self._members.purge(peer) else []

    # -- What connections do

    def on_dialed(self, endpoint: str, peer: bytes, *, now: float) -> list[Action]:
        """The dial of an endpoint has found a peer, whose identity is proved."""
        if peer == self._us.peer:
            self._entries.drop(endpoint)
            return []
        own_org = self._org_of(peer) == self._us.org
        good, warnings = self._entries.reached(endpoint, peer, own_org=own_org, now=now)
        if not good:
            return [*warnings, CloseConnection(peer)]
        return self._ask([peer], now) if self._may_ask(peer) else []

    def on_dial_failed(self, endpoint: str, why: str, *, now: float) -> list[Action]:
        return list(self._entries.failed(endpoint, why, now=now))

    def on_connected(self, peer: bytes, *, now: float) -> list[Action]:
        """A connection stands, whoever began it, and the peer has proved its identity."""
        self.on_traffic(peer, now=now)
        return self._ask([peer], now) if self._may_ask(peer) else []

    def on_traffic(self, peer: bytes, *, now: float) -> None:
        """Something came from `peer` on its own connection, where it has proved who it is."""
        self._members.touch(peer, now)

    def on_presumed_dead(self, peer: bytes) -> list[Action]:
        """A peer could not be sent to."""
        return self._bury([peer])

    # -- What messages say

    def on_alive(self, alive: Alive, *, now: float) -> list[Action]:
        if alive.peer == self._us.peer:
            return list(self._heartbeat.hear_of_us(alive))
        if self._org_of(alive.peer) is None:
            self.counters["unknown identity"] += 1
            return []
        if self.freshness(alive) is Freshness.OLD:
            self.counters["old"] += 1
            return []
        if not self._members.has_room_for(alive):
            self.counters["no room"] += 1
            return [Warn("membership.full", f"no room for {short(alive.peer)}: it is left out")]
        change = self._members.hear(alive, now)
        return self._change(alive.peer, change) if change else []

    def on_membership_request(
        self, peer: bytes, about_it: Alive, nonce: int, *, now: float
    ) -> list[Action]:
        """`peer` asks who is there; `about_it` is the AliveMessage in its request."""
        if about_it.peer != peer:
            self.counters["spoofed request"] += 1
            text = f"{short(peer)} asked in the name of {short(about_it.peer)}"
            return [Warn("membership.spoof", text)]
        actions = self.on_alive(about_it, now=now)
        recipient = Standing(self._org_of(peer), bool(about_it.endpoint))
        if not self._may_tell(self._us.peer, recipient):
            self.counters["request of one that may not know us"] += 1
            text = f"{short(peer)} may not know us: we hang up"
            return [*actions, Warn("membership.disclosure", text), CloseConnection(peer)]
        return [*actions, Send(peer, self._response(recipient, nonce, now))]

    def awaits(self, peer: bytes, nonce: int) -> bool:
        """Whether we have asked `peer` and wait for that answer: asked before it is checked."""
        asked = self._asked.get(peer)
        return asked is not None and asked.nonce == nonce

    def on_membership_response(
        self, peer: bytes, nonce: int, alive: Sequence[Alive], dead: Sequence[Alive], *, now: float
    ) -> list[Action]:
        if not self.awaits(peer, nonce):
            self.counters["unasked response"] += 1
            return []
        del self._asked[peer]
        self._entries.answered(peer)
        self.on_traffic(peer, now=now)
        actions = [action for one in alive for action in self.on_alive(one, now=now)]
        for one in dead:
            if one.peer == self._us.peer:
                actions += self._heartbeat.hear_of_us(one)
            elif self._org_of(one.peer) is not None and self._members.has_room_for(one):
                self._members.hear_of_dead(one, now)
        return actions

    # -- Time

    @property
    def next_deadline(self) -> float:
        return min(
            self._alive_due,
            self._check_due,
            self._probe_due,
            self._pull_due,
            self._entries.next_deadline,
        )

    def tick(self, now: float) -> list[Action]:
        actions: list[Action] = []
        if now >= self._check_due:
            actions += self._check(now)
        alone = not self._members.in_state(State.ALIVE)
        if now >= self._alive_due:
            self._alive_due = now + self._params.alive_time_interval
            if not alone:
                actions.append(Publish(self._heartbeat.beat(now)))
        if now >= self._pull_due:
            self._pull_due = now + self._params.pull_interval
            actions += self._pull(now)
        if now >= self._probe_due:
            self._probe_due = now + self._params.reconnect_interval
            actions += self._probe()
        return [*actions, *self._entries.tick(now, alone=alone)]

    def _check(self, now: float) -> list[Action]:
        late = now - self._check_due
        if late > self._check_every:
            # We slept or were busy: what others sent meanwhile is still to be read.
            self._members.excuse(late, now)
        self._check_due = now + self._check_every
        actions = self._bury(self._members.silent(now - self._params.alive_expiration_timeout))
        for peer in self._members.forget(now, self._params.memory):
            actions += self._change(peer, Change.FORGOTTEN)
        for peer in [peer for peer, asked in self._asked.items() if now >= asked.until]:
            del self._asked[peer]
        return actions

    def _probe(self) -> list[Action]:
        dead = [m for m in self.dead if m.preferred_endpoint]
        if len(dead) > MAX_PROBES:
            lasting = [member for member in dead if self._is_lasting(member)][:MAX_PROBES]
            others = [member for member in dead if not self._is_lasting(member)]
            dead = lasting + self._rng.sample(others, min(len(others), MAX_PROBES - len(lasting)))
        return [Probe(member.peer, member.preferred_endpoint) for member in dead]

    def _pull(self, now: float) -> list[Action]:
        peers = [
            m.peer for m in self.members if self._may_tell(self._us.peer, self.standing(m.peer))
        ]
        count = min(len(peers), self._params.pull_peer_num)
        return self._ask(self._rng.sample(peers, count), now)

    # -- Asking and answering

    def _may_ask(self, peer: bytes) -> bool:
        """Asking tells of ourselves; one of another organization would hang up on the unknown."""
        org = self._org_of(peer)
        return org is not None and (org == self._us.org or bool(self._us.endpoint))

    def _ask(self, peers: Sequence[bytes], now: float) -> list[Action]:
        """Requests; with the same nonce until there is an answer, so that a late one counts."""
        actions: list[Action] = []
        ours = self._heartbeat.beat(now).raw if peers else b""
        for peer in peers:
            asked = self._asked.get(peer)
            nonce = asked.nonce if asked else self._rng.getrandbits(64)
            self._asked[peer] = _Asked(nonce, now + self._params.alive_expiration_timeout)
            about_us = envelope_for(ours, self._org_of(peer), our_org=self._us.org)
            request = MembershipRequest(self_information=about_us)
            message = GossipMessage(tag=GossipMessage.EMPTY, nonce=nonce, mem_req=request)
            actions.append(Send(peer, message))
        return actions

    def _response(self, recipient: Standing, nonce: int, now: float) -> GossipMessage:
        def told(state: State) -> list[bytes]:
            return [
                envelope_for(record.envelope, recipient.org, our_org=self._us.org)
                for record in self._members.in_state(state)
                if self._may_tell(record.member.peer, recipient)
            ]

        ours = envelope_for(self._heartbeat.recent(now).raw, recipient.org, our_org=self._us.org)
        content = MembershipResponse(alive=[*told(State.ALIVE), ours], dead=told(State.DEAD))
        return GossipMessage(tag=GossipMessage.EMPTY, nonce=nonce, mem_res=content)

    def _may_tell(self, subject: bytes, recipient: Standing) -> bool:
        return may_tell(self.standing(subject), recipient, our_org=self._us.org)

    # -- Changes

    def _bury(self, peers: Sequence[bytes]) -> list[Action]:
        buried = [peer for peer in peers if self._members.bury(peer)]
        if not buried:
            return []
        names = ", ".join(short(peer) for peer in buried[:3]) + (", …" if len(buried) > 3 else "")
        actions: list[Action] = [Warn("membership.dead", f"{len(buried)} dead: {names}")]
        for peer in buried:
            actions += [*self._change(peer, Change.DIED), CloseConnection(peer)]
        return actions

    def _change(self, peer: bytes, change: Change) -> list[Action]:
        return [MemberChanged(peer, change)]

    def _is_lasting(self, member: Member) -> bool:
        return member.endpoint in self._lasting or member.internal_endpoint in self._lasting
