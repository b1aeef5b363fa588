import random

import pytest

from pubsub.errors import RemoteError
from pubsub.host.identify import MAX_PROTOCOLS, MAX_SENT, decode, encode
from pubsub.host.signed_record import OwnRecord, SignedRecord
from pubsub.identity import Address, PrivateKey, peer_id_of
from pubsub.identity.envelope import seal_peer_record
from pubsub.pb import identify_pb2

KEY = PrivateKey(bytes(32)).public_key
PEER = peer_id_of(KEY)
OTHER = PrivateKey(bytes([1] * 32)).public_key
HERE = Address("ip4", "192.0.2.1", 4001)
THERE = Address("ip6", "2001:db8::1", 1)


def message(addresses: list[Address] | None = None, observed: Address | None = THERE) -> bytes:
    return encode(
        key=KEY,
        addresses=[HERE.with_peer(PEER)] if addresses is None else addresses,
        protocols=["/a", "/b"],
        agent="tester/1",
        observed=observed,
    )


def test_what_is_told_is_understood() -> None:
    identity = decode([message()], PEER)
    assert identity.protocols == ("/a", "/b")
    assert identity.addresses == (HERE,)
    assert identity.agent == "tester/1"
    assert identity.observed == THERE
    assert identity.public_key == KEY


def test_the_parts_of_a_message_are_put_together() -> None:
    parts = [
        identify_pb2.Identify(protocols=["/a"], agent_version="x").SerializeToString(),
        identify_pb2.Identify(protocols=["/b", "/a"]).SerializeToString(),
    ]
    identity = decode(parts, PEER)
    assert identity.protocols == ("/a", "/b")
    assert identity.agent == "x"
    assert identity.public_key is None
    assert identity.observed is None


def test_addresses_that_do_not_fit_are_left_out() -> None:
    many = [Address("dns4", f"{n:0>50}.example.org", 1) for n in range(200)]
    encoded = message(many)
    assert MAX_SENT - 100 < len(encoded) <= MAX_SENT
    told = decode([encoded], PEER).addresses
    assert told == tuple(many[: len(told)])


def test_another_peers_key_is_refused() -> None:
    with pytest.raises(RemoteError, match="another peer's key"):
        decode([message()], peer_id_of(OTHER))


def test_addresses_that_we_cannot_dial_or_that_name_another_peer_are_left_out() -> None:
    raw = identify_pb2.Identify(
        listen_addrs=[b"", b"\xff\xff", HERE.with_peer(peer_id_of(OTHER)).to_bytes()],
        observed_addr=b"rubbish",
    )
    identity = decode([raw.SerializeToString()], PEER)
    assert identity.addresses == ()
    assert identity.observed is None


def test_names_that_are_too_many_are_refused_and_too_long_ones_left_out() -> None:
    many = identify_pb2.Identify(protocols=[str(n) for n in range(MAX_PROTOCOLS + 1)])
    with pytest.raises(RemoteError, match="names 1001 protocols"):
        decode([many.SerializeToString()], PEER)
    odd = identify_pb2.Identify(protocols=["", "x" * 257, "/a"], agent_version="a\x1b[2J\nb" * 99)
    identity = decode([odd.SerializeToString()], PEER)
    assert identity.protocols == ("/a",)
    assert identity.agent.startswith("a[2Jb")
    assert len(identity.agent) <= 256


def test_only_remote_errors_come_out_of_what_a_peer_sends() -> None:
    rng = random.Random(1)
    whole = message()
    cases = [whole[:n] for n in range(len(whole))]
    cases += [rng.randbytes(rng.randrange(200)) for _ in range(2000)]
    for _ in range(2000):
        broken = bytearray(whole)
        broken[rng.randrange(len(broken))] = rng.randrange(256)
        cases.append(bytes(broken))
    for case in cases:
        try:
            decode([case], PEER)
        except RemoteError:
            continue


def with_record(record: bytes) -> bytes:
    return message() + identify_pb2.Identify(signed_peer_record=record).SerializeToString()


def test_a_signed_record_is_told_and_understood() -> None:
    record = OwnRecord(PrivateKey(bytes(32)), lambda: 7).sealed([THERE])
    identity = decode(
        [encode(key=KEY, addresses=[HERE], protocols=[], agent="", observed=None, record=record)],
        PEER,
    )
    assert identity.record == SignedRecord.read(record or b"")
    assert identity.bad_record == ""
    assert identity.addresses == (HERE,)
    assert decode([message()], PEER).record is None


def test_with_a_record_the_message_is_still_bounded() -> None:
    many = [Address("dns4", f"{n:0>50}.example.org", 1) for n in range(200)]
    encoded = encode(
        key=KEY,
        addresses=many,
        protocols=["/" + "x" * 2044],
        agent="x" * 300,
        observed=many[0],
        record=OwnRecord(PrivateKey(bytes(32)), lambda: 2**63).sealed(many),
    )
    assert len(encoded) <= MAX_SENT
    identity = decode([encoded], PEER)
    assert identity.record is not None
    assert len(identity.record.addresses) > 5
    assert len(identity.addresses) > 5


def test_a_record_for_which_there_is_no_room_is_left_out() -> None:
    encoded = encode(
        key=KEY,
        addresses=[HERE],
        protocols=["/" + "x" * 3800],
        agent="",
        observed=None,
        record=bytes(300),
    )
    assert len(encoded) <= MAX_SENT
    assert identify_pb2.Identify.FromString(encoded).signed_peer_record == b""


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (b"rubbish", "malformed envelope"),
        (seal_peer_record(PrivateKey(bytes([1] * 32)), [HERE], 1), "another peer's record"),
        (seal_peer_record(PrivateKey(bytes(32)), [HERE], 1)[:-1] + b"x", "bad signature"),
    ],
)
def test_a_bad_record_spoils_nothing_else(record: bytes, why: str) -> None:
    identity = decode([with_record(record)], PEER)
    assert identity.record is None
    assert why in identity.bad_record
    assert identity.protocols == ("/a", "/b")
    assert identity.addresses == (HERE,)
