"""Addresses: text and binary forms, and everything that is not a TCP address."""

import ipaddress
import random

import pytest

from pubsub.errors import ParamError, RemoteError
from pubsub.identity import Address, address_from_bytes, parse_address, parse_peer_id
from pubsub.identity.address import MAX_ADDRESS_BYTES

PEER = parse_peer_id("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA")
OLD_PEER = parse_peer_id("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/ip4/1.2.3.4/tcp/4001", Address("ip4", "1.2.3.4", 4001)),
        ("/ip6/::1/tcp/0", Address("ip6", "::1", 0)),
        ("/dns/localhost/tcp/1", Address("dns", "localhost", 1)),
        ("/dns6/example.org/tcp/65535", Address("dns6", "example.org", 65535)),
        (f"/dns4/example.org/tcp/1/p2p/{PEER}", Address("dns4", "example.org", 1, PEER)),
        (f"/ip4/1.2.3.4/tcp/1/p2p/{OLD_PEER}", Address("ip4", "1.2.3.4", 1, OLD_PEER)),
    ],
)
def test_text_and_bytes_and_back(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text
    assert address_from_bytes(address.to_bytes()) == address


def test_binary_form_is_the_multiaddr_one() -> None:
    assert parse_address("/ip4/127.0.0.1/tcp/4001").to_bytes().hex() == "047f000001060fa1"


def test_old_spelling_of_the_peer_id() -> None:
    old = parse_address(f"/ip4/1.2.3.4/tcp/1/ipfs/{OLD_PEER}")
    assert old == parse_address(f"/ip4/1.2.3.4/tcp/1/p2p/{OLD_PEER}")


def test_peer_id_written_as_a_cid() -> None:
    assert parse_address(f"/ip4/1.2.3.4/tcp/1/p2p/{PEER.cid}").peer == PEER


def test_ip6_is_written_one_way() -> None:
    assert str(parse_address("/ip6/0:0:0:0:0:0:0:1/tcp/1")) == "/ip6/::1/tcp/1"


def test_ip_is_known_for_numbers_only() -> None:
    assert parse_address("/ip6/::1/tcp/1").ip == ipaddress.ip_address("::1")
    assert parse_address("/dns4/example.org/tcp/1").ip is None


def test_with_peer() -> None:
    address = parse_address("/ip4/1.2.3.4/tcp/1")
    assert address.with_peer(PEER).peer == PEER
    assert address.with_peer(PEER).with_peer(None) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "/",
        "1.2.3.4:4001",
        "/ip4",
        "/ip4/1.2.3.4",
        "/ip4/1.2.3.4/tcp",
        "/ip4/1.2.3.4/tcp/",
        "/ip4/1.2.3.4/tcp/65536",
        "/ip4/1.2.3.4/tcp/-1",
        "/ip4/1.2.3.4/udp/4001/quic-v1",
        "/ip4/1.2.3.4/tcp/1/ws",
        "/ip4/1.2.3.4/tcp/1/p2p/12D3",
        "/ip4/1.2.3.4/tcp/1/p2p",
        f"/ip4/1.2.3.4/tcp/1/p2p/{PEER}/p2p-circuit",
        "/ip4//tcp/1",
        "/dns4//tcp/1",
        "/ip6/1.2.3.4/tcp/1",
        "/unix/tmp/socket",
        "/dns4/two words/tcp/1",
        "/dns4/line\nfeed/tcp/1",
        "/dnsaddr/bootstrap.libp2p.io",
        "/dns4/" + "a" * 2000 + "/tcp/1",
    ],
)
def test_what_is_no_tcp_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ParamError, match=r"/ip4/127\.0\.0\.1/tcp/4001"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "high"),
    [
        ("/ip4/1.2.3.4/tcp/65536", True),
        ("/ip4/1.2.3.4/tcp/99999", True),
        ("/ip6/::1/tcp/400100", True),
        (f"/dns4/example.org/tcp/065536/p2p/{PEER}", True),
        ("/ip4/1.2.3.4/tcp/" + "9" * 900, True),
        ("/ip4/1.2.3.4/tcp/4001x", False),
        ("/ip4/1.2.3.400/tcp/4001", False),
        ("/ip4/1.2.3.400/tcp/65535", False),
    ],
)
def test_a_port_that_is_too_high_is_told(text: str, high: bool) -> None:
    with pytest.raises(ParamError) as caught:
        parse_address(text)
    assert ("ports go to 65535; " in str(caught.value)) == high


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x04",
        bytes.fromhex("047f000001"),
        bytes.fromhex("047f00000106"),
        bytes.fromhex("047f000001060f"),
        bytes.fromhex("047f00000191020fa1"),
        bytes.fromhex("ff" * 20),
        bytes.fromhex("3680ffffffff7f"),
        bytes.fromhex("3602fffe060fa1"),
        b"\x36" + b"\xff" * 9 + b"\x01",
        b"\x36\x03a/b\x06\x0f\xa1",
        b"\x36\x03a\nb\x06\x0f\xa1",
        bytes(MAX_ADDRESS_BYTES + 1),
    ],
)
def test_bytes_that_are_no_tcp_address_are_refused(raw: bytes) -> None:
    with pytest.raises(RemoteError):
        address_from_bytes(raw)


def test_every_cut_and_changed_address_is_refused_or_read() -> None:
    rng = random.Random(2)
    good = parse_address(f"/dns4/example.org/tcp/4001/p2p/{PEER}").to_bytes()
    for size in range(len(good)):
        if size != 16:
            with pytest.raises(RemoteError):
                address_from_bytes(good[:size])
    for _ in range(3000):
        changed = bytearray(good)
        changed[rng.randrange(len(changed))] = rng.randrange(256)
        try:
            address = address_from_bytes(bytes(changed))
        except RemoteError:
            continue
        assert address_from_bytes(address.to_bytes()) == address
        assert parse_address(str(address)) == address


def test_address_built_by_hand_with_nonsense_has_no_binary_form() -> None:
    with pytest.raises(ParamError):
        Address("ip4", "nowhere", 1).to_bytes()
