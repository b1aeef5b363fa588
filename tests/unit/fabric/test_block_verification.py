import random
from contextlib import suppress
from dataclasses import replace
from itertools import combinations

import pytest

from pubsub.fabric.block_verification import (
    MAX_BESIDE,
    BallastError,
    BlockSignatureError,
    DataHashError,
    IllFormedTransactionError,
    NoMetadataError,
    WrongChannelError,
    WrongNumberError,
    check_signatures,
    check_transactions,
    verify_block,
)
from pubsub.fabric.blocks import (
    MAX_SIGNATURES,
    BlockError,
    BlockHeader,
    EmptyBlockError,
    MalformedBlockError,
    NoHeaderError,
    data_hash,
    parse_block,
)
from pubsub.fabric.config import config_from_block, updated
from pubsub.fabric.make_blocks import sign_block
from pubsub.fabric.make_channel import ordering_nodes
from pubsub.fabric.make_policies import group_policies, implicit_meta
from pubsub.fabric.policies import MetaRule
from pubsub.pb.fabric import block_pb2, gossip_pb2
from pubsub.wire.varint import encode_varint
from tests.fabric_fixtures import index, needs_recordings, read
from tests.fuzz import hostile_bytes
from tests.unit.fabric import network
from tests.unit.fabric.network import (
    config,
    entropy,
    genesis,
    maker,
    orderers,
    organization,
    profile,
    transaction,
)

TRANSACTIONS = (transaction(b"1", seed=1), transaction(b"2", seed=2))
SIGNERS = [node.signer for node in ordering_nodes(orderers())]
GOOD = maker().next_block(TRANSACTIONS)


def signed(transactions=TRANSACTIONS, by=SIGNERS[:1], number=1, *, header=None, by_number=None):
    """A block that orderers signed, whatever is in it."""
    header = header or BlockHeader(number, genesis().hash, data_hash(transactions))
    return sign_block(
        header, transactions, by, by_number=by_number, last_config=0, entropy=entropy(3)
    )


def changed(block, change):
    message = block_pb2.Block.FromString(block.raw)
    change(message)
    return message.SerializeToString()


def test_a_block_of_the_channels_orderers_is_genuine():
    assert verify_block(GOOD.raw, 1, config()) == GOOD
    assert verify_block(signed(by=SIGNERS).raw, 1, config()).number == 1


def test_a_configuration_is_judged_by_the_one_before_it():
    making = maker()
    block = making.next_config(profile(orgs=(1,)), when=network.WHEN)
    verify_block(block.raw, 1, config())
    after = making.next_block(TRANSACTIONS)
    verify_block(after.raw, 2, updated(config(), block))


def test_the_genesis_block_is_signed_by_nobody():
    with pytest.raises(BlockSignatureError):
        verify_block(genesis().raw, 0, config())


def without_header(message):
    message.ClearField("header")


def without_metadata(message):
    message.ClearField("metadata")


def without_data(message):
    message.ClearField("data")


def with_other_data(message):
    message.data.data[1] = transaction(b"3")


def with_other_number(message):
    message.header.number = 2


@pytest.mark.parametrize(
    ("raw", "number", "error"),
    [
        (b"\xff", 1, MalformedBlockError),
        (changed(GOOD, without_header), 1, NoHeaderError),
        (GOOD.raw, 2, WrongNumberError),
        (changed(GOOD, without_data), 1, EmptyBlockError),
        (signed([b"\xff"]).raw, 1, MalformedBlockError),
        (signed([transaction(channel="other")]).raw, 1, WrongChannelError),
        (changed(GOOD, without_metadata), 1, NoMetadataError),
        (changed(GOOD, with_other_data), 1, DataHashError),
        (changed(GOOD, with_other_number), 2, BlockSignatureError),
        (signed(by=[]).raw, 1, BlockSignatureError),
        (
            signed(by=[organization(1).members[network.PEER0].signer]).raw,
            1,
            BlockSignatureError,
        ),
    ],
)
def test_each_fault_has_its_error(raw, number, error):
    with pytest.raises(error) as caught:
        verify_block(raw, number, config())
    assert type(caught.value) is error
    assert caught.value.penalty == 10


