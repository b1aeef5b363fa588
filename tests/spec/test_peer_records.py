"""Peer records, also called routing records (RFC 0003).

docs/protocol.md names the rule that each test holds us to.
"""

from __future__ import annotations

import pytest

from pubsub.errors import RemoteError
from pubsub.host import HostParams, SignedRecord, identify
from pubsub.host.peer_store import PeerStore
from pubsub.host.signed_record import OwnRecord
from pubsub.identity import Address
from pubsub.identity.envelope import seal, seal_peer_record, unseal, unseal_peer_record
from pubsub.pb import envelope_pb2
from tests.io.hosts import until, world
from tests.unit.router.dialogue import A, B

DOMAIN, TYPE = b"libp2p-peer-record", b"\x03\x01"
HERE = Address("ip4", "192.0.2.1", 4001)
THERE = Address("ip4", "198.51.100.1", 4002)


def record(seq: int, *addresses: Address) -> SignedRecord:
    return SignedRecord.read(seal_peer_record(A.key, addresses, seq))


def sealed(payload: bytes) -> bytes:
    return seal(A.key, DOMAIN, TYPE, payload)


def spoilt(encoded: bytes) -> bytes:
    """The same with a signature that is not good."""
    return encoded[:-1] + bytes([encoded[-1] ^ 1])


def told_by_identify(encoded: bytes) -> identify.Identity:
    """What is read from A's identify message with this record."""
    message = identify.encode(
        key=A.key.public_key,
        addresses=[],
        protocols=[],
        agent="",
        observed=None,
        record=encoded,
    )
    return identify.decode([message], A.id)


# Address Record Format


def test_record_format_is_read_and_written_as_the_schema_numbers_it() -> None:
    multiaddr = HERE.to_bytes()
    info = b"\x0a" + bytes([len(multiaddr)]) + multiaddr
    payload = b"\x0a\x26" + A.id + b"\x10\x07" + b"\x1a" + bytes([len(info)]) + info
    read = unseal_peer_record(sealed(payload))
    assert (read.peer, read.seq, read.addresses) == (A.id, 7, (HERE.with_peer(A.id),))
    assert unseal(seal_peer_record(A.key, [HERE], 7), DOMAIN, TYPE)[1] == payload


def test_record_format_can_be_extended() -> None:
    """Fields that are not known, in the record and with an address, are passed over."""
    multiaddr = HERE.to_bytes()
    info = b"\x0a" + bytes([len(multiaddr)]) + multiaddr + b"\x10\x05"
    payload = b"\x0a\x26" + A.id + b"\x10\x07" + b"\x1a" + bytes([len(info)]) + info
    assert unseal_peer_record(sealed(payload + b"\x22\x02hi")) == unseal_peer_record(
        seal_peer_record(A.key, [HERE], 7)
    )


def test_record_format_seq_grows_with_every_new_record() -> None:
    """Even if the wall clock is set back."""
    clock = iter([100, 50, 51, 200])
    own = OwnRecord(A.key, lambda: next(clock))
    numbers = []
    for addresses in ([HERE], [HERE, THERE], [THERE], [HERE]):
        encoded = own.sealed(addresses)
        assert encoded is not None
        numbers.append(SignedRecord.read(encoded).seq)
    assert numbers == [100, 101, 102, 200]


@pytest.mark.parametrize("seq", [0, 1, 2**63, 2**64 - 1])
def test_record_format_seq_is_no_time(seq: int) -> None:
    """Whatever time it would stand for: it only orders the records of one peer."""
    store = PeerStore()
    assert store.add_record(record(seq, HERE))
    assert store.addresses(A.id) == [HERE.with_peer(A.id)]


async def test_record_format_lists_every_address_that_we_listen_on() -> None:
    async with world() as w:
        node = await w.node()
        encoded = node.host.signed_record()
        assert SignedRecord.read(encoded).addresses == (node.address,)
        assert node.address.ip.is_loopback


