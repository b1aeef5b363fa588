"""The message ids of the other implementations, and that no message makes them fail."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.errors import ParamError
from pubsub.identity import PeerId, PrivateKey, peer_id_of
from pubsub.identity.keys import KeyType, PublicKey
from pubsub.router import message_ids
from pubsub.router.message import Message
from pubsub.router.message_ids import PRESETS, SIGNED_ONLY, message_id_function
from tests.unit.router.dialogue import A

# The key whose seed is 32 bytes of 7, and an id that is a hash.
ED25519 = peer_id_of(PrivateKey(b"\x07" * 32).public_key)
HASHED = PeerId(b"\x12\x20" + b"\x09" * 32)
SECP256K1 = peer_id_of(PublicKey(KeyType.SECP256K1, b"\x02" + b"\x05" * 32))
NAME = "12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7"

WHATEVER = [b"", b"\0", b"\0\x02\x08\x01", b"\x12\x20", b"\0" * 60, b"\xff" * (1 << 20)]
"What a peer may put into `from` and `seqno`."


def message(origin: bytes = b"", seqno: bytes = b"", data: bytes = b"hello") -> Message:
    return Message("news", data, b"", A.id, origin, seqno)


def number(seqno: int) -> bytes:
    return seqno.to_bytes(8, "big")


# Printed by a program that makes these messages and asks the default configuration of
# the crate libp2p-gossipsub 0.49.5 (`ConfigBuilder::default().build()?.message_id(&message)`).
@pytest.mark.parametrize(
    ("origin", "seqno", "expected"),
    [
        (ED25519, number(1754300000000000001), f"{NAME}1754300000000000001"),
        (ED25519, number(0), f"{NAME}0"),
        (ED25519, number(2**64 - 1), f"{NAME}18446744073709551615"),
        (ED25519, b"", f"{NAME}0"),
        (HASHED, number(7), "QmNwvNPrBc6g9frTfjxtekH3frhukQiDk56z1mDaohvgyN7"),
        (b"", number(7), "15R7"),
        (b"", b"", "15R0"),
    ],
)
def test_rust(origin: bytes, seqno: bytes, expected: str) -> None:
    assert message_ids.rust(message(origin, seqno)) == expected.encode()


def test_go() -> None:
    assert message_ids.go(message(ED25519, number(7))) == ED25519 + bytes(7) + b"\x07"
    assert message_ids.go(message(HASHED, number(2**63))) == HASHED + b"\x80" + bytes(7)


def test_py() -> None:
    expected = f"12200909{'09' * 30}00000000000000ab"
    assert message_ids.py(message(HASHED, number(0xAB))) == expected.encode()


def test_nim() -> None:
    assert message_ids.nim(message(ED25519, number(0xAB))) == f"00000000000000ab{NAME}".encode()


def test_js() -> None:
    key = b"\x08\x01\x12\x20" + PrivateKey(b"\x07" * 32).public_key.data
    assert message_ids.js(message(ED25519, number(7))) == key + number(7)
    key = b"\x08\x02\x12\x21\x02" + b"\x05" * 32
    assert message_ids.js(message(SECP256K1, number(7))) == key + number(7)
    assert message_ids.js(message()) == hashlib.sha256(b"hello").digest()


def test_js_takes_the_attached_key_where_the_id_holds_none() -> None:
    key = PublicKey(KeyType.RSA, bytes(range(256)))
    author = peer_id_of(key)
    assert author[:1] == b"\x12"
    whole = message(author, number(7))
    whole.key_bytes = key.protobuf
    assert message_ids.js(whole) == b"\x08\x00\x12\x80\x02" + key.data + number(7)
    for attached in (b"", b"rubbish", A.key.public_key.protobuf, bytes(1 << 20)):
        whole.key_bytes = attached
        assert message_ids.js(whole) == author + number(7)


def test_sha256() -> None:
    assert message_ids.sha256(message(data=b"")).hex().startswith("e3b0c44298fc1c14")
    assert message_ids.sha256(message(ED25519, number(7))) == hashlib.sha256(b"hello").digest()


@pytest.mark.parametrize("name", PRESETS)
def test_no_author_and_no_number_make_it_fail(name: str) -> None:
    make = PRESETS[name]
    for origin in WHATEVER:
        for seqno in WHATEVER:
            assert isinstance(make(message(origin, seqno)), bytes)


@pytest.mark.parametrize("name", PRESETS)
@given(st.binary(max_size=100), st.binary(max_size=20), st.binary(max_size=20))
def test_random_messages_make_none_fail(
    name: str, origin: bytes, seqno: bytes, data: bytes
) -> None:
    assert isinstance(PRESETS[name](message(origin, seqno, data)), bytes)


@pytest.mark.parametrize("name", ["rust", "nim"])
def test_what_is_too_long_to_be_an_author_is_neither_spelt_out_nor_kept(name: str) -> None:
    message_ids._base58.cache_clear()
    found = {PRESETS[name](message(bytes([n]) * (1 << 20), number(1))) for n in range(20)}
    assert len(found) == 20
    assert max(map(len, found)) < 70
    assert message_ids._base58.cache_info().currsize == 20


@pytest.mark.parametrize("name", PRESETS)
def test_ids_tell_messages_apart(name: str) -> None:
    make = PRESETS[name]
    base = make(message(ED25519, number(1), b"a"))
    assert make(message(ED25519, number(1), b"a")) == base
    if name == "sha256":
        assert make(message(ED25519, number(1), b"b")) != base
    else:
        assert make(message(ED25519, number(2), b"a")) != base
        assert make(message(SECP256K1, number(1), b"a")) != base
        assert make(message(HASHED, number(1), b"a")) != base


@pytest.mark.parametrize("name", PRESETS)
def test_only_some_know_anonymous_messages(name: str) -> None:
    make = PRESETS[name]
    same = make(message(data=b"a")) == make(message(data=b"b"))
    assert same == (name in SIGNED_ONLY)


def test_presets_have_names() -> None:
    assert message_id_function("js") is message_ids.js
    assert message_id_function("sha256", signed=False) is message_ids.sha256
    with pytest.raises(ParamError, match="'perl'; known: go, py, rust, nim, js, sha256"):
        message_id_function("perl")
    with pytest.raises(ParamError, match=r"author and a sequence number.*: take one of js, sha256"):
        message_id_function("go", signed=False)
    with pytest.raises(TypeError):
        PRESETS["mine"] = message_ids.go  # type: ignore[index]
