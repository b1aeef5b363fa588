import pytest

from pubsub.errors import ParamError
from pubsub.fabric.actions import Warn
from pubsub.fabric.block_flow import BlockFlow
from pubsub.fabric.block_verification import verify_block
from pubsub.fabric.blocks import BlockError
from pubsub.fabric.effects import Commit
from pubsub.fabric.envelope import wrap_message
from pubsub.fabric.make_blocks import make_transaction
from pubsub.fabric.params import V14
from pubsub.pb.fabric import block_pb2
from pubsub.pb.fabric.gossip_pb2 import GossipMessage, Payload
from tests.unit.fabric.making import Tag
from tests.unit.fabric.network import (
    WHEN,
    config,
    entropy,
    maker,
    organization,
    profile,
    transaction,
)

CHANNEL = "mychannel"


def blocks(count):
    making = maker()
    return [making.next_block([transaction(b"%d" % number)]) for number in range(count)]


BLOCKS = blocks(60)


def flow(height=1, **params):
    return BlockFlow(config(), height, V14.replaced(**params), may_pull=lambda peer: True)


def pushed(number):
    payload = {"seq_num": number, "data": BLOCKS[number - 1].raw}
    content = {"payload": payload}
    return wrap_message(
        GossipMessage(tag=Tag.CHAN_AND_ORG, channel=CHANNEL.encode(), data_msg=content)
    )


def commit(number):
    return Commit(CHANNEL, number, BLOCKS[number - 1].raw)


def test_blocks_are_committed_in_order_and_one_at_a_time():
    here = flow()
    assert here.take(pushed(2), now=0) == []
    assert here.take(pushed(3), now=0) == []
    assert here.take(pushed(1), now=0) == [commit(1)]
    assert (here.height, here.first_missing) == (1, 4)
    assert here.committed(1) == [commit(2)]
    assert here.take(pushed(4), now=0) == []
    assert here.committed(2) == [commit(3)]
    assert here.committed(3) == [commit(4)]
    assert here.committed(4) == []
    assert here.height == 5
    assert here.store.digests(b"peer") == [b"1", b"2", b"3", b"4"]


def test_what_is_far_ahead_or_here_is_not_wanted():
    here = flow()
    here.take(pushed(1), now=0)
    here.take(pushed(3), now=0)
    assert [number for number in range(40) if here.wants(number)] == [2, *range(4, 21)]
    assert not here.wants(1 << 63)


def test_what_is_in_the_ledger_or_on_its_way_is_known():
    here = flow(height=2)
    here.take(pushed(2), now=0)
    here.take(pushed(4), now=0)
    assert [number for number in range(7) if not here.knows(number)] == [3, 5, 6]
    assert not here.knows(1 << 63)


def test_each_way_of_a_block_verifies_it_once():
    seen = []

    def look(raw, number, config):
        seen.append(number)
        return verify_block(raw, number, config)

    here = BlockFlow(config(), 1, V14, may_pull=lambda peer: True, verify=look)
    here.verify(2, BLOCKS[1].raw)
    here.take(pushed(2), now=0)
    for block in BLOCKS[:2]:
        here.take_delivered(block.raw, now=0)
    assert here.store.check(pushed(2).raw).content is None
    assert here.store.check(pushed(3).raw).content == pushed(3)
    assert seen == [2, 1, 3]
    # What is too far ahead to wait for its turn would be verified again when it is fetched.
    assert [number for number in range(40) if here.store.wanted(b"%d" % number)] == [*range(3, 21)]


def test_what_is_not_wanted_does_no_harm():
    here = flow(height=5)
    assert here.take(pushed(4), now=0) == []
    assert here.take(pushed(25), now=0) == []
    assert here.first_missing == 5


def test_blocks_of_the_orderer_are_verified_and_told_to_others_once():
    here = flow()
    envelope, done = here.take_delivered(BLOCKS[0].raw, now=0)
    assert envelope == pushed(1)
    assert done == [commit(1)]
    assert here.take_delivered(BLOCKS[0].raw, now=0) == (None, [])
    here.take(pushed(2), now=0)
    assert here.take_delivered(BLOCKS[1].raw, now=0) == (None, [])
    assert here.committed(1) == [commit(2)]


def test_what_the_orderer_cannot_have_made_is_told_to_the_operator():
    here = flow()
    bad = BLOCKS[0].raw.replace(BLOCKS[0].header.data_hash, bytes(32))
    for raw in (bad, b"\xff"):
        envelope, (warning,) = here.take_delivered(raw, now=0)
        assert envelope is None
        assert warning.key == "channel.orderer"
    assert here.first_missing == 1


def test_an_orderer_that_is_too_fast_is_told_to_come_again():
    here = flow()
    number = 1
    while here.has_room:
        number += 1
        assert here.take_delivered(BLOCKS[number - 1].raw, now=0)[0] == pushed(number)
    assert number == 41
    here = flow(state_block_buffer_size=1, state_batch_size=1)
    given = [here.take_delivered(BLOCKS[number - 1].raw, now=0) for number in range(2, 6)]
    assert given[-1] == (
        None,
        [
            Warn(
                "channel.no_room", "mychannel: no room for block 5 of the orderer: ask for it again"
            )
        ],
    )