def test_faults_are_looked_for_in_fabrics_order():
    """A block with every fault, which loses one after the other."""
    ill_formed = b"\x12\x01s" + transaction()  # its signature stands in it twice
    elsewhere = signed([b"\x12\x01s" + transaction(channel="other")], by=[])
    raw = changed(elsewhere, without_metadata)
    steps = [
        (2, raw, WrongNumberError),
        (1, raw, WrongChannelError),
    ]
    block = signed([ill_formed], by=[], header=BlockHeader(1, b"", b"wrong"))
    steps += [
        (1, changed(block, without_metadata), NoMetadataError),
        (1, block.raw, IllFormedTransactionError),
        (1, signed(by=[], header=BlockHeader(1, b"", b"wrong")).raw, DataHashError),
        (1, signed(by=[]).raw, BlockSignatureError),
    ]
    for number, each, error in steps:
        with pytest.raises(error):
            verify_block(each, number, config())
    verify_block(signed().raw, 1, config())


def recut(block, parts):
    """The same bytes end to end, in other transactions, below the same signatures."""

    def change(message):
        message.data.data[:] = parts

    raw = changed(block, change)
    assert parse_block(raw).data_hash == block.header.data_hash
    check_signatures(parse_block(raw), config())
    return raw


@pytest.mark.parametrize("parts", ["12 3", "1 23", "123"])
def test_transactions_cannot_be_joined_below_the_same_signatures(parts):
    """CVE-2023-46132: header and signatures stay good, so only the form can tell."""
    three = {number: transaction(number.encode()) for number in "123"}
    block = signed(list(three.values()))
    joined = [b"".join(three[number] for number in part) for part in parts.split()]
    with pytest.raises(IllFormedTransactionError, match="written anew"):
        verify_block(recut(block, joined), 1, config())


def test_transactions_cannot_be_cut_anywhere_else():
    joined = b"".join(TRANSACTIONS)
    for at in range(1, len(joined), 7):
        cut = recut(GOOD, [joined[:at], joined[at:]])
        with pytest.raises((IllFormedTransactionError, MalformedBlockError)):
            verify_block(cut, 1, config())


def test_two_configurations_in_one_block_get_no_exception():
    # Alone in its block, a configuration may be unsigned, as in the genesis block.
    check_transactions(signed([genesis().transactions[0]]))
    with pytest.raises(IllFormedTransactionError, match="without a signature"):
        check_transactions(signed([genesis().transactions[0]] * 2))
    with pytest.raises(EmptyBlockError):
        check_transactions(signed([]))


def bft(*numbers, signers=None):
    return signed(by=(), by_number={n: (signers or SIGNERS)[n - 1] for n in numbers})


@pytest.mark.parametrize("numbers", [*combinations(range(1, 5), 3), (1, 2, 3, 4)])
def test_three_of_four_bft_orderers_are_enough(numbers):
    assert verify_block(bft(*numbers).raw, 1, config(consensus="BFT"))


@pytest.mark.parametrize("numbers", [(), (2,), (1, 4)])
def test_fewer_are_not(numbers):
    with pytest.raises(BlockSignatureError):
        verify_block(bft(*numbers).raw, 1, config(consensus="BFT"))


def test_an_orderer_counts_once_and_only_under_its_number():
    channel = config(consensus="BFT")
    twice = bft(1, 2)
    message = block_pb2.Block.FromString(twice.raw)
    metadata = block_pb2.Metadata.FromString(message.metadata.metadata[0])
    metadata.signatures.append(metadata.signatures[0])
    message.metadata.metadata[0] = metadata.SerializeToString()
    with pytest.raises(BlockSignatureError, match="2 valid"):
        verify_block(message.SerializeToString(), 1, channel)
    swapped = [SIGNERS[1], SIGNERS[0], *SIGNERS[2:]]
    with pytest.raises(BlockSignatureError, match="1 valid"):
        verify_block(bft(1, 2, 3, signers=swapped).raw, 1, channel)
    with pytest.raises(BlockSignatureError, match="2 valid"):
        verify_block(bft(1, 2, 9, signers=[*SIGNERS] * 3).raw, 1, channel)


