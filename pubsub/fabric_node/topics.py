"""Fabric's topics on the node: joined, published to, and judged message by message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import final

import trio

from pubsub.errors import LocalError, ParamError, PubSubError
from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.actions import Warn
from pubsub.fabric.announcement import (
    MAX_ANNOUNCEMENT,
    Announcement,
    block_envelope,
    read_announcement,
)
from pubsub.fabric.blocks import parse_block
from pubsub.fabric.envelope import decode_envelope
from pubsub.fabric.intake_rules import IGNORED
from pubsub.fabric.ledger import Ledger
from pubsub.fabric.topics import is_blocks_topic
from pubsub.fabric_node.envelope_stream import Budget
from pubsub.fabric_node.inlets import Gossiped, Inlets
from pubsub.fabric_node.large_blocks import LargeBlocks
from pubsub.fabric_node.owner import Owner
from pubsub.identity import PeerId
from pubsub.node.subscription import Relay
from pubsub.node.validation import Later
from pubsub.router.events import Validation
from pubsub.router.message import Message

FETCH_TIMEOUT = 1800.0
"Seconds for an announced block; one that does not come at a minimal rate is given up earlier."
FETCHES = 128
"Announced blocks of one topic that are waited for at one time; each peer gives one at a time."


class _Token:
    """Brings the verdict about one message back."""

    __slots__ = ("verdict",)

    def __init__(self) -> None:
        self.verdict = Validation.IGNORE


@final
class Topics:
    """The topics that the core is in; `ledgers` are those of its channels."""

    def __init__(
        self,
        owner: Owner,
        inlets: Inlets,
        ledgers: Mapping[str, Ledger | None],
        *,
        above: int,
        budget: Budget,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._owner = owner
        self._inlets = inlets
        self._ledgers = ledgers
        self._relays: dict[str, Relay] = {}
        self.large = LargeBlocks(
            owner.node.host,
            above=above,
            budget=budget,
            may_fetch=self._may_fetch,
            find=self._find,
            neighbours=owner.node.mesh,
        )

    # -- What the core asks for

    def join(self, effect: fx.JoinTopic) -> None:
        node = self._owner.node
        judge = partial(self._judge, effect.topic)
        # Signatures take a while, and nobody could make that shorter.
        node.set_validator(
            effect.topic, judge, concurrency=FETCHES, timeout=FETCH_TIMEOUT, slow_after=None
        )
        self._relays[effect.topic] = node.relay(effect.topic)

    def leave(self, effect: fx.LeaveTopic) -> None:
        self._relays.pop(effect.topic).close()
        self._owner.node.set_validator(effect.topic, None)

    def publish(self, effect: fx.Publish) -> None:
        data = effect.envelope
        if is_blocks_topic(effect.topic):
            data = self.large.small(data)
        try:
            receipt = self._owner.node.publish_nowait(effect.topic, data)
        except ParamError as error:
            self._owner.warn(Warn("publish", f"{effect.topic}: {error}"))
        except LocalError:
            # Another leader was quicker with this block.
            self.counters["published by others before"] += 1
        else:
            self.counters["published"] += 1
            self.counters["skipped peers with full queues"] += len(receipt.skipped)

    def validated(self, effect: fx.Validated) -> None:
        assert isinstance(effect.token, _Token)
        effect.token.verdict = Validation(effect.verdict.value)

    # -- What others publish

    def _judge(self, topic: str, message: Message) -> Validation | Later:
        if len(message.data) <= MAX_ANNOUNCEMENT and is_blocks_topic(topic):
            announced = read_announcement(message.data)
            if announced is not None:
                return self._judge_announced(topic, message.received_from, announced)
        return self._verdict(topic, message.received_from, message.data)

    def _verdict(self, topic: str, sender: PeerId, envelope: bytes) -> Validation:
        pki_id = self._owner.directory.pki_id(sender)
        if pki_id is None:
            self.counters["from peers that are gone"] += 1
            return Validation.IGNORE
        token = _Token()
        self._owner.feed(ev.TopicMessage(pki_id, topic, envelope, token))
        if token.verdict is Validation.ACCEPT:
            self._hand_on(topic, pki_id, envelope)
        return token.verdict

    def _hand_on(self, topic: str, sender: bytes, envelope: bytes) -> None:
        place = self._owner.peer.access.place(topic)
        channel = place.channel if place else ""
        # A channel without a ledger here hands its blocks on itself, pulled ones too.
        is_told = is_blocks_topic(topic) and self._ledgers.get(channel) is None
        if self._inlets.reads_gossip and not is_told:
            message = decode_envelope(envelope).message
            self._owner.offer(Gossiped(channel, message, envelope, sender))

    def receive(self, effect: fx.BlockReceived) -> None:
        """A block of a channel without a ledger here."""
        envelope = block_envelope(effect.channel, effect.number, effect.raw)
        self._owner.offer(Gossiped(effect.channel, envelope.message, envelope.raw, b""))

    # -- Large blocks

    def _judge_announced(
        self, topic: str, sender: PeerId, announced: Announcement
    ) -> Validation | Later:
        pki_id = self._owner.directory.pki_id(sender)
        if pki_id is None:
            return Validation.IGNORE
        refusal = self._owner.peer.wants_announced(topic, pki_id, announced)
        if refusal is not None:
            return Validation.IGNORE if refusal in IGNORED else Validation.REJECT
        return partial(self._fetch, topic, sender, announced)

    async def _fetch(self, topic: str, sender: PeerId, announced: Announcement) -> Validation:
        verdicts: list[Validation] = []

        def is_good(giver: PeerId, raw: bytes) -> bool | None:
            verdicts.append(self._judge_given(topic, announced, giver, raw))
            # What is ignored is here by other ways, so that nobody has looked at this copy.
            return {Validation.ACCEPT: True, Validation.IGNORE: None}.get(verdicts[-1], False)

        def is_wanted() -> bool:
            channel = self._owner.peer.channel(announced.channel)
            return channel is not None and channel.wants_block(announced.number)

        if not await self.large.fetch(announced, topic, sender, is_good, is_wanted):
            # The next one to announce it may have it.
            return Validation.RETRY
        # Without a verdict it is one that we have published meanwhile.
        return verdicts[-1] if verdicts else Validation.ACCEPT

    def _judge_given(
        self, topic: str, announced: Announcement, giver: PeerId, raw: bytes
    ) -> Validation:
        """What a peer gave as the block that was announced; REJECT, and its fault, if it is not.

        It may be IGNORE for a good one, which has come by other ways meanwhile.
        """
        try:
            payload = decode_envelope(raw).message.data_msg.payload
            is_that = parse_block(payload.data).hash == announced.header_hash
        except PubSubError:
            is_that = False
        verdict = self._verdict(topic, giver, raw) if is_that else Validation.REJECT
        pki_id = self._owner.directory.pki_id(giver)
        if verdict is Validation.REJECT and pki_id is not None:
            self._owner.perform(fx.Blamed(pki_id, "a block that is not the one announced"))
        return verdict

    def _may_fetch(self, peer: PeerId, channel: str) -> bool:
        pki_id = self._owner.directory.pki_id(peer)
        return pki_id is not None and self._owner.peer.may_fetch(pki_id, channel)

    async def _find(self, asked: Announcement) -> bytes | None:
        """A block that was asked for, from the ledger."""
        ledger = self._ledgers.get(asked.channel)
        if ledger is None:
            return None
        try:
            raw = await trio.to_thread.run_sync(ledger.block, asked.number)
        except PubSubError:
            raise
        except Exception as error:  # noqa: BLE001 - the ledger is the user's
            self._owner.fail(error)
            return None
        if raw is None or parse_block(raw).hash != asked.header_hash:
            return None
        return block_envelope(asked.channel, asked.number, raw).raw
