"""One channel that we are in: its machines, put together.

    ChannelState    what its peers say of their ledgers ──► who is in it, and how high
    leadership      who of our organization gets blocks from the orderer
    ChannelBlocks   blocks, on their way into the ledger and to others

Everything that comes in has been judged by `pubsub.fabric.intake`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import assert_never, final

from pubsub.errors import ParamError
from pubsub.fabric import effects as fx
from pubsub.fabric import election, state_info
from pubsub.fabric.access import Kind
from pubsub.fabric.actions import Broadcast, Publish, Send, Warn
from pubsub.fabric.blocks import Block
from pubsub.fabric.channel_blocks import ChannelBlocks
from pubsub.fabric.config import ChannelConfig
from pubsub.fabric.effects import Effect
from pubsub.fabric.election import Election, SetLeadership
from pubsub.fabric.envelope import GossipEnvelope
from pubsub.fabric.home import Home, sent
from pubsub.fabric.ledger import Ledger
from pubsub.fabric.peer_state import Chaincode, PeerState
from pubsub.fabric.state_info import ChannelState
from pubsub.fabric.state_responder import Request
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, LeadershipMessage

LEDGER_CHECK = 1.0
"Seconds between two looks at whether the ledger of a channel that is over has done its work."


@final
class JoinedChannel:
    """A channel from the moment we join it; `height` is that of its ledger, which is kept here
    or by the user.

    Raises ParamError without a genesis block, or if our organization is not in the channel.
    """

    def __init__(
        self, home: Home, config: ChannelConfig, *, height: int, keeps_ledger: bool = True
    ) -> None:
        if not config.is_member(home.org):
            raise ParamError(f"{home.org} is not in channel {config.channel!r}")
        params, now, wall_ns = home.params, home.moment.now, home.moment.wall_ns
        self.name = config.channel
        self._home = home
        name = self.name.encode()
        self._blocks = ChannelBlocks(home, config, height, self, keeps_ledger=keeps_ledger)
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
        self._farewell_ends = math.inf
        self._leadership: Election | SetLeadership = SetLeadership(params, now=now)
        if params.use_leader_election:
            self._leadership = Election(
                home.us, name, self.neighbours, params, started_ns=wall_ns, now=now
            )

    # -- What is asked of it

    @property
    def config(self) -> ChannelConfig:
        """The newest in the ledger."""
        return self._blocks.config

    @property
    def keeps_ledger(self) -> bool:
        """Whether its ledger is kept here."""
        return self._blocks.keeps_ledger

    @property
    def height(self) -> int:
        """The ledger's."""
        return self._blocks.height

    @property
    def next_number(self) -> int:
        """The number of the block that the ledger lacks first."""
        return self._blocks.height

    @property
    def first_missing(self) -> int:
        """Where to begin to get blocks from the orderer: it is not here, nor on its way."""
        return self._blocks.first_missing

    @property
    def has_room(self) -> bool:
        """Whether to get further blocks from the orderer now."""
        return self._blocks.has_room

    @property
    def has_left(self) -> bool:
        return self._state.has_left

    @property
    def is_busy(self) -> bool:
        """Whether its ledger has something to do, and will say so when it is done."""
        return self._blocks.is_busy

    @property
    def is_over(self) -> bool:
        """Whether we have left it, and nothing of it is needed any more."""
        return self._home.moment.now >= self._farewell_ends

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
        return self._blocks.verify(number, raw)

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
        return self._blocks.wants(number)

    def pass_over(self, number: int) -> None:
        """A block that was not wanted will not be pushed again."""
        self._blocks.pass_over(number)

    def neighbours(self) -> list[bytes]:
        """The living peers of our organization in the channel."""
        return [each.member.peer for each in self._state.peers(self._home.org)]

    # -- What the user does

    def leave(self) -> list[Effect]:
        """Blocks come and go no more; others are told until all must know, or have forgotten us."""
        self._farewell_ends = self._home.moment.now + self._home.params.memory
        self._state.leave(wall_ns=self._home.moment.wall_ns)
        self._blocks.stop()
        return self._perform(self._leadership.stop())

    def set_chaincodes(self, chaincodes: Sequence[Chaincode]) -> None:
        self._state.update(chaincodes=chaincodes, wall_ns=self._home.moment.wall_ns)

    def answer(self, request: Request, ledger: Ledger) -> Effect:
        """What a peer asked for, read from the ledger."""
        return self._blocks.answer(request, ledger)

    def set_height(self, height: int) -> None:
        """Raises ParamError if it goes down, or if the ledger is kept here."""
        self._blocks.set_height(height)
        self._state.update(height=height, wall_ns=self._home.moment.wall_ns)

    def configure(self, config: ChannelConfig) -> list[Effect]:
        """The user's ledger has this configuration; `config` is another then, if it is newer.

        Raises ParamError if it cannot follow the one before, or if the ledger is kept here.
        """
        before = self.config
        return self._blocks.configure(config) + self._configured(before)

    def gossip(self, raw: bytes) -> list[Effect]:
        """Raises ParamError if the block is not genuine, or if blocks are not pushed here."""
        return self._blocks.gossip(raw)

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
        return self._blocks.on_pushed(envelope)

    def on_pull(self, peer: bytes, message: GossipMessage) -> list[Effect]:
        """Raises RemoteError as the engine does."""
        return self._blocks.on_pull(peer, message)

    def on_blocks_request(self, peer: bytes, message: GossipMessage) -> list[Effect]:
        return self._blocks.on_request(peer, message)

    def on_answered(self) -> list[Effect]:
        """The ledger is free for the request that waits longest."""
        return self._blocks.answer_next()

    def on_blocks_response(self, peer: bytes, message: GossipMessage) -> list[Effect]:
        """Raises RemoteError if the response is not genuine."""
        return self._blocks.on_response(peer, message)

    # -- What orderer and ledger say

    def on_delivered(self, raw: bytes) -> list[Effect]:
        """A block that the orderer gave us: into the ledger, and to our organization."""
        return self._blocks.on_delivered(raw)

    def on_orderer_lost(self) -> list[Effect]:
        return self._perform(self._leadership.give_way(now=self._home.moment.now))

    def on_committed(self, number: int) -> list[Effect]:
        """A block is in the ledger; `config` is another then, if it has brought one."""
        before = self.config
        done = self._blocks.on_committed(number)
        self._state.update(height=self.height, wall_ns=self._home.moment.wall_ns)
        return done + self._configured(before)

    def _configured(self, before: ChannelConfig) -> list[Effect]:
        if self.config is before:
            return []
        return self._perform(self._state.configure(_orgs(self.config), self.config.sequence))

    def on_commit_failed(self, number: int, why: str) -> list[Effect]:
        return self._blocks.on_commit_failed(number, why)

    # -- Peers and time

    def forget(self, peer: bytes) -> None:
        """A peer is connected no more, or dead: what it was asked for, others are asked for."""
        self._blocks.forget(peer)

    def drop(self, peer: bytes) -> None:
        """A peer may not be here any more."""
        self._state.drop(peer)
        self.forget(peer)

    @property
    def next_deadline(self) -> float:
        if self.has_left:
            return min(self._state.next_deadline, self._farewell_ends)
        return min(
            self._state.next_deadline,
            self._leadership.next_deadline,
            self._blocks.next_deadline,
        )

    def tick(self) -> list[Effect]:
        now = self._home.moment.now
        done = self._perform(self._state.tick(now))
        if self.has_left:
            if self.is_over and self.is_busy:
                self._farewell_ends = now + LEDGER_CHECK
            return done
        done += self._perform(self._leadership.tick(now))
        return done + self._blocks.tick()

    # -- From actions to effects

    def _perform(self, actions: Iterable[Action]) -> list[Effect]:
        return [effect for action in actions for effect in self._done(action)]

    def _done(self, action: Action) -> list[Effect]:
        match action:
            case Send():
                return [sent(action)]
            case Broadcast(message):
                envelope = self._home.sign(message, "")
                return self._home.published(Kind.LEADER, self.name, envelope)
            case Publish(envelope):
                published = self._home.published(Kind.ORG_STATE, self.name, envelope)
                return published + self._home.published(Kind.STATE, self.name, envelope)
            case election.LeaderChanged(leading):
                return [fx.LeaderChanged(self.name, leading)]
            case state_info.StateChanged(state):
                return [fx.StateChanged(self.name, state), *self._blocks.compare(state.height)]
            case Warn():
                return [action]
            case _:
                assert_never(action)


Action = Broadcast | Publish | Send | Warn | election.LeaderChanged | state_info.StateChanged


def _orgs(config: ChannelConfig) -> list[str]:
    return [each.msp_id for each in config.organizations.values()]
