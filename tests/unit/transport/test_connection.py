"""A connection as a whole: every path to Ready, and how each of them can fail."""

import random
from collections.abc import Callable

import pytest

from pubsub.errors import ClosedError, RemoteError
from pubsub.identity import PeerId, PrivateKey, peer_id_of
from pubsub.transport import (
    Connection,
    ConnectionEvent,
    DataReceived,
    GoAway,
    Ready,
    Secured,
    StreamOpened,
    YamuxLimits,
)
from pubsub.transport.multistream import Responder, encode_message
from pubsub.transport.noise import NoiseHandshake
from pubsub.transport.noise_session import NoiseSession
from pubsub.transport.yamux import YamuxSession

HEADER = encode_message("/multistream/1.0.0")
NOISE, YAMUX = encode_message("/noise"), encode_message("/yamux/1.0.0")
ALICE, BOB = PrivateKey(b"a" * 32), PrivateKey(b"b" * 32)
ALICE_ID, BOB_ID = peer_id_of(ALICE.public_key), peer_id_of(BOB.public_key)


def entropy(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


def dialer(expected_peer: PeerId | None = None, limits: YamuxLimits | None = None) -> Connection:
    return Connection(
        initiator=True,
        key=ALICE,
        entropy=entropy(1),
        expected_peer=expected_peer,
        limits=limits,
    )


def listener() -> Connection:
    return Connection(initiator=False, key=BOB, entropy=entropy(2))


def exchange(
    alice: Connection, bob: Connection, *, piece: int | None = None
) -> tuple[list[ConnectionEvent], list[ConnectionEvent]]:
    for_alice: list[ConnectionEvent] = []
    for_bob: list[ConnectionEvent] = []
    while True:
        out, back = alice.data_to_send(), bob.data_to_send()
        if not out and not back:
            return for_alice, for_bob
        for start in range(0, len(out), piece or len(out) or 1):
            for_bob += bob.receive_data(out[start : start + (piece or len(out))])
        for start in range(0, len(back), piece or len(back) or 1):
            for_alice += alice.receive_data(back[start : start + (piece or len(back))])


@pytest.mark.parametrize("piece", [None, 1, 7])
def test_from_first_byte_to_streams(piece: int | None) -> None:
    alice, bob = dialer(expected_peer=BOB_ID), listener()
    assert (alice.state, alice.ready) == ("negotiating security", False)
    assert exchange(alice, bob, piece=piece) == (
        [Secured(BOB_ID, BOB.public_key), Ready()],
        [Secured(ALICE_ID, ALICE.public_key), Ready()],
    )
    assert (alice.state, alice.ready, alice.peer) == ("open", True, BOB_ID)
    stream = alice.muxer.open_stream()
    alice.muxer.send_data(stream, b"hello")
    assert exchange(alice, bob, piece=piece)[1][0] == StreamOpened(stream)


def test_data_arrives_whole_through_all_layers() -> None:
    alice, bob = dialer(), listener()
    exchange(alice, bob)
    rng = random.Random(3)
    sent, received = bytearray(), bytearray()
    stream = alice.muxer.open_stream()
    while len(sent) < 2_000_000:
        text = rng.randbytes(min(alice.muxer.send_window(stream), rng.randrange(1, 300_000)))
        alice.muxer.send_data(stream, text)
        sent += text
        wire = alice.data_to_send()
        while wire:
            size = rng.choice((1, 100, 10_000, 100_000))
            for event in bob.receive_data(wire[:size]):
                if isinstance(event, DataReceived):
                    received += event.data
                    bob.muxer.consumed(stream, len(event.data))
            wire = wire[size:]
        alice.receive_data(bob.data_to_send())
    assert received == sent


def test_responder_refuses_tls_then_takes_noise() -> None:
    bob = listener()
    bob.receive_data(HEADER + encode_message("/tls/1.0.0"))
    assert bob.data_to_send() == HEADER + encode_message("na")
    bob.receive_data(NOISE)
    assert bob.data_to_send() == NOISE
    assert bob.state == "handshake"


def test_initiator_says_header_and_noise_at_once_and_nothing_twice() -> None:
    alice = dialer()
    assert alice.data_to_send() == HEADER + NOISE
    assert alice.data_to_send() == b""


class OldPeer:
    """A peer that knows no early muxers, as rust and nim do not."""

    def __init__(self, *, initiator: bool) -> None:
        self.handshake = NoiseHandshake(initiator=initiator, key=BOB, entropy=entropy(5))
        self.session: NoiseSession | None = None

    def shake(self, connection: Connection) -> list[ConnectionEvent]:
        """Run the security negotiation and the handshake; return what `connection` told."""
        events: list[ConnectionEvent] = []
        if connection.initiator:
            connection.data_to_send()
            connection.receive_data(HEADER + NOISE)
            self.handshake.receive_data(connection.data_to_send())
            events = connection.receive_data(self.handshake.data_to_send())
            self.handshake.receive_data(connection.data_to_send())
        else:
            connection.receive_data(HEADER + NOISE + self.handshake.data_to_send())
            self.handshake.receive_data(connection.data_to_send()[len(HEADER + NOISE) :])
            events = connection.receive_data(self.handshake.data_to_send())
        self.session = self.handshake.session()
        return events


def test_responder_negotiates_the_muxer_with_a_peer_that_sent_none() -> None:
    old, bob = OldPeer(initiator=True), listener()
    assert old.shake(bob) == [Secured(BOB_ID, BOB.public_key)]
    assert bob.state == "negotiating muxer"
    muxer = YamuxSession(client=True)
    stream = muxer.open_stream()
    muxer.send_data(stream, b"early")
    # Everything behind the proposal comes in the same frame, as a lazy peer sends it.
    mplex = encode_message("/mplex/6.7.0")
    wire = old.session.encrypt(HEADER + mplex + YAMUX + muxer.data_to_send())
    events = bob.receive_data(wire)
    assert events == [Ready(), StreamOpened(stream), DataReceived(stream, b"early")]
    plaintexts = old.session.receive_data(bob.data_to_send())
    assert b"".join(plaintexts).startswith(HEADER + encode_message("na") + YAMUX)


def test_initiator_negotiates_the_muxer_with_a_peer_that_sent_none() -> None:
    old, alice = OldPeer(initiator=False), dialer()
    assert old.shake(alice) == [Secured(BOB_ID, BOB.public_key)]
    plaintexts = old.session.receive_data(old.handshake.leftover + alice.data_to_send())
    assert b"".join(plaintexts) == HEADER + YAMUX
    muxer = YamuxSession(client=False)
    muxer.ping(5)
    assert alice.receive_data(old.session.encrypt(HEADER)) == []
    answer = old.session.encrypt(YAMUX) + old.session.encrypt(muxer.data_to_send())
    assert alice.receive_data(answer) == [Ready()]
    assert old.session.receive_data(alice.data_to_send())


def test_peer_without_our_muxer_is_named() -> None:
    old, alice = OldPeer(initiator=False), dialer()
    old.shake(alice)
    alice.data_to_send()
    refusal = old.session.encrypt(HEADER + encode_message("na"))
    with pytest.raises(RemoteError, match="none of /yamux"):
        alice.receive_data(refusal)


def test_peer_without_noise_is_named() -> None:
    responder = Responder(["/tls/1.0.0"])
    alice = dialer()
    responder.receive_data(alice.data_to_send())
    with pytest.raises(RemoteError, match="speaks none of /noise"):
        alice.receive_data(responder.data_to_send())
    assert alice.state == "failed"
    with pytest.raises(ClosedError):
        alice.receive_data(b"x")


def test_wrong_peer_is_refused() -> None:
    with pytest.raises(RemoteError, match="expected peer"):
        exchange(dialer(expected_peer=ALICE_ID), listener())


def test_early_data_of_both_ends_is_delivered_with_ready() -> None:
    alice, bob = dialer(), listener()
    bob.receive_data(alice.data_to_send())
    alice.receive_data(bob.data_to_send())
    bob.receive_data(alice.data_to_send())
    alice.receive_data(bob.data_to_send())
    stream = alice.muxer.open_stream()
    alice.muxer.send_data(stream, b"with the last handshake message")
    events = bob.receive_data(alice.data_to_send())
    assert events[1:] == [
        Ready(),
        StreamOpened(stream),
        DataReceived(stream, b"with the last handshake message"),
    ]


def test_a_broken_rule_is_told_to_the_peer() -> None:
    alice, bob = dialer(), listener()
    exchange(alice, bob)
    alice.muxer._pending.append(b"\x07" * 12)
    with pytest.raises(RemoteError, match="version"):
        bob.receive_data(alice.data_to_send())
    assert alice.receive_data(bob.data_to_send()) == [GoAway(1)]


def test_muxer_before_ready_is_misuse() -> None:
    with pytest.raises(ClosedError, match="negotiating security"):
        _ = dialer().muxer


def test_limits_reach_the_muxer() -> None:
    alice, bob = dialer(limits=YamuxLimits(outbound_streams=0)), listener()
    exchange(alice, bob)
    with pytest.raises(Exception, match="0 streams"):
        alice.muxer.open_stream()
