"""Signed envelopes and peer records: a peer's own word on where it can be reached.

    envelope = key, payload type, payload, signature over (domain, type, payload)

RFC 0002 and RFC 0003 of the libp2p specifications. The domain and the payload
type are those that go, js, nim and py use; the text of RFC 0003 has others,
which only rust's default writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from pubsub.errors import RemoteError
from pubsub.identity.address import Address, address_from_bytes
from pubsub.identity.keys import PrivateKey, PublicKey
from pubsub.identity.peer_id import PeerId, peer_id_of
from pubsub.pb import envelope_pb2

PEER_RECORD_DOMAIN = b"libp2p-peer-record"
PEER_RECORD_TYPE = b"\x03\x01"
MAX_ENVELOPE_BYTES = 8 * 1024
MAX_ADDRESSES = 64


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """Where `peer` says it can be reached; the record with the highest `seq` counts."""

    peer: PeerId
    seq: int
    addresses: tuple[Address, ...]


def _length(value: bytes) -> bytes:
    size, out = len(value), bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


def _signed_bytes(domain: bytes, payload_type: bytes, payload: bytes) -> bytes:
    return b"".join(_length(part) + part for part in (domain, payload_type, payload))


def seal(key: PrivateKey, domain: bytes, payload_type: bytes, payload: bytes) -> bytes:
    """Sign `payload` and put it in an encoded envelope."""
    return envelope_pb2.Envelope(
        public_key=key.public_key.protobuf,
        payload_type=payload_type,
        payload=payload,
        signature=key.sign(_signed_bytes(domain, payload_type, payload)),
    ).SerializeToString()


def unseal(encoded: bytes, domain: bytes, payload_type: bytes) -> tuple[PublicKey, bytes]:
    """Open an envelope and return (who signed it, payload).

    Raises RemoteError if it is malformed, of another type, or wrongly signed.
    """
    if len(encoded) > MAX_ENVELOPE_BYTES:
        raise RemoteError(f"envelope of {len(encoded)} bytes; at most {MAX_ENVELOPE_BYTES}")
    try:
        message = envelope_pb2.Envelope.FromString(encoded)
    except DecodeError as error:
        raise RemoteError("malformed envelope") from error
    if message.payload_type != payload_type:
        raise RemoteError(f"envelope of type {message.payload_type[:16].hex()}")
    key = PublicKey.from_protobuf(message.public_key)
    if not key.verify(_signed_bytes(domain, payload_type, message.payload), message.signature):
        raise RemoteError("envelope with a bad signature")
    return key, message.payload


def seal_peer_record(key: PrivateKey, addresses: Sequence[Address], seq: int) -> bytes:
    """Our own record, signed. `seq` must grow: wall-clock nanoseconds serve."""
    record = envelope_pb2.PeerRecord(peer_id=bytes(peer_id_of(key.public_key)), seq=seq)
    for address in addresses[:MAX_ADDRESSES]:
        record.addresses.add(multiaddr=address.with_peer(None).to_bytes())
    return seal(key, PEER_RECORD_DOMAIN, PEER_RECORD_TYPE, record.SerializeToString())


def unseal_peer_record(encoded: bytes) -> PeerRecord:
    """Read a signed peer record; addresses of transports that we do not speak are left out.

    Raises RemoteError if it is malformed, or not signed by the peer it is about.
    """
    key, payload = unseal(encoded, PEER_RECORD_DOMAIN, PEER_RECORD_TYPE)
    try:
        record = envelope_pb2.PeerRecord.FromString(payload)
    except DecodeError as error:
        raise RemoteError("malformed peer record") from error
    peer = peer_id_of(key)
    if record.peer_id != peer:
        raise RemoteError("peer record signed by another peer")
    addresses: list[Address] = []
    for info in record.addresses[:MAX_ADDRESSES]:
        try:
            address = address_from_bytes(info.multiaddr)
        except RemoteError:
            continue
        if address.peer in (None, peer):
            addresses.append(address.with_peer(peer))
    return PeerRecord(peer, record.seq, tuple(addresses))
