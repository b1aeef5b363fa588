"""A channel's blocks on their way into its ledger.

    pushed, pulled ──► window ─► buffer ─┐
    orderer, fetched ──────────► buffer ─┴─ in order ─► Commit ─► `committed`

One block is committed at a time, so that each is taken under the configuration before it.
Pushed and pulled blocks, and those of the orderer, are kept for those who pull.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import final

from pubsub.errors import ParamError, RemoteError
from pubsub.fabric.actions import Warn
from pubsub.fabric.block_store import BlockPullStore
from pubsub.fabric.block_verification import verify_block
from pubsub.fabric.blocks import Block, parse_block
from pubsub.fabric.config import ChannelConfig, ConfigError, updated
from pubsub.fabric.effects import Commit, Effect
from pubsub.fabric.envelope import GossipEnvelope, wrap_message
from pubsub.fabric.params import GossipParams
from pubsub.fabric.payload_buffer import PayloadBuffer, Pushed
from pubsub.pb.fabric.gossip_pb2 import DataMessage, GossipMessage, Payload

BLOCK_LIFE = 100
"How many pull intervals a block is kept for those who pull (Fabric's)."


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
    ) -> None:
        if height < 1:
            raise ParamError(f"{config.channel}: a ledger without a genesis block")
        self.config = config
        self.height = height
        self._may_pull = may_pull
        self._window = params.state_block_buffer_size
        self._committing: Payload | None = None
        self._stopped = False
        self._buffer = PayloadBuffer(
            height,
            buffer_size=params.state_block_buffer_size,
            batch_size=params.state_batch_size,
        )
        self.store = BlockPullStore(
            config.channel.encode(),
            self,
            ttl=BLOCK_LIFE * params.pull_interval,
            window=params.max_block_count_to_store,
        )

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
        return verify_block(raw, number, self.config)

    def may_pull(self, peer: bytes) -> bool:
        return self._may_pull(peer)

    def wants(self, number: int) -> bool:
        """Whether a block is near enough to the ledger, and not here."""
        is_near = 0 <= number - self.height < self._window
        return is_near and number >= self._buffer.next and number not in self._buffer

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
            number = parse_block(raw).number
            if number < self._buffer.next:
                return None, []
            self.verify(number, raw)
        except RemoteError as error:
            return None, [self._warning("orderer", f"the orderer's block: {error}")]
        payload = Payload(seq_num=number, data=raw)
        pushed = self._buffer.push(payload)
        if pushed is Pushed.NO_ROOM:
            text = f"no room for block {number} of the orderer: ask for it again"
            return None, [self._warning("no_room", text)]
        if pushed is Pushed.KNOWN:
            return None, []
        message = GossipMessage(
            channel=self.config.channel.encode(),
            tag=GossipMessage.CHAN_AND_ORG,
            data_msg=DataMessage(payload=payload),
        )
        envelope = wrap_message(message)
        self.store.put(envelope, now)
        return envelope, self._next()

    # -- Blocks go

    def committed(self, number: int) -> list[Effect]:
        """A block is in the ledger. Raises ParamError if it is not the one to be committed."""
        payload = self._committing
        if payload is None or payload.seq_num != number:
            raise ParamError(f"{self.config.channel}: block {number} was not to be committed")
        self._committing = None
        self.height = number + 1
        return [*self._configure(payload.data), *self._next()]

    def failed(self, number: int, why: str) -> list[Effect]:
        """A block could not be committed: it is wanted again, and those that waited behind it."""
        self._committing = None
        self._buffer.reset(self.height)
        return [self._warning("commit", f"block {number} was not committed: {why}")]

    def stop(self) -> None:
        """Nothing further is committed, beside what is on its way."""
        self._stopped = True

    def _next(self) -> list[Effect]:
        if self._committing is not None or self._stopped:
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
