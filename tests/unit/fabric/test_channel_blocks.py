import math

import pytest

from pubsub.errors import ParamError
from pubsub.fabric import effects as fx
from pubsub.fabric import topics as names
from pubsub.fabric.channel_blocks import ChannelBlocks
from pubsub.fabric.envelope import decode_envelope
from pubsub.fabric.params import V14
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.unit.fabric.network import config
from tests.unit.fabric.test_channel import (
    ANN,
    BLOCKS,
    BOB,
    CHANNEL,
    TOPICS,
    Joined,
    commit,
    pushed,
)

TOPIC = TOPICS.blocks("Org1MSP")


def made(*, keeps_ledger=True, height=1, **params):
    around = Joined(V14.replaced(**params))
    around.hears("ann", height=height)
    return ChannelBlocks(around.home, config(), height, around.channel, keeps_ledger=keeps_ledger)


def received(number):
    return fx.BlockReceived(CHANNEL, number, BLOCKS[number - 1].raw)


def publish(number):
    return fx.Publish(TOPIC, pushed(number).raw)


def test_where_the_ledger_is_kept_here_blocks_are_committed():
    here = made()
    assert here.on_pushed(pushed(1)) == [commit(1)]
    assert here.on_delivered(BLOCKS[1].raw) == [publish(2)]
    assert here.on_committed(1) == [commit(2)]
    assert (here.height, here.first_missing) == (2, 3)
    for asked in (lambda: here.set_height(5), lambda: here.configure(config())):
        with pytest.raises(ParamError, match="'mychannel' is kept here"):
            asked()


def test_where_the_user_keeps_it_they_are_handed_over():
    here = made(keeps_ledger=False)
    assert here.on_pushed(pushed(2)) == [received(2)]
    assert here.on_delivered(BLOCKS[0].raw) == [publish(1), received(1)]
    here.set_height(3)
    assert (here.height, here.first_missing) == (3, 3)
    for asked in (lambda: here.on_committed(1), lambda: here.on_commit_failed(1, "full")):
        with pytest.raises(ParamError, match="'mychannel' is kept elsewhere"):
            asked()


def test_a_block_that_the_user_gossips_is_pushed_kept_and_taken():
    here = made()
    assert here.gossip(BLOCKS[1].raw) == [publish(2)]
    assert here.gossip(BLOCKS[0].raw) == [publish(1), commit(1)]
    assert not here.wants(2)
    # Others may still lack it.
    assert here.gossip(BLOCKS[0].raw) == [publish(1)]
    # One that is far ahead goes to others alone.
    assert here.gossip(BLOCKS[28].raw) == [publish(29)]
    assert here.first_missing == 3


def test_the_user_that_keeps_the_ledger_has_what_it_gossips():
    here = made(keeps_ledger=False)
    assert here.gossip(BLOCKS[0].raw) == [publish(1)]
    assert here.on_pushed(pushed(1)) == []
    assert not here.wants(1)


@pytest.mark.parametrize("keeps_ledger", [True, False])
def test_the_user_is_told_what_is_wrong_with_a_block(keeps_ledger):
    here = made(keeps_ledger=keeps_ledger)
    bad = BLOCKS[0].raw.replace(BLOCKS[0].header.data_hash, bytes(32))
    with pytest.raises(ParamError, match="block 1: the header is not of these transactions"):
        here.gossip(bad)
    with pytest.raises(ParamError, match="malformed block"):
        here.gossip(b"\xff")
    quiet = made(keeps_ledger=keeps_ledger, block_gossip_enabled=False)
    with pytest.raises(ParamError, match="not pushed in channel 'mychannel'"):
        quiet.gossip(BLOCKS[0].raw)
    assert here.first_missing == quiet.first_missing == 1


def test_after_the_end_nothing_comes_and_nothing_is_due():
    for keeps_ledger in (True, False):
        here = made(keeps_ledger=keeps_ledger)
        assert here.next_deadline == 4.0
        here.stop()
        assert here.on_delivered(BLOCKS[0].raw) == []
        assert here.tick() == []
        assert here.next_deadline == math.inf


def test_requests_wait_for_the_ledger_and_end_with_the_channel():
    here = made(height=3)
    asks = {"start_seq_num": 1, "end_seq_num": 2}
    message = GossipMessage(channel=CHANNEL.encode(), state_request=asks)
    (first,) = here.on_request(ANN, message)
    assert here.on_request(ANN, message) == []
    assert here.answer_next() == [first]
    here.on_request(ANN, message)
    here.forget(ANN)
    assert here.answer_next() == []


def test_nobody_is_behind_who_keeps_the_ledger_elsewhere():
    assert made(keeps_ledger=False, state_enabled=False).compare(500) == []
    (warning,) = made(state_enabled=False).compare(500)
    assert warning.key == "channel.straggling"


# -- A ledger that is slower than blocks come


def asked_for(around, now):
    """Which blocks are asked for at a time, and of whom."""
    return [
        (each.peer, request.start_seq_num, request.end_seq_num)
        for each in around.at(now)
        if getattr(each, "protocol", "") == names.STATE_TRANSFER
        for request in [decode_envelope(each.envelope).message.state_request]
    ]


def test_blocks_that_came_too_early_are_fetched_as_soon_as_the_ledger_has_the_others():
    around = Joined()
    here = around.channel
    around.at(1.0)
    for number in (1, 2):
        here.on_block(pushed(number))
    here.pass_over(29)
    around.hears("ann", height=30)
    assert here.on_committed(1) == [commit(2)]
    assert asked_for(around, 2.0) == []
    here.on_committed(2)
    assert around.channel.next_deadline <= 2.0
    assert asked_for(around, 2.0) == [(ANN, 3, 13)]


def test_they_are_fetched_as_soon_as_somebody_is_known_to_have_them():
    around = Joined()
    around.at(1.0)
    around.channel.on_block(pushed(1))
    around.channel.pass_over(29)
    around.channel.on_committed(1)
    assert asked_for(around, 2.0) == []
    around.hears("ann", height=2)
    assert asked_for(around, 3.0) == []
    around.hears("bob", height=30)
    assert asked_for(around, 3.0) == [(BOB, 2, 12)]


def test_where_nothing_was_passed_over_or_nothing_is_fetched_the_check_is_awaited():
    around = Joined()
    around.at(1.0)
    around.hears("ann", height=30)
    around.channel.pass_over(1001)
    around.channel.pass_over(1 << 63)
    for number in (1, 2):
        around.channel.pass_over(number - 1)
        around.channel.on_block(pushed(number))
        around.channel.on_committed(number)
    assert asked_for(around, 2.0) == []
    assert asked_for(around, 10.0) == [(ANN, 3, 13)]
    around = Joined(V14.replaced(state_enabled=False))
    around.at(1.0)
    around.channel.pass_over(29)
    around.hears("ann", height=30)
    assert asked_for(around, 10.0) == []
