import hashlib

import pytest

from pubsub.fabric.block_verification import verify_block
from pubsub.fabric.config import updated
from pubsub.fabric.identities import serialize_identity
from pubsub.fabric.make_blocks import BlockMaker, genesis_block, make_transaction
from pubsub.fabric.make_channel import ordering_nodes
from pubsub.fabric.transactions import check_well_formed, parse_transaction
from pubsub.pb.fabric import block_pb2
from tests.unit.fabric.network import (
    PEER0,
    WHEN,
    config,
    entropy,
    genesis,
    maker,
    orderers,
    organization,
    profile,
    transaction,
)


def test_the_genesis_block():
    block = genesis()
    assert (block.number, block.header.previous_hash) == (0, b"")
    made = parse_transaction(block.transactions[0])
    assert (made.channel, made.creator, made.signature) == ("mychannel", b"", b"")
    assert len(block.orderer_metadata().signatures) == 0
    again = genesis_block(profile(), entropy=entropy(7), when=WHEN)
    assert again.raw == block.raw
    assert genesis_block(profile(), entropy=entropy(8), when=WHEN).hash != block.hash


@pytest.mark.parametrize("consensus", ["etcdraft", "BFT"])
def test_blocks_follow_each_other_and_verify(consensus):
    making, current, before = maker(consensus=consensus), config(consensus=consensus), None
    before = genesis(consensus=consensus)
    for number in range(1, 6):
        if number == 3:
            block = making.next_config(profile(consensus=consensus, orgs=(1,)), when=WHEN)
        else:
            block = making.next_block([transaction(bytes([number]))] * number)
        block.check_follows(before.header)
        assert verify_block(block.raw, number, current) == block
        assert block.last_config() == (3 if number >= 3 else 0)
        current, before = (block.is_config() and updated(current, block)) or current, block
    assert (current.sequence, list(current.organizations)) == (1, ["Org1MSP"])


def test_a_maker_may_take_over_at_a_later_block():
    first = maker()
    last = first.next_config(profile(), when=WHEN)
    signer = ordering_nodes(orderers())[1].signer
    second = BlockMaker(last, [signer], entropy=entropy(1), sequence=1)
    after = second.next_block([transaction()])
    after.check_follows(last.header)
    assert after.last_config() == 1
    assert updated(config(), second.next_config(profile(), when=WHEN)).sequence == 2


def test_transactions_are_signed():
    member = organization(1).members[PEER0]
    encoded = make_transaction(
        member.signer, "c", b"x", entropy=entropy(1), when=WHEN, kind=block_pb2.MESSAGE
    )
    check_well_formed(encoded)
    made = parse_transaction(encoded)
    assert (made.kind, made.channel, made.data) == (block_pb2.MESSAGE, "c", b"x")
    assert made.creator == serialize_identity("Org1MSP", member.certificate)
    nonce = entropy(1)(24)
    assert made.tx_id == hashlib.sha256(nonce + made.creator).hexdigest()
    identity = organization(1).msp().identity(member.certificate)
    payload = block_pb2.Envelope.FromString(encoded).payload
    identity.verify(payload, made.signature)