def test_bft_orderers_may_also_sign_by_name():
    assert verify_block(signed(by=SIGNERS[:3]).raw, 1, config(consensus="BFT"))


def test_consenters_may_be_given_as_files_with_text_in_them():
    made = profile(consensus="BFT")
    texts = [b"Certificate:\n" + each.identity + b"\n" for each in made.consenters]
    others = [replace(e, identity=text) for e, text in zip(made.consenters, texts, strict=True)]
    channel = config_from_block(genesis_of(replace(made, consenters=others)))
    assert verify_block(bft(1, 2, 3).raw, 1, channel)
    assert verify_block(signed(by=SIGNERS[:3]).raw, 1, channel)


def test_a_name_counts_before_a_number():
    def change(message):
        metadata = block_pb2.Metadata.FromString(message.metadata.metadata[0])
        for each in metadata.signatures:
            each.identifier_header = block_pb2.IdentifierHeader(identifier=4).SerializeToString()
        message.metadata.metadata[0] = metadata.SerializeToString()

    assert verify_block(changed(signed(by=SIGNERS[:3]), change), 1, config(consensus="BFT"))


def test_numbers_count_only_from_v3_on():
    old = profile(consensus="BFT", capabilities=("V2_0",))
    block = genesis_of(old)
    with pytest.raises(BlockSignatureError):
        check_signatures(bft(1, 2, 3), config_from_block(block))


def genesis_of(made):
    return network.genesis_block(made, entropy=entropy(7), when=network.WHEN)


def test_a_channel_may_ask_for_more():
    policies = group_policies() | {"BlockValidation": implicit_meta(MetaRule.ALL, "Admins")}
    strict = config_from_block(genesis_of(profile(orderer_policies=policies)))
    with pytest.raises(BlockSignatureError, match="'Admins'"):
        check_signatures(GOOD, strict)


def test_a_channel_without_the_policy_accepts_nothing():
    bare = config_from_block(genesis())
    object.__setattr__(bare, "policies", type(bare.policies)())
    with pytest.raises(BlockSignatureError, match="no group"):
        check_signatures(GOOD, bare)


@pytest.mark.parametrize(
    "signature",
    [
        block_pb2.MetadataSignature(signature_header=b"\xff"),
        block_pb2.MetadataSignature(identifier_header=b"\xff"),
    ],
)
def test_headers_of_signatures_must_be_readable(signature):
    def change(message):
        metadata = block_pb2.Metadata(signatures=[signature])
        message.metadata.metadata[0] = metadata.SerializeToString()

    with pytest.raises(BlockSignatureError, match="header"):
        verify_block(changed(GOOD, change), 1, config(consensus="BFT"))


def test_signatures_are_counted_before_they_are_checked():
    def change(message):
        metadata = block_pb2.Metadata(signatures=[{}] * (MAX_SIGNATURES + 1))
        message.metadata.metadata[0] = metadata.SerializeToString()

    with pytest.raises(BlockSignatureError, match="1025 signatures"):
        verify_block(changed(GOOD, change), 1, config())


def unknown_field(length):
    return b"\xfa\x7f" + encode_varint(length) + bytes(length)


@pytest.mark.parametrize("index", range(1, 5))
def test_what_nobody_signs_does_not_make_a_block_as_long_as_one_likes(index):
    def longer(length):
        def change(message):
            message.metadata.metadata[index] = bytes(length)

        return changed(GOOD, change)

    assert verify_block(longer(100_000), 1, config()).hash == GOOD.hash
    for raw in (longer(MAX_BESIDE), GOOD.raw + unknown_field(MAX_BESIDE)):
        with pytest.raises(BallastError):
            verify_block(raw, 1, config())
    # A field of a later Fabric does no harm.
    assert verify_block(GOOD.raw + unknown_field(100), 1, config()).hash == GOOD.hash


