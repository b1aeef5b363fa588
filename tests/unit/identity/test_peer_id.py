"""Peer ids: derived from keys, read from both text forms, refused when they are none."""

import base64
import json
import random
from pathlib import Path

import pytest

from pubsub.errors import ParamError, RemoteError
from pubsub.identity import PeerId, PrivateKey, PublicKey, parse_peer_id, peer_id_of
from pubsub.identity.peer_id import peer_id_from_bytes

KEYS = json.loads((Path(__file__).parents[2] / "vectors" / "peer_id_keys.json").read_text())["keys"]
IDS = {
    "rsa": "QmaeANgBs1DTSxWSrPPtobgQuxW8XTfsS4ydbK4rCHzqxG",
    "ed25519": "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq",
    "secp256k1": "16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY",
    "ecdsa": "QmVMT29id3TUASyfZZ6k9hmNyc2nYabCo4uMSpDw4zrgDk",
}
# The examples of the specification.
SHA256_ID = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
SHA256_CID = "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe"
INLINE_ID = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"


def key_of(name: str) -> PublicKey:
    return PublicKey.from_protobuf(bytes.fromhex(KEYS[name]["public"]))


@pytest.mark.parametrize("name", IDS)
def test_id_of_the_specifications_keys(name: str) -> None:
    peer = peer_id_of(key_of(name))
    assert str(peer) == IDS[name]
    assert peer.matches(key_of(name))
    assert not peer.matches(PrivateKey(b"k" * 32).public_key)


@pytest.mark.parametrize("name", IDS)
def test_short_keys_can_be_read_back(name: str) -> None:
    inline = name in ("ed25519", "secp256k1")
    assert peer_id_of(key_of(name)).public_key == (key_of(name) if inline else None)


def test_both_text_forms_of_the_specification_are_one_id() -> None:
    assert parse_peer_id(SHA256_ID) == parse_peer_id(SHA256_CID)
    assert parse_peer_id(SHA256_ID).cid == SHA256_CID


@pytest.mark.parametrize("text", [SHA256_ID, INLINE_ID, *IDS.values()])
def test_text_and_back(text: str) -> None:
    peer = parse_peer_id(text)
    assert str(peer) == text
    assert parse_peer_id(peer.cid) == peer
    assert peer_id_from_bytes(bytes(peer)) == peer


def test_other_multibases() -> None:
    peer = parse_peer_id(INLINE_ID)
    body = b"\x01\x72" + peer
    number, digits = int.from_bytes(body, "big"), ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    assert digits.startswith("51")
    assert parse_peer_id("k" + digits) == peer
    assert parse_peer_id("f" + body.hex()) == peer
    assert parse_peer_id("z" + str(PeerId(body))) == peer
    assert parse_peer_id("K" + digits.upper()) == peer
    assert parse_peer_id("F" + body.hex().upper()) == peer
    assert parse_peer_id(peer.cid.upper()) == peer
    assert parse_peer_id("m" + base64.b64encode(body).decode().rstrip("=")) == peer
    assert parse_peer_id("u" + base64.urlsafe_b64encode(body).decode().rstrip("=")) == peer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "Qm",
        "12D3KooW",
        INLINE_ID[:-1],
        INLINE_ID[:-1] + "0",
        SHA256_CID[:-1],
        SHA256_CID[:-1] + "!",
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
        "k",
        "k_",
        "f0",
        "fxx",
        "z0",
        "b0",
        "mA",
        "m!!!!",
        "ué",
        "hello",
        "é" * 10,
        "1" * 100_000,
        "k" + "z" * 100_000,
    ],
)
def test_what_is_no_peer_id_is_refused(text: str) -> None:
    with pytest.raises(ParamError):
        parse_peer_id(text)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        b"\x00\x00",
        b"\x12\x20" + bytes(31),
        b"\x12\x20" + bytes(33),
        b"\x12\x1f" + bytes(31),
        b"\x00\x2b" + bytes(43),
        b"\x13\x20" + bytes(32),
    ],
)
def test_bytes_that_are_no_peer_id_are_refused(raw: bytes) -> None:
    with pytest.raises(RemoteError):
        peer_id_from_bytes(raw)


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\x00\x05abc", b"\x00\x03abc", b"\x12\x00"])
def test_id_without_a_key_has_none(raw: bytes) -> None:
    assert PeerId(raw).public_key is None


def test_random_texts_are_refused() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        text = rng.choice(("1", "Qm", "b", "z", "f", "k")) + "".join(
            rng.choices("123abcXYZ_0lIO \n", k=rng.randrange(60))
        )
        with pytest.raises(ParamError):
            parse_peer_id(text)


def test_repr_is_short() -> None:
    assert repr(parse_peer_id(INLINE_ID)) == "<PeerId AJU5SA>"
