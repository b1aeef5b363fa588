"""RSA, secp256k1 and ECDSA: signatures made elsewhere are accepted, everything else is False."""

import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
)

from pubsub.errors import RemoteError
from pubsub.identity import PrivateKey, PublicKey, other_keys
from pubsub.pb import keys_pb2

KEYS = json.loads((Path(__file__).parents[2] / "vectors" / "peer_id_keys.json").read_text())["keys"]
SHA256 = hashes.SHA256()


@cache
def signer(name: str) -> Callable[[bytes], bytes]:
    """Sign with the specification's private key, through `cryptography`."""
    data = keys_pb2.PrivateKey.FromString(bytes.fromhex(KEYS[name]["private"])).data
    if name == "secp256k1":
        curve_key = ec.derive_private_key(int.from_bytes(data, "big"), ec.SECP256K1())
        return lambda message: curve_key.sign(message, ec.ECDSA(SHA256))
    key = load_der_private_key(data, password=None)
    if isinstance(key, rsa.RSAPrivateKey):
        return lambda message: key.sign(message, padding.PKCS1v15(), SHA256)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return lambda message: key.sign(message, ec.ECDSA(SHA256))


def public(name: str) -> PublicKey:
    return PublicKey.from_protobuf(bytes.fromhex(KEYS[name]["public"]))


@pytest.mark.parametrize("name", ["rsa", "secp256k1", "ecdsa"])
def test_signature_of_the_specifications_key(name: str) -> None:
    signature = signer(name)(b"message")
    assert public(name).verify(b"message", signature)
    assert not public(name).verify(b"another", signature)
    assert not public(name).verify(b"message", signature[:-1])
    assert not public(name).verify(b"message", b"")


@pytest.mark.parametrize("name", ["rsa", "secp256k1", "ecdsa"])
def test_no_key_takes_anothers_signature(name: str) -> None:
    signature = signer(name)(b"message")
    for other in {"rsa", "secp256k1", "ecdsa"} - {name}:
        assert not public(other).verify(b"message", signature)


def test_ed25519_through_the_second_library() -> None:
    key = PrivateKey(b"k" * 32)
    signature = key.sign(b"message")
    assert other_keys.verify(other_keys.ED25519, key.public_key.data, b"message", signature)
    assert not other_keys.verify(other_keys.ED25519, key.public_key.data, b"?", signature)


def test_key_of_another_type_is_false() -> None:
    ecdsa, rsa_key = public("ecdsa"), public("rsa")
    signature = signer("ecdsa")(b"message")
    assert not other_keys.verify(other_keys.RSA, ecdsa.data, b"message", signature)
    assert not other_keys.verify(other_keys.ECDSA, rsa_key.data, b"message", signature)
    assert not other_keys.verify(9, ecdsa.data, b"message", signature)


@pytest.mark.parametrize("bits", [1024, 2047])
def test_small_rsa_keys_are_false(bits: int) -> None:
    # Built from numbers: what counts is that the size is looked at, not that it is secure.
    numbers = rsa.RSAPublicNumbers(65537, (1 << bits - 1) + 1)
    data = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert not other_keys.verify(other_keys.RSA, data, b"message", bytes(bits // 8))


def test_large_rsa_keys_are_false() -> None:
    numbers = rsa.RSAPublicNumbers(65537, (1 << 8200) + 1)
    data = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert not other_keys.verify(other_keys.RSA, data, b"message", bytes(1025))


@pytest.mark.parametrize("name", ["rsa", "secp256k1", "ecdsa"])
def test_damaged_keys_are_false(name: str) -> None:
    rng = random.Random(name)
    good = bytes.fromhex(KEYS[name]["public"])
    signature = signer(name)(b"message")
    for _ in range(300):
        damaged = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            key = PublicKey.from_protobuf(bytes(damaged))
        except RemoteError:
            continue
        assert key.verify(b"message", signature) == (key == public(name))


def test_rsa_keys_made_to_be_slow_are_refused() -> None:
    """An exponent as long as the modulus makes each check a hundred times as slow."""
    honest = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    numbers = honest.private_numbers()
    phi = (numbers.p - 1) * (numbers.q - 1)
    exponent = pow(65537, -1, phi)
    slow = rsa.RSAPrivateNumbers(
        p=numbers.p,
        q=numbers.q,
        d=65537,
        dmp1=65537 % (numbers.p - 1),
        dmq1=65537 % (numbers.q - 1),
        iqmp=numbers.iqmp,
        public_numbers=rsa.RSAPublicNumbers(exponent, numbers.public_numbers.n),
    )
    data = slow.public_numbers.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    # s = m ** 65537 fits the slow key as well as s = m ** d fits the honest one.
    signature = slow.private_key().sign(b"message", padding.PKCS1v15(), SHA256)
    assert not other_keys.verify(other_keys.RSA, data, b"message", signature)


def test_ecdsa_keys_on_rare_curves_are_refused() -> None:
    key = ec.generate_private_key(ec.BrainpoolP512R1())
    data = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signature = key.sign(b"message", ec.ECDSA(SHA256))
    assert not other_keys.verify(other_keys.ECDSA, data, b"message", signature)
