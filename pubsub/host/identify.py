"""Identify: each end tells the other its key, addresses and protocols (specs: identify/README.md).

    asker ── /ipfs/id/1.0.0 ──────► teller      the stream alone is the question
    asker ◄── length, message(s) ── teller      then the stream ends
    teller ── /ipfs/id/push/1.0.0 ► other       the same, unasked, when something changed

Peers open their pubsub stream only after this lists a protocol that they speak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import trio
from google.protobuf.message import DecodeError

from pubsub.errors import RemoteError
from pubsub.host.signed_record import SignedRecord
from pubsub.host.stream import Stream
from pubsub.identity import Address, PeerId, PublicKey, address_from_bytes
from pubsub.pb import identify_pb2
from pubsub.wire.framing import FrameReader, frame

PROTOCOL = "/ipfs/id/1.0.0"
PUSH = "/ipfs/id/push/1.0.0"
PROTOCOL_VERSION = "ipfs/0.1.0"
MAX_SENT = 4096
"rust reads no more in one message."
MAX_PART = 8192
MAX_PARTS = 10
"go's and js's bounds on what they read."
END_TIMEOUT = 2.0
"Wait for the stream's end, or another part, after a whole one; ours."
MAX_PROTOCOLS = 1000
"go's bound."
MAX_ADDRESSES = 64
MAX_NAME = 256
"Characters of a protocol or agent that are worth keeping; ours."


@dataclass(frozen=True, slots=True)
class Identity:
    """What a peer told about itself, checked."""

    protocols: tuple[str, ...]
    addresses: tuple[Address, ...]
    agent: str
    observed: Address | None
    public_key: PublicKey | None
    record: SignedRecord | None = None
    "Its own, checked."

    bad_record: str = ""
    "What is wrong with the signed record that came, if anything is."


def encode(
    *,
    key: PublicKey,
    addresses: Sequence[Address],
    protocols: Sequence[str],
    agent: str,
    observed: Address | None,
    record: bytes | None = None,
) -> bytes:
    """Our message, at most 4 KiB: addresses that do not fit are left out, the last ones first.

    Our signed `record` goes before them, since a peer that reads it needs no others.
    """
    message = identify_pb2.Identify(
        public_key=key.protobuf,
        protocols=protocols,
        protocol_version=PROTOCOL_VERSION,
        agent_version=agent[:MAX_NAME],
    )
    if observed is not None:
        message.observed_addr = observed.with_peer(None).to_bytes()
    room = MAX_SENT - message.ByteSize()
    if record is not None and len(record) + 3 <= room:
        message.signed_peer_record = record
        room -= len(record) + 3
    for address in addresses:
        raw = address.with_peer(None).to_bytes()
        # A tag and a length of one or two bytes come with each.
        room -= len(raw) + 3
        if room < 0:
            break
        message.listen_addrs.append(raw)
    return message.SerializeToString()


def decode(parts: Sequence[bytes], peer: PeerId) -> Identity:
    """Read a message that came in `parts` from `peer`.

    Raises RemoteError if it is malformed or carries another peer's key.
    """
    message = identify_pb2.Identify()
    try:
        for part in parts:
            message.MergeFromString(part)
        # What is not UTF-8 is handed out as bytes, whatever the types say.
        protocols = tuple(dict.fromkeys(p for p in message.protocols if isinstance(p, str)))
        agent = message.agent_version[:MAX_NAME]
        if not isinstance(agent, str):
            agent = ""
    except (DecodeError, UnicodeDecodeError) as error:
        raise RemoteError("identify message is not a valid protobuf") from error
    if len(protocols) > MAX_PROTOCOLS:
        raise RemoteError(f"peer names {len(protocols)} protocols; at most {MAX_PROTOCOLS}")
    key = None
    if message.public_key:
        key = PublicKey.from_protobuf(message.public_key)
        if not peer.matches(key):
            raise RemoteError("identify message carries another peer's key")
    record, bad_record = _record(message.signed_peer_record, peer)
    observed = _address(message.observed_addr)
    found = (_address(raw) for raw in message.listen_addrs[:MAX_ADDRESSES])
    return Identity(
        protocols=tuple(name for name in protocols if name and len(name) <= MAX_NAME),
        addresses=tuple(a for a in found if a is not None and a.peer in (None, peer)),
        agent="".join(c for c in agent if c.isprintable()),
        observed=observed.with_peer(None) if observed is not None else None,
        public_key=key,
        record=record,
        bad_record=bad_record,
    )


def _record(encoded: bytes, peer: PeerId) -> tuple[SignedRecord | None, str]:
    """The peer's own record, or what is wrong with it: all else that it told may be right."""
    if not encoded:
        return None, ""
    try:
        record = SignedRecord.read(encoded)
    except RemoteError as error:
        return None, str(error)
    if record.peer != peer:
        return None, "identify message carries another peer's record"
    return record, ""


def _address(raw: bytes) -> Address | None:
    """None for what we cannot dial anyway, such as QUIC."""
    try:
        return address_from_bytes(raw)
    except RemoteError:
        return None


async def receive(stream: Stream) -> Identity:
    """Read what the peer tells until it ends the stream.

    Raises RemoteError if it is malformed or too much, StreamError if it is cut off.
    """
    reader = FrameReader(MAX_PART)
    parts: list[bytes] = []
    with trio.CancelScope() as patience:
        while data := await stream.receive_some():
            parts += reader.feed(data)
            if len(parts) > MAX_PARTS:
                raise RemoteError(f"identify message of more than {MAX_PARTS} parts")
            # Whoever forgets to end the stream has still said what we need.
            if parts and not reader.buffered:
                patience.deadline = trio.current_time() + END_TIMEOUT
    if reader.buffered or not parts:
        raise RemoteError("identify message was cut off")
    return decode(parts, stream.peer)


async def send(stream: Stream, message: bytes) -> None:
    """Tell `message` and end the stream."""
    await stream.send_all(frame(message))
    await stream.aclose()
