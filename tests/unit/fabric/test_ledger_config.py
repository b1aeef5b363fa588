import pytest

from pubsub.fabric.blocks import BlockHeader, data_hash, parse_block
from pubsub.fabric.config import ConfigError
from pubsub.fabric.ledger import LedgerError, MemoryLedger
from pubsub.fabric.ledger_config import newest_config
from pubsub.fabric.make_blocks import sign_block
from pubsub.pb.fabric import block_pb2
from tests.unit.fabric.chains import chain
from tests.unit.fabric.network import WHEN, config, genesis, maker, profile, transaction


class Given:
    """A ledger that has what it is given, and counts what is read."""

    def __init__(self, *blocks, height=None):
        self.blocks = blocks
        self.height = len(blocks) if height is None else height
        self.last_hash = b""
        self.read = []

    def block(self, number):
        self.read.append(number)
        return self.blocks[number] if number < len(self.blocks) else None

    def append(self, number, raw):
        raise AssertionError


def test_a_ledger_with_a_genesis_block_has_its_configuration():
    ledger = MemoryLedger()
    ledger.append(0, genesis().raw)
    found, genesis_hash = newest_config(ledger)
    assert (found.channel, found.sequence, genesis_hash) == ("mychannel", 0, genesis().hash)
    assert found.organizations == config().organizations


def grown(*, after):
    """A ledger with two configurations and `after` blocks behind the last of them."""
    making, blocks = maker(), [genesis()]
    for orgs in ((1,), (1, 2, 3)):
        blocks += [making.next_block([transaction()]) for _ in range(3)]
        blocks.append(making.next_config(profile(orgs=orgs), when=WHEN))
    blocks += [making.next_block([transaction()]) for _ in range(after)]
    return [block.raw for block in blocks]


@pytest.mark.parametrize("after", [0, 1, 5])
def test_the_last_block_says_where_the_newest_configuration_is(after):
    ledger = Given(*grown(after=after))
    found, genesis_hash = newest_config(ledger)
    assert (found.sequence, found.is_member("Org3MSP")) == (2, True)
    assert genesis_hash == genesis().hash
    assert ledger.read == [0, 8 + after, 8]


def ending(last_config, *, metadata=True):
    """The same with another last block, which names any block or none."""
    blocks = grown(after=2)
    previous = parse_block(blocks[-1])
    data = [transaction()]
    header = BlockHeader(len(blocks), previous.hash, data_hash(data))
    last = sign_block(header, data, last_config=last_config, entropy=bytes).raw
    if not metadata:
        message = block_pb2.Block.FromString(last)
        del message.metadata.metadata[:]
        last = message.SerializeToString()
    return Given(*blocks, last)


@pytest.mark.parametrize(
    ("ledger", "read"),
    [
        (ending(9), [0, 11, 9, 11, 10, 9, 8]),
        (ending(12), [0, 11, 11, 10, 9, 8]),
        (ending(1 << 63), [0, 11, 11, 10, 9, 8]),
        (ending(8, metadata=False), [0, 11, 11, 10, 9, 8]),
    ],
)
def test_where_it_says_nothing_true_the_blocks_before_are_searched(ledger, read):
    assert newest_config(ledger)[0].sequence == 2
    assert ledger.read == read


def test_an_empty_ledger_and_missing_blocks_are_named():
    blocks = grown(after=1)
    foreign = chain(10)
    for ledger, text in (
        (Given(), "the ledger is empty: it has no genesis block"),
        (Given(*blocks, height=50), "block 49 is missing in a ledger of height 50"),
        (Given(b"\xff", *blocks[1:]), "block 0 of the ledger cannot be read: malformed block"),
        (Given(*blocks[1:]), "the ledger has block 1 in the place of block 0"),
        (Given(*blocks[:8], foreign[9], blocks[9]), "has block 9 in the place of block 8"),
    ):
        with pytest.raises(LedgerError, match=text):
            newest_config(ledger)


def test_a_ledger_without_a_configuration_or_with_that_of_another_channel_is_none():
    with pytest.raises(ConfigError, match="none of the 3 blocks of the ledger has a configuration"):
        newest_config(Given(*chain(3)))
    other = grown(after=0)
    other[0] = genesis("hr").raw
    text = "block 8 configures channel 'mychannel', not 'hr'"
    with pytest.raises(ConfigError, match=text):
        newest_config(Given(*other))
