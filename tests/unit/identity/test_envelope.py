"""Signed envelopes and peer records."""

import random

import pytest

from pubsub.errors import RemoteError
from pubsub.identity import PrivateKey, parse_address, peer_id_of
from pubsub.identity.envelope import (
    MAX_ENVELOPE_BYTES,
    PeerRecord,
    seal,
    seal_peer_record,
    unseal,
    unseal_peer_record,
)
from pubsub.pb import envelope_pb2

KEY = PrivateKey(bytes(range(32)))
PEER = peer_id_of(KEY.public_key)
ADDRESSES = (parse_address("/ip4/1.2.3.4/tcp/4001"), parse_address("/ip6/::1/tcp/4002"))


def test_a_record_comes_back_as_it_was_sealed():
    expected = PeerRecord(PEER, 7, tuple(address.with_peer(PEER) for address in ADDRESSES))
    assert unseal_peer_record(seal_peer_record(KEY, ADDRESSES, 7)) == expected


def test_the_signature_covers_lengths_domain_type_and_payload():
    envelope = envelope_pb2.Envelope.FromString(seal(KEY, b"domain", b"ty", b"x" * 200))
    signed = b"\x06domain" + b"\x02ty" + b"\xc8\x01" + b"x" * 200
    assert KEY.public_key.verify(signed, envelope.signature)


@pytest.mark.parametrize(
    ("domain", "payload_type"), [(b"other", b"\x03\x01"), (b"libp2p-peer-record", b"\x03\x02")]
)
def test_an_envelope_for_another_purpose_is_refused(domain, payload_type):
    with pytest.raises(RemoteError):
        unseal(seal_peer_record(KEY, ADDRESSES, 7), domain, payload_type)


def test_a_record_about_another_peer_is_refused():
    record = envelope_pb2.PeerRecord(peer_id=b"\x00\x24" + bytes(36), seq=1)
    sealed = seal(KEY, b"libp2p-peer-record", b"\x03\x01", record.SerializeToString())
    with pytest.raises(RemoteError, match="another peer"):
        unseal_peer_record(sealed)


def test_a_changed_byte_anywhere_is_refused_or_harmless():
    sealed = seal_peer_record(KEY, ADDRESSES, 7)
    good = unseal_peer_record(sealed)
    rng = random.Random(1)
    for _ in range(2000):
        damaged = bytearray(sealed)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        try:
            assert unseal_peer_record(bytes(damaged)) == good
        except RemoteError:
            continue


def test_rubbish_raises_only_remote_errors():
    rng = random.Random(2)
    for _ in range(2000):
        with pytest.raises(RemoteError):
            unseal_peer_record(rng.randbytes(rng.randrange(120)))
    with pytest.raises(RemoteError, match="at most"):
        unseal_peer_record(bytes(MAX_ENVELOPE_BYTES + 1))


def test_addresses_of_other_transports_and_peers_are_left_out():
    record = envelope_pb2.PeerRecord(peer_id=bytes(PEER), seq=1)
    other = peer_id_of(PrivateKey(bytes(32)).public_key)
    for raw in (
        ADDRESSES[0].to_bytes(),
        ADDRESSES[1].with_peer(other).to_bytes(),
        b"\x04\x7f\x00\x00\x01\x91\x02\x00\x09",
        b"\xff",
    ):
        record.addresses.add(multiaddr=raw)
    sealed = seal(KEY, b"libp2p-peer-record", b"\x03\x01", record.SerializeToString())
    assert unseal_peer_record(sealed).addresses == (ADDRESSES[0].with_peer(PEER),)
