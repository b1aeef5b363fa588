"""Peer ids and keys (peer-ids/peer-ids.md), with the specification's test vectors and examples.

docs/protocol.md names the rule that each test holds us to.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import base58
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)

from pubsub.errors import ParamError, RemoteError
from pubsub.host import identify
from pubsub.identity import (
    Address,
    KeyType,
    PeerId,
    PrivateKey,
    PublicKey,
    parse_peer_id,
    peer_id_of,
)
from pubsub.identity.envelope import seal_peer_record
from pubsub.identity.peer_id import peer_id_from_bytes
from pubsub.pb import keys_pb2
from tests.unit.router.dialogue import US, A, Dialogue

FILE = Path(__file__).parents[1] / "vectors" / "peer_id_keys.json"
VECTORS = json.loads(FILE.read_text(encoding="utf-8"))["keys"]
TYPES = {
    "rsa": KeyType.RSA,
    "ed25519": KeyType.ED25519,
    "secp256k1": KeyType.SECP256K1,
    "ecdsa": KeyType.ECDSA,
}
# The examples of the specification.
SHA256_CID = "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe"
SHA256_TEXT = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
INLINE_TEXT = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"


def vector(name: str, half: str) -> bytes:
    return bytes.fromhex(VECTORS[name][half])


def public(name: str) -> PublicKey:
    return PublicKey.from_protobuf(vector(name, "public"))


def private_data(name: str) -> bytes:
    """What the vector's private key holds, in the form of its type."""
    return keys_pb2.PrivateKey.FromString(vector(name, "private")).data


