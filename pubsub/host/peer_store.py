"""What is known of other peers: addresses, protocols, key, agent. Bounded in every direction.

Peers we are connected to are never forgotten; of the others, the one heard of
least recently goes first. Addresses that a peer signed for come before all others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pubsub.host.signed_record import SignedRecord
from pubsub.identity import Address, PeerId, PublicKey


@dataclass(slots=True)
class PeerRecord:
    """All that is known of one peer."""

    addresses: dict[Address, None] = field(default_factory=dict)
    "Those that it has not signed for, the oldest first."

    signed: SignedRecord | None = None
    "Its own word on its addresses, the newest that came."

    certified: dict[Address, None] = field(default_factory=dict)
    "The addresses of that, in the peer's order, less those that did not work."

    protocols: tuple[str, ...] = ()
    agent: str = ""
    observed: Address | None = None
    "Where this peer sees us."

    public_key: PublicKey | None = None
    connected: bool = False


class PeerStore:
    """Records of at most `max_peers` peers with at most `max_addresses` each."""

    def __init__(self, max_peers: int = 4096, max_addresses: int = 64) -> None:
        self._max_peers = max_peers
        self._max_addresses = max_addresses
        self._records: dict[PeerId, PeerRecord] = {}

    def __contains__(self, peer: object) -> bool:
        return peer in self._records

    def __len__(self) -> int:
        return len(self._records)

    def peers(self) -> list[PeerId]:
        return list(self._records)

    def get(self, peer: PeerId) -> PeerRecord | None:
        return self._records.get(peer)

    def addresses(self, peer: PeerId) -> list[Address]:
        """Addresses of a peer: those it signed for, then the newest; each with the peer's id."""
        record = self._records.get(peer)
        if record is None:
            return []
        found = {**record.certified, **dict.fromkeys(reversed(record.addresses))}
        return [address.with_peer(peer) for address in list(found)[: self._max_addresses]]

    def record(self, peer: PeerId) -> SignedRecord | None:
        """The newest signed record of a peer, as it was read."""
        record = self._records.get(peer)
        return record.signed if record is not None else None

    def signed_record(self, peer: PeerId) -> bytes | None:
        """The same as it came, to pass on."""
        record = self.record(peer)
        return record.encoded if record is not None else None

    def protocols(self, peer: PeerId) -> tuple[str, ...]:
        """What the peer said it speaks; empty if it has not been identified."""
        record = self._records.get(peer)
        return record.protocols if record is not None else ()

    def agent(self, peer: PeerId) -> str:
        record = self._records.get(peer)
        return record.agent if record is not None else ""

    def public_key(self, peer: PeerId) -> PublicKey | None:
        """The peer's key, read from its id where it is not on record."""
        record = self._records.get(peer)
        if record is not None and record.public_key is not None:
            return record.public_key
        return peer.public_key

    def add_addresses(self, peer: PeerId, addresses: Iterable[Address]) -> None:
        """Remember where a peer may be reached. Addresses that name another peer are left out."""
        known = self.touch(peer).addresses
        for address in addresses:
            if address.peer is not None and address.peer != peer:
                continue
            bare = address.with_peer(None)
            known.pop(bare, None)
            known[bare] = None
            if len(known) > self._max_addresses:
                del known[next(iter(known))]

    def add_record(self, signed: SignedRecord) -> bool:
        """Remember a signed record; False if a newer one is known."""
        record = self.touch(signed.peer)
        if record.signed is not None and record.signed.seq >= signed.seq:
            return record.signed.seq == signed.seq
        record.signed = signed
        record.certified = dict.fromkeys(address.with_peer(None) for address in signed.addresses)
        return True

    def remove_address(self, peer: PeerId, address: Address) -> None:
        """Forget an address that does not work."""
        record = self._records.get(peer)
        if record is not None:
            record.addresses.pop(address.with_peer(None), None)
            record.certified.pop(address.with_peer(None), None)

    def touch(self, peer: PeerId) -> PeerRecord:
        """The peer's record, made if there is none, as the most recent one."""
        record = self._records.pop(peer, None) or PeerRecord()
        self._records[peer] = record
        if len(self._records) > self._max_peers:
            victim = next(
                (p for p, r in self._records.items() if not r.connected and p != peer), None
            )
            if victim is not None:
                del self._records[victim]
        return record

    def forget(self, peer: PeerId) -> None:
        record = self._records.get(peer)
        if record is not None and not record.connected:
            del self._records[peer]