def test_many_small_transactions_are_no_ballast():
    signed_once = transaction()
    block = signed([signed_once] * 5000)
    assert verify_block(block.raw, 1, config()).transactions == (signed_once,) * 5000


def test_hostile_blocks_are_genuine_or_refused():
    passed = []
    for raw in hostile_bytes(random.Random(1), [GOOD.raw, genesis().raw], 3000):
        with suppress(BlockError):
            passed.append(verify_block(raw, 1, config()))
    assert {block.hash for block in passed} <= {GOOD.hash}
    assert {block.transactions for block in passed} <= {GOOD.transactions}
    assert len(passed) < 500, "only changes where nothing is signed pass"


def recorded_config(channel, until=1000):
    """The channel's configuration before block `until`, each step verified."""
    current = None
    for entry in index("blocks.json")[channel]:
        if entry["number"] >= until:
            break
        block = parse_block(read(entry["file"]))
        if current is None:
            current = config_from_block(block)
        else:
            verify_block(block.raw, block.number, current)
            current = (block.is_config() and updated(current, block)) or current
    return current


@needs_recordings
@pytest.mark.parametrize("channel", ["mychannel", "second", "bftchan"])
def test_recorded_channels_are_genuine_from_the_genesis_block_on(channel):
    entries = index("blocks.json")[channel]
    last = recorded_config(channel)
    assert last.sequence == [e["config"]["sequence"] for e in entries if "config" in e][-1]


@needs_recordings
@pytest.mark.parametrize(
    "entry",
    [
        entry
        for folder in ("mychannel-from-peer", "bftchan-from-orderer1")
        for entry in index("blocks.json").get(folder, ())
        if entry["number"]
    ],
    ids=lambda entry: entry["file"],
)
def test_recorded_blocks_with_other_metadata_are_the_same_and_genuine(entry):
    channel, number = entry["channel"], entry["number"]
    block = verify_block(read(entry["file"]), number, recorded_config(channel, number))
    other = parse_block(read(f"blocks/{channel}/{number}.block"))
    assert block.raw != other.raw
    assert block.hash == other.hash


REFUSED = {
    "mychannel-1-data-bit": DataHashError,
    "mychannel-1-data-bit-resealed": BlockSignatureError,
    "mychannel-1-unsigned": BlockSignatureError,
    "bftchan-1-data-bit": DataHashError,
    "bftchan-1-data-bit-resealed": BlockSignatureError,
    "bftchan-1-one-signature": BlockSignatureError,
    "bftchan-1-unsigned": BlockSignatureError,
    "block-altered-data": DataHashError,
    "block-resealed-without-orderer": BlockSignatureError,
    "block-wrong-sequence": WrongNumberError,
}


@needs_recordings
def test_every_recorded_forgery_of_a_block_is_among_those_tried():
    blocks = {name for name in index("negative.json") if "chan" in name or "block" in name}
    assert blocks == set(REFUSED)


@needs_recordings
@pytest.mark.parametrize(("name", "error"), REFUSED.items())
def test_recorded_forgeries_are_refused_for_their_own_reason(name, error):
    raw = read(index("negative.json")[name]["file"])
    number, channel = 1, name.split("-")[0]
    if name.startswith("block"):
        # As it was sent to a real peer.
        message = gossip_pb2.GossipMessage.FromString(gossip_pb2.Envelope.FromString(raw).payload)
        payload = message.data_msg.payload
        raw, number, channel = payload.data, payload.seq_num, message.channel.decode()
    with pytest.raises(error) as caught:
        verify_block(raw, number, recorded_config(channel, number))
    assert type(caught.value) is error
