"""The RPC: what one frame of a pubsub stream says, read with limits and written in parts.

    RPC ─┬─ subscriptions   (topic, joined or left)
         ├─ publish         whole messages, kept as the bytes they came in
         └─ control         IHAVE  IWANT  GRAFT  PRUNE  IDONTWANT

Topics that are not UTF-8 are passed over: no topic of ours can be meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from pubsub.errors import RemoteError
from pubsub.pb import rpc_pb2
from pubsub.wire.varint import encode_varint

PUBLISH_TAG = b"\x12"
"Field 2, length-delimited."
IDONTWANT_IDS = 10
MAX_OFFERED = 64
"Peers read from one PRUNE; nim names up to 24 (ours)."
MAX_IDS = 50_000
"Message ids of IHAVE, IWANT and IDONTWANT in one RPC; implementations send 5,000 a topic (ours)."


@dataclass(frozen=True, slots=True)
class OfferedPeer:
    """A peer named in a PRUNE, and its signed record or nothing. Neither is checked here."""

    id: bytes
    record: bytes


@dataclass(frozen=True, slots=True)
class PrunedTopic:
    """One PRUNE; `backoff` in seconds, None where the peer gave none (v1.0)."""

    topic: str
    backoff: int | None = None
    peers: tuple[OfferedPeer, ...] = ()


@dataclass(slots=True)
class Control:
    """The control part of an RPC."""

    ihave: list[tuple[str, list[bytes]]] = field(default_factory=list)
    iwant: list[bytes] = field(default_factory=list)
    graft: list[str] = field(default_factory=list)
    prune: list[PrunedTopic] = field(default_factory=list)
    idontwant: list[bytes] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.ihave or self.iwant or self.graft or self.prune or self.idontwant)


@dataclass(slots=True)
class Rpc:
    """One decoded RPC."""

    subscriptions: list[tuple[str, bool]]
    publish: Sequence[bytes]
    control: Control | None


def decode_rpc(payload: bytes, *, max_publish: int, max_control: int) -> Rpc:
    """Read one RPC.

    Raises RemoteError if it is not one, or holds more messages than
    `max_publish`, or more subscriptions and control entries than `max_control`.
    """
    try:
        message = rpc_pb2.RPC.FromString(payload)
    except DecodeError as error:
        raise RemoteError("malformed RPC", penalty=10) from error
    publish = message.publish
    if len(publish) > max_publish:
        raise RemoteError(f"an RPC with {len(publish)} messages; at most {max_publish}", penalty=10)
    subscriptions: list[tuple[str, bool]] = []
    if message.subscriptions:
        _check_count(len(message.subscriptions), max_control)
        subscriptions = [
            (entry.topic_id, entry.subscribe)
            for entry in message.subscriptions
            if isinstance(entry.topic_id, str)
        ]
    control = _control(message.control, max_control) if message.HasField("control") else None
    return Rpc(subscriptions, publish, control)


def _check_count(count: int, limit: int) -> None:
    if count > limit:
        raise RemoteError(f"an RPC with {count} control entries; at most {limit}", penalty=10)


def _control(message: rpc_pb2.ControlMessage, limit: int) -> Control:
    _check_count(
        len(message.ihave)
        + len(message.iwant)
        + len(message.graft)
        + len(message.prune)
        + len(message.idontwant),
        limit,
    )
    ids = sum(len(have.message_ids) for have in message.ihave)
    ids += sum(len(want.message_ids) for want in message.iwant)
    ids += sum(len(unwanted.message_ids) for unwanted in message.idontwant)
    if ids > MAX_IDS:
        raise RemoteError(f"an RPC with {ids} message ids; at most {MAX_IDS}", penalty=10)
    control = Control()
    for have in message.ihave:
        if isinstance(have.topic_id, str):
            control.ihave.append((have.topic_id, list(have.message_ids)))
    for want in message.iwant:
        control.iwant.extend(want.message_ids)
    for unwanted in message.idontwant:
        control.idontwant.extend(unwanted.message_ids)
    control.graft.extend(
        entry.topic_id for entry in message.graft if isinstance(entry.topic_id, str)
    )
    control.prune.extend(
        PrunedTopic(
            entry.topic_id,
            entry.backoff if entry.HasField("backoff") else None,
            tuple(
                OfferedPeer(one.peer_id, one.signed_peer_record)
                for one in entry.peers[:MAX_OFFERED]
            ),
        )
        for entry in message.prune
        if isinstance(entry.topic_id, str)
    )
    return control


def publish_field(raw: bytes) -> bytes:
    """A whole message as a field of an RPC; RPCs are made by joining such fields."""
    return b"".join((PUBLISH_TAG, encode_varint(len(raw)), raw))


def encode_control(
    subscriptions: Iterable[tuple[str, bool]], control: Control, *, limit: int
) -> Iterator[bytes]:
    """RPC payloads that say all this, each of at most `limit` bytes where entries can be parted.

    IHAVE and IWANT lists are cut between ids; a single entry longer than
    `limit` (a very long topic) stands alone.
    """
    batch = rpc_pb2.RPC()
    size = 0
    for entry, cost in _entries(subscriptions, control, limit):
        if size and size + cost > limit:
            yield batch.SerializeToString()
            batch = rpc_pb2.RPC()
            size = 0
        batch.MergeFrom(entry)
        size += cost
    if size:
        yield batch.SerializeToString()


def encode_idontwant(ids: Sequence[bytes]) -> Iterator[bytes]:
    """RPC payloads that say which messages are not wanted; go reads ten ids of each RPC."""
    for start in range(0, len(ids), IDONTWANT_IDS):
        rpc = rpc_pb2.RPC()
        rpc.control.idontwant.add(message_ids=ids[start : start + IDONTWANT_IDS])
        yield rpc.SerializeToString()


def _entries(
    subscriptions: Iterable[tuple[str, bool]], control: Control, limit: int
) -> Iterator[tuple[rpc_pb2.RPC, int]]:
    for topic, joined in subscriptions:
        rpc = rpc_pb2.RPC()
        rpc.subscriptions.add(subscribe=joined, topic_id=topic)
        yield rpc, rpc.ByteSize()
    for topic in control.graft:
        rpc = rpc_pb2.RPC()
        rpc.control.graft.add(topic_id=topic)
        yield rpc, rpc.ByteSize()
    for entry in control.prune:
        rpc = rpc_pb2.RPC()
        pruned = rpc.control.prune.add(topic_id=entry.topic, backoff=entry.backoff)
        for offered in entry.peers:
            record = offered.record or None
            pruned.peers.add(peer_id=offered.id, signed_peer_record=record)
        yield rpc, rpc.ByteSize()
    for topic, ids in control.ihave:
        for part in _id_parts(ids, limit - len(topic.encode())):
            rpc = rpc_pb2.RPC()
            rpc.control.ihave.add(topic_id=topic, message_ids=part)
            yield rpc, rpc.ByteSize()
    for part in _id_parts(control.iwant, limit):
        rpc = rpc_pb2.RPC()
        rpc.control.iwant.add(message_ids=part)
        yield rpc, rpc.ByteSize()


def _id_parts(ids: Sequence[bytes], limit: int) -> Iterator[Sequence[bytes]]:
    start = size = 0
    for index, message_id in enumerate(ids):
        cost = len(message_id) + 3
        # 16 bytes stand for the tags and lengths around the list.
        if index > start and size + cost + 16 > limit:
            yield ids[start:index]
            start, size = index, 0
        size += cost
    if start < len(ids):
        yield ids[start:]
