import random
from contextlib import suppress

import pytest

from pubsub.fabric.identities import serialize_identity
from pubsub.fabric.transactions import (
    CONFIG,
    Transaction,
    TransactionError,
    check_well_formed,
    parse_transaction,
)
from pubsub.pb.fabric import block_pb2
from tests.fabric_fixtures import index, needs_recordings, read
from tests.fuzz import hostile_bytes
from tests.unit.fabric.network import genesis, organization, transaction

GOOD = transaction()


def test_headers_and_data_are_read():
    client = organization(1).members["User1@org1.example.com"]
    read_in = parse_transaction(GOOD)
    assert (read_in.kind, read_in.channel) == (block_pb2.ENDORSER_TRANSACTION, "mychannel")
    assert read_in.creator == serialize_identity("Org1MSP", client.certificate)
    assert read_in.data == b"data"
    assert len(read_in.tx_id) == 64
    assert read_in.signature
    assert parse_transaction(genesis().transactions[0]).kind == CONFIG


@pytest.mark.parametrize("encoded", [b"\xff", b"", b"\x0a\x01\xff", b"\x0a\x02\x12\x00"])
def test_what_cannot_be_read_is_refused(encoded):
    with pytest.raises(TransactionError):
        parse_transaction(encoded)


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (b"", "without a payload"),
        (b"\x0a\x01x", "without a signature"),
        (b"\x12\x01x", "without a payload"),
        (b"\xff", "malformed"),
        (GOOD + GOOD, "written anew"),
        (GOOD + b"\x0a\x01x", "written anew"),
        (b"\x12\x01s\x0a\x01p", "written anew"),
        (b"\x0a\x81\x00p\x12\x01s", "written anew"),
    ],
)
def test_a_transaction_is_one_envelope_in_its_one_form(encoded, why):
    with pytest.raises(TransactionError, match=why):
        check_well_formed(encoded)


@pytest.mark.parametrize("encoded", [GOOD, b"\x0a\x01p\x12\x01s", b"\x0a\x01p\x12\x01s\x1a\x01u"])
def test_what_fabric_lets_pass(encoded):
    # Fields that nobody knows stay at the end when Go writes an envelope anew, so it accepts them.
    check_well_formed(encoded)


def test_hostile_transactions_are_read_or_refused():
    for data in hostile_bytes(random.Random(1), [GOOD], 3000):
        for look in (parse_transaction, check_well_formed):
            with suppress(TransactionError):
                assert isinstance(look(data), Transaction | None)


@needs_recordings
@pytest.mark.parametrize("channel", sorted(index("blocks.json")))
def test_recorded_transactions(channel):
    for entry in index("blocks.json")[channel]:
        block = block_pb2.Block.FromString(read(entry["file"]))
        assert len(block.data.data) == len(entry["transactions"])
        for encoded, wanted in zip(block.data.data, entry["transactions"], strict=True):
            seen = parse_transaction(encoded)
            assert block_pb2.HeaderType.Name(seen.kind) == wanted["type"]
            assert (seen.channel, seen.tx_id) == (wanted["channel"], wanted["tx_id"])
            assert bool(seen.signature) is wanted["signature"]
            if wanted["signature"]:
                check_well_formed(encoded)
