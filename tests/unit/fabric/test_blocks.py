import hashlib
import random
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.fabric import blocks
from pubsub.fabric.blocks import (
    Block,
    BlockError,
    BlockHeader,
    EmptyBlockError,
    LinkError,
    MalformedBlockError,
    NoHeaderError,
    data_hash,
    parse_block,
)
from pubsub.pb.fabric import block_pb2
from tests.fabric_fixtures import index, needs_recordings, read
from tests.fuzz import hostile_bytes
from tests.unit.fabric.network import config, genesis, maker, transaction

RECORDED = [entry for entries in index("blocks.json").values() for entry in entries]


def test_the_hash_is_over_the_header_alone():
    header = BlockHeader(300, b"previous", b"data")
    assert header.encoded.hex() == "30140202012c040870726576696f7573040464617461"
    assert header.hash == hashlib.sha256(header.encoded).digest()
    assert BlockHeader(0, b"", b"").encoded.hex() == "3007020100040004 00".replace(" ", "")
    first = Block(b"", header, (b"a",), (b"b",))
    assert first.hash == Block(b"x", header, (), ()).hash


def test_the_data_hash_is_over_the_transactions_end_to_end():
    assert data_hash([b"a", b"bc"]) == data_hash([b"ab", b"c"]) == hashlib.sha256(b"abc").digest()


def test_a_block_is_read():
    transactions = (transaction(b"1"), transaction(b"2"))
    block = maker().next_block(transactions)
    assert parse_block(block.raw) == block
    assert (block.number, block.transactions) == (1, transactions)
    assert block.data_hash == block.header.data_hash
    assert len(block.metadata) == 5
    assert block.first_transaction().channel == "mychannel"
    assert (block.is_config(), block.last_config()) == (False, 0)
    assert genesis().is_config()
    assert genesis().last_config() == 0
    assert "transactions" not in repr(block)


def encoded(**fields):
    return block_pb2.Block(**fields).SerializeToString()


HEADER = block_pb2.BlockHeader(number=3)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"\xff", MalformedBlockError),
        (encoded(header=HEADER)[:-1], MalformedBlockError),
        (b"", NoHeaderError),
        (encoded(data=block_pb2.BlockData(data=[b"x"])), NoHeaderError),
    ],
)
def test_what_is_no_block_is_refused(raw, error):
    with pytest.raises(error):
        parse_block(raw)


def test_parts_that_are_missing_or_malformed():
    bare = parse_block(encoded(header=HEADER))
    with pytest.raises(EmptyBlockError, match="block 3"):
        bare.first_transaction()
    with pytest.raises(MalformedBlockError, match="no metadata at 0"):
        bare.orderer_metadata()
    assert not bare.is_config()
    odd = parse_block(
        encoded(
            header=HEADER,
            data=block_pb2.BlockData(data=[b"\xff"]),
            metadata=block_pb2.BlockMetadata(metadata=[b"\xff"]),
        )
    )
    for ask in (odd.first_transaction, odd.orderer_metadata, odd.last_config):
        with pytest.raises(MalformedBlockError):
            ask()
    assert not odd.is_config()


def test_the_last_configuration_of_old_orderers_stands_elsewhere():
    value = block_pb2.Metadata(value=block_pb2.LastConfig(index=7).SerializeToString())
    metadata = block_pb2.BlockMetadata(metadata=[b"", value.SerializeToString()])
    assert parse_block(encoded(header=HEADER, metadata=metadata)).last_config() == 7


def test_the_length_is_bounded(monkeypatch):
    monkeypatch.setattr(blocks, "MAX_BLOCK_BYTES", 10)
    with pytest.raises(MalformedBlockError, match="at most 10"):
        parse_block(bytes(11))


def test_a_block_follows_the_one_that_it_points_back_to():
    making = maker()
    first = making.next_block([transaction()])
    second = making.next_block([transaction()])
    first.check_follows(genesis().header)
    second.check_follows(first.header)
    with pytest.raises(LinkError, match="block 2 does not follow block 0"):
        second.check_follows(genesis().header)
    other = genesis("otherchannel")
    with pytest.raises(LinkError, match="another block"):
        first.check_follows(other.header)
    with pytest.raises(LinkError):
        genesis().check_follows(genesis().header)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw):
    with suppress(BlockError):
        assert parse_block(raw).raw == raw


def test_hostile_blocks_are_read_or_refused():
    valid = [maker().next_block([transaction()]).raw, genesis().raw]
    for raw in hostile_bytes(random.Random(1), valid, 3000):
        with suppress(BlockError):
            block = parse_block(raw)
            assert len(block.hash) == 32
            assert block.is_config() in (True, False)
            assert block.last_config() >= 0


@needs_recordings
@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry["file"])
def test_recorded_blocks(entry):
    block = parse_block(read(entry["file"]))
    assert len(block.raw) == entry["bytes"]
    assert block.number == entry["number"]
    assert block.header.previous_hash.hex() == entry["previous_hash"]
    assert block.header.data_hash.hex() == block.data_hash.hex() == entry["data_hash"]
    assert block.hash.hex() == entry["header_hash"]
    assert block.last_config() == entry["last_config_index"]
    assert [len(each) for each in block.metadata] == entry["metadata_lengths"]
    assert block.is_config() is (entry["transactions"][0]["type"] == "CONFIG")
    assert len(block.orderer_metadata().signatures) == len(entry["signatures"])


@needs_recordings
@pytest.mark.parametrize("channel", ["mychannel", "second", "bftchan"])
def test_recorded_channels_are_chains(channel):
    chain = [parse_block(read(entry["file"])) for entry in index("blocks.json")[channel]]
    for before, after in pairwise(chain):
        after.check_follows(before.header)


def test_made_channels_differ():
    assert config("one").channel == "one"
    assert genesis("one").hash != genesis("two").hash
