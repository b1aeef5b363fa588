"""Copies of blocks with the right header and wrong data do not keep the true ones away.

A block's id is that of its header, so a bad copy bears the id of the true block.
"""

from __future__ import annotations

import pytest

from pubsub.fabric import events as ev
from pubsub.fabric.blocks import Block
from pubsub.fabric.intake_rules import Reason
from pubsub.pb.fabric import block_pb2
from pubsub.router.events import Publish
from pubsub.router.message import Message
from tests.sim.fabric_people import genesis, maker_after, organization, transaction
from tests.sim.fabric_quarter import HEARTBEAT, Quarter, QuarterNode
from tests.sim.fabric_talk import block_message

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
CHANNEL = "sales"
CHECK = 0.05
"Seconds that a peer takes to judge a block: the true one comes meanwhile."
USUAL = 0.2
"Seconds in which a block of the orderer is in all ledgers."
BLOCKS = 20
SIZE = 20_000
"Bytes; far above those of which peers tell others that they need no copy."


class Slow(QuarterNode):
    """A peer whose checks take a while."""

    def _ask(self, message: Message) -> None:
        resident = self.resident
        peer = resident.who(message.received_from)
        if peer is not None and message.topic.endswith("/blocks"):
            event = ev.TopicMessage(peer, message.topic, message.data, message.id)
            resident._later(CHECK, resident.tell, event)
        else:
            super()._ask(message)


class Street:
    """Eight peers of one organization, the last of which may lie; the first gets the blocks."""

    def __init__(self, seed: int) -> None:
        self.births = [genesis(CHANNEL, 1)]
        self.quarter = Quarter(self.births[0], seed=seed)
        self.residents = [
            self.quarter.moves_in(
                organization(1, 24), f"peer{n}", self.births, kind=Slow, after=0.2 * n
            )
            for n in range(8)
        ]
        self.quarter.run_until(18)
        *self.honest, self.liar = [each for each in self.residents if not each.leading]
        self.ordered: dict[int, float] = {}
        making = maker_after(self.births[0])
        self.blocks = [
            making.next_block([transaction(b"sold %d %s" % (n, bytes(SIZE)))])
            for n in range(BLOCKS)
        ]

    def orders(self, block: Block) -> None:
        self.ordered[block.number] = self.quarter.now
        self.quarter.order_in(CHANNEL, block)

    def lies(self, block: Block) -> None:
        """Everybody gets a bad copy first: the liar knows the block before the leader does."""
        bad = block.raw.replace(b"sold", b"lost")
        assert bad != block.raw
        topic = self.quarter.topics(CHANNEL).blocks("Org1MSP")
        envelope = block_message(bad, block.number, CHANNEL).raw
        self.quarter.node(self.liar.number, QuarterNode).feed(Publish(topic, envelope))

    def strips(self, block: Block) -> None:
        """Everybody gets a copy without the orderer's signature, and before its predecessor."""
        bare = block_pb2.Block.FromString(block.raw)
        bare.metadata.metadata[0] = b""
        topic = self.quarter.topics(CHANNEL).blocks("Org1MSP")
        envelope = block_message(bare.SerializeToString(), block.number, CHANNEL).raw
        self.quarter.node(self.liar.number, QuarterNode).feed(Publish(topic, envelope))

    def delays(self) -> dict[int, float]:
        """For each block, how long after it was ordered the last honest ledger had it."""
        return {
            number: max(each.commits[CHANNEL, number] for each in self.honest) - at
            for number, at in self.ordered.items()
        }

    def refused(self) -> int:
        return sum(each.core.refusals[Reason.BLOCK] for each in self.honest)


def test_without_lies_a_block_is_everywhere_soon() -> None:
    street = Street(1)
    for block in street.blocks[:5]:
        street.orders(block)
        street.quarter.run_for(0.5)
    street.quarter.run_for(2)
    assert street.refused() == 0
    assert max(street.delays().values()) < USUAL


@pytest.mark.parametrize("seed", [1, 2])
def test_one_bad_copy_delays_the_block_by_no_more_than_a_heartbeat(seed: int) -> None:
    street = Street(seed)
    street.lies(street.blocks[0])
    street.quarter.run_for(0.03)
    for block in street.blocks[:5]:
        street.orders(block)
        street.quarter.run_for(1)
    street.quarter.run_for(5)
    assert street.refused() > 0
    assert max(street.delays().values()) < USUAL + HEARTBEAT


@pytest.mark.parametrize("seed", [1, 2])
def test_nor_do_bad_copies_of_all_blocks(seed: int) -> None:
    street = Street(seed)
    for block in street.blocks:
        street.lies(block)
        street.quarter.run_for(0.03)
        street.orders(block)
        street.quarter.run_for(0.5)
    street.quarter.run_for(5)
    assert street.refused() >= BLOCKS
    assert max(street.delays().values()) < USUAL + HEARTBEAT


@pytest.mark.parametrize("seed", [1, 2])
def test_nor_do_copies_that_come_too_early_to_be_judged(seed: int) -> None:
    street = Street(seed)
    for block in street.blocks[1:]:
        street.strips(block)
    street.quarter.run_for(0.5)
    for block in street.blocks:
        street.orders(block)
        street.quarter.run_for(0.5)
    street.quarter.run_for(5)
    assert max(street.delays().values()) < USUAL + HEARTBEAT
