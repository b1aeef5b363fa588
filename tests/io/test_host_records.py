"""Signed peer records told by identify, on loopback sockets."""

import itertools

from pubsub.host import HostParams, SignedRecord, Stream
from pubsub.host import identify as identify_protocol
from pubsub.identity import Address, PeerId, PrivateKey, PublicKey
from pubsub.identity.envelope import seal_peer_record
from pubsub.wire.framing import frame
from tests.io.hosts import ANY_PORT, Node, until, world

ELSEWHERE = Address("ip4", "192.0.2.1", 4001)


async def test_hosts_tell_each_other_what_others_may_pass_on() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node(wall_clock=lambda: 5)
        await a.host.connect(b.address)
        await a.log.seen("identified")
        await b.log.seen("identified")
        told = a.host.peer_store.record(b.id)
        assert (told.peer, told.seq, told.addresses) == (b.id, 5, (b.address,))
        assert a.host.peer_store.signed_record(b.id) == told.encoded == b.host.signed_record()
        assert b.host.peer_store.signed_record(a.id) == a.host.signed_record()


async def test_a_new_address_is_told_by_a_newer_record() -> None:
    async with world() as w:
        clock = itertools.count(5, -1)
        a, b = await w.node(), await w.node(wall_clock=lambda: next(clock))
        await a.host.connect(b.address)
        await a.log.seen("identified")
        [second] = await b.host.listen([ANY_PORT])
        await until(lambda: a.host.peer_store.record(b.id).seq == 6)
        assert a.host.peer_store.record(b.id).addresses == (b.address, second)
        assert a.host.peer_store.addresses(b.id) == [b.address, second]


async def test_a_host_that_does_not_listen_has_no_record() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node(listen=False)
        assert b.host.signed_record() is None
        await b.host.connect(a.address)
        await a.log.seen("identified")
        assert a.host.peer_store.record(b.id) is None
        assert a.host.peer_store.addresses(b.id) == []


async def test_a_host_may_keep_its_addresses_to_itself() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node(HostParams(tell_addresses=False))
        assert b.host.addresses
        assert b.host.signed_record() is None
        await b.host.connect(a.address)
        await a.log.seen("identified")
        assert a.log.protocols == b.host.protocols
        assert a.host.peer_store.record(b.id) is None
        assert a.host.peer_store.addresses(b.id) == []


def tell(node: Node, *, record: bytes, address: Address) -> None:
    """Have `node` answer identify with this record and this unsigned address."""
    key: PublicKey = node.host.key.public_key

    async def answer(stream: Stream) -> None:
        message = identify_protocol.encode(
            key=key,
            addresses=[address],
            protocols=["/x"],
            agent="",
            observed=None,
            record=record,
        )
        await stream.send_all(frame(message))

    node.host.set_handler("/ipfs/id/1.0.0", answer)


async def test_addresses_come_from_the_record_where_there_is_a_good_one() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node(listen=False)
        tell(b, record=seal_peer_record(b.host.key, [ELSEWHERE], 1), address=a.address)
        await b.host.connect(a.address)
        await a.log.seen("identified")
        assert a.host.peer_store.addresses(b.id) == [ELSEWHERE.with_peer(b.id)]
        assert a.host.counters == {}


async def test_a_bad_record_is_counted_and_changes_nothing_else() -> None:
    async with world() as w:
        stranger = PrivateKey(bytes([77]) * 32)
        own = PrivateKey(bytes([78]) * 32)
        bad = [
            seal_peer_record(stranger, [ELSEWHERE], 1),
            seal_peer_record(own, [ELSEWHERE], 1)[:-1],
            b"rubbish",
        ]
        a = await w.node()
        traced: list[str] = []
        a.host.trace = lambda name, fields: traced.append(name)
        for number, record in enumerate(bad, 1):
            b = await w.node(listen=False, key=own)
            tell(b, record=record, address=ELSEWHERE)
            await b.host.connect(a.address)
            await a.log.seen("identified", number)
            assert a.host.counters["bad_signed_records"] == number
            assert a.host.peer_store.record(b.id) is None
            assert a.host.peer_store.addresses(b.id) == [ELSEWHERE.with_peer(b.id)]
            assert a.log.protocols == ("/x",)
            await a.host.disconnect(b.id)
        assert traced.count("bad_signed_record") == 3


async def test_an_old_record_does_not_replace_a_newer_one() -> None:
    async with world() as w:
        a, b = await w.node(), await w.node(listen=False)
        newer = SignedRecord.read(seal_peer_record(b.host.key, [ELSEWHERE], 9))
        a.host.peer_store.add_record(newer)
        tell(b, record=seal_peer_record(b.host.key, [], 8), address=a.address)
        await b.host.connect(a.address)
        await a.log.seen("identified")
        assert a.host.peer_store.record(b.id) == newer
        # What it says over its own connection is heard all the same, after what it signed for.
        told: list[tuple[str, PeerId | None]] = [
            (address.host, address.peer) for address in a.host.peer_store.addresses(b.id)
        ]
        assert told == [("192.0.2.1", b.id), ("127.0.0.1", b.id)]
