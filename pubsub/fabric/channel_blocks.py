"""The blocks of one channel, and all the ways by which they come and go.

BlockFlow       into the ledger, in order; or
BlockRelay      to the user, who keeps the ledger elsewhere
PullEngine      newest blocks from and for peers of our organization
StateTransfer   all that is missing, from any peer of the channel
StateResponder  all that others miss, from the ledger
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Protocol, assert_never, final

from pubsub.errors import ParamError
from pubsub.fabric import effects as fx
from pubsub.fabric.access import Kind
from pubsub.fabric.actions import Send, Warn
from pubsub.fabric.block_flow import BlockFlow, genuine_block
from pubsub.fabric.block_relay import BlockRelay
from pubsub.fabric.blocks import Block, BlockError
from pubsub.fabric.config import ChannelConfig
from pubsub.fabric.effects import Effect
from pubsub.fabric.envelope import GossipEnvelope
from pubsub.fabric.home import Home, sent
from pubsub.fabric.ledger import Ledger
from pubsub.fabric.pull import PullEngine
from pubsub.fabric.pull_requester import Pulled
from pubsub.fabric.pull_store import PullParams, blocks_of
from pubsub.fabric.state_responder import Request, StateResponder
from pubsub.fabric.state_transfer import (
    Fetched,
    GaveUp,
    StateParams,
    StateTransfer,
    StragglerWatch,
    Straggling,
)
from pubsub.pb.fabric.gossip_pb2 import GossipMessage

FAR_AHEAD = 1000
"Blocks so far ahead of the ledger wait for the next check (ours)."


class View(Protocol):
    """What is asked of the channel around it."""

    def neighbours(self) -> list[bytes]:
        """The living peers of our organization in it."""

    def heights(self) -> Mapping[bytes, int]:
        """The ledger heights that its peers advertise."""

    def may_pull(self, peer: bytes) -> bool:
        """Whether a peer may have blocks that are kept for pulls."""


@final
class ChannelBlocks:
    """Of the channel that `config`, the newest in its ledger of that `height`, is of.

    Raises ParamError without a genesis block.
    """

    def __init__(
        self, home: Home, config: ChannelConfig, height: int, view: View, *, keeps_ledger: bool
    ) -> None:
        params, now, name = home.params, home.moment.now, config.channel.encode()
        self.keeps_ledger = keeps_ledger
        "Whether the ledger is kept here, and not by the user."

        self._home = home
        self._view = view
        kind = BlockFlow if keeps_ledger else BlockRelay
        self._flow: BlockFlow | BlockRelay = kind(
            config, height, params, may_pull=view.may_pull, verify=home.verify
        )
        self._pulling = PullEngine(
            self._flow.store,
            blocks_of(name),
            PullParams.of(params),
            peers=view.neighbours,
            rng=home.rng,
            now=now,
        )
        self._transfer = StateTransfer(name, self, StateParams.of(params), rng=home.rng, now=now)
        self._fetches = params.state_enabled and keeps_ledger
        self._responder = StateResponder(
            name,
            batch_size=params.state_batch_size,
            queue_size=params.state_channel_size,
        )
        self._is_answering = False
        self._stopped = False
        self._straggling = StragglerWatch(params)
        self._passed_over = -1
        "The highest block that was pushed to us too early."

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
    def is_busy(self) -> bool:
        """Whether the ledger has something to do, and will say so when it is done."""
        is_committing = isinstance(self._flow, BlockFlow) and self._flow.is_committing
        return is_committing or self._is_answering

    @property
    def first_missing(self) -> int:
        """The number of the block that is not here, nor on its way."""
        return self._flow.first_missing

    @property
    def has_room(self) -> bool:
        """Whether to get further blocks now."""
        return self._flow.has_room

    def heights(self) -> Mapping[bytes, int]:
        return self._view.heights()

    def verify(self, number: int, raw: bytes) -> Block:
        """The block, if it is the channel's block `number`. Raises BlockError."""
        return self._flow.verify(number, raw)

    def wants(self, number: int) -> bool:
        """Whether a block is near enough to the ledger, and not here."""
        return self._flow.wants(number)

    def knows(self, number: int) -> bool:
        """Whether a block is in the ledger, or on its way into it."""
        return self._flow.knows(number)

    def pass_over(self, number: int) -> None:
        """A block that was not wanted will not be pushed again, whoever sends it.

        Nothing of it was verified: one that is far ahead could be a lie that lasts.
        """
        if 0 <= number - self.height < FAR_AHEAD:
            self._passed_over = max(self._passed_over, number)

    # -- Blocks come and go

    def on_pushed(self, envelope: GossipEnvelope) -> list[Effect]:
        """A genuine block that was pushed to us."""
        return self._flow.take(envelope, now=self._home.moment.now)

    def on_pull(self, peer: bytes, message: GossipMessage) -> list[Effect]:
        """Raises RemoteError as the engine does."""
        actions = self._pulling.on_message(peer, message, self._home.moment.now)
        return self._perform(actions)

    def on_delivered(self, raw: bytes) -> list[Effect]:
        """A block that the orderer gave us: for the ledger, and for our organization."""
        if self._stopped:
            return []
        envelope, done = self._flow.take_delivered(raw, now=self._home.moment.now)
        return [*(self._published(envelope) if envelope else []), *done]

    def gossip(self, raw: bytes) -> list[Effect]:
        """A block that the user pushes. Raises ParamError if it cannot."""
        name, now = self.config.channel, self._home.moment.now
        if self._home.access.find(Kind.BLOCKS, name) is None:
            raise ParamError(f"blocks are not pushed in channel {name!r}")
        try:
            envelope = genuine_block(
                raw, self.config, unless=lambda number: False, verify=self._home.verify
            )
        except BlockError as error:
            raise ParamError(f"{name}: a block that is not genuine: {error}") from error
        assert envelope is not None
        if isinstance(self._flow, BlockFlow):
            return [*self._published(envelope), *self._flow.take(envelope, now=now)]
        self._flow.keep(envelope, now=now)
        return self._published(envelope)

    def _published(self, envelope: GossipEnvelope) -> list[Effect]:
        return self._home.published(Kind.BLOCKS, self.config.channel, envelope)

    # -- What the ledger, or the user who keeps it, says

    def on_committed(self, number: int) -> list[Effect]:
        done = self._kept_here().committed(number)
        self._catch_up()
        return done

    def _catch_up(self) -> None:
        """Where the ledger was slower than blocks came, fetch at once those passed over."""
        flow = self._kept_here()
        if flow.is_committing or self._passed_over < flow.first_missing:
            return
        if max(self.heights().values(), default=0) > flow.first_missing:
            self._transfer.hurry(self._home.moment.now)

    def on_commit_failed(self, number: int, why: str) -> list[Effect]:
        return self._kept_here().failed(number, why, now=self._home.moment.now)

    def set_height(self, height: int) -> None:
        self._kept_elsewhere().set_height(height)

    def configure(self, config: ChannelConfig) -> list[Effect]:
        return self._kept_elsewhere().configure(config)

    def _kept_here(self) -> BlockFlow:
        if isinstance(self._flow, BlockFlow):
            return self._flow
        raise ParamError(f"the ledger of channel {self.config.channel!r} is kept elsewhere")

    def _kept_elsewhere(self) -> BlockRelay:
        if isinstance(self._flow, BlockRelay):
            return self._flow
        raise ParamError(f"the ledger of channel {self.config.channel!r} is kept here")

    # -- Blocks that a ledger lacks

    def on_request(self, peer: bytes, message: GossipMessage) -> list[Effect]:
        self._responder.on_request(peer, message)
        return [] if self._is_answering else self.answer_next()

    def answer_next(self) -> list[Effect]:
        """The ledger is free for the request that waits longest."""
        request = None if self._stopped else self._responder.take()
        self._is_answering = request is not None
        return [fx.Answer(self.config.channel, request)] if request else []

    def answer(self, request: Request, ledger: Ledger) -> Effect:
        return sent(self._responder.answer(request, ledger))

    def on_response(self, peer: bytes, message: GossipMessage) -> list[Effect]:
        """Raises RemoteError if the response is not genuine."""
        now = self._home.moment.now
        return self._perform(self._transfer.on_response(peer, message, now))

    def compare(self, height: int) -> list[Effect]:
        """A peer's ledger has this height."""
        if not self.keeps_ledger:
            return []
        self._catch_up()
        now = self._home.moment.now
        return self._perform(self._straggling.on_block(height - 1, self.height, now))

    # -- Peers and time

    def stop(self) -> None:
        """Blocks come and go no more, beside the one on its way into the ledger."""
        self._stopped = True
        if isinstance(self._flow, BlockFlow):
            self._flow.stop()

    def forget(self, peer: bytes) -> None:
        """A peer is gone: what it was asked for, others are asked for."""
        self._pulling.forget(peer)
        self._transfer.forget(peer)
        self._responder.forget(peer)

    @property
    def next_deadline(self) -> float:
        if self._stopped:
            return math.inf
        return min(
            self._pulling.next_deadline,
            self._flow.next_deadline,
            self._transfer.next_deadline if self._fetches else math.inf,
        )

    def tick(self) -> list[Effect]:
        now = self._home.moment.now
        if self._stopped:
            return []
        done = self._flow.tick(now)
        done += self._perform(self._pulling.tick(now))
        if self._fetches:
            done += self._perform(self._transfer.tick(now))
        return done

    # -- From actions to effects

    def _perform(self, actions: Iterable[Action]) -> list[Effect]:
        return [effect for action in actions for effect in self._done(action)]

    def _done(self, action: Action) -> list[Effect]:
        name = self.config.channel
        match action:
            case Send():
                return [sent(action)]
            case Pulled(_, items):
                return [effect for item in items for effect in self.on_pushed(item.content)]
            case Fetched(_, payloads):
                done = self._kept_here().take_fetched(payloads)
                return done + self._perform(self._transfer.tick(self._home.moment.now))
            case GaveUp(first, last):
                return [Warn("channel.gave_up", f"{name}: no peer sent blocks {first} to {last}")]
            case Straggling(height, number):
                text = f"{name}: at block {height}, others at {number}, and nothing fetches"
                return [Warn("channel.straggling", text)]
            case _:
                assert_never(action)


Action = Fetched | GaveUp | Pulled | Send | Straggling
