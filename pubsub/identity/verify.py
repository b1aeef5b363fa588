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
    UNCHECKED = "unchecked"


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


def check_all(items: Iterable[SignatureCheck], *, max_bad: int = 16) -> list[Verdict]:
    """The verdicts, in order; after `max_bad` bad ones the rest is left unchecked.

    A batch comes from one peer, and one that sends so many forgeries is not
    worth the time that more of them would take.
    """
    verdicts: list[Verdict] = []
    bad = 0
    for item in items:
        verdict = check(item) if bad < max_bad else Verdict.UNCHECKED
        bad += verdict is Verdict.BAD
        verdicts.append(verdict)
    return verdicts
