"""Whole peers and their blocks: pushed, pulled and fetched, and those that nobody may pass on."""

from __future__ import annotations

import pytest

from pubsub.fabric import effects as fx
from pubsub.fabric import events as ev
from pubsub.fabric.blocks import Block, BlockHeader, data_hash
from pubsub.fabric.content import Content
from pubsub.fabric.envelope import GossipEnvelope
from pubsub.fabric.intake_rules import Reason, Verdict
from pubsub.fabric.make_blocks import sign_block
from pubsub.fabric.params import V14
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.sim.fabric_people import (
    SALES,
    SETTLED,
    START_NS,
    blocks,
    genesis,
    orderers,
    organization,
    settle,
    transaction,
    with_one_leader,
)
from tests.sim.fabric_talk import block_message, digests, numbers_got, received
from tests.sim.fabric_town import NETWORK, Town

pytestmark = pytest.mark.timeout(60)

TOPICS = NETWORK.channel(SALES, genesis().hash)
Tag = GossipMessage.Tag


@pytest.fixture
def town() -> Town:
    return Town(START_NS)


@pytest.mark.slow
def test_twenty_peers_get_each_block_once_and_the_first_gets_none_back(town: Town) -> None:
    base = V14.replaced(state_enabled=False, pull_interval=8.0)
    leader, *others = with_one_leader(town, 21, base, until=10)
    for block in blocks(10):
        town.orders(SALES, block)
        town.until(town.now + 0.2)
    town.until(town.now + 4)
    expected = [(SALES, number) for number in range(1, 11)]
    for resident in others:
        assert resident.commits == expected
        pushed = received(resident, Content.DATA)
        numbers = [each.data_msg.payload.seq_num for each in pushed]
        assert numbers == [*range(1, 11)]
        assert received(resident, Content.DATA_UPDATE) == []
    assert leader.commits == expected
    assert received(leader, Content.DATA, Content.DATA_UPDATE) == []


@pytest.mark.slow
def test_in_a_state_transfer_a_peer_far_behind_catches_up_in_order(town: Town) -> None:
    behind = with_one_leader(town, 3, V14)
    town.dies(behind.pop())
    for block in blocks(500):
        town.orders(SALES, block)
    town.until(town.now + 5)
    params = V14.replaced(use_leader_election=False, org_leader=False)
    late = town.moves_in(
        organization(1, 24), "peer3", external=False, bootstrap=("peer0",), params=params
    )
    town.joins(late, genesis())
    late.commit_time = 0.05
    channel = late.core.channel(SALES)
    waiting = []
    while channel.height < 501 and town.now < SETTLED + 120:
        town.until(town.now + 0.05)
        waiting.append(channel.first_missing - channel.height)
    assert late.commits == [(SALES, number) for number in range(1, 501)]
    # One is on its way into the ledger, the others wait for it.
    room = 2 * params.state_block_buffer_size + params.state_batch_size
    assert 2 * params.state_block_buffer_size < max(waiting) <= room + 1
    assert late.ledgers[SALES].last_hash == blocks(500)[-1].hash


# -- Requests for blocks


@pytest.mark.slow
def test_requests_that_are_not_in_order_or_come_from_outside_get_no_blocks(town: Town) -> None:
    residents = settle(town)
    for block in blocks(30):
        town.orders(SALES, block)
    town.until(town.now + 15)
    asked, asker = residents[0], residents[1]
    assert numbers_got(town, asker, asked, 3, 13) == [*range(3, 14)]
    assert numbers_got(town, asker, asked, 25, 35) == [*range(25, 31)]
    assert numbers_got(town, residents[3], asked, 3, 5) == [3, 4, 5]
    for first, last in ((5, 4), (3, 14), (0, 1 << 63), (1 << 63, 0)):
        assert numbers_got(town, asker, asked, first, last) == []
    idle = town.moves_in(organization(1), "peer3", external=True, bootstrap=("peer0",))
    town.until(town.now + 15)
    assert idle.name in town.view(asked)
    assert numbers_got(town, idle, asked, 3, 5) == []
    assert asked.core.refusals[Reason.NOT_ELIGIBLE] == 1
    guest = town.moves_in(organization(3), "peer0", external=True)
    for resident in residents[:3]:
        town.joins(resident, genesis("hr", 1, 3))
    town.joins(guest, genesis("hr", 1, 3))
    town.until(town.now + 15)
    assert guest.name in town.view(asked)
    assert numbers_got(town, guest, asked, 3, 5) == []
    assert asked.core.refusals[Reason.NOT_MEMBER] == 1


