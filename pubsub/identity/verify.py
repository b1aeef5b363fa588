"""Checking signatures in batches, and the one subtlety of Ed25519.

Libraries disagree on small-order and non-canonical keys: libsodium refuses
them, others accept some. A message that only libsodium refuses is ODD: it is
neither delivered nor forwarded, and nobody is blamed, because a peer with
another library forwarded it in good faith.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple

from pubsub.identity.keys import KeyType, PublicKey


class Verdict(enum.Enum):
    GOOD = "good"
    BAD = "bad"
    ODD = "odd"


class SignatureCheck(NamedTuple):
    """One signature to check."""

    key: PublicKey
    payload: bytes
    signature: bytes


def check(item: SignatureCheck) -> Verdict:
    """The verdict on one signature. Never raises."""
    if item.key.verify(item.payload, item.signature):
        return Verdict.GOOD
    if item.key.type is KeyType.ED25519:
        from pubsub.identity import other_keys

        if other_keys.verify(other_keys.ED25519, item.key.data, item.payload, item.signature):
            return Verdict.ODD
    return Verdict.BAD


def check_all(items: Iterable[SignatureCheck]) -> list[Verdict]:
    """The verdicts, in order."""
    return [check(item) for item in items]
