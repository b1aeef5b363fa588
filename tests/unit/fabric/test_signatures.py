import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import given
from hypothesis import strategies as st

from pubsub.fabric.make_certificates import make_ed25519_key, make_key
from pubsub.fabric.signatures import (
    ORDERS,
    HighSError,
    SignatureError,
    is_private_key,
    is_public_key,
    low_s,
    sign,
    verify_signature,
)
from tests.unit.fabric.network import entropy

CURVES = (ec.SECP224R1(), ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
KEYS = [make_ed25519_key(entropy(1)), *(make_key(entropy(1), curve) for curve in CURVES)]
KEY = KEYS[2]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: type(key).__name__)
def test_what_a_key_signs_verifies_with_it_alone(key):
    signature = sign(key, b"data")
    verify_signature(key.public_key(), b"data", signature)
    with pytest.raises(SignatureError):
        verify_signature(key.public_key(), b"date", signature)
    changed = bytes([*signature[:-1], signature[-1] ^ 1])
    with pytest.raises(SignatureError):
        verify_signature(key.public_key(), b"data", changed)


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_the_orders_are_those_of_the_groups(curve):
    # (n - 1) times the generator is its negative: the same x.
    last = ec.derive_private_key(ORDERS[curve.name] - 1, curve).public_key().public_numbers()
    first = ec.derive_private_key(1, curve).public_key().public_numbers()
    assert last.x == first.x
    assert last.y != first.y


@pytest.mark.parametrize("number", range(20))
def test_signatures_have_the_smaller_s_and_the_larger_is_refused(number):
    order = ORDERS["secp256r1"]
    signature = sign(KEY, bytes([number]))
    r, s = decode_dss_signature(signature)
    assert s <= order // 2
    high = encode_dss_signature(r, order - s)
    with pytest.raises(HighSError, match="at most"):
        verify_signature(KEY.public_key(), bytes([number]), high)
    assert low_s(high, order) == low_s(signature, order) == signature


def test_the_same_data_gives_the_same_signature():
    assert sign(KEY, b"data") == sign(KEY, b"data") != sign(KEY, b"other")


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0)])
def test_numbers_that_are_not_positive_are_refused(numbers):
    with pytest.raises(SignatureError, match="not positive"):
        verify_signature(KEY.public_key(), b"data", encode_dss_signature(*numbers))


@given(st.binary(max_size=80))
def test_any_bytes_are_refused_in_one_way(signature):
    for key in KEYS[:3]:
        with pytest.raises(SignatureError):
            verify_signature(key.public_key(), b"data", signature)


def test_bytes_after_a_signature_are_refused():
    with pytest.raises(SignatureError):
        verify_signature(KEY.public_key(), b"data", sign(KEY, b"data") + b"\0")


def test_keys_of_other_kinds_are_not_for_identities():
    for key in (ec.derive_private_key(5, ec.SECP256K1()), rsa.generate_private_key(65537, 2048)):
        assert not is_private_key(key)
        assert not is_public_key(key.public_key())
    assert all(is_private_key(key) and is_public_key(key.public_key()) for key in KEYS)
    assert not is_public_key(KEY)
    assert not is_private_key(KEY.public_key())
