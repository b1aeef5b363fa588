"""Keys: the specification's vectors, storage, signing, and what is no key."""

import json
import random
from pathlib import Path

import pytest

from pubsub.errors import ParamError, RemoteError
from pubsub.identity import KeyType, PrivateKey, PublicKey
from pubsub.identity.keys import MAX_KEY_BYTES, cached_public_key, verify_ed25519

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "peer_id_keys.json").read_text())
KEYS = VECTORS["keys"]
TYPES = {
    "rsa": KeyType.RSA,
    "ed25519": KeyType.ED25519,
    "secp256k1": KeyType.SECP256K1,
    "ecdsa": KeyType.ECDSA,
}


def vector(name: str, half: str) -> bytes:
    return bytes.fromhex(KEYS[name][half])


@pytest.mark.parametrize("name", TYPES)
def test_public_key_of_the_specification(name: str) -> None:
    key = PublicKey.from_protobuf(vector(name, "public"))
    assert key.type is TYPES[name]
    assert key.protobuf == vector(name, "public")


def test_private_key_of_the_specification() -> None:
    key = PrivateKey.from_protobuf(vector("ed25519", "private"))
    assert key.public_key.protobuf == vector("ed25519", "public")
    assert key.protobuf == vector("ed25519", "private")


@pytest.mark.parametrize("name", ["rsa", "secp256k1", "ecdsa"])
def test_stored_key_we_cannot_sign_with_is_named(name: str) -> None:
    with pytest.raises(ParamError, match=TYPES[name].name):
        PrivateKey.from_protobuf(vector(name, "private"))


def test_old_form_with_the_public_key_twice() -> None:
    encoded = vector("ed25519", "private")
    old = b"\x08\x01\x12\x60" + encoded[4:] + encoded[-32:]
    assert PrivateKey.from_protobuf(old).protobuf == encoded
    with pytest.raises(ParamError):
        PrivateKey.from_protobuf(old[:-1] + b"?")


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"not a protobuf",
        b"\x08\x01",
        b"\x12\x01a",
        b"\x08\x01\x12\x00",
        b"\x08\x01\x12\x40" + bytes(64),
        b"\x08\x09\x12\x40" + bytes(64),
    ],
)
def test_damaged_stored_key_is_refused(encoded: bytes) -> None:
    with pytest.raises(ParamError):
        PrivateKey.from_protobuf(encoded)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        b"\xff",
        b"\x08\x01",
        b"\x12\x20" + bytes(32),
        b"\x08\x04\x12\x20" + bytes(32),
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x20" + bytes(32),
        b"\x08\x01\x12\x1f" + bytes(31),
        b"\x08\x01\x12\x21" + bytes(33),
        b"\x08\x02\x12\x41\x04" + bytes(64),
        bytes(MAX_KEY_BYTES + 1),
    ],
)
def test_what_is_no_public_key_is_refused(encoded: bytes) -> None:
    with pytest.raises(RemoteError):
        PublicKey.from_protobuf(encoded)
    assert cached_public_key(encoded) is None


def test_odd_but_readable_encoding_gives_the_deterministic_one() -> None:
    key = PrivateKey(b"k" * 32).public_key
    swapped = b"\x12\x20" + key.data + b"\x08\x81\x00" + b"\x18\x05"
    assert PublicKey.from_protobuf(swapped).protobuf == key.protobuf
    assert cached_public_key(swapped) == key


def test_signature_is_checked() -> None:
    key = PrivateKey.generate(random.Random(1).randbytes)
    signature = key.sign(b"message")
    assert len(signature) == 64
    assert key.public_key.verify(b"message", signature)
    assert not key.public_key.verify(b"another", signature)
    assert not PrivateKey(b"x" * 32).public_key.verify(b"message", signature)


def test_every_changed_bit_of_a_signature_is_noticed() -> None:
    key = PrivateKey(b"k" * 32)
    signature = key.sign(b"message")
    for bit in range(512):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        assert not key.public_key.verify(b"message", bytes(changed))


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65), bytes(1000)])
@pytest.mark.parametrize("key", [b"", bytes(32), b"\xff" * 32, b"\x01" + bytes(31)])
def test_odd_keys_and_signatures_are_just_false(key: bytes, signature: bytes) -> None:
    assert not verify_ed25519(key, b"message", signature)


def test_rfc_8032_signature() -> None:
    key = PrivateKey(
        bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    )
    assert key.public_key.data == bytes.fromhex(
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    )
    assert key.sign(b"\x72") == bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_seed_is_32_bytes_and_never_shown() -> None:
    with pytest.raises(ParamError):
        PrivateKey(b"short")
    assert "kkkk" not in repr(PrivateKey(b"k" * 32))
