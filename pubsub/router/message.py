"""A message, and how its bytes are made, read and signed (pubsub spec, "The Message").

The bytes a message came in are kept and forwarded as they are. The signature
covers the message encoded again without `signature` and `key`, because that
is what every implementation checks; a sender's unusual field order must not
make us accept what they refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from google.protobuf.message import DecodeError

from pubsub.errors import RemoteError
from pubsub.identity.keys import MAX_KEY_BYTES, PrivateKey, PublicKey, cached_public_key
from pubsub.identity.peer_id import MAX_INLINE_KEY, PeerId, peer_id_from_bytes, peer_id_of
from pubsub.identity.verify import SignatureCheck, Verdict
from pubsub.pb import rpc_pb2
from pubsub.wire.varint import decode_varint, encode_varint

SIGN_PREFIX = b"libp2p-pubsub:"
SEQNO_BYTES = 8
MAX_PEER_ID = 2 + MAX_INLINE_KEY
"Bytes of the longest id that is one."
NO_KEY = b""
"What no key is encoded as."


@dataclass(slots=True, eq=False)
class Message:
    """A message as the application sees it. Not to be changed by its receivers."""

    topic: str

    data: bytes

    id: bytes
    "What the message-id function made of it; copies of one message have one id."

    received_from: PeerId
    "The neighbour it came from; our own id for what we published."

    origin: bytes = b""
    "The `from` field as it came; empty for anonymous messages."

    seqno_bytes: bytes = b""
    "The `seqno` field as it came; empty for anonymous messages."

    encoded: bytes = b""
    "The whole message as a field of an RPC, ready to be queued."

    key_bytes: bytes = b""
    "The `key` field as it came, for authors whose id does not contain their key; else empty."

    @property
    def author(self) -> PeerId | None:
        """Who signed it, or None for an anonymous message."""
        return PeerId(self.origin) if self.origin else None

    @property
    def seqno(self) -> int | None:
        """The author's sequence number, or None for an anonymous message."""
        return int.from_bytes(self.seqno_bytes, "big") if self.seqno_bytes else None

    def __repr__(self) -> str:
        return f"<Message {self.id.hex()[-8:]} in {self.topic!r}, {len(self.data)} bytes>"


MessageIdFunction: TypeAlias = Callable[[Message], bytes]
"Given a message without id (`.id` is empty), says what its id is; see `message_ids`."


def topic_of(encoded: bytes) -> str:
    """The topic of a message that was encoded here, or read before, as a field of an RPC."""
    _, start = decode_varint(encoded, 1) or (0, 0)
    return rpc_pb2.Message.FromString(encoded[start:]).topic


def parse_message(raw: bytes) -> rpc_pb2.Message:
    """Decode one message.

    Raises RemoteError if the bytes are not a message; without penalty, if an
    honest peer may have thought that they are.
    """
    try:
        return rpc_pb2.Message.FromString(raw)
    except DecodeError as error:
        penalty = 0 if _has_group(raw) else 10
        raise RemoteError("malformed message", penalty=penalty) from error


def _has_group(raw: bytes) -> bool:
    """True if an unknown field of the obsolete group type comes before anything malformed.

    Decoders disagree on these: go's accepts groups that end wrongly or are
    nested without end, keeps them, and forwards the message.
    """
    offset = 0
    try:
        for _ in range(_MAX_FIELDS):
            head = decode_varint(raw, offset)
            if head is None:
                break
            tag, offset = head
            number, kind = tag >> 3, tag & 7
            if kind == _GROUP:
                return number > _LAST_FIELD
            if number == 0 or kind not in _SKIP:
                return False
            offset = _SKIP[kind](raw, offset)
    except (RemoteError, IndexError):
        pass
    return False


def _skip_varint(raw: bytes, offset: int) -> int:
    while raw[offset] >= 0x80:
        offset += 1
    return offset + 1


