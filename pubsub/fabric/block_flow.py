"""A channel's blocks on their way into its ledger.

    pushed, pulled ──► window ─► buffer ─┐
    orderer, fetched ──────────► buffer ─┴─ in order ─► Commit ─► `committed`

One block is committed at a time, so that each is taken under the configuration before it. One
that could not be committed is tried again after a pause, each time a longer one. Pushed and
pulled blocks, and those of the orderer, are kept for those who pull.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import final

from pubsub.errors import ParamError, RemoteError
from pubsub.fabric.actions import Warn
from pubsub.fabric.announcement import block_envelope
from pubsub.fabric.block_store import BlockPullStore, Channel
from pubsub.fabric.block_verification import VerifyBlock, verify_block
from pubsub.fabric.blocks import Block, parse_block
from pubsub.fabric.config import ChannelConfig, ConfigError, updated
from pubsub.fabric.effects import Commit, Effect
from pubsub.fabric.envelope import GossipEnvelope
from pubsub.fabric.params import GossipParams
from pubsub.fabric.payload_buffer import PayloadBuffer, Pushed
from pubsub.pb.fabric.gossip_pb2 import Payload

BLOCK_LIFE = 100
"How many pull intervals a block is kept for those who pull (Fabric's)."
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"Seconds until a block is committed again that could not be (ours; Fabric's peers end)."


def genuine_block(
    raw: bytes,
    config: ChannelConfig,
    *,
    unless: Callable[[int], bool],
    verify: VerifyBlock = verify_block,
) -> GossipEnvelope | None:
    """What pushes a block that did not come by gossip; None if its number is one of those
    that need no look. Raises RemoteError if it is not genuine."""
    number = parse_block(raw).number
    if unless(number):
        return None
    verify(raw, number, config)
    return block_envelope(config.channel, number, raw)


def pull_store(name: str, channel: Channel, params: GossipParams) -> BlockPullStore:
    """Where the newest blocks of a channel are kept for those who pull."""
    return BlockPullStore(
        name.encode(),
        channel,
        ttl=BLOCK_LIFE * params.pull_interval,
        window=params.max_block_count_to_store,
    )


@final
class BlockFlow:
    """The blocks of one channel; `config` is the newest in its ledger, of that `height`.

    `may_pull` says who may have blocks that are kept. Raises ParamError without a genesis block.
    """

    def __init__(
        self,
        config: ChannelConfig,
        height: int,
        params: GossipParams,
        *,
        may_pull: Callable[[bytes], bool],
        verify: VerifyBlock = verify_block,
    ) -> None:
        if height < 1:
            raise ParamError(f"{config.channel}: a ledger without a genesis block")
        self.config = config
        self.height = height
        self._may_pull = may_pull
        self._verify = verify
        self._window = params.state_block_buffer_size
        self._committing: Payload | None = None
        self._pause = FIRST_PAUSE
        self._retry_due = math.inf
        self._stopped = False
        self._buffer = PayloadBuffer(
            height,
            buffer_size=params.state_block_buffer_size,
            batch_size=params.state_batch_size,
        )
        self.store = pull_store(config.channel, self, params)

    @property
    def next_deadline(self) -> float:
        return min(self._retry_due, self.store.next_deadline)

    @property
    def is_committing(self) -> bool:
        """Whether a block is on its way into the ledger."""
        return self._committing is not None

    @property
    def first_missing(self) -> int:
        """The number of the block that is neither in the ledger nor waiting for its turn."""
        return self._buffer.first_missing

    @property
    def has_room(self) -> bool:
        """Whether to fetch more."""
        return self._buffer.has_room

    def verify(self, number: int, raw: bytes) -> Block:
        """The block, if it is the channel's block `number`. Raises BlockError."""
        return self._verify(raw, number, self.config)

    def may_pull(self, peer: bytes) -> bool:
        return self._may_pull(peer)

    def knows(self, number: int) -> bool:
        """Whether a block is in the ledger, or on its way into it."""
        return number < self._buffer.next or number in self._buffer

    def wants(self, number: int) -> bool:
        """Whether a block is near enough to the ledger, and not here."""
        is_near = 0 <= number - self.height < self._window
        return is_near and not self.knows(number)

    has_use = wants

    # -- Blocks come

    def take(self, envelope: GossipEnvelope, *, now: float) -> list[Effect]:
        """A genuine block that was pushed or pulled."""
        self.store.put(envelope, now)
        self._buffer.push_gossip(envelope.message.data_msg.payload, self.height)
        return self._next()

    def take_fetched(self, payloads: Iterable[Payload]) -> list[Effect]:
        """Genuine blocks that state transfer has fetched."""
        for payload in payloads:
            self._buffer.push(payload)
        return self._next()

    def take_delivered(
        self, raw: bytes, *, now: float
    ) -> tuple[GossipEnvelope | None, list[Effect]]:
        """A block that the orderer gave us, and what to push to others if it is news."""
        try:
            envelope = genuine_block(raw, self.config, unless=self.knows, verify=self._verify)
        except RemoteError as error:
            return None, [self._warning("orderer", f"the orderer's block: {error}")]
        if envelope is None:
            return None, []
        payload = envelope.message.data_msg.payload
        if self._buffer.push(payload) is Pushed.NO_ROOM:
            text = f"no room for block {payload.seq_num} of the orderer: ask for it again"
            return None, [self._warning("no_room", text)]
        self.store.put(envelope, now)
        return envelope, self._next()

    # -- Blocks go

    def committed(self, number: int) -> list[Effect]:
        """A block is in the ledger. Raises ParamError if it is not the one to be committed."""
        payload = self._returned(number)
        self.height = number + 1
        self._pause = FIRST_PAUSE
        self._refill()
        return [*self._configure(payload.data), *self._next()]

    def failed(self, number: int, why: str, *, now: float) -> list[Effect]:
        """A block could not be committed, and is tried again later. Raises as `committed`."""
        self._buffer.put_back(self._returned(number))
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        self._retry_due = now + pause
        text = f"block {number} was not committed, the next attempt is in {pause:g} s: {why}"
        return [self._warning("commit", text)]

    def tick(self, now: float) -> list[Effect]:
        self.store.tick(now)
        if now < self._retry_due:
            return []
        self._retry_due = math.inf
        return self._next()

    def _returned(self, number: int) -> Payload:
        payload = self._committing
        if payload is None or payload.seq_num != number:
            raise ParamError(f"{self.config.channel}: block {number} was not to be committed")
        self._committing = None
        return payload

    def _refill(self) -> None:
        """What is kept for those who pull was perhaps too far ahead when it came."""
        for number in self.store.numbers():
            envelope = self.store.get(number) if self.wants(number) else None
            if envelope is not None:
                self._buffer.push_gossip(envelope.message.data_msg.payload, self.height)

    def stop(self) -> None:
        """Nothing further is committed, beside what is on its way."""
        self._stopped = True

    def _next(self) -> list[Effect]:
        if self._committing is not None or self._stopped or self._retry_due < math.inf:
            return []
        self._committing = payload = self._buffer.pop()
        if payload is None:
            return []
        return [Commit(self.config.channel, payload.seq_num, payload.data)]

    def _configure(self, raw: bytes) -> list[Effect]:
        block = parse_block(raw)
        if not block.is_config():
            return []
        try:
            self.config = updated(self.config, block) or self.config
        except ConfigError as error:
            return [self._warning("config", f"block {block.number}: {error}")]
        return []

    def _warning(self, kind: str, text: str) -> Warn:
        return Warn(f"channel.{kind}", f"{self.config.channel}: {text}")