# -- Blocks that are not genuine


def signed_by(name: str, good: Block, transactions: list[bytes], claimed: bytes = b"") -> bytes:
    """A block after block 1, whose header holds and whose signature is that of `name`."""
    header = BlockHeader(2, good.header.previous_hash, claimed or data_hash(transactions))
    if name.startswith("orderer"):
        signer = orderers().members[f"{name}.orderers.example"].signer
    else:
        signer = organization(1).members[f"{name}.org1.example"].signer
    made = sign_block(header, transactions, [signer], last_config=0, entropy=bytes)
    return made.raw


def bad_blocks() -> dict[str, GossipEnvelope]:
    first, good = blocks(2)
    one, two = transaction(b"one"), transaction(b"two")
    joined = signed_by("orderer0", good, [one + two], data_hash([one, two]))
    elsewhere = signed_by("orderer0", good, [transaction(b"one", "hr")])
    return {
        "nothing in it": block_message(b"", 2),
        "no block": block_message(b"\xff\xff", 2),
        "of another channel, as it says": block_message(good.raw, 2, "hr"),
        "of another channel, by its transactions": block_message(elsewhere, 2),
        "under another number": block_message(good.raw, 3),
        "with other transactions below its header": block_message(
            good.raw.replace(b"sale 1", b"sale 9"), 2
        ),
        "signed by one who is no orderer": block_message(signed_by("peer1", good, [one]), 2),
        "signed by nobody": block_message(
            sign_block(
                BlockHeader(2, first.hash, data_hash([one])),
                [one],
                [],
                last_config=0,
                entropy=bytes,
            ).raw,
            2,
        ),
        "with transactions joined below the same signatures": block_message(joined, 2),
    }


def test_blocks_that_are_not_genuine_are_rejected_and_passed_on_by_nobody(town: Town) -> None:
    residents = settle(town)
    town.orders(SALES, blocks(1)[0])
    town.until(town.now + 5)
    liar, hearers = residents[2], residents[:2]
    topic = TOPICS.blocks("Org1MSP")
    for what, envelope in bad_blocks().items():
        event = ev.TopicMessage(liar.core.pki_id, topic, envelope.raw, token=what)
        for resident in hearers:
            (done,) = resident.core.handle(event, now=town.now, wall_ns=town.wall_ns)
            assert (done.token, done.verdict) == (what, Verdict.REJECT)
            named = "as it says" in what
            assert done.reason is (Reason.CHANNEL if named else Reason.BLOCK), what
    # Nor does one who pulls hear of them; the same with nothing wrong in it is taken.
    assert digests(town, liar, hearers[0], 5) == [b"1"]
    town.publishes(liar, topic, block_message(blocks(2)[1].raw, 2).raw)
    town.until(town.now + 1)
    assert all(each.ledgers[SALES].last_hash == blocks(2)[1].hash for each in hearers)


def test_one_that_delivers_a_bad_block_does_not_keep_the_good_one_away(town: Town) -> None:
    residents = settle(town)
    liar, hearer = residents[2], residents[0]
    topic, good = TOPICS.blocks("Org1MSP"), blocks(1)[0]
    bad = good.raw.replace(b"sale 0", b"sale 9")
    for raw, verdict in ((bad, Verdict.REJECT), (good.raw, Verdict.ACCEPT)):
        event = ev.TopicMessage(liar.core.pki_id, topic, block_message(raw, 1).raw)
        done = hearer.core.handle(event, now=town.now, wall_ns=town.wall_ns)
        assert done[0].verdict is verdict
    assert done[1:] == [fx.Commit(SALES, 1, good.raw)]