def test_blocks_that_were_fetched_go_in_however_far_ahead():
    here = flow()
    payloads = [Payload(seq_num=n, data=BLOCKS[n - 1].raw) for n in range(1, 31)]
    assert here.take_fetched(payloads[20:]) == []
    assert here.take_fetched(payloads[:20]) == [commit(1)]
    assert here.first_missing == 31


def failure(number, pause, why="disk full"):
    text = f"block {number} was not committed, the next attempt is in {pause} s: {why}"
    return [Warn("channel.commit", f"{CHANNEL}: {text}")]


def test_a_block_that_could_not_be_committed_is_tried_again_later():
    here = flow()
    for number in (1, 2):
        here.take(pushed(number), now=0)
    assert here.is_committing
    assert here.failed(1, "disk full", now=10.0) == failure(1, 1)
    assert not here.is_committing
    assert here.next_deadline == 11.0
    # It and those behind it are still here, and whatever comes meanwhile waits.
    assert (here.first_missing, here.wants(1), here.wants(2)) == (3, False, False)
    assert here.take(pushed(3), now=10.5) == []
    assert here.tick(10.9) == []
    assert here.tick(11.0) == [commit(1)]
    assert here.next_deadline == 400.0
    assert here.committed(1) == [commit(2)]
    assert here.committed(2) == [commit(3)]


def test_a_ledger_that_fails_again_and_again_is_tried_less_and_less_often():
    here, now, pauses = flow(), 0.0, []
    here.take(pushed(1), now=0)
    for _ in range(9):
        here.failed(1, "disk full", now=now)
        pauses.append(here.next_deadline - now)
        now = here.next_deadline
        assert here.tick(now) == [commit(1)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    here.committed(1)
    here.take(pushed(2), now=now)
    assert here.failed(2, "no", now=now) == failure(2, 1, "no")


def test_a_failed_block_is_not_tried_again_after_the_end():
    here = flow()
    here.take(pushed(1), now=0)
    here.stop()
    here.failed(1, "disk full", now=0)
    assert here.tick(1.0) == []


def test_what_was_kept_for_others_is_taken_when_its_turn_is_near():
    here = flow(state_block_buffer_size=10)
    here.take(pushed(12), now=0)
    here.take(pushed(13), now=0)
    assert not here.store.wanted(b"12")
    for number in range(1, 11):
        here.take(pushed(number), now=0)
    for number in range(1, 11):
        here.committed(number)
    assert here.first_missing == 11
    assert here.take(pushed(11), now=0) == [commit(11)]
    assert here.first_missing == 14


def test_only_what_was_asked_for_is_committed():
    here = flow()
    with pytest.raises(ParamError, match="block 1 was not to be committed"):
        here.committed(1)
    here.take(pushed(1), now=0)
    with pytest.raises(ParamError):
        here.committed(2)
    with pytest.raises(ParamError, match="block 2 was not to be committed"):
        here.failed(2, "disk full", now=0)
    with pytest.raises(ParamError, match="genesis"):
        flow(height=0)


def test_after_the_end_nothing_is_committed_beside_what_was_on_its_way():
    here = flow()
    here.take(pushed(1), now=0)
    here.take(pushed(2), now=0)
    here.stop()
    assert here.committed(1) == []
    assert here.height == 2


def test_a_configuration_counts_for_the_blocks_after_it():
    making, here = maker(), flow()
    changed = making.next_config(profile(orgs=(1,)), when=WHEN)
    payload = Payload(seq_num=1, data=changed.raw)
    assert here.take_fetched([payload]) == [Commit(CHANNEL, 1, changed.raw)]
    assert here.config.is_member("Org2MSP")
    assert here.committed(1) == []
    assert not here.config.is_member("Org2MSP")
    assert here.config.sequence == 1


def test_a_configuration_that_cannot_be_read_is_told_to_the_operator_and_changes_nothing():
    making, here = maker(), flow()
    signer = organization(1).members["User1@org1.example.com"].signer
    junk = make_transaction(
        signer, CHANNEL, b"\xff", entropy=entropy(9), when=WHEN, kind=block_pb2.CONFIG
    )
    raw = making.next_block([junk]).raw
    assert here.take_delivered(raw, now=0)[1] == [Commit(CHANNEL, 1, raw)]
    (warning,) = here.committed(1)
    assert warning.key == "channel.config"
    assert (here.config, here.height) == (config(), 2)


def test_blocks_are_verified_against_the_configuration():
    here = flow()
    assert here.verify(1, BLOCKS[0].raw) == BLOCKS[0]
    with pytest.raises(BlockError):
        here.verify(2, BLOCKS[0].raw)
