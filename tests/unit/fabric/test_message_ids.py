from __future__ import annotations

from random import Random

import pytest

from pubsub.fabric.blocks import parse_block
from pubsub.fabric.envelope import wrap_message
from pubsub.fabric.message_ids import block_id, message_id
from pubsub.fabric.topics import Network, Scope, is_blocks_topic
from pubsub.pb.fabric import block_pb2
from pubsub.pb.fabric.gossip_pb2 import DataMessage, GossipMessage, Payload
from tests.unit.fabric.chains import chain

TOPICS = Network("net").channel("sales", bytes(32))
BLOCKS = TOPICS.blocks("Org1MSP")


def pushed(number: int, raw: bytes, *, nonce: int = 0) -> bytes:
    data = DataMessage(payload=Payload(seq_num=number, data=raw))
    return wrap_message(
        GossipMessage(nonce=nonce, channel=b"sales", tag=GossipMessage.CHAN_AND_ORG, data_msg=data)
    ).raw


def with_other_metadata(raw: bytes) -> bytes:
    block = block_pb2.Block.FromString(raw)
    block.metadata.metadata.append(b"a peer's own")
    return block.SerializeToString()


def test_a_block_has_one_id_whatever_stands_around_its_header() -> None:
    block = parse_block(chain(1)[0])
    expected = block_id(BLOCKS, 0, block.hash)
    assert message_id(BLOCKS, pushed(0, block.raw)) == expected
    assert message_id(BLOCKS, pushed(0, with_other_metadata(block.raw), nonce=7)) == expected


def test_another_number_header_or_topic_is_another_block() -> None:
    block = parse_block(chain(1)[0])
    changed = block_pb2.Block.FromString(block.raw)
    changed.header.previous_hash = bytes(32)
    ids = [
        message_id(BLOCKS, pushed(0, block.raw)),
        message_id(BLOCKS, pushed(1, block.raw)),
        message_id(BLOCKS, pushed(0, changed.SerializeToString())),
        message_id(TOPICS.blocks("Org2MSP"), pushed(0, block.raw)),
        message_id(TOPICS.blocks("Org1MSP", Scope.CHANNEL), pushed(0, block.raw)),
    ]
    assert len(set(ids)) == len(ids)


def test_elsewhere_an_id_is_of_topic_and_data() -> None:
    block = parse_block(chain(1)[0])
    one, other = pushed(0, block.raw), pushed(0, with_other_metadata(block.raw))
    assert message_id(TOPICS.state, one) != message_id(TOPICS.state, other)
    assert message_id(TOPICS.state, one) != message_id(TOPICS.alive, one)
    assert message_id(TOPICS.state, one) == message_id(TOPICS.state, bytes(one))


@pytest.mark.parametrize("seed", range(4))
def test_what_is_malformed_has_an_id_as_well(seed: int) -> None:
    rng = Random(seed)
    whole = pushed(0, chain(1)[0])
    seen = set()
    for _ in range(500):
        broken = bytearray(whole[: rng.randrange(len(whole))])
        if broken:
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        found = message_id(BLOCKS, bytes(broken))
        assert len(found) == 32
        seen.add(found)
    assert len(seen) > 400


def test_topics_of_blocks_are_told_by_their_names() -> None:
    assert is_blocks_topic(BLOCKS)
    assert is_blocks_topic(TOPICS.blocks("Org1MSP", Scope.CHANNEL))
    others = [TOPICS.state, TOPICS.leader("Org1MSP"), TOPICS.network.org_alive("Org1MSP")]
    assert not any(is_blocks_topic(topic) for topic in [*others, "/other/blocks"])
