"""The Noise handshake: against an independent implementation's vectors, and against cheats."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pubsub.errors import LocalError, RemoteError
from pubsub.identity import PeerId, PrivateKey, peer_id_of
from pubsub.pb import noise_pb2
from pubsub.transport.noise import MAX_HANDSHAKE_MESSAGE, MAX_MUXERS, NoiseHandshake
from pubsub.transport.noise_state import SymmetricState

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "noise_xx.json").read_text())
YAMUX = "/yamux/1.0.0"
ALICE, BOB = PrivateKey(b"a" * 32), PrivateKey(b"b" * 32)


def entropy_of(*chunks: bytes) -> Callable[[int], bytes]:
    values: Iterator[bytes] = iter(chunks)
    return lambda size: next(values)[:size]


def end(
    key: PrivateKey,
    *,
    initiator: bool,
    muxers: tuple[str, ...] = (YAMUX,),
    expected_peer: PeerId | None = None,
) -> NoiseHandshake:
    return NoiseHandshake(
        initiator=initiator,
        key=key,
        entropy=entropy_of(key.seed[::-1], bytes(reversed(key.seed[1:])) + b"e"),
        muxers=muxers,
        expected_peer=expected_peer,
    )


def run(alice: NoiseHandshake, bob: NoiseHandshake) -> None:
    bob.receive_data(alice.data_to_send())
    alice.receive_data(bob.data_to_send())
    bob.receive_data(alice.data_to_send())


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=["plain", "early muxer"])
def test_same_bytes_as_an_independent_implementation(vector: dict) -> None:
    muxers = [YAMUX] if vector["early_muxer"] else []
    ends = [
        NoiseHandshake(
            initiator=name == "initiator",
            key=PrivateKey(bytes.fromhex(vector[name]["identity_seed"])),
            entropy=entropy_of(
                bytes.fromhex(vector[name]["static"]), bytes.fromhex(vector[name]["ephemeral"])
            ),
            muxers=muxers,
        )
        for name in ("initiator", "responder")
    ]
    for number, message in enumerate(vector["handshake"]):
        wire = ends[number % 2].data_to_send()
        assert wire == framed(bytes.fromhex(message))
        ends[1 - number % 2].receive_data(wire)
    sessions = [handshake.session() for handshake in ends]
    for number, step in enumerate(vector["transport"]):
        text, frame = bytes.fromhex(step["plaintext"]), framed(bytes.fromhex(step["frame"]))
        assert sessions[number % 2].encrypt(text) == frame
        assert sessions[1 - number % 2].receive_data(frame) == [text]
    assert {handshake.muxer for handshake in ends} == {YAMUX if muxers else None}


def test_both_ends_learn_who_the_other_is() -> None:
    alice, bob = end(ALICE, initiator=True), end(BOB, initiator=False)
    run(alice, bob)
    assert (alice.peer, bob.peer) == (peer_id_of(BOB.public_key), peer_id_of(ALICE.public_key))
    assert alice.public_key == BOB.public_key
    assert bob.session().receive_data(alice.session().encrypt(b"hello")) == [b"hello"]
    assert alice.session().receive_data(bob.session().encrypt(b"hello")) == [b"hello"]


def test_byte_at_a_time_and_with_data_behind_it() -> None:
    alice, bob = end(ALICE, initiator=True), end(BOB, initiator=False)
    for one, other in ((alice, bob), (bob, alice)):
        for byte in one.data_to_send():
            other.receive_data(bytes((byte,)))
    early = alice.session().encrypt(b"early")
    bob.receive_data(alice.data_to_send() + early)
    assert bob.leftover == early
    assert bob.session().receive_data(bob.leftover) == [b"early"]


def test_misuse_is_named() -> None:
    alice, bob = end(ALICE, initiator=True), end(BOB, initiator=False)
    with pytest.raises(LocalError, match="not finished"):
        alice.session()
    run(alice, bob)
    with pytest.raises(LocalError):
        bob.receive_data(b"x")


@pytest.mark.parametrize(
    ("alice_speaks", "bob_speaks", "agreed"),
    [
        (("/b", "/a"), ("/a", "/b"), "/b"),
        (("/a",), ("/b",), None),
        (("/a",), (), None),
        ((), ("/a",), None),
    ],
)
def test_early_muxer_is_the_initiators_first_common_one(
    alice_speaks: tuple[str, ...], bob_speaks: tuple[str, ...], agreed: str | None
) -> None:
    alice = end(ALICE, initiator=True, muxers=alice_speaks)
    bob = end(BOB, initiator=False, muxers=bob_speaks)
    run(alice, bob)
    assert (alice.muxer, bob.muxer) == (agreed, agreed)


def test_unexpected_peer_is_refused_naming_both() -> None:
    expected = peer_id_of(ALICE.public_key)
    alice = end(ALICE, initiator=True, expected_peer=expected)
    with pytest.raises(RemoteError, match=f"{expected}.*{peer_id_of(BOB.public_key)}"):
        run(alice, end(BOB, initiator=False))
    assert alice.data_to_send() == b""


def test_responder_may_expect_a_peer_too() -> None:
    bob = end(BOB, initiator=False, expected_peer=peer_id_of(BOB.public_key))
    with pytest.raises(RemoteError, match="expected peer"):
        run(end(ALICE, initiator=True), bob)


class Cheat(NoiseHandshake):
    """A responder that puts `forged` into its payload."""

    forged: bytes = b""

    def _payload(self) -> bytes:
        return self.forged


def answer_with(forged: bytes) -> None:
    bob = Cheat(initiator=False, key=BOB, entropy=entropy_of(b"s" * 32, b"e" * 32))
    bob.forged = forged
    run(end(ALICE, initiator=True), bob)


def payload(**fields: object) -> bytes:
    return noise_pb2.NoiseHandshakePayload(**fields).SerializeToString()


@pytest.mark.parametrize(
    ("forged", "why"),
    [
        (b"", "no data"),
        (b"\xff\xff", "protobuf"),
        (payload(identity_key=BOB.public_key.protobuf), "did not sign"),
        (
            payload(
                identity_key=BOB.public_key.protobuf,
                identity_sig=BOB.sign(b"noise-libp2p-static-key:" + b"another Noise key" * 2),
            ),
            "did not sign",
        ),
        (payload(identity_key=b"\x08\x01\x12\x03abc"), "32"),
        (payload(identity_key=b"\x08\x09\x12\x03abc"), "no known type"),
        (payload(identity_key=bytes(4000)), "too|bytes|protobuf|no data"),
        (
            payload(extensions={"stream_muxers": ["/m"] * (MAX_MUXERS + 1)}),
            "muxers",
        ),
    ],
)
def test_forged_payload_is_refused(forged: bytes, why: str) -> None:
    with pytest.raises(RemoteError, match=why):
        answer_with(forged)


def test_muxer_that_is_no_text_is_harmless() -> None:
    static_public = end(BOB, initiator=False)._static_public
    forged = payload(
        identity_key=BOB.public_key.protobuf,
        identity_sig=BOB.sign(b"noise-libp2p-static-key:" + static_public),
    )
    bob = Cheat(
        initiator=False,
        key=BOB,
        entropy=entropy_of(BOB.seed[::-1], b"e" * 32),
        muxers=(YAMUX,),
    )
    bob.forged = forged + b"\x22\x04\x12\x02\xff\xfe"
    alice = end(ALICE, initiator=True)
    run(alice, bob)
    assert alice.muxer is None


LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


@pytest.mark.parametrize("point", LOW_ORDER)
def test_low_order_key_is_refused(point: bytes) -> None:
    with pytest.raises(RemoteError, match="low order"):
        end(BOB, initiator=False).receive_data(framed(point))


def test_low_order_static_key_is_refused() -> None:
    alice, bob = end(ALICE, initiator=True), end(BOB, initiator=False)
    bob._static_public = bytes(32)
    bob.receive_data(alice.data_to_send())
    with pytest.raises(RemoteError, match="low order"):
        alice.receive_data(bob.data_to_send())


def test_every_flipped_byte_is_noticed() -> None:
    alice, bob = end(ALICE, initiator=True), end(BOB, initiator=False)
    bob.receive_data(alice.data_to_send())
    answer = bob.data_to_send()
    for position in range(2, len(answer)):
        changed = bytearray(answer)
        changed[position] ^= 0x40
        victim = end(ALICE, initiator=True)
        with pytest.raises(RemoteError):
            victim.receive_data(bytes(changed))


@pytest.mark.parametrize("size", [0, 1, 31])
def test_short_messages_are_refused(size: int) -> None:
    with pytest.raises(RemoteError, match="short"):
        end(BOB, initiator=False).receive_data(framed(bytes(size)))
    with pytest.raises(RemoteError, match="short"):
        end(ALICE, initiator=True).receive_data(framed(bytes(size)))


def test_second_message_without_static_key_is_refused() -> None:
    with pytest.raises(RemoteError, match="static"):
        end(ALICE, initiator=True).receive_data(framed(b"\x09" + bytes(31) + bytes(47)))


def test_oversized_message_is_refused_from_its_length_alone() -> None:
    with pytest.raises(RemoteError, match=str(MAX_HANDSHAKE_MESSAGE + 1)):
        end(BOB, initiator=False).receive_data((MAX_HANDSHAKE_MESSAGE + 1).to_bytes(2, "big"))


def test_prologue_binds() -> None:
    alice, bob = end(ALICE, initiator=True), end(BOB, initiator=False)
    bob._state = SymmetricState(b"another")
    with pytest.raises(RemoteError):
        run(alice, bob)
