"""One Fabric peer without its sockets, files and clocks: all machines, behind one door.

    peer = Peer(signer, msp, network, params, rng=rng, now=now, wall_ns=wall_ns)
    effects = peer.handle(Started(), now=now, wall_ns=wall_ns)

What happens enters by `handle`; what is to be done comes out of it. `next_deadline` is when
`TimerFired` is due. Who a peer is has been proved before: by a signature that binds its
identity to its connection. Everything else that comes in is judged here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import assert_never, final

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.access import Access, Kind
from pubsub.fabric.actions import CloseConnection, Warn, short
from pubsub.fabric.announcement import Announcement
from pubsub.fabric.block_verification import VerifyBlock, verify_block
from pubsub.fabric.channel import JoinedChannel
from pubsub.fabric.channels import Channels, changed
from pubsub.fabric.effects import Effect
from pubsub.fabric.envelope import GossipEnvelope, sign_message
from pubsub.fabric.heartbeat import Us
from pubsub.fabric.home import Home
from pubsub.fabric.identities import Signer
from pubsub.fabric.identity_errors import IdentityError
from pubsub.fabric.identity_mapper import IdentityMapper, KnownIdentity
from pubsub.fabric.identity_store import IdentityPullStore
from pubsub.fabric.inbox import Inbox
from pubsub.fabric.intake import Intake
from pubsub.fabric.intake_rules import Reason
from pubsub.fabric.ledger import Ledger
from pubsub.fabric.members import Change as MemberChange
from pubsub.fabric.membership import MemberChanged, Membership
from pubsub.fabric.moment import Moment
from pubsub.fabric.msp import Msp
from pubsub.fabric.params import GossipParams
from pubsub.fabric.proof import Proven, check_proof
from pubsub.fabric.pull import PullEngine
from pubsub.fabric.pull_store import IDENTITIES, PullParams
from pubsub.fabric.topics import Network, Scope
from pubsub.fabric.trust import Trust
from pubsub.identity.peer_id import PeerId
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, PeerIdentity


@final
class Peer:
    """The core of one peer. `wall_ns` is wall time in nanoseconds, `now` a monotonic clock's.
    `verify` checks blocks, for who wants to see each check.

    Raises IdentityError if our own identity is not one of `msp`.
    """

    def __init__(
        self,
        signer: Signer,
        msp: Msp,
        network: Network,
        params: GossipParams,
        *,
        rng: Random,
        now: float,
        wall_ns: int,
        scope: Scope = Scope.ORG,
        metadata: bytes = b"",
        verify: VerifyBlock = verify_block,
    ) -> None:
        self.pki_id = signer.pki_id
        self.org = signer.msp_id
        self.network = network
        self.identity = signer.identity
        self._signer = signer
        self._params = params
        self._moment = moment = Moment(now, wall_ns)
        self._trust = Trust(msp)
        self._mapper = IdentityMapper(signer.identity, self._trust, now=now, when=self._moment.when)
        self._access = _access(network, self.org, params, scope)
        self._membership = self._new_membership(metadata, rng)
        self._channels: dict[str, JoinedChannel] = {}
        self._identities = IdentityPullStore(
            self._own_identity(),
            self._mapper,
            org=self.org,
            standing=self._membership.standing,
            moment=moment,
        )
        self._pulling = self._identity_pull(rng)
        shared = (self._access, self._membership, self._sign, rng, moment, verify)
        self._home = Home(self.pki_id, self.org, params, *shared)
        self._intake = Intake(
            self.pki_id,
            self.org,
            access=self._access,
            mapper=self._mapper,
            trust=self._trust,
            view=self._membership,
            channels=self._channels,
        )
        self._inbox = Inbox(
            self._intake, self._home, identities=self._pulling, channels=self._channels
        )
        self._desk = Channels(
            self._home,
            network,
            self._channels,
            inbox=self._inbox,
            trust=self._trust,
            identities=self._identities,
            put_out_invalid=lambda: self._suspect(lambda each: True),
        )

    # -- Questions

    @property
    def membership(self) -> Membership:
        """Who is there. For reading only."""
        return self._membership

    @property
    def access(self) -> Access:
        """Who may know which topic. For reading only."""
        return self._access

    @property
    def refusals(self) -> Counter[str]:
        """Why envelopes were not accepted, and how often."""
        return self._intake.counters

    @property
    def identities(self) -> list[KnownIdentity]:
        """All that are known, ours included. For reading only."""
        return list(self._mapper)

    def org_of(self, peer: bytes) -> str | None:
        """The MSP id of a peer; None if its identity is not known."""
        known = self._mapper.get(peer, now=self._moment.now)
        return known.msp_id if known else None

    def channel(self, name: str) -> JoinedChannel | None:
        """A channel that we are in, or have left. For reading only."""
        return self._channels.get(name)

    def check_proof(self, raw: bytes, peer: PeerId) -> Proven:
        """Who the libp2p peer `peer` has proved to be; see `pubsub.fabric.proof`."""
        return check_proof(raw, peer, self._trust.verify)

    def answer(self, asked: fx.Answer, ledger: Ledger) -> Effect:
        """Read from the channel's ledger what a peer asked for. Raises what the ledger does.

        It may run in another thread than `handle`.
        """
        return self._channels[asked.channel].answer(asked.request, ledger)

    def wants_announced(self, topic: str, peer: bytes, announced: Announcement) -> Reason | None:
        """Why not to fetch a block that `peer` announced on `topic`; None if it is to be fetched.

        What comes then is judged as any `TopicMessage`.
        """
        return self._intake.on_announcement(peer, topic, announced)

    def may_fetch(self, peer: bytes, channel: str) -> bool:
        """Whether a connected peer may be sent a block of `channel` that we have announced."""
        place = self._access.find(Kind.BLOCKS, channel)
        return place is not None and self._access.may_peer_know(peer, place.topic)

    @property
    def next_deadline(self) -> float:
        """When `TimerFired` is due."""
        return min(
            self._membership.next_deadline,
            self._pulling.next_deadline,
            self._mapper.next_deadline,
            *(channel.next_deadline for channel in self._channels.values()),
        )

    # -- The door

    def handle(self, event: ev.Event, *, now: float, wall_ns: int) -> list[Effect]:
        """Take in what has happened, and return what is to be done, in that order.

        Raises ParamError for a command that cannot be done.
        """
        self._moment.now, self._moment.wall_ns = now, wall_ns
        match event:
            case ev.TopicMessage():
                return self._finished(self._inbox.on_topic(event))
            case ev.StreamMessage():
                return self._finished(self._inbox.on_stream(event))
            case ev.TimerFired():
                return self._finished(self._tick())
            case ev.Started() | ev.SetMetadata() | ev.Dialed() | ev.DialFailed():
                return self._finished(self._on_own_matters(event))
            case ev.PeerProven() | ev.PeerRenewed() | ev.PeerGone() | ev.PeerUnreachable():
                return self._finished(self._on_peer(event))
            case ev.SuspectPeers(predicate):
                return self._finished(self._suspect(lambda each: predicate(each.encoded)))
            case ev.JoinChannel():
                return self._finished(self._desk.join(event))
            case _:
                return self._finished(self._desk.handle(event))

    def _on_own_matters(self, event: ev.OwnEvent) -> list[Effect]:
        now = self._moment.now
        match event:
            case ev.Started():
                done: list[Effect] = [fx.JoinTopic(topic) for topic in self._access.topics]
                bootstrap = self._params.bootstrap
                actions = self._membership.connect(bootstrap, self.org, now=now)
                return done + self._inbox.perform(actions)
            case ev.SetMetadata(metadata):
                self._membership.update(metadata=metadata)
                return []
            case ev.Dialed(endpoint, peer):
                return self._inbox.perform(self._membership.on_dialed(endpoint, peer, now=now))
            case ev.DialFailed(endpoint, why):
                return self._inbox.perform(self._membership.on_dial_failed(endpoint, why, now=now))
            case _:
                assert_never(event)

    # -- Peers

    def _on_peer(self, event: ev.PeerEvent) -> list[Effect]:
        match event:
            case ev.PeerProven(peer, identity):
                return self._prove(peer, identity)
            case ev.PeerRenewed(old, peer, identity):
                return self._renew(old, peer, identity)
            case ev.PeerGone(peer):
                self._forget(peer)
                return changed(self._access.on_gone(peer))
            case ev.PeerUnreachable(peer):
                return self._inbox.perform(self._membership.on_presumed_dead(peer))
            case _:
                assert_never(event)

    def _prove(self, peer: bytes, identity: bytes) -> list[Effect]:
        if peer == self.pki_id:
            text = f"we have met ourselves, or one that has our key: {short(peer)}"
            return [Warn("peer.twin", text), CloseConnection(peer)]
        now, when = self._moment.now, self._moment.when
        try:
            known = self._mapper.put(peer, identity, now=now, when=when)
        except IdentityError as error:
            return _refused(peer, error)
        done = changed(self._access.on_proven(peer, known.msp_id))
        return done + self._inbox.perform(self._membership.on_connected(peer, now=now))

    def _renew(self, old: bytes, peer: bytes, identity: bytes) -> list[Effect]:
        now, when = self._moment.now, self._moment.when
        try:
            replaced = self._mapper.renew(old, peer, identity, now=now, when=when)
        except IdentityError as error:
            return _refused(peer, error)
        done = self._put_out(replaced) if replaced else []
        return done + self._prove(peer, identity)

    def _suspect(self, is_suspected: Callable[[KnownIdentity], bool]) -> list[Effect]:
        suspects = self._mapper.suspect(is_suspected, when=self._moment.when)
        return [effect for known in suspects for effect in self._put_out(known)]

    def _put_out(self, known: KnownIdentity) -> list[Effect]:
        """An identity is no longer good: nothing of it stays."""
        peer = known.pki_id
        if peer == self.pki_id:
            text = "our own certificate has ended, or is valid no more: others will not hear us"
            return [Warn("peer.certificate", text)]
        self._identities.drop(peer)
        self._pulling.forget(peer)
        for channel in self._channels.values():
            channel.drop(peer)
        done = changed(self._access.on_gone(peer))
        done += self._inbox.perform(self._membership.purge(peer))
        return [*done, CloseConnection(peer)]

    def _forget(self, peer: bytes) -> None:
        self._pulling.forget(peer)
        for channel in self._channels.values():
            channel.forget(peer)

    # -- Time

    def _tick(self) -> list[Effect]:
        now, when = self._moment.now, self._moment.when
        done: list[Effect] = []
        for known in self._mapper.expire(now=now, when=when):
            done += self._put_out(known)
        done += self._inbox.perform(self._membership.tick(now))
        done += self._inbox.perform(self._pulling.tick(now))
        return done + self._desk.tick()

    def _finished(self, done: Iterable[Effect]) -> list[Effect]:
        """The dead are asked for nothing any more."""
        effects = list(done)
        for effect in effects:
            if isinstance(effect, MemberChanged) and effect.change in _ENDS:
                self._forget(effect.peer)
        return effects

    # -- Ourselves

    def _sign(self, message: GossipMessage, internal_endpoint: str) -> GossipEnvelope:
        return sign_message(message, self._signer, internal_endpoint=internal_endpoint)

    def _new_membership(self, metadata: bytes, rng: Random) -> Membership:
        return Membership(
            _us(self._signer, self._params, metadata),
            self._params,
            org_of=self.org_of,
            sign=self._sign,
            rng=rng,
            started_ns=self._moment.wall_ns,
            now=self._moment.now,
        )

    def _identity_pull(self, rng: Random) -> PullEngine:
        return PullEngine(
            self._identities,
            IDENTITIES,
            PullParams.of(self._params),
            peers=lambda: [each.peer for each in self._membership.members],
            rng=rng,
            now=self._moment.now,
        )

    def _own_identity(self) -> GossipEnvelope:
        content = PeerIdentity(pki_id=self.pki_id, cert=self._signer.identity)
        return self._sign(GossipMessage(tag=GossipMessage.EMPTY, peer_identity=content), "")


_ENDS = frozenset((MemberChange.DIED, MemberChange.FORGOTTEN))


def _access(network: Network, org: str, params: GossipParams, scope: Scope) -> Access:
    return Access(
        network,
        org,
        external=bool(params.external_endpoint),
        elects=params.use_leader_election,
        pushes_blocks=params.block_gossip_enabled,
        scope=scope,
    )


def _us(signer: Signer, params: GossipParams, metadata: bytes) -> Us:
    external, internal = params.external_endpoint, params.endpoint
    return Us(signer.pki_id, signer.msp_id, external, internal, signer.identity, metadata)


def _refused(peer: bytes, error: IdentityError) -> list[Effect]:
    return [Warn("peer.identity", f"{short(peer)}: {error}"), CloseConnection(peer)]