def rsa_key() -> rsa.RSAPrivateKey:
    key = load_der_private_key(
        private_data("rsa"), password=None, unsafe_skip_rsa_key_validation=True
    )
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def ecdsa_key() -> ec.EllipticCurvePrivateKey:
    key = load_der_private_key(private_data("ecdsa"), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def secp256k1_key() -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(private_data("secp256k1"), "big")
    return ec.derive_private_key(number, ec.SECP256K1())


# Keys


@pytest.mark.parametrize("name", TYPES)
def test_keys_are_encoded_deterministically(name: str) -> None:
    """Type, then data, with minimal varints; the vectors are such encodings."""
    assert public(name).protobuf == vector(name, "public")


@pytest.mark.parametrize(
    "unusual",
    [b"\x12\x20%s\x08\x01", b"\x08\x81\x00\x12\x20%s", b"\x08\x01\x12\xa0\x00%s"],
    ids=["other order", "long type", "long length"],
)
def test_keys_in_an_unusual_encoding_do_not_change_the_id(unusual: bytes) -> None:
    key = public("ed25519")
    read = PublicKey.from_protobuf(unusual % key.data)
    assert read.protobuf == vector("ed25519", "public")
    assert peer_id_of(read) == peer_id_of(key)


@pytest.mark.parametrize("encoded", [b"", b"\x08\x01", b"\x12\x20" + bytes(32)])
def test_keys_must_have_all_fields(encoded: bytes) -> None:
    with pytest.raises(RemoteError):
        PublicKey.from_protobuf(encoded)
    with pytest.raises(ParamError):
        PrivateKey.from_protobuf(encoded)


def test_keys_have_no_additional_fields() -> None:
    key = PublicKey.from_protobuf(vector("ed25519", "public") + b"\x1a\x02hi")
    assert key.protobuf == vector("ed25519", "public")


def test_keys_private_ones_never_leave() -> None:
    dialogue = Dialogue()
    dialogue.do(A.connects(), A.subscribes("news"))
    dialogue.router.handle(dialogue.publish(), dialogue.now)
    address = Address("ip4", "192.0.2.1", 4001)
    record = seal_peer_record(A.key, [address], 1)
    told = identify.encode(
        key=A.key.public_key,
        addresses=[address],
        protocols=[],
        agent="",
        observed=None,
        record=record,
    )
    sent = dialogue.router.take(A.id, 10_000)
    assert US.id in sent
    assert A.id in record
    for seed in (A.key.seed, US.key.seed):
        assert not any(seed in what for what in (sent, record, told))


# Key Types


def test_key_types_ed25519_signs_and_verifies() -> None:
    key = PrivateKey.from_protobuf(vector("ed25519", "private"))
    signature = key.sign(b"message")
    assert public("ed25519").verify(b"message", signature)
    assert not public("ed25519").verify(b"another", signature)


@pytest.mark.parametrize("name", TYPES)
def test_key_types_all_are_read(name: str) -> None:
    assert public(name).type is TYPES[name]
    assert peer_id_of(public(name)).matches(public(name))


@pytest.mark.parametrize("name", ["rsa", "secp256k1", "ecdsa"])
def test_key_types_we_sign_with_ed25519_only(name: str) -> None:
    with pytest.raises(ParamError, match=TYPES[name].name):
        PrivateKey.from_protobuf(vector(name, "private"))


def test_key_types_rsa() -> None:
    """PKIX in DER; PKCS #1 v1.5 over SHA-256."""
    key = rsa_key()
    form = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public("rsa").data == form
    assert public("rsa").verify(b"m", key.sign(b"m", padding.PKCS1v15(), hashes.SHA256()))
    assert not public("rsa").verify(b"m", key.sign(b"m", padding.PKCS1v15(), hashes.SHA512()))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    assert not public("rsa").verify(b"m", key.sign(b"m", pss, hashes.SHA256()))


def test_key_types_ed25519_public_keys_and_signatures_are_bare() -> None:
    seed = private_data("ed25519")[:32]
    other = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    assert public("ed25519").data == other.public_key().public_bytes_raw()
    assert PrivateKey(seed).sign(b"m") == other.sign(b"m")


def test_key_types_ed25519_private_keys_are_seed_and_public_key() -> None:
    key = PrivateKey.from_protobuf(vector("ed25519", "private"))
    assert key.seed + key.public_key.data == private_data("ed25519")
    assert key.protobuf == vector("ed25519", "private")


def test_key_types_ed25519_old_private_keys_repeat_the_public_key() -> None:
    data = private_data("ed25519")
    old = b"\x08\x01\x12\x60" + data + data[32:]
    assert PrivateKey.from_protobuf(old).protobuf == vector("ed25519", "private")
    for place in (40, 80):
        wrong = bytearray(old)
        wrong[4 + place] ^= 1
        with pytest.raises(ParamError):
            PrivateKey.from_protobuf(bytes(wrong))


def test_key_types_secp256k1() -> None:
    """A compressed point; ECDSA over SHA-256, in DER."""
    key = secp256k1_key()
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    assert public("secp256k1").data == point
    assert public("secp256k1").verify(b"m", key.sign(b"m", ec.ECDSA(hashes.SHA256())))
    assert not public("secp256k1").verify(b"m", key.sign(b"m", ec.ECDSA(hashes.SHA512())))


def test_key_types_ecdsa() -> None:
    """PKIX in DER; ECDSA over SHA-256, in DER."""
    key = ecdsa_key()
    form = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public("ecdsa").data == form
    assert public("ecdsa").verify(b"m", key.sign(b"m", ec.ECDSA(hashes.SHA256())))
    assert not public("ecdsa").verify(b"m", key.sign(b"m", ec.ECDSA(hashes.SHA512())))


# Test vectors


def test_vectors_the_public_key_comes_from_the_private_one() -> None:
    key = PrivateKey.from_protobuf(vector("ed25519", "private"))
    assert key.public_key.protobuf == vector("ed25519", "public")


# Peer Ids


@pytest.mark.parametrize("name", TYPES)
def test_peer_ids_are_multihashes_of_the_encoded_key(name: str) -> None:
    encoded = vector(name, "public")
    inline = len(encoded) <= 42
    assert inline == (name in ("ed25519", "secp256k1"))
    if inline:
        expected = b"\x00" + bytes([len(encoded)]) + encoded
    else:
        expected = b"\x12\x20" + hashlib.sha256(encoded).digest()
    assert peer_id_of(public(name)) == expected
    assert peer_id_from_bytes(expected) == expected


@pytest.mark.parametrize(("size", "code"), [(42, 0x00), (43, 0x12)])
def test_peer_ids_up_to_42_bytes_hold_the_key(size: int, code: int) -> None:
    key = PublicKey(KeyType.ECDSA, bytes(size - 4))
    assert len(key.protobuf) == size
    assert peer_id_of(key)[0] == code


# String representation


@pytest.mark.parametrize("name", TYPES)
def test_string_representation_both_forms_are_parsed(name: str) -> None:
    peer = peer_id_of(public(name))
    assert parse_peer_id(base58.b58encode(bytes(peer)).decode()) == peer
    body = base64.b32encode(b"\x01\x72" + peer).decode().rstrip("=").lower()
    assert parse_peer_id("b" + body) == peer


def test_string_representation_of_the_examples() -> None:
    assert parse_peer_id(SHA256_CID) == parse_peer_id(SHA256_TEXT)
    assert parse_peer_id(SHA256_TEXT)[:2] == b"\x12\x20"
    key = parse_peer_id(INLINE_TEXT).public_key
    assert key is not None
    assert key.type is KeyType.ED25519


def test_string_representation_base58_is_what_is_shown() -> None:
    peer = parse_peer_id(SHA256_CID)
    assert str(peer) == f"{peer}" == SHA256_TEXT
    assert str(Address("ip4", "192.0.2.1", 1, peer)).endswith("/p2p/" + SHA256_TEXT)


def test_string_representation_cids_are_version_1_in_base32_of_a_libp2p_key() -> None:
    peer = parse_peer_id(INLINE_TEXT)
    assert peer.cid == "b" + base64.b32encode(b"\x01\x72" + peer).decode().rstrip("=").lower()
    assert parse_peer_id(SHA256_TEXT).cid == SHA256_CID


# Encoding and decoding


@pytest.mark.parametrize("text", [SHA256_TEXT, INLINE_TEXT])
def test_decoding_what_starts_with_1_or_qm_is_base58(text: str) -> None:
    assert parse_peer_id(text) == base58.b58decode(text)
    assert str(PeerId(base58.b58decode(text))) == text


def cid(peer: bytes, code: bytes = b"\x01\x72") -> dict[str, str]:
    """A CID by the prefix of each multibase that we read."""
    raw = code + peer
    number, digits = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    b32 = base64.b32encode(raw).decode().rstrip("=")
    b64, url = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()
    bodies = {"b": b32.lower(), "B": b32, "f": raw.hex(), "F": raw.hex().upper()}
    bodies |= {"k": digits, "K": digits.upper(), "z": base58.b58encode(raw).decode()}
    return bodies | {"m": b64.rstrip("="), "u": url.rstrip("=")}


@pytest.mark.parametrize("prefix", "bBfFkKzmu")
def test_decoding_what_starts_with_a_multibase_prefix_is_a_cid(prefix: str) -> None:
    for text in (SHA256_TEXT, INLINE_TEXT):
        peer = parse_peer_id(text)
        assert parse_peer_id(prefix + cid(peer)[prefix]) == peer


@pytest.mark.parametrize("prefix", "bBfFkKzmu")
def test_decoding_only_the_cid_of_a_libp2p_key_is_a_peer_id(prefix: str) -> None:
    peer = parse_peer_id(SHA256_TEXT)
    for code in (b"\x01\x70", b"\x01\x55", b"\x00\x72", b"\x02\x72", b""):
        with pytest.raises(ParamError):
            parse_peer_id(prefix + cid(peer, code)[prefix])


@pytest.mark.parametrize("text", ["", "hello", "@" + SHA256_TEXT, SHA256_TEXT[1:], "Q", "9" * 40])
def test_decoding_anything_else_is_no_peer_id(text: str) -> None:
    with pytest.raises(ParamError):
        parse_peer_id(text)
