"""A channel's blocks where the user keeps the ledger: passed on, kept for pulls, handed over.

    pushed, pulled, of the orderer ──► window ─► BlockReceived, in whatever order they come

The user says how high its ledger is, and which configuration counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from pubsub.errors import ParamError, RemoteError
from pubsub.fabric.actions import Warn
from pubsub.fabric.block_flow import genuine_block, pull_store
from pubsub.fabric.block_verification import VerifyBlock, verify_block
from pubsub.fabric.blocks import Block
from pubsub.fabric.config import ChannelConfig, ConfigError, succeeded
from pubsub.fabric.effects import BlockReceived, Effect
from pubsub.fabric.envelope import GossipEnvelope
from pubsub.fabric.params import GossipParams

MAX_AHEAD = 10_000
"Numbers of blocks remembered that the ledger lacks, for a user that never says its height."


@final
class BlockRelay:
    """The blocks of one channel; `config` and `height` are those of the user's ledger.

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
        self._ahead: set[int] = set()
        "Blocks that came, and are not in the ledger."

        self.store = pull_store(config.channel, self, params)

    @property
    def next_deadline(self) -> float:
        return self.store.next_deadline

    @property
    def first_missing(self) -> int:
        """The number of the first block that is not in the ledger, and did not come."""
        number = self.height
        while number in self._ahead:
            number += 1
        return number

    @property
    def has_room(self) -> bool:
        """Whether to get further blocks from the orderer."""
        return self.first_missing - self.height < self._window

    def verify(self, number: int, raw: bytes) -> Block:
        """The block, if it is the channel's block `number`. Raises BlockError."""
        return self._verify(raw, number, self.config)

    def may_pull(self, peer: bytes) -> bool:
        return self._may_pull(peer)

    def wants(self, number: int) -> bool:
        """Whether a block is near enough to the ledger, and did not come."""
        return 0 <= number - self.height < self._window and number not in self._ahead

    def knows(self, number: int) -> bool:
        """Whether a block is in the ledger, or came."""
        return number < self.height or number in self._ahead

    def has_use(self, number: int) -> bool:
        """Whether a block is news, however far ahead."""
        return not self.knows(number)

    # -- Blocks

    def take(self, envelope: GossipEnvelope, *, now: float) -> list[Effect]:
        """A genuine block that was pushed or pulled."""
        payload = envelope.message.data_msg.payload
        if not self.keep(envelope, now=now):
            return []
        return [BlockReceived(self.config.channel, payload.seq_num, payload.data)]

    def take_delivered(
        self, raw: bytes, *, now: float
    ) -> tuple[GossipEnvelope | None, list[Effect]]:
        """A block that the orderer gave us, and what to push to others if it is news."""
        try:
            envelope = genuine_block(raw, self.config, unless=self.knows, verify=self._verify)
        except RemoteError as error:
            text = f"{self.config.channel}: the orderer's block: {error}"
            return None, [Warn("channel.orderer", text)]
        return (None, []) if envelope is None else (envelope, self.take(envelope, now=now))

    def keep(self, envelope: GossipEnvelope, *, now: float) -> bool:
        """Keep a genuine block for those who pull; False if the user has it."""
        number = envelope.message.data_msg.payload.seq_num
        self.store.put(envelope, now)
        if self.knows(number):
            return False
        self._ahead.add(number)
        if len(self._ahead) > MAX_AHEAD:
            self._ahead.remove(min(self._ahead))
        return True

    def tick(self, now: float) -> list[Effect]:
        self.store.tick(now)
        return []

    # -- What the user says of its ledger

    def set_height(self, height: int) -> None:
        """Raises ParamError if it goes down."""
        if height < self.height:
            text = f"the ledger's height goes from {self.height} down to {height}"
            raise ParamError(f"{self.config.channel}: {text}")
        self.height = height
        self._ahead = {number for number in self._ahead if number >= height}

    def configure(self, config: ChannelConfig) -> list[Effect]:
        """Judge by this configuration, if it is newer. Raises ParamError if it cannot follow."""
        try:
            new = succeeded(self.config, config)
        except ConfigError as error:
            raise ParamError(str(error)) from error
        if new is None:
            numbers = f"configuration {config.sequence} comes after {self.config.sequence}"
            return [Warn("channel.config", f"{self.config.channel}: {numbers}")]
        self.config = new
        return []
