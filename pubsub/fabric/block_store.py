"""A channel's newest blocks, for those who pull: a `PullStore` over the store of blocks.

A block's digest is its number in ASCII. As in Fabric, none is kept that is more than
`maxBlockCountToStore` below the highest (so there are up to one more than that), none is
asked for that the ledger has, and none is shown to peers that may not pull. Nor is one asked
for that is too far ahead of the ledger (ours): it would be verified, and then be of no use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from pubsub.errors import RemoteError
from pubsub.fabric.block_verification import BlockSignatureError
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import GossipEnvelope, decode_envelope
from pubsub.fabric.message_store import BlockStore
from pubsub.fabric.pull_store import Item

MAX_STORE_BYTES = 256 << 20
"Of all blocks held; one can have 99 MB (ours)."
_HIGHEST = (1 << 64) - 1


class Channel(Protocol):
    """What the store asks about its channel."""

    @property
    def height(self) -> int:
        """The ledger's."""

    def knows(self, number: int) -> bool:
        """Whether a block is in the ledger, or on its way into it."""

    def has_use(self, number: int) -> bool:
        """Whether a block would be taken now: it is not here, nor too far ahead."""

    def verify(self, number: int, raw: bytes) -> object:
        """Raise RemoteError unless `raw` is block `number` of the channel."""

    def may_pull(self, peer: bytes) -> bool:
        """Whether a peer may have blocks: it is of our organization, and in the channel."""


class BlockPullStore:
    """The blocks of one channel, pushed and pulled; `name` is the channel's as it travels."""

    def __init__(
        self,
        name: bytes,
        channel: Channel,
        *,
        ttl: float = 400.0,
        window: int = 10,
        max_bytes: int = MAX_STORE_BYTES,
    ) -> None:
        self._name = name
        self._channel = channel
        self._store = BlockStore(ttl=ttl, window=window)
        self._max_bytes = max_bytes
        self._bytes = 0
        self._floor = -1
        "The highest number that was let go of for want of room."

    @property
    def held_bytes(self) -> int:
        return self._bytes

    @property
    def next_deadline(self) -> float:
        return self._store.next_deadline

    def tick(self, now: float) -> None:
        """Let go of what is too old."""
        self._released(self._store.expire(now))

    def put(self, envelope: GossipEnvelope, now: float) -> bool:
        """Keep a verified block; False if it is known, or older than those kept."""
        added = self._store.add(envelope, now)
        if not added.accepted:
            return False
        self._bytes += len(envelope.raw)
        self._released(added.displaced)
        numbers = sorted(_number(each) for each in self._store)
        while self._bytes > self._max_bytes and len(numbers) > 1:
            self._floor = max(self._floor, numbers.pop(0))
            self._released(self._store.purge(lambda each: _number(each) <= self._floor))
        return True

    def _released(self, envelopes: Sequence[GossipEnvelope]) -> None:
        self._bytes -= sum(len(each.raw) for each in envelopes)

    def numbers(self) -> list[int]:
        """What is held, lowest first."""
        return sorted(_number(each) for each in self._store)

    def get(self, number: int) -> GossipEnvelope | None:
        """A block that is held."""
        return self._store.get(number)

    def digests(self, peer: bytes) -> list[bytes]:
        if not self._channel.may_pull(peer):
            return []
        return [b"%d" % number for number in self.numbers()]

    def wanted(self, digest: bytes) -> bool:
        number = _parsed(digest)
        if number is None or number <= self._floor or not self._channel.has_use(number):
            return False
        if self._store.get(number) is not None:
            return False
        highest = max(map(_number, self._store), default=number)
        return number >= highest - self._store.window

    def items(self, digests: Sequence[bytes], peer: bytes) -> Iterator[bytes]:
        if not self._channel.may_pull(peer):
            return
        for digest in digests:
            number = _parsed(digest)
            envelope = None if number is None else self._store.get(number)
            if envelope is not None:
                yield envelope.raw

    def check(self, encoded: bytes) -> Item:
        """Raises RemoteError unless it is a genuine block of this channel.

        An item without content is a block that came another way meanwhile, or one of orderers
        that we do not know yet: whether it is genuine is not known.
        """
        envelope = decode_envelope(encoded)
        if envelope.content is not Content.DATA:
            raise RemoteError(f"{envelope.content or 'nothing'} where a block was asked for")
        if envelope.message.channel != self._name:
            raise RemoteError("a block of another channel")
        payload = envelope.message.data_msg.payload
        digest = b"%d" % payload.seq_num
        if self._channel.knows(payload.seq_num):
            return Item(digest, encoded)
        try:
            self._channel.verify(payload.seq_num, payload.data)
        except BlockSignatureError:
            if payload.seq_num == self._channel.height:
                raise
            # It may follow a change of orderers that is not in the ledger yet.
            return Item(digest, encoded)
        return Item(digest, encoded, envelope)

    def add(self, item: Item, now: float) -> bool:
        """True for all that the ledger lacks, though newer blocks may have come meanwhile for
        which it is not kept."""
        if item.content is None:
            return False
        self.put(item.content, now)
        return True


def _number(envelope: GossipEnvelope) -> int:
    return envelope.message.data_msg.payload.seq_num


def _parsed(digest: bytes) -> int | None:
    """The number that `digest` is, if it is written as we would write it."""
    if not digest.isdigit() or len(digest) > len(str(_HIGHEST)):
        return None
    number = int(digest)
    return number if number <= _HIGHEST and digest == b"%d" % number else None
