"""Whatever a peer sends, every parser answers with events or RemoteError, nothing else.

    PUBSUB_FUZZ=100000 python -m pytest tests/property/test_transport_fuzz.py

Each run feeds one input in pieces: random bytes, or a good dialogue that was cut,
changed, repeated or spliced.
"""

import os
import random
from collections.abc import Callable

import pytest

from pubsub.errors import RemoteError
from pubsub.identity import PrivateKey, PublicKey, address_from_bytes, parse_address
from pubsub.identity.peer_id import peer_id_from_bytes, peer_id_of
from pubsub.transport import Connection, Initiator, NoiseHandshake, NoiseSession, Responder
from pubsub.transport.multistream import encode_message
from pubsub.transport.yamux import YamuxSession
from pubsub.transport.yamux_frames import HEADER, YamuxLimits

RUNS = int(os.environ.get("PUBSUB_FUZZ", "2000"))
KEY = PrivateKey(b"k" * 32)
SESSION_KEY = b"s" * 32
DIALOGUE = b"".join(map(encode_message, ("/multistream/1.0.0", "/tls/1.0.0", "ls", "na", "/noise")))

Feed = Callable[[bytes], object]


def fixed_entropy(size: int) -> bytes:
    return b"\x42" * size


def handshake(*, initiator: bool) -> NoiseHandshake:
    return NoiseHandshake(
        initiator=initiator, key=KEY, entropy=fixed_entropy, muxers=("/yamux/1.0.0",)
    )


def payload_feed(_: random.Random) -> Feed:
    machine = handshake(initiator=True)
    machine._remote_static = machine._static_public
    return machine._check_payload


def second_feed(_: random.Random) -> Feed:
    return handshake(initiator=True).receive_data


def first_feed(_: random.Random) -> Feed:
    return handshake(initiator=False).receive_data


def session_feed(_: random.Random) -> Feed:
    return NoiseSession(send_key=SESSION_KEY, receive_key=SESSION_KEY).receive_data


def yamux_feed(rng: random.Random) -> Feed:
    session = YamuxSession(client=False, limits=YamuxLimits(inbound_streams=3))
    session.open_stream()

    def feed(data: bytes) -> None:
        for event in session.receive_data(data):
            if rng.random() < 0.1:
                session.reset_stream(getattr(event, "stream_id", 1))
        session.data_to_send()

    return feed


def connection_feed(_: random.Random) -> Feed:
    return Connection(initiator=False, key=KEY, entropy=fixed_entropy).receive_data


def yamux_dialogue(rng: random.Random) -> bytes:
    parts = []
    for _ in range(rng.randrange(1, 8)):
        kind, flags = rng.choice((0, 0, 0, 1, 1, 2, 3)), rng.choice((0, 0, 1, 1, 2, 4, 5, 8))
        stream_id = rng.choice((0, 1, 1, 2, 3, 5, 7))
        length = rng.choice((0, 1, 40, 2**18, 2**18 + 1, 2**32 - 1))
        body = rng.randbytes(length) if not kind and length < 100 else b""
        parts.append(HEADER.pack(0, kind, flags, stream_id, length) + body)
    return b"".join(parts)


def session_dialogue(rng: random.Random) -> bytes:
    session = NoiseSession(send_key=SESSION_KEY, receive_key=SESSION_KEY)
    return b"".join(session.encrypt(rng.randbytes(rng.randrange(1, 60))) for _ in range(3))


def second_message() -> bytes:
    other = handshake(initiator=False)
    other.receive_data(handshake(initiator=True).data_to_send())
    return other.data_to_send()


GOOD_FIRST = handshake(initiator=True).data_to_send()
GOOD_SECOND = second_message()
GOOD_PAYLOAD = handshake(initiator=True)._payload()
GOOD_ADDRESS = parse_address(f"/dns4/example.org/tcp/4001/p2p/{peer_id_of(KEY.public_key)}")

PARSERS: dict[str, tuple[Callable[[random.Random], Feed], Callable[[random.Random], bytes]]] = {
    "multistream responder": (lambda _: Responder(["/x"]).receive_data, lambda _: DIALOGUE),
    "multistream initiator": (lambda _: Initiator(["/x", "/y"]).receive_data, lambda _: DIALOGUE),
    "noise first message": (first_feed, lambda _: GOOD_FIRST + GOOD_SECOND),
    "noise second message": (second_feed, lambda _: GOOD_SECOND),
    "noise payload": (payload_feed, lambda _: GOOD_PAYLOAD),
    "noise session": (session_feed, session_dialogue),
    "yamux": (yamux_feed, yamux_dialogue),
    "connection": (connection_feed, lambda _: DIALOGUE + GOOD_FIRST + GOOD_SECOND),
    "public key": (lambda _: PublicKey.from_protobuf, lambda _: KEY.public_key.protobuf),
    "peer id": (lambda _: peer_id_from_bytes, lambda _: bytes(peer_id_of(KEY.public_key))),
    "address": (lambda _: address_from_bytes, lambda _: GOOD_ADDRESS.to_bytes()),
}
WHOLE = {"noise payload", "public key", "peer id", "address"}
"Parsers that take an input at once."


def spoil(good: bytes, rng: random.Random) -> bytes:
    choice = rng.randrange(6)
    if choice == 0:
        return rng.randbytes(rng.randrange(0, 80))
    if choice == 1:
        return good[: rng.randrange(len(good))]
    if choice == 2:
        at = rng.randrange(len(good))
        return good[:at] + good[rng.randrange(len(good)) :]
    changed = bytearray(good)
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        at = rng.randrange(len(changed))
        changed[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, changed[at] ^ 1 << rng.randrange(8)))
    if choice == 3:
        changed[rng.randrange(len(changed)) : 0] = rng.randbytes(rng.randrange(1, 20))
    return bytes(changed)


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", PARSERS)
def test_only_remote_error_comes_out(name: str) -> None:
    make_feed, make_good = PARSERS[name]
    rng = random.Random(name)
    refused = 0
    for _ in range(RUNS):
        data = spoil(make_good(rng), rng)
        feed = make_feed(rng)
        piece = len(data) + 1 if name in WHOLE else rng.choice((1, 7, 40, 10_000))
        try:
            for start in range(0, max(1, len(data)), piece):
                feed(data[start : start + piece])
                if getattr(getattr(feed, "__self__", None), "done", False):
                    break
        except RemoteError:
            refused += 1
    assert 0 < refused <= RUNS
