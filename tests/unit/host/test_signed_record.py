import random

import pytest

from pubsub.errors import RemoteError
from pubsub.host.signed_record import MAX_OWN_BYTES, OwnRecord, SignedRecord
from pubsub.identity import Address, PrivateKey, peer_id_of
from pubsub.identity.envelope import seal, seal_peer_record

KEY = PrivateKey(bytes(32))
PEER = peer_id_of(KEY.public_key)
HERE = Address("ip4", "192.0.2.1", 4001)
THERE = Address("ip6", "2001:db8::1", 1)


def test_our_record_says_who_and_where_we_are() -> None:
    encoded = OwnRecord(KEY, lambda: 7).sealed([HERE.with_peer(PEER), THERE])
    assert encoded is not None
    record = SignedRecord.read(encoded)
    assert record.encoded == encoded
    assert (record.peer, record.seq) == (PEER, 7)
    assert record.addresses == (HERE.with_peer(PEER), THERE.with_peer(PEER))


def test_without_addresses_there_is_no_record() -> None:
    assert OwnRecord(KEY, lambda: 7).sealed([]) is None


def test_it_is_sealed_anew_only_for_other_addresses_and_its_seq_grows_whatever_the_clock() -> None:
    times = iter([100, 50, 200])
    own = OwnRecord(KEY, lambda: next(times))
    records = [own.sealed(addresses) for addresses in ([HERE], [HERE], [THERE], [HERE, THERE])]
    assert records[0] == records[1]
    assert [SignedRecord.read(r or b"").seq for r in records] == [100, 100, 101, 200]


def test_addresses_that_do_not_fit_are_left_out_the_last_first() -> None:
    many = [Address("dns4", f"{n:0>50}.example.org", 1) for n in range(50)]
    encoded = OwnRecord(KEY, lambda: 2**63).sealed(many)
    assert encoded is not None
    assert MAX_OWN_BYTES - 200 < len(encoded) <= MAX_OWN_BYTES
    told = SignedRecord.read(encoded).addresses
    assert told == tuple(a.with_peer(PEER) for a in many[: len(told)])


def test_the_bytes_are_left_out_of_what_is_printed() -> None:
    record = SignedRecord.read(seal_peer_record(KEY, [HERE], 1))
    assert "encoded" not in repr(record)


def test_only_remote_errors_come_out_of_what_a_peer_sends() -> None:
    rng = random.Random(1)
    whole = seal_peer_record(KEY, [HERE, THERE], 1)
    cases = [whole[:n] for n in range(len(whole))]
    cases += [rng.randbytes(rng.randrange(200)) for _ in range(500)]
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 1 << rng.randrange(8)
        cases.append(bytes(broken))
    cases.append(seal(KEY, b"another-domain", b"\x03\x01", b""))
    cases.append(bytes(10_000))
    for case in cases:
        with pytest.raises(RemoteError):
            SignedRecord.read(case)
