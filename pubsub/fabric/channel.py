"""One channel that we are in: its machines, put together.

    ChannelState    what its peers say of their ledgers ──► who is in it, and how high
    leadership      who of our organization gets blocks from the orderer
    BlockFlow       blocks, in order, into the ledger; fed by topic, orderer and the next two
    PullEngine      newest blocks from peers of our organization
    StateTransfer   all that is missing, from any peer of the channel

Everything that comes in has been judged by `pubsub.fabric.intake`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import assert_never, final

from pubsub.errors import ParamError
from pubsub.fabric import effects as fx
from pubsub.fabric import election, state_info
from pubsub.fabric.access import Access, Kind
from pubsub.fabric.actions import Broadcast, Publish, Send, Warn
from pubsub.fabric.block_flow import BlockFlow
from pubsub.fabric.blocks import Block
from pubsub.fabric.config import ChannelConfig
from pubsub.fabric.effects import Effect
from pubsub.fabric.election import Election, SetLeadership
from pubsub.fabric.envelope import GossipEnvelope, wrap_message
from pubsub.fabric.heartbeat import Sign
from pubsub.fabric.intake_rules import PROTOCOL_OF
from pubsub.fabric.ledger import Ledger
from pubsub.fabric.membership import Membership
from pubsub.fabric.moment import Moment
from pubsub.fabric.params import GossipParams
from pubsub.fabric.peer_state import Chaincode, PeerState
from pubsub.fabric.pull import PullEngine
from pubsub.fabric.pull_requester import Pulled
from pubsub.fabric.pull_store import PullParams, blocks_of
from pubsub.fabric.state_info import ChannelState
from pubsub.fabric.state_responder import Request, StateResponder
from pubsub.fabric.state_transfer import (
    Fetched,
    GaveUp,
    StateParams,
    StateTransfer,
    StragglerWatch,
    Straggling,
)
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, LeadershipMessage


@dataclass(frozen=True, slots=True)
class Home:
    """What all channels of a peer share."""

    us: bytes
    org: str
    params: GossipParams
    access: Access
    membership: Membership
    sign: Sign
    rng: Random
    moment: Moment
    "Set by whoever calls, before each call."


@final
class JoinedChannel:
    """A channel from the moment we join it; `height` is that of its ledger.

    Raises ParamError without a genesis block, or if our organization is not in the channel.
    """

    def __init__(self, home: Home, config: ChannelConfig, *, height: int) -> None:
        if not config.is_member(home.org):
            raise ParamError(f"{home.org} is not in channel {config.channel!r}")
        params, now, wall_ns = home.params, home.moment.now, home.moment.wall_ns
        self.name = config.channel
        self._home = home
        name = self.name.encode()
        self._flow = BlockFlow(config, height, params, may_pull=self.may_pull)
        self._state = ChannelState(
            self.name,
            home.us,
            _orgs(config),
            config.sequence,
            params,
            view=home.membership,
            sign=home.sign,
            rng=home.rng,
            joined_ns=wall_ns,
            now=now,
        )
        self._state.update(height=height, wall_ns=wall_ns)
        self._leadership: Election | SetLeadership = SetLeadership(params, now=now)
        if params.use_leader_election:
            self._leadership = Election(
                home.us, name, self._neighbours, params, started_ns=wall_ns, now=now
            )
        self._pulling = PullEngine(
            self._flow.store,
            blocks_of(name),
            PullParams.of(params),
            peers=self._neighbours,
            rng=home.rng,
            now=now,
        )
        self._transfer = StateTransfer(name, self, StateParams.of(params), rng=home.rng, now=now)
        self._responder = StateResponder(
            name,
            batch_size=params.state_batch_size,
            queue_size=params.state_channel_size,
        )
        self._is_answering = False
        self._straggling = StragglerWatch(params)

    # -- What is asked of it

    @property
    def config(self) -> ChannelConfig:
        """The newest in the ledger."""
        return self._flow.config

    @property
    def height(self) -> int:
        """The ledger's."""
        return self._flow.height

    @property
    def next_number(self) -> int:
        """The number of the block that the ledger lacks first."""
        return self._flow.height

    @property
    def first_missing(self) -> int:
        """Where to begin to get blocks from the orderer: it is not here, nor on its way."""
        return self._flow.first_missing

    @property
    def has_room(self) -> bool:
        """Whether to get further blocks from the orderer now."""
        return self._flow.has_room

    @property
    def has_left(self) -> bool:
        return self._state.has_left

    @property
    def leading(self) -> bool:
        return self._leadership.leading

    @property
    def peers(self) -> list[state_info.ChannelPeer]:
        """The living peers of the channel, without us."""
        return self._state.peers()

    def heights(self) -> dict[bytes, int]:
        return {each.member.peer: each.height for each in self._state.peers()}

    def verify(self, number: int, raw: bytes) -> Block:
        """The block, if it is the channel's block `number`. Raises BlockError."""
        return self._flow.verify(number, raw)

    def may_pull(self, peer: bytes) -> bool:
        standing = self._home.membership.standing(peer)
        is_ours = standing.org == self._home.org
        return is_ours and not self.has_left and self._state.is_eligible(peer)

    def is_org_in_channel(self, org: str | None) -> bool:
        return self._state.is_org_in_channel(org)

    def is_eligible(self, peer: bytes) -> bool:
        return self._state.is_eligible(peer)

    def judge(self, state: PeerState) -> state_info.Verdict:
        return self._state.judge(state)

    def state_of(self, peer: bytes) -> PeerState | None:
        return self._state.state_of(peer)

    def is_fresh(self, sender: bytes, message: LeadershipMessage) -> bool:
        return self._leadership.is_fresh(sender, message)

    def awaits_snapshot(self, peer: bytes) -> bool:
        return self._state.awaits(peer)

    def wants_block(self, number: int) -> bool:
        """Whether a block is near enough to the ledger, and not here."""
        return self._flow.wants(number)

    def _neighbours(self) -> list[bytes]:
        """The living peers of our organization in the channel."""
        return [each.member.peer for each in self._state.peers(self._home.org)]

    # -- What the user does

    def leave(self) -> list[Effect]:
        """Others are told as long as time goes on here; blocks come and go no more."""
        self._state.leave(wall_ns=self._home.moment.wall_ns)
        self._flow.stop()
        return self._perform(self._leadership.stop())

    def set_chaincodes(self, chaincodes: Sequence[Chaincode]) -> None:
        self._state.update(chaincodes=chaincodes, wall_ns=self._home.moment.wall_ns)

    def answer(self, request: Request, ledger: Ledger) -> Effect:
        """What a peer asked for, read from the ledger."""
        return _sent(self._responder.answer(request, ledger))

    # -- What messages say

    def on_state(self, state: PeerState) -> list[Effect]:
        return self._perform(self._state.on_state_info(state))

    def on_state_request(self, peer: bytes, mac: bytes) -> list[Effect]:
        return self._perform(self._state.on_pull_request(peer, mac))

    def on_snapshot(self, peer: bytes, states: Iterable[PeerState]) -> list[Effect]:
        return self._perform(self._state.on_snapshot(peer, states))

    def on_leadership(self, sender: bytes, message: LeadershipMessage) -> list[Effect]:
        now = self._home.moment.now
        return self._perform(self._leadership.on_leadership(sender, message, now=now))

    def on_block(self, envelope: GossipEnvelope) -> list[Effect]:
        """A genuine block that was pushed to us."""
        return self._flow.take(envelope, now=self._home.moment.now)

    def on_pull(self, peer: bytes, message: GossipMessage) -> list[Effect]:
        """Raises RemoteError as the engine does."""
        actions = self._pulling.on_message(peer, message, self._home.moment.now)
        return self._perform(actions)

    def on_blocks_request(self, peer: bytes, message: GossipMessage) -> list[Effect]:
        self._responder.on_request(peer, message)
        return [] if self._is_answering else self._answer_next()

    def on_answered(self) -> list[Effect]:
        """The ledger is free for the request that waits longest."""
        return self._answer_next()

    def _answer_next(self) -> list[Effect]:
        request = None if self.has_left else self._responder.take()
        self._is_answering = request is not None
        return [fx.Answer(self.name, request)] if request else []

    def on_blocks_response(self, peer: bytes, message: GossipMessage) -> list[Effect]:
        """Raises RemoteError if the response is not genuine."""
        now = self._home.moment.now
        return self._perform(self._transfer.on_response(peer, message, now))

    # -- What orderer and ledger say

    def on_delivered(self, raw: bytes) -> list[Effect]:
        """A block that the orderer gave us: into the ledger, and to our organization."""
        if self.has_left:
            return []
        envelope, done = self._flow.take_delivered(raw, now=self._home.moment.now)
        return [*(self._published(Kind.BLOCKS, envelope) if envelope else []), *done]

    def on_orderer_lost(self) -> list[Effect]:
        return self._perform(self._leadership.give_way(now=self._home.moment.now))

    def on_committed(self, number: int) -> list[Effect]:
        """A block is in the ledger; `config` is another then, if it has brought one."""
        before = self.config
        done = self._flow.committed(number)
        self._state.update(height=self.height, wall_ns=self._home.moment.wall_ns)
        if self.config is not before:
            done += self._perform(self._state.configure(_orgs(self.config), self.config.sequence))
        return done

    def on_commit_failed(self, number: int, why: str) -> list[Effect]:
        return self._flow.failed(number, why)

    # -- Peers and time

    def forget(self, peer: bytes) -> None:
        """A peer is connected no more, or dead: what it was asked for, others are asked for."""
        self._pulling.forget(peer)
        self._transfer.forget(peer)
        self._responder.forget(peer)

    def drop(self, peer: bytes) -> None:
        """A peer may not be here any more."""
        self._state.drop(peer)
        self.forget(peer)

    @property
    def next_deadline(self) -> float:
        if self.has_left:
            return self._state.next_deadline
        return min(
            self._state.next_deadline,
            self._leadership.next_deadline,
            self._pulling.next_deadline,
            self._flow.store.next_deadline,
            self._transfer.next_deadline if self._home.params.state_enabled else math.inf,
        )

    def tick(self) -> list[Effect]:
        now = self._home.moment.now
        done = self._perform(self._state.tick(now))
        if self.has_left:
            return done
        self._flow.store.tick(now)
        done += self._perform(self._leadership.tick(now))
        done += self._perform(self._pulling.tick(now))
        if self._home.params.state_enabled:
            done += self._perform(self._transfer.tick(now))
        return done

    # -- From actions to effects

    def _perform(self, actions: Iterable[Action]) -> list[Effect]:
        return [effect for action in actions for effect in self._done(action)]

    def _done(self, action: Action) -> list[Effect]:
        match action:
            case Send():
                return [_sent(action)]
            case Broadcast(message):
                return self._published(Kind.LEADER, self._home.sign(message, ""))
            case Publish(envelope):
                published = self._published(Kind.ORG_STATE, envelope)
                return published + self._published(Kind.STATE, envelope)
            case election.LeaderChanged(leading):
                return [fx.LeaderChanged(self.name, leading)]
            case state_info.StateChanged(state):
                return [fx.StateChanged(self.name, state), *self._compare(state)]
            case Pulled(_, items):
                return [effect for item in items for effect in self.on_block(item.content)]
            case Fetched(_, payloads):
                done = self._flow.take_fetched(payloads)
                return done + self._perform(self._transfer.tick(self._home.moment.now))
            case GaveUp(first, last):
                text = f"{self.name}: no peer sent blocks {first} to {last}"
                return [Warn("channel.gave_up", text)]
            case Straggling(height, number):
                text = f"{self.name}: at block {height}, others at {number}, and nothing fetches"
                return [Warn("channel.straggling", text)]
            case Warn():
                return [action]
            case _:
                assert_never(action)

    def _compare(self, state: PeerState) -> list[Effect]:
        now = self._home.moment.now
        return self._perform(self._straggling.on_block(state.height - 1, self.height, now))

    def _published(self, kind: Kind, envelope: GossipEnvelope) -> list[Effect]:
        place = self._home.access.find(kind, self.name)
        return [fx.Publish(place.topic, envelope.raw)] if place else []


Action = (
    Broadcast
    | Fetched
    | GaveUp
    | Publish
    | Pulled
    | Send
    | Straggling
    | Warn
    | election.LeaderChanged
    | state_info.StateChanged
)


def _orgs(config: ChannelConfig) -> list[str]:
    return [each.msp_id for each in config.organizations.values()]


def _sent(action: Send) -> fx.SendEnvelope:
    envelope = wrap_message(action.message)
    return fx.SendEnvelope(action.peer, PROTOCOL_OF[envelope.content], envelope.raw)
