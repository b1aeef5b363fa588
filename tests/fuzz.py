"""Hostile bytes for parsers: random, cut off, changed, doubled, from a seed.

PUBSUB_FUZZ says how many inputs each parser gets.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence

COUNT = int(os.environ.get("PUBSUB_FUZZ", "100000"))


def hostile_bytes(rng: random.Random, valid: Sequence[bytes], count: int) -> Iterator[bytes]:
    """A third random, a third cut off, a third changed in a few places."""
    for number in range(count):
        kind = number % 3
        if kind == 0:
            yield rng.randbytes(rng.randrange(40))
            continue
        good = valid[number // 3 % len(valid)]
        if kind == 1:
            yield good[: rng.randrange(len(good))]
            continue
        data = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        yield bytes(data)
