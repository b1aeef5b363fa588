"""Envelopes: read with bounds, signed and verified over the bytes as they are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pubsub.errors import ParamError, RemoteError
from pubsub.fabric.content import SIGNED, Content, MalformedMessageError
from pubsub.fabric.envelope import (
    MAX_SECRET_BYTES,
    MAX_SIGNATURE_BYTES,
    GossipEnvelope,
    UnsignedError,
    decode_envelope,
    is_bare,
    sign_message,
    strip_secret,
    verify_envelope,
    wrap_message,
)
from pubsub.pb.fabric import gossip_pb2
from tests.fabric_fixtures import framed, needs_recordings
from tests.fuzz import COUNT, hostile_bytes
from tests.unit.fabric.making import (
    GossipMessage,
    ToySigner,
    WrongSignatureError,
    alive,
    block,
    one_of_each,
    pki_id,
    state_info,
)

ANN = ToySigner("ann")
UNSIGNED = {*Content} - SIGNED - {Content.UNKNOWN}


def encoded(
    message: GossipMessage | bytes, signature: bytes = b"", secret: dict[str, bytes] | None = None
) -> bytes:
    payload = message if isinstance(message, bytes) else message.SerializeToString()
    envelope = gossip_pb2.Envelope(payload=payload, signature=signature)
    if secret is not None:
        envelope.secret_envelope.CopyFrom(gossip_pb2.SecretEnvelope(**secret))
    return envelope.SerializeToString()


def with_secret() -> GossipEnvelope:
    return sign_message(alive(), ANN, internal_endpoint="peer0.inside:7051")


@pytest.mark.parametrize("content", sorted(SIGNED))
def test_what_is_signed_is_read_again_and_verifies(content: Content) -> None:
    message = one_of_each()[content]
    envelope = sign_message(message, ANN)
    assert envelope.message == message
    assert envelope.payload == message.SerializeToString()
    assert (envelope.content, envelope.author, envelope.secret) == (content, pki_id("ann"), None)
    assert decode_envelope(envelope.raw) == envelope
    verify_envelope(decode_envelope(envelope.raw), ANN.verify)
    with pytest.raises(WrongSignatureError):
        verify_envelope(envelope, ToySigner("ben").verify)


@pytest.mark.parametrize("content", sorted(UNSIGNED))
def test_what_nobody_signs_travels_without_signature(content: Content) -> None:
    message = one_of_each()[content]
    envelope = decode_envelope(wrap_message(message).raw)
    assert (envelope.message, envelope.content) == (message, content)
    assert (envelope.signature, envelope.secret, envelope.author) == (b"", None, b"")


def test_a_message_is_put_into_the_envelope_that_fits_it() -> None:
    messages = one_of_each()
    for content in UNSIGNED:
        with pytest.raises(ParamError, match="not signed"):
            sign_message(messages[content], ANN)
    for content in SIGNED:
        with pytest.raises(ParamError, match="unsigned"):
            wrap_message(messages[content])
    for refuse in (wrap_message, lambda message: sign_message(message, ANN)):
        with pytest.raises(ParamError, match="a message without content"):
            refuse(GossipMessage())


def test_nobody_signs_in_another_name() -> None:
    with pytest.raises(ParamError, match="PKI-ID"):
        sign_message(alive("ben"), ANN)


def test_a_message_that_peers_would_refuse_is_not_made() -> None:
    message = state_info()
    message.state_info.ClearField("properties")
    with pytest.raises(ParamError, match="no properties"):
        sign_message(message, ANN)
    with pytest.raises(ParamError, match="no payload"):
        wrap_message(GossipMessage(data_msg={}))


def test_a_secret_is_signed_by_itself() -> None:
    envelope = decode_envelope(with_secret().raw)
    assert envelope.secret is not None
    assert envelope.secret.internal_endpoint == "peer0.inside:7051"
    assert envelope.secret.signature == ANN.sign(envelope.secret.payload)
    assert envelope.signature == ANN.sign(envelope.payload)
    verify_envelope(envelope, ANN.verify)


def test_only_an_alive_message_has_a_secret() -> None:
    with pytest.raises(ParamError, match="secret"):
        sign_message(state_info(), ANN, internal_endpoint="peer0.inside:7051")


def test_a_secret_comes_off_without_a_trace() -> None:
    bare = strip_secret(with_secret())
    assert bare.raw == sign_message(alive(), ANN).raw
    assert bare.secret is None
    assert b"inside" not in bare.raw
    verify_envelope(decode_envelope(bare.raw), ANN.verify)
    assert strip_secret(bare) is bare


def test_fields_that_we_do_not_know_go_with_the_secret() -> None:
    raw = with_secret().raw + b"\x2a\x06inside"
    assert b"inside" not in strip_secret(decode_envelope(raw)).raw


@pytest.mark.parametrize("content", sorted(SIGNED | {Content.DATA}))
def test_an_envelope_is_bare_as_its_author_made_it_and_in_no_other_form(content: Content) -> None:
    message = one_of_each()[content]
    envelope = sign_message(message, ANN) if content in SIGNED else wrap_message(message)
    assert is_bare(envelope)
    payload, signature = envelope.payload, envelope.signature
    twice = encoded(payload, b"other") + envelope.raw
    swapped = encoded(b"", signature) + encoded(payload)
    for dressed in (envelope.raw + b"\x2a\x03any", twice, swapped, envelope.raw + b"\x12\x00"):
        again = decode_envelope(dressed)
        assert again.payload == payload
        # In the order that all write there is only one form of an envelope without signature.
        assert is_bare(again) == (dressed == envelope.raw)


def test_only_an_alive_message_is_bare_with_a_secret() -> None:
    assert is_bare(with_secret())
    assert is_bare(strip_secret(with_secret()))
    assert not is_bare(decode_envelope(with_secret().raw + b"\x2a\x06inside"))
    theirs = gossip_pb2.Envelope.FromString(with_secret().raw).secret_envelope
    envelope = gossip_pb2.Envelope.FromString(sign_message(state_info(), ANN).raw)
    envelope.secret_envelope.CopyFrom(theirs)
    stuck_on = decode_envelope(envelope.SerializeToString())
    verify_envelope(stuck_on, ANN.verify)
    assert not is_bare(stuck_on)


def test_a_block_is_bare_without_what_its_orderers_did_not_sign() -> None:
    assert is_bare(wrap_message(block(7)))
    assert not is_bare(decode_envelope(encoded(block(7), b"signature")))
    for extra in ({"nonce": 1}, {"data_msg": {"payload": {"private_data": [b"private"]}}}):
        message = block(7)
        message.MergeFrom(GossipMessage(**extra))
        assert not is_bare(wrap_message(message))
    payload = block(7).SerializeToString() + b"\xfa\x7f\x03any"
    assert not is_bare(decode_envelope(encoded(payload)))


@needs_recordings
def test_recorded_envelopes_are_bare() -> None:
    recorded = [decode_envelope(raw) for raw in framed("envelopes.bin")]
    assert len(recorded) > 200
    assert all(map(is_bare, recorded))


def test_signatures_are_over_the_bytes_that_came() -> None:
    # Fields out of order, and one that we do not know: encoded again, it would be other bytes.
    payload = alive().SerializeToString() + b"\x18\x01" + b"\xa0\x06\x07"
    payload = b"\x08\x05" + payload
    raw = encoded(payload, ANN.sign(payload))
    envelope = decode_envelope(raw)
    assert (envelope.raw, envelope.payload) == (raw, payload)
    assert envelope.message.nonce == 5
    verify_envelope(envelope, ANN.verify)
    with pytest.raises(WrongSignatureError):
        verify_envelope(decode_envelope(encoded(payload, b"x")), ANN.verify)


SECRET = gossip_pb2.Secret(internal_endpoint="a:1").SerializeToString()


@pytest.mark.parametrize(
    ("secret", "error"),
    [
        ({"payload": SECRET, "signature": ANN.sign(SECRET)}, None),
        ({"payload": SECRET}, UnsignedError),
        ({"signature": ANN.sign(b"")}, UnsignedError),
        ({"payload": b""}, UnsignedError),
        ({"payload": SECRET, "signature": b"x"}, WrongSignatureError),
    ],
)
def test_a_bad_secret_spoils_a_good_message(
    secret: dict[str, bytes], error: type[RemoteError] | None
) -> None:
    message = alive().SerializeToString()
    envelope = decode_envelope(encoded(message, ANN.sign(message), secret))
    if error is None:
        verify_envelope(envelope, ANN.verify)
    else:
        with pytest.raises(error):
            verify_envelope(envelope, ANN.verify)


def test_a_message_without_signature_does_not_verify() -> None:
    with pytest.raises(UnsignedError, match="message without signature"):
        verify_envelope(decode_envelope(encoded(alive())), ANN.verify)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "without payload"),
        (b"\x0a", "malformed envelope"),
        (b"\xff", "malformed envelope"),
        (encoded(b"\xff"), "malformed envelope"),
        (encoded(b""), "without payload"),
        (encoded(alive(), b"", {"payload": b"\xff"}), "malformed secret"),
        (encoded(alive(), b"", {"payload": b"\x0a\x01\xff"}), "malformed secret"),
        (encoded(alive(), bytes(MAX_SIGNATURE_BYTES + 1)), "signature of 1025"),
        (encoded(alive(), b"", {"payload": bytes(MAX_SECRET_BYTES + 1)}), "secret of 1025"),
        (encoded(alive(), b"", {})[:-1], "malformed envelope"),
        (encoded(b"\x2a\x06\x0a\x04\x0a\x02\xff\xff"), "malformed envelope"),
        (encoded(GossipMessage(alive_msg={})), "PKI-ID"),
        (encoded(GossipMessage(data_dig={"digests": [b""] * 40_000})), "entries"),
    ],
)
def test_what_is_no_envelope_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessageError, match=reason):
        decode_envelope(raw)


def test_a_long_signature_of_a_secret_is_refused() -> None:
    longest = bytes(MAX_SIGNATURE_BYTES)
    decode_envelope(encoded(alive(), longest, {"payload": SECRET, "signature": longest}))
    with pytest.raises(MalformedMessageError, match="secret's signature of 1025"):
        decode_envelope(encoded(alive(), b"", {"signature": longest + b"."}))


def test_what_nobody_signs_never_verifies() -> None:
    messages = [message for content, message in one_of_each().items() if content in UNSIGNED]
    payloads = [message.SerializeToString() for message in messages]
    # A secret is signed by the same key, and is a message without content if read as one.
    for payload in [*payloads, SECRET]:
        with pytest.raises(UnsignedError, match="by nobody"):
            verify_envelope(decode_envelope(encoded(payload, ANN.sign(payload))), ANN.verify)


def test_an_envelope_is_at_most_as_long_as_the_caller_says() -> None:
    raw = encoded(block(1, bytes(1000)))
    decode_envelope(raw, limit=len(raw))
    with pytest.raises(MalformedMessageError, match="at most"):
        decode_envelope(raw, limit=len(raw) - 1)


def test_a_message_of_a_later_fabric_is_read_and_has_no_content() -> None:
    envelope = decode_envelope(encoded(b"\xf2\x01\x00"))
    assert (envelope.content, envelope.author) == (Content.UNKNOWN, b"")


def test_envelopes_are_equal_if_their_bytes_are() -> None:
    one, other = sign_message(alive(), ANN), sign_message(alive(seq=2), ANN)
    assert {one, decode_envelope(one.raw), other} == {one, other}
    assert one != other


def test_a_repr_shows_no_payload() -> None:
    assert repr(with_secret()) == (
        "GossipEnvelope(secret=Secret(internal_endpoint='peer0.inside:7051'),"
        " content=<Content.ALIVE: 'alive_msg'>)"
    )


GOOD = [sign_message(m, ANN).raw for c, m in one_of_each().items() if c in SIGNED]
GOOD += [wrap_message(m).raw for c, m in one_of_each().items() if c not in SIGNED]
GOOD.append(with_secret().raw)


def only_remote_errors(raw: bytes) -> GossipEnvelope | None:
    try:
        envelope = decode_envelope(raw)
    except RemoteError:
        return None
    assert envelope.raw == raw
    assert strip_secret(envelope).payload == envelope.payload
    return envelope


@pytest.mark.parametrize("raw", GOOD, ids=lambda raw: str(decode_envelope(raw).content))
def test_an_envelope_cut_off_anywhere_is_never_taken_for_the_whole(raw: bytes) -> None:
    for end in range(len(raw)):
        cut = only_remote_errors(raw[:end])
        assert cut is None or cut.payload != b""


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_read(raw: bytes) -> None:
    only_remote_errors(raw)
    only_remote_errors(encoded(raw))


def test_hostile_bytes_are_refused_or_read() -> None:
    rng = random.Random(3)
    for raw in hostile_bytes(rng, GOOD, COUNT // 10):
        only_remote_errors(raw)


def test_no_changed_bit_verifies() -> None:
    raw = with_secret().raw
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        envelope = only_remote_errors(bytes(changed))
        if envelope is None:
            continue
        try:
            verify_envelope(envelope, ANN.verify)
        except RemoteError:
            continue
        # The tag of the secret, changed, makes it a field that nobody knows.
        assert envelope.secret is None
        assert envelope.payload == alive().SerializeToString()


@needs_recordings
def test_recorded_envelopes_fed_a_byte_at_a_time_are_whole_at_the_end_only() -> None:
    rng = random.Random(6)
    for raw in framed("envelopes.bin"):
        whole = decode_envelope(raw)
        ends = range(len(raw)) if len(raw) < 300 else sorted(rng.sample(range(len(raw)), 100))
        for end in ends:
            cut = only_remote_errors(raw[:end])
            if cut is not None:
                # Cut between two fields: the payload is there, what follows it is not.
                assert cut.payload == whole.payload
                assert (cut.signature, cut.secret) != (whole.signature, whole.secret)
