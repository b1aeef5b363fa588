"""Signed peer records: a peer's own word on its addresses, which others may pass on.

Ours is sealed anew when our addresses change. Of a peer's, the one with the highest `seq` counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pubsub.identity import Address, PeerId, PrivateKey
from pubsub.identity.envelope import seal_peer_record, unseal_peer_record

MAX_OWN_BYTES = 1024
"An identify message of 4 KiB must hold ours beside all else; and it travels in PRUNEs (ours)."
FRAME_BYTES = 256
"Of those, for key, id, seq and signature."
ENTRY_BYTES = 8
"Tags and lengths around one address."


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A record that was checked, and the bytes to pass on."""

    peer: PeerId
    seq: int
    addresses: tuple[Address, ...]
    encoded: bytes = field(repr=False)

    @classmethod
    def read(cls, encoded: bytes) -> SignedRecord:
        """Open and check a sealed record.

        Raises RemoteError if it is malformed, or not signed by the peer it is about.
        """
        record = unseal_peer_record(encoded)
        return cls(record.peer, record.seq, record.addresses, encoded)


class OwnRecord:
    """Our record, sealed when it is asked for and something changed."""

    def __init__(self, key: PrivateKey, wall_clock: Callable[[], int]) -> None:
        self._key = key
        self._wall_clock = wall_clock
        "Nanoseconds, so that a host that restarts goes on counting where it was."
        self._seq = 0
        self._addresses: tuple[Address, ...] = ()
        self._encoded = b""

    def sealed(self, addresses: Sequence[Address]) -> bytes | None:
        """The record for these addresses, the first ones if not all fit; None without any."""
        if not addresses:
            return None
        if tuple(addresses) != self._addresses:
            self._addresses = tuple(addresses)
            # A wall clock may be set back.
            self._seq = max(self._wall_clock(), self._seq + 1)
            self._encoded = seal_peer_record(self._key, _fitting(addresses), self._seq)
        return self._encoded


def _fitting(addresses: Sequence[Address]) -> list[Address]:
    room = MAX_OWN_BYTES - FRAME_BYTES
    fitting: list[Address] = []
    for address in addresses:
        room -= len(address.with_peer(None).to_bytes()) + ENTRY_BYTES
        if room < 0:
            break
        fitting.append(address)
    return fitting
