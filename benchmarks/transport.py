"""What Noise and Yamux cost: microseconds of CPU to send and to receive.

    python -m benchmarks.transport

Two connections talk through memory. "batched" hands 64 KiB of 1 KiB messages to
the muxer at once, as the host's writer does; "alone" flushes each message.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import perf_counter

from pubsub.identity import PrivateKey
from pubsub.transport import Connection, DataReceived
from pubsub.transport.noise_session import MAX_PLAINTEXT, NoiseSession
from pubsub.transport.yamux import YamuxSession
from pubsub.transport.yamux_frames import MAX_BODY

KIB = 1024
REPEATS = 7


def best(run: Callable[[], object], times: int) -> float:
    """Microseconds per run, of the fastest of some rounds: the machine is shared."""
    fastest = float("inf")
    for _ in range(REPEATS):
        start = perf_counter()
        for _ in range(times):
            run()
        fastest = min(fastest, perf_counter() - start)
    return fastest / times * 1e6


def connected_pair() -> tuple[Connection, Connection]:
    one = Connection(initiator=True, key=PrivateKey(b"1" * 32), entropy=os.urandom)
    other = Connection(initiator=False, key=PrivateKey(b"2" * 32), entropy=os.urandom)
    while to_other := one.data_to_send():
        other.receive_data(to_other)
        one.receive_data(other.data_to_send())
    return one, other


def round_trips(size: int, flushes: int, *, read: int) -> tuple[float, float]:
    """Microseconds to send, and to receive, a flush of `size` bytes, in socket reads of `read`."""
    one, other = connected_pair()
    stream = one.muxer.open_stream()
    payload = os.urandom(size)
    sending = receiving = float("inf")
    for _ in range(REPEATS):
        sent = received = 0.0
        wire: list[bytes] = []
        for _ in range(flushes):
            start = perf_counter()
            one.muxer.send_data(stream, payload)
            wire.append(one.data_to_send())
            sent += perf_counter() - start
            if sum(map(len, wire)) >= read:
                received += _receive(other, b"".join(wire))
                wire.clear()
                one.receive_data(other.data_to_send())
        received += _receive(other, b"".join(wire))
        one.receive_data(other.data_to_send())
        sending, receiving = min(sending, sent), min(receiving, received)
    return sending / flushes * 1e6, receiving / flushes * 1e6


def small_frames(size: int, count: int, times: int) -> tuple[float, float]:
    """Yamux alone: microseconds for `count` data frames of `size` bytes in a batch, as go sends."""
    one, other = YamuxSession(client=True), YamuxSession(client=False)
    stream = one.open_stream()
    other.receive_data(one.data_to_send())
    payload = os.urandom(size)
    sending = receiving = float("inf")
    for _ in range(times):
        start = perf_counter()
        for _ in range(count):
            one.send_data(stream, payload)
        wire = one.data_to_send()
        sending = min(sending, perf_counter() - start)
        start = perf_counter()
        events = other.receive_data(wire)
        receiving = min(receiving, perf_counter() - start)
        assert len(events) == count
        other.consumed(stream, size * count)
        one.receive_data(other.data_to_send())
    return sending * 1e6, receiving * 1e6


def _receive(connection: Connection, data: bytes) -> float:
    start = perf_counter()
    for event in connection.receive_data(data):
        if type(event) is DataReceived:
            connection.muxer.consumed(event.stream_id, len(event.data))
    return perf_counter() - start


def frames(size: int, times: int) -> tuple[float, float]:
    """Microseconds to encrypt, and to decrypt, one Noise frame of `size` plaintext bytes."""
    key = os.urandom(32)
    plaintext = os.urandom(size)
    sender = NoiseSession(send_key=key, receive_key=key)
    encrypting = best(lambda: sender.encrypt(plaintext), times)
    sender = NoiseSession(send_key=key, receive_key=key)
    wire = iter([sender.encrypt(plaintext) for _ in range(times * REPEATS)])
    receiver = NoiseSession(send_key=key, receive_key=key)
    decrypting = best(lambda: receiver.receive_data(next(wire)), times)
    return encrypting, decrypting


def row(name: str, figures: tuple[float, float], messages: int = 1) -> None:
    sending, receiving = (figure / messages for figure in figures)
    print(f"{name:<48}{sending:>10.2f}{receiving:>10.2f}")


def main() -> None:
    print(f"{'microseconds':<48}{'send':>10}{'receive':>10}")
    row("Noise alone, one full frame (65,519 bytes)", frames(MAX_PLAINTEXT, 200))
    row("Noise alone, one frame of 1 KiB", frames(KIB, 2000))
    row("Yamux alone, 64 frames of 1 KiB, each", small_frames(KIB, 64, 2000), 64)
    row("Noise + Yamux, one full frame (65,507 bytes)", round_trips(MAX_BODY, 500, read=1))
    row("Noise + Yamux, 64 KiB, read by 64 KiB", round_trips(64 * KIB, 500, read=64 * KIB))
    row("Noise + Yamux, 128 KiB, per 64 KiB", round_trips(128 * KIB, 200, read=1), 2)
    row("1 KiB message, batched by 8", round_trips(8 * KIB, 2000, read=64 * KIB), 8)
    row("1 KiB message, batched by 64", round_trips(64 * KIB, 500, read=64 * KIB), 64)
    row("1 KiB message, alone, read alone", round_trips(KIB, 5000, read=1))
    row("1 KiB message, alone, read by 64 KiB", round_trips(KIB, 5000, read=64 * KIB))


if __name__ == "__main__":
    main()
