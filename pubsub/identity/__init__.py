"""Who is who: keys, peer ids and addresses. Pure: no sockets, no files, no clock."""

from pubsub.identity.address import Address, address_from_bytes, parse_address
from pubsub.identity.keys import KeyType, PrivateKey, PublicKey
from pubsub.identity.peer_id import PeerId, parse_peer_id, peer_id_of

__all__ = [
    "Address",
    "KeyType",
    "PeerId",
    "PrivateKey",
    "PublicKey",
    "address_from_bytes",
    "parse_address",
    "parse_peer_id",
    "peer_id_of",
]