def _skip_bytes(raw: bytes, offset: int) -> int:
    found = decode_varint(raw, offset)
    return found[0] + found[1] if found else len(raw)


_LAST_FIELD = 6
_MAX_FIELDS = 64
"Fields looked at; a message with more of them is nobody's honest work."
_GROUP = 3
_SKIP: dict[int, Callable[[bytes, int], int]] = {
    0: _skip_varint,
    1: lambda raw, offset: offset + 8,
    2: _skip_bytes,
    5: lambda raw, offset: offset + 4,
}
"How to pass over a value, by protobuf's wire types."


def signature_check(parsed: rpc_pb2.Message) -> SignatureCheck | Verdict:
    """What must be verified for `parsed` to be its author's, or why there is nothing to verify.

    `parsed` loses its signature and key, which the signature does not cover.
    """
    has_key = parsed.HasField("key")
    key = author_key(parsed.author, parsed.key if has_key else None)
    if isinstance(key, Verdict):
        return key
    signature = parsed.signature
    parsed.ClearField("signature")
    if has_key:
        parsed.ClearField("key")
    return SignatureCheck(key, SIGN_PREFIX + parsed.SerializeToString(), signature)


def author_key(origin: bytes, key: bytes | None) -> PublicKey | Verdict:
    """The key of author `origin`: the attached `key` if it is his, else the one inside his id.

    BAD if there is none; ODD if one of the implementations would have found one.
    """
    # Whatever is too long to be an id or a key stays out of the cache, which
    # would keep thousands of them, each as long as a message may be.
    if len(origin) > MAX_PEER_ID:
        return _no_key_in(origin)
    if key is not None and len(key) > MAX_KEY_BYTES:
        key = NO_KEY
    return _author_key(origin, key)


def _no_key_in(origin: bytes) -> Verdict:
    # go takes keys of any length out of an id.
    return Verdict.ODD if origin[:1] == b"\0" else Verdict.BAD


@lru_cache(maxsize=4096)
def _author_key(origin: bytes, key: bytes | None) -> PublicKey | Verdict:
    try:
        author = peer_id_from_bytes(origin)
    except RemoteError:
        return _no_key_in(origin)
    inside = author.public_key
    if key is None:
        if inside is None:
            return Verdict.BAD
        # go alone accepts an id that holds its key in an unusual encoding.
        return inside if author.matches(inside) else Verdict.ODD
    attached = cached_public_key(key)
    if attached is None:
        # The signature does not cover `key`: anybody on the way can spoil it, and
        # rust then takes the key inside the id and forwards the message.
        return Verdict.BAD if inside is None else Verdict.ODD
    return attached if author.matches(attached) else Verdict.BAD


class MessageWriter:
    """Makes our own messages: signed with growing sequence numbers, or anonymous."""

    def __init__(self, key: PrivateKey | None, first_seqno: int) -> None:
        self._key = key
        self._seqno = first_seqno
        self.origin = b""
        self._head = b""
        if key is not None:
            self.origin = bytes(peer_id_of(key.public_key))
            self._head = b"\x0a" + encode_varint(len(self.origin)) + self.origin

    def write(self, topic: str, data: bytes, us: PeerId) -> Message:
        """A new message, encoded (fields in order of their numbers) but without its id."""
        name = topic.encode("utf-8")
        body = [self._head, b"\x12", encode_varint(len(data)), data]
        seqno = b""
        if self._key is not None:
            seqno = self._seqno.to_bytes(SEQNO_BYTES, "big")
            self._seqno += 1
            body += (b"\x1a\x08", seqno)
        body += (b"\x22", encode_varint(len(name)), name)
        raw = b"".join(body)
        if self._key is not None:
            raw += b"\x2a\x40" + self._key.sign(SIGN_PREFIX + raw)
        field = b"".join((b"\x12", encode_varint(len(raw)), raw))
        return Message(topic, data, b"", us, self.origin, seqno, field)
