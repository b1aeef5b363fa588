import pytest

from pubsub.errors import ParamError
from pubsub.fabric.actions import Warn
from pubsub.fabric.block_relay import MAX_AHEAD, BlockRelay
from pubsub.fabric.blocks import BlockError
from pubsub.fabric.config import config_from_block
from pubsub.fabric.effects import BlockReceived
from pubsub.fabric.make_blocks import genesis_block
from pubsub.fabric.params import V14
from tests.unit.fabric.making import block
from tests.unit.fabric.network import WHEN, config, entropy, maker, profile
from tests.unit.fabric.test_block_flow import BLOCKS, CHANNEL, pushed


def relay(height=1, **params):
    return BlockRelay(config(), height, V14.replaced(**params), may_pull=lambda peer: True)


def received(number):
    return BlockReceived(CHANNEL, number, BLOCKS[number - 1].raw)


def test_blocks_are_handed_over_as_they_come_and_once():
    here = relay()
    assert here.take(pushed(2), now=0) == [received(2)]
    assert here.take(pushed(1), now=0) == [received(1)]
    assert here.take(pushed(2), now=0) == []
    assert here.store.digests(b"peer") == [b"1", b"2"]
    assert (here.height, here.first_missing) == (1, 3)


def test_the_window_moves_with_the_users_ledger():
    here = relay()
    here.take(pushed(2), now=0)
    assert [number for number in range(40) if here.wants(number)] == [1, *range(3, 21)]
    here.set_height(10)
    assert [number for number in range(40) if here.wants(number)] == list(range(10, 30))
    assert here.take(pushed(9), now=0) == []
    assert here.first_missing == 10
    here.set_height(10)
    with pytest.raises(ParamError, match="mychannel: the ledger's height goes from 10 down to 9"):
        here.set_height(9)
    with pytest.raises(ParamError, match="genesis"):
        relay(height=0)


def test_what_is_in_the_ledger_or_came_is_known():
    here = relay(height=2)
    here.take(pushed(4), now=0)
    assert [number for number in range(6) if not here.knows(number)] == [2, 3, 5]
    here.set_height(4)
    assert [number for number in range(6) if not here.knows(number)] == [5]


def test_pulled_blocks_are_handed_over_however_far_ahead():
    here = relay()
    assert not here.wants(50)
    assert here.store.wanted(b"50")
    assert here.take(pushed(50), now=0) == [received(50)]
    assert here.take(pushed(50), now=0) == []


def test_blocks_of_the_orderer_are_verified_and_told_to_others_once():
    here = relay()
    assert here.take_delivered(BLOCKS[0].raw, now=0) == (pushed(1), [received(1)])
    assert here.take_delivered(BLOCKS[0].raw, now=0) == (None, [])
    bad = BLOCKS[1].raw.replace(BLOCKS[1].header.data_hash, bytes(32))
    envelope, (warning,) = here.take_delivered(bad, now=0)
    assert (envelope, warning.key) == (None, "channel.orderer")
    assert here.first_missing == 2


def test_the_orderer_is_asked_for_no_more_than_the_window():
    here = relay(state_block_buffer_size=10)
    for number in range(1, 11):
        assert here.has_room
        here.take_delivered(BLOCKS[number - 1].raw, now=0)
    assert not here.has_room
    here.set_height(2)
    assert here.has_room


def test_blocks_are_verified_against_the_configuration():
    here = relay()
    assert here.verify(1, BLOCKS[0].raw) == BLOCKS[0]
    with pytest.raises(BlockError):
        here.verify(2, BLOCKS[0].raw)


def test_a_configuration_counts_if_it_is_newer_and_of_the_channel():
    here, making = relay(), maker()
    changed = config_from_block(making.next_config(profile(orgs=(1,)), when=WHEN))
    assert here.configure(changed) == []
    assert here.config is changed
    for old in (config(), changed):
        text = f"mychannel: configuration {old.sequence} comes after 1"
        assert here.configure(old) == [Warn("channel.config", text)]
    assert here.config is changed
    other = genesis_block(profile("hr"), entropy=entropy(7), when=WHEN)
    with pytest.raises(ParamError, match="'hr'"):
        here.configure(config_from_block(other))


def test_a_user_that_never_says_its_height_costs_no_more_memory(monkeypatch):
    from pubsub.fabric import block_relay
    from pubsub.fabric.envelope import wrap_message

    assert MAX_AHEAD == 10_000
    monkeypatch.setattr(block_relay, "MAX_AHEAD", 5)
    here = relay()
    for number in range(1, 10):
        assert here.keep(wrap_message(block(number)), now=0)
    assert not here.keep(wrap_message(block(9)), now=0)
    # What is remembered no longer counts as news again.
    assert here.keep(wrap_message(block(1)), now=0)
