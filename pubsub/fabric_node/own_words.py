"""What a user has its peer say of itself, checked where it is given.

Others refuse messages that are too long, and hold it against those who pass them on: a peer
with too much to say would vanish from the membership.
"""

from __future__ import annotations

from collections.abc import Iterable

from pubsub.errors import ParamError
from pubsub.fabric.peer_state import Chaincode
from pubsub.fabric.state_info import MAX_STATE
from pubsub.node import arguments
from pubsub.pb.fabric.gossip_pb2 import Chaincode as EncodedChaincode
from pubsub.pb.fabric.gossip_pb2 import Properties

MAX_HEIGHT = (1 << 64) - 1
MAX_METADATA = 8 * 1024
"Bytes (ours): an AliveMessage has 16 KiB, with the identity and the endpoints."
MAX_CHAINCODES = 10_000
MAX_CHAINCODES_BYTES = MAX_STATE - 8 * 1024
"Of all together, encoded: a StateInfo's, less the rest of it (ours)."


def checked_height(height: int) -> int:
    """What a ledger's height can be. Raises ParamError."""
    if arguments.count("height", height, least=1) > MAX_HEIGHT:
        raise ParamError(f"height must be at most {MAX_HEIGHT}, not {height}")
    return height


def checked_metadata(metadata: bytes) -> bytes:
    """What an AliveMessage can carry. Raises ParamError."""
    if not isinstance(metadata, bytes):
        raise ParamError(f"metadata must be bytes, not {metadata!r:.80}")
    if len(metadata) > MAX_METADATA:
        raise ParamError(f"metadata of {len(metadata)} bytes; at most {MAX_METADATA}")
    return metadata


def checked_chaincodes(chaincodes: Iterable[Chaincode]) -> tuple[Chaincode, ...]:
    """What a StateInfo can carry. Raises ParamError."""
    found = tuple(chaincodes)
    if len(found) > MAX_CHAINCODES:
        raise ParamError(f"{len(found)} chaincodes; at most {MAX_CHAINCODES}")
    size = Properties(chaincodes=map(_encoded, found)).ByteSize()
    if size > MAX_CHAINCODES_BYTES:
        raise ParamError(f"chaincodes of {size} bytes; at most {MAX_CHAINCODES_BYTES}")
    return found


def _encoded(chaincode: Chaincode) -> EncodedChaincode:
    if not isinstance(chaincode, Chaincode):
        raise ParamError(f"not a Chaincode: {chaincode!r:.80}")
    name, version, metadata = chaincode.name, chaincode.version, chaincode.metadata
    try:
        return EncodedChaincode(name=name, version=version, metadata=metadata)
    except (TypeError, ValueError) as error:
        raise ParamError(f"{chaincode!r:.80} is no two texts and bytes: {error}") from error
