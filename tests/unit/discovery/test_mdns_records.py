"""TXT records of libp2p's mDNS: what we write, and how little we believe of what we read."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.discovery.mdns_records import (
    FORGET_AFTER,
    LEAST_INTERVAL,
    MAX_ADDRESSES,
    MAX_KNOWN_PEERS,
    REPEAT_AFTER,
    KnownPeers,
    announced,
    decode_txt,
    encode_txt,
    random_peer_name,
)
from pubsub.identity import Address, PeerId, PrivateKey, parse_address, peer_id_of

US, ANN, BOB = (peer_id_of(PrivateKey(bytes([n]) * 32).public_key) for n in range(3))


def strings(*texts: str | bytes) -> bytes:
    raw = [text.encode() if isinstance(text, str) else text for text in texts]
    return b"".join(bytes([len(text)]) + text for text in raw)


def dnsaddr(peer: PeerId, host: str = "192.0.2.7", port: int = 4001) -> str:
    return f"dnsaddr=/ip4/{host}/tcp/{port}/p2p/{peer}"


def test_one_string_for_each_address() -> None:
    one = parse_address(f"/ip4/192.0.2.7/tcp/4001/p2p/{ANN}")
    two = parse_address(f"/ip6/2001:db8::7/tcp/4001/p2p/{ANN}")
    raw = encode_txt([one, two])
    first = b"dnsaddr=/ip4/192.0.2.7/tcp/4001/p2p/" + str(ANN).encode()
    assert raw.startswith(bytes([len(first)]) + first)
    assert raw.count(b"dnsaddr=") == 2
    assert decode_txt(raw, US) == [one, two]


def test_a_peer_name_is_long_lowercase_and_new_each_time() -> None:
    names = {random_peer_name(os.urandom) for _ in range(50)}
    assert len(names) == 50
    for name in names:
        assert 32 <= len(name) <= 63
        assert name.isalnum()
        assert name == name.lower()
        assert name.isascii()


def test_loopback_is_announced_last_and_without_limit_nothing_is() -> None:
    local = Address("ip4", "127.0.0.1", 1)
    many = [Address("ip4", f"192.0.2.{n}", 1) for n in range(30)]
    assert announced([local, many[0], many[0]], US) == [many[0].with_peer(US), local.with_peer(US)]
    assert len(announced(many, US)) == MAX_ADDRESSES
    assert announced([Address("dns4", "a" * 300, 1)], US) == []


def test_own_announcements_are_ignored() -> None:
    assert decode_txt(strings(dnsaddr(US)), US) == []
    assert decode_txt(strings(dnsaddr(US), dnsaddr(ANN)), US) == [parse_address(dnsaddr(ANN)[8:])]


@pytest.mark.parametrize(
    "text",
    [
        "dnsaddr=/ip4/192.0.2.7/tcp/4001",  # says not who
        f"dnsaddr=/ip4/192.0.2.7/udp/4001/quic-v1/p2p/{ANN}",
        f"dnsaddr=/ip4/192.0.2.7/tcp/4001/ws/p2p/{ANN}",
        f"dnsaddr=/dns4/example.org/tcp/4001/p2p/{ANN}",
        f"dnsaddr=/ip4/192.0.2.7/tcp/0/p2p/{ANN}",
        f"dnsaddr=/ip4/999.0.2.7/tcp/4001/p2p/{ANN}",
        f"dnsaddr=/ip4/192.0.2.7/tcp/4001/p2p/{ANN}/p2p-circuit/p2p/{BOB}",
        "dnsaddr=/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWnonsense",
        "dnsaddr=",
        "dnsaddr",
        "path=/",
        f"dnsaddr=/ip4/192.0.2.7/tcp/4001/p2p/{ANN}\u00e9",
        "",
    ],
)
def test_what_we_cannot_use_is_passed_over(text: str) -> None:
    good = dnsaddr(ANN)
    assert decode_txt(strings(text), US) == []
    assert len(decode_txt(strings(text, good, text), US)) == 1


def test_the_key_may_be_in_any_case() -> None:
    assert len(decode_txt(strings(dnsaddr(ANN).replace("dnsaddr", "DNSAddr")), US)) == 1


def test_one_answer_is_about_one_peer() -> None:
    raw = strings(dnsaddr(ANN), dnsaddr(BOB), dnsaddr(ANN, port=2))
    assert {address.peer for address in decode_txt(raw, US)} == {ANN}
    assert len(decode_txt(raw, US)) == 2


def test_addresses_of_one_answer_are_bounded() -> None:
    raw = strings(*(dnsaddr(ANN, port=port) for port in range(1, 90)))
    assert len(decode_txt(raw, US)) == MAX_ADDRESSES


def test_strings_of_one_answer_are_bounded() -> None:
    assert decode_txt(strings(*["x"] * 5000, dnsaddr(ANN)), US) == []


def test_truncated_records_give_what_is_whole() -> None:
    raw = strings(dnsaddr(ANN), dnsaddr(ANN, port=4002))
    whole = decode_txt(raw, US)
    for length in range(len(raw)):
        assert decode_txt(raw[:length], US) == (whole[:1] if length >= len(raw) // 2 else [])


@given(st.binary(max_size=600))
def test_rubbish_never_raises(raw: bytes) -> None:
    assert decode_txt(raw, US) == []


@given(st.lists(st.text(max_size=60), max_size=10))
def test_rubbish_addresses_never_raise(texts: list[str]) -> None:
    raw = strings(*(b"dnsaddr=/" + text.encode("utf-8", "replace")[:240] for text in texts))
    decode_txt(raw, US)


def test_mutated_records_never_raise() -> None:
    rng = random.Random(7)
    raw = bytearray(strings(dnsaddr(ANN), dnsaddr(ANN, port=2)))
    for _ in range(3000):
        mutant = bytearray(raw)
        for _ in range(rng.randrange(1, 4)):
            mutant[rng.randrange(len(mutant))] = rng.randrange(256)
        for address in decode_txt(bytes(mutant), US):
            assert address.peer not in (None, US)


def at(peer: PeerId, port: int = 1) -> list[Address]:
    return [Address("ip4", "192.0.2.7", port, peer)]


def test_repetition_is_not_news_until_a_while_later() -> None:
    known = KnownPeers()
    assert known.is_news(at(ANN), now=0)
    assert not known.is_news(at(ANN), now=1)
    assert known.is_news(at(BOB), now=1)
    assert known.is_news(at(ANN), now=REPEAT_AFTER)
    assert len(known) == 2


def test_a_peer_that_moved_is_news_but_not_each_moment() -> None:
    known = KnownPeers()
    assert known.is_news(at(ANN), now=0)
    assert known.is_news(at(ANN, 2), now=LEAST_INTERVAL)
    assert not known.is_news(at(ANN, 3), now=LEAST_INTERVAL * 1.5)


def test_the_peers_remembered_are_bounded() -> None:
    known = KnownPeers()
    peers = [PeerId(bytes((0, 36)) + n.to_bytes(36, "big")) for n in range(MAX_KNOWN_PEERS + 2)]
    assert all(known.is_news(at(peer), now=0) for peer in peers[:MAX_KNOWN_PEERS])
    assert not known.is_news(at(peers[-1]), now=1)
    assert known.is_news(at(peers[0], 2), now=1), "those already known stay"
    assert known.is_news(at(peers[-1]), now=FORGET_AFTER)
    assert len(known) == MAX_KNOWN_PEERS


def test_an_address_without_a_peer_is_never_news() -> None:
    assert not KnownPeers().is_news([Address("ip4", "192.0.2.7", 1)], now=0)