async def test_record_format_local_addresses_are_not_dialled_on_a_strangers_word() -> None:
    async with world() as w:
        target = await w.node()
        careful, local = await w.node(), await w.node(HostParams(dial_private=True))
        for node in (careful, local):
            node.host.peer_store.add_record(SignedRecord.read(target.host.signed_record()))
            assert node.host.dial_later(target.id)
        await local.log.seen("connected")
        await until(lambda: careful.host.counters.get("skipped_addresses") == 1)
        assert not careful.host.is_connected(target.id)


# Certification / Verification


def test_certification_is_by_the_host_key_and_holds_the_public_key() -> None:
    encoded = OwnRecord(A.key, lambda: 7).sealed([HERE])
    assert encoded is not None
    key, _ = unseal(encoded, DOMAIN, TYPE)
    assert key == A.key.public_key
    assert envelope_pb2.Envelope.FromString(encoded).public_key == key.protobuf


def test_certification_the_signature_is_checked_before_the_record_is_read() -> None:
    rubbish = sealed(b"\xff\xff")
    with pytest.raises(RemoteError, match="malformed peer record"):
        unseal_peer_record(rubbish)
    with pytest.raises(RemoteError, match="bad signature"):
        unseal_peer_record(spoilt(rubbish))


def test_certification_a_record_with_a_bad_signature_is_discarded() -> None:
    good = seal_peer_record(A.key, [HERE], 1)
    assert told_by_identify(good).record == SignedRecord.read(good)
    identity = told_by_identify(spoilt(good))
    assert identity.record is None
    assert "bad signature" in identity.bad_record


def test_certification_a_record_about_another_peer_is_discarded() -> None:
    about_b = envelope_pb2.PeerRecord(peer_id=bytes(B.id), seq=1)
    with pytest.raises(RemoteError, match="signed by another peer"):
        unseal_peer_record(sealed(about_b.SerializeToString()))
    identity = told_by_identify(seal_peer_record(B.key, [HERE], 1))
    assert identity.record is None
    assert "another peer's record" in identity.bad_record


def test_certification_the_domain_is_the_one_in_use() -> None:
    payload = envelope_pb2.PeerRecord(peer_id=bytes(A.id), seq=1).SerializeToString()
    assert unseal_peer_record(seal(A.key, b"libp2p-peer-record", TYPE, payload)).peer == A.id
    with pytest.raises(RemoteError, match="bad signature"):
        unseal_peer_record(seal(A.key, b"libp2p-routing-state", TYPE, payload))


def test_certification_the_payload_type_is_the_one_in_use() -> None:
    payload = envelope_pb2.PeerRecord(peer_id=bytes(A.id), seq=1).SerializeToString()
    assert unseal_peer_record(seal(A.key, DOMAIN, b"\x03\x01", payload)).peer == A.id
    with pytest.raises(RemoteError, match="of type"):
        unseal_peer_record(seal(A.key, DOMAIN, b"/libp2p/routing-state-record", payload))


# Peer Store APIs


def test_peer_store_takes_only_records_with_a_greater_seq() -> None:
    store = PeerStore()
    store.add_record(record(5, HERE))
    for stale in (record(4, THERE), record(5, THERE)):
        store.add_record(stale)
        assert store.record(A.id) == record(5, HERE)
        assert store.addresses(A.id) == [HERE.with_peer(A.id)]
    store.add_record(record(6, THERE))
    assert store.addresses(A.id) == [THERE.with_peer(A.id)]


def test_peer_store_keeps_the_envelope_to_pass_on() -> None:
    store = PeerStore()
    assert store.signed_record(A.id) is None
    encoded = seal_peer_record(A.key, [HERE], 1)
    store.add_record(SignedRecord.read(encoded))
    assert store.signed_record(A.id) == encoded


# Dialing Strategies


def test_dialing_prefers_addresses_that_the_peer_signed_for() -> None:
    store = PeerStore()
    store.add_addresses(A.id, [THERE])
    store.add_record(record(1, HERE))
    store.add_addresses(A.id, [Address("ip4", "203.0.113.1", 1)])
    assert store.addresses(A.id)[0] == HERE.with_peer(A.id)
    assert len(store.addresses(A.id)) == 3
