"""Verdicts on signatures: good, bad, and odd, for which nobody is blamed."""

from pubsub.identity import KeyType, PrivateKey, PublicKey
from pubsub.identity.verify import SignatureCheck, Verdict, check, check_all

KEY = PrivateKey(b"k" * 32)
GOOD = SignatureCheck(KEY.public_key, b"message", KEY.sign(b"message"))
BAD = SignatureCheck(KEY.public_key, b"another", KEY.sign(b"message"))
# The neutral point as key and nonce fits every message: libsodium refuses the key,
# OpenSSL does the sum and finds it right.
NEUTRAL = b"\x01" + bytes(31)
ODD = SignatureCheck(PublicKey(KeyType.ED25519, NEUTRAL), b"message", NEUTRAL + bytes(32))


def test_verdicts() -> None:
    assert check(GOOD) is Verdict.GOOD
    assert check(BAD) is Verdict.BAD
    assert check(ODD) is Verdict.ODD


def test_a_signature_that_is_none_is_bad() -> None:
    for signature in (b"", bytes(64), bytes(65)):
        assert check(GOOD._replace(signature=signature)) is Verdict.BAD


def test_other_key_types_are_good_or_bad() -> None:
    key = PublicKey(KeyType.SECP256K1, b"\x02" + bytes(32))
    assert check(GOOD._replace(key=key)) is Verdict.BAD


def test_a_batch_keeps_its_order() -> None:
    assert check_all([BAD, GOOD, ODD, BAD]) == [
        Verdict.BAD,
        Verdict.GOOD,
        Verdict.ODD,
        Verdict.BAD,
    ]
    assert check_all([]) == []


def test_after_many_forgeries_the_rest_of_a_batch_is_not_worth_the_time() -> None:
    verdicts = check_all([GOOD, *[BAD] * 20, GOOD], max_bad=16)
    assert verdicts == [Verdict.GOOD] + [Verdict.BAD] * 16 + [Verdict.UNCHECKED] * 5
