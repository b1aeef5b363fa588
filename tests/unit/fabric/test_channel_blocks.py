import math

import pytest

from pubsub.errors import ParamError
from pubsub.fabric import effects as fx
from pubsub.fabric.channel_blocks import ChannelBlocks
from pubsub.fabric.params import V14
from pubsub.pb.fabric.gossip_pb2 import GossipMessage
from tests.unit.fabric.network import config
from tests.unit.fabric.test_channel import (
    ANN,
    BLOCKS,
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
