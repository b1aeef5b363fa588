"""What Fabric peers sent is read as an independent reader found it, and verifies."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from pubsub.errors import RemoteError
from pubsub.fabric.channel_mac import channel_mac
from pubsub.fabric.content import SIGNED, Content, MalformedMessageError
from pubsub.fabric.envelope import (
    GossipEnvelope,
    UnsignedError,
    decode_envelope,
    strip_secret,
    verify_envelope,
)
from pubsub.fabric.tags import TAG_OF, IllegalTagError, check_tag, legal_tag
from pubsub.pb.fabric import block_pb2, gossip_pb2, msp_pb2
from tests.fabric_fixtures import (
    BadSignatureError,
    HighSError,
    framed,
    index,
    needs_recordings,
    read,
    verifier,
)

pytestmark = needs_recordings

CHANNELS = ("mychannel", "second", "bftchan")
ABOUT_THE_RECORDING = {
    *("n", "offset", "length", "sha256", "direction", "recorder", "other_side", "seconds"),
    *("signature_verifies_with", "expected_tls_cert_hash", "sent_by_the_side_that"),
}
NESTED = {
    Content.MEMBERSHIP_REQUEST: ("self_information",),
    Content.MEMBERSHIP_RESPONSE: ("alive", "dead"),
    Content.STATE_SNAPSHOT: ("elements",),
    Content.DATA_UPDATE: ("data",),
}
"The fields that hold envelopes."
ROUTED = {*TAG_OF, Content.HELLO, Content.DIGEST, Content.DATA_REQUEST, Content.DATA_UPDATE}


def recorded() -> list[Any]:
    """The envelopes by their content, so that a test is not begun for each."""
    contents: dict[str, list[dict[str, Any]]] = {}
    for entry in index("envelopes.json").get("envelopes", []):
        contents.setdefault(entry["content"], []).append(entry)
    return [pytest.param(entries, id=content) for content, entries in contents.items()]


def raw_of(entry: dict[str, Any]) -> bytes:
    return read("envelopes.bin")[entry["offset"] : entry["offset"] + entry["length"]]


def described(envelope: GossipEnvelope, sender: str) -> dict[str, Any]:
    """An envelope in the words of the index."""
    message = envelope.message
    about: dict[str, Any] = {
        "content": {"private_req": "privateReq", "private_res": "privateRes"}.get(
            envelope.content, str(envelope.content)
        ),
        "tag": gossip_pb2.GossipMessage.Tag.Name(message.tag),
        "nonce": message.nonce,
        "channel": message.channel.decode(),
        "payload_length": len(envelope.payload),
        "signature_length": len(envelope.signature),
    }
    if envelope.author:
        about["author"] = {"pki_id": envelope.author.hex(), "name": name_of(envelope.author)}
    if envelope.secret is not None:
        about["secret"] = {
            "internal_endpoint": envelope.secret.internal_endpoint,
            "signature_verifies": True,
        }
    part = getattr(message, envelope.content)
    about |= DESCRIBERS[envelope.content](part, sender)
    if envelope.content in NESTED:
        about["nested"] = {
            field: [described(decode_envelope(raw), sender) for raw in raw_parts(part, field)]
            for field in NESTED[envelope.content]
        }
    return about


def raw_parts(part: Any, field: str) -> list[bytes]:
    value = getattr(part, field)
    return [value] if isinstance(value, bytes) else list(value)


def name_of(pki_id: bytes) -> str:
    return next(n for n, node in index("nodes.json").items() if node["pki_id"] == pki_id.hex())


def channel_of(mac: bytes, pki_id: bytes) -> str:
    return next(name for name in CHANNELS if channel_mac(pki_id, name) == mac)


def is_own(identity: bytes, pki_id: bytes) -> bool:
    parsed = msp_pb2.SerializedIdentity.FromString(identity)
    return hashlib.sha256(parsed.mspid.encode() + parsed.id_bytes).digest() == pki_id


def conn(part: gossip_pb2.ConnEstablish, _: str) -> dict[str, Any]:
    return {
        "tls_cert_hash": part.tls_cert_hash.hex(),
        "probe": part.probe,
        "identity_matches_pki_id": is_own(part.identity, part.pki_id),
    }


def alive(part: gossip_pb2.AliveMessage, _: str) -> dict[str, Any]:
    return {
        "endpoint": part.membership.endpoint,
        "metadata": part.membership.metadata.hex(),
        "identity_attached": bool(part.identity),
        "inc_num": part.timestamp.inc_num,
        "seq_num": part.timestamp.seq_num,
    }


def state_info(part: gossip_pb2.StateInfo, _: str) -> dict[str, Any]:
    return {
        "inc_num": part.timestamp.inc_num,
        "seq_num": part.timestamp.seq_num,
        "channel_mac": part.channel_mac.hex(),
        "mac_of_channel": channel_of(part.channel_mac, part.pki_id),
        "ledger_height": part.properties.ledger_height,
        "left_channel": part.properties.left_channel,
        "chaincodes": len(part.properties.chaincodes),
    }


def state_info_request(part: gossip_pb2.StateInfoPullRequest, sender: str) -> dict[str, Any]:
    pki_id = bytes.fromhex(index("nodes.json")[sender]["pki_id"])
    return {
        "channel_mac": part.channel_mac.hex(),
        "mac_of_channel": channel_of(part.channel_mac, pki_id),
    }


def leadership(part: gossip_pb2.LeadershipMessage, _: str) -> dict[str, Any]:
    return {
        "inc_num": part.timestamp.inc_num,
        "seq_num": part.timestamp.seq_num,
        "is_declaration": part.is_declaration,
    }


def pull(part: Any, _: str) -> dict[str, Any]:
    return {
        "pull_type": gossip_pb2.PullMsgType.Name(part.msg_type),
        "pull_nonce": part.nonce,
    }


def digests(part: gossip_pb2.DataDigest | gossip_pb2.DataRequest, _: str) -> dict[str, Any]:
    of_blocks = part.msg_type == gossip_pb2.PullMsgType.BLOCK_MSG
    names = [digest.decode() if of_blocks else digest.hex() for digest in part.digests]
    return pull(part, _) | {"digests": names}


def data(part: gossip_pb2.DataMessage, _: str) -> dict[str, Any]:
    block = block_pb2.Block.FromString(part.payload.data)
    assert block.header.data_hash == hashlib.sha256(b"".join(block.data.data)).digest()
    return {
        "seq_num": part.payload.seq_num,
        "block_number": block.header.number,
        "block_data_hash": block.header.data_hash.hex(),
        "block_bytes": len(part.payload.data),
        "private_data": len(part.payload.private_data),
    }


def state_response(part: gossip_pb2.RemoteStateResponse, _: str) -> dict[str, Any]:
    return {
        "payloads": [
            {
                "seq_num": payload.seq_num,
                "bytes": len(payload.data),
                "private_data": len(payload.private_data),
            }
            for payload in part.payloads
        ]
    }


def private_data(part: gossip_pb2.PrivateDataMessage, _: str) -> dict[str, Any]:
    payload = part.payload
    return {
        "collection": payload.collection_name,
        "namespace": payload.namespace,
        "tx_id": payload.tx_id,
    }


DESCRIBERS: dict[Content, Any] = {
    Content.CONNECTION: conn,
    Content.ALIVE: alive,
    Content.STATE_INFO: state_info,
    Content.STATE_INFO_REQUEST: state_info_request,
    Content.LEADERSHIP: leadership,
    Content.HELLO: pull,
    Content.DATA_UPDATE: pull,
    Content.DIGEST: digests,
    Content.DATA_REQUEST: digests,
    Content.DATA: data,
    Content.STATE_RESPONSE: state_response,
    Content.PRIVATE_DATA: private_data,
    Content.IDENTITY: lambda part, _: {
        "identity_matches_pki_id": is_own(part.cert, part.pki_id),
        "metadata": part.metadata.hex(),
    },
    Content.STATE_REQUEST: lambda part, _: {
        "start_seq_num": part.start_seq_num,
        "end_seq_num": part.end_seq_num,
    },
    Content.ACK: lambda part, _: {"error": part.error},
    Content.PRIVATE_REQUEST: lambda part, _: {"elements": len(part.digests)},
    Content.PRIVATE_RESPONSE: lambda part, _: {"elements": len(part.elements)},
    Content.MEMBERSHIP_REQUEST: lambda part, _: {},
    Content.MEMBERSHIP_RESPONSE: lambda part, _: {},
    Content.STATE_SNAPSHOT: lambda part, _: {},
}


def about_the_message(entry: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in entry.items() if key not in ABOUT_THE_RECORDING}
    if "nested" in kept:
        kept["nested"] = {
            field: [about_the_message(inner) for inner in entries]
            for field, entries in kept["nested"].items()
        }
    return kept


def signed_parts(envelope: GossipEnvelope, entry: dict[str, Any]) -> list[tuple[Any, Any]]:
    """This envelope and those in it, each with what the index says of it."""
    parts = [(envelope, entry)]
    for field, entries in entry.get("nested", {}).items():
        raws = raw_parts(getattr(envelope.message, envelope.content), field)
        for raw, inner in zip(raws, entries, strict=True):
            parts += signed_parts(decode_envelope(raw), inner)
    return parts


@pytest.mark.parametrize("entries", recorded())
def test_an_envelope_says_what_the_index_says(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        raw = raw_of(entry)
        assert hashlib.sha256(raw).hexdigest() == entry["sha256"]
        envelope = decode_envelope(raw)
        sender = entry["recorder" if entry["direction"] == "sent" else "other_side"]
        assert described(envelope, sender) == about_the_message(entry)


@pytest.mark.parametrize("entries", recorded())
def test_an_envelope_verifies_if_its_content_is_signed(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        for envelope, inner in signed_parts(decode_envelope(raw_of(entry)), entry):
            if envelope.content not in SIGNED:
                assert (envelope.signature, envelope.secret) == (b"", None)
                assert "signature_verifies_with" not in inner
                continue
            verify = verifier(inner["signature_verifies_with"])
            verify_envelope(envelope, verify)
            bare = decode_envelope(strip_secret(envelope).raw)
            verify_envelope(bare, verify)
            assert (bare.secret, bare.payload) == (None, envelope.payload)


@pytest.mark.parametrize("entries", recorded())
def test_an_envelope_carries_the_legal_tag(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        message = decode_envelope(raw_of(entry)).message
        if decode_envelope(raw_of(entry)).content in ROUTED:
            check_tag(message)
            assert message.tag == legal_tag(message)
        else:
            with pytest.raises(IllegalTagError):
                check_tag(message)


def test_the_index_leaves_nothing_out() -> None:
    entries = index("envelopes.json")["envelopes"]
    parts = framed("envelopes.bin")
    assert len(parts) == len(entries) == 239
    assert [raw_of(entry) for entry in entries] == parts
    contents = {decode_envelope(part).content for part in parts}
    assert contents >= {*DESCRIBERS} - {Content.IDENTITY}


def test_a_connection_is_read_in_order() -> None:
    entries = index("transcript.json")["envelopes"]
    read_in_order = [decode_envelope(part) for part in framed("transcript.bin")]
    assert len(read_in_order) == len(entries)
    for envelope, entry in zip(read_in_order, entries, strict=True):
        assert (envelope.content, len(envelope.raw)) == (entry["content"], entry["length"])
        if envelope.content is Content.STATE_INFO:
            state = envelope.message.state_info
            assert channel_of(state.channel_mac, state.pki_id) == entry["channel"]
        elif envelope.content is not Content.STATE_INFO_REQUEST:
            assert envelope.message.channel.decode() == entry["channel"]
    assert [envelope.content for envelope in read_in_order[:2]] == [Content.CONNECTION] * 2


REFUSED = {
    "bad-signature": BadSignatureError,
    "high-s-signature": HighSError,
    "alive-flipped-payload-byte": BadSignatureError,
    "alive-high-s": HighSError,
    "alive-illegal-tag": IllegalTagError,
    "alive_msg-payload-bit": BadSignatureError,
    "alive_msg-signature-bit": BadSignatureError,
    "alive_msg-unsigned": UnsignedError,
    "alive_msg-secret-signature-bit": BadSignatureError,
    "state_info-payload-bit": BadSignatureError,
    "state_info-signature-bit": BadSignatureError,
    "state_info-unsigned": UnsignedError,
    "leadership_msg-payload-bit": BadSignatureError,
    "leadership_msg-signature-bit": BadSignatureError,
    "leadership_msg-unsigned": UnsignedError,
    "truncated": MalformedMessageError,
}
"What an envelope with its author's certificate and the table of tags settle."

NOT_REFUSED_HERE = {
    # The handshake's and the identities' to refuse.
    *("good-probe", "foreign-ca", "expired-certificate", "unknown-msp", "wrong-tls-cert-hash"),
    *("wrong-pki-id", "not-a-conn-establish"),
    # The blocks' to refuse.
    *("block-altered-data", "block-resealed-without-orderer", "block-wrong-sequence"),
}
"Envelopes that are whole, with a tag that fits."


def refuse(raw: bytes, certificate: str) -> None:
    envelope = decode_envelope(raw)
    if envelope.content in SIGNED:
        verify_envelope(envelope, verifier(certificate))
    if envelope.content in ROUTED:
        check_tag(envelope.message)


def signcert(case: str) -> str:
    source = {"alive_msg": 10, "state_info": 11, "leadership_msg": 33}.get(case.split("-")[0])
    if source is None:
        return "nodes/peer2.org1.example.com/signcert.pem"
    entry = index("envelopes.json")["envelopes"][source]
    return str(entry["signature_verifies_with"])


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_envelope_is_refused_for_its_own_reason(case: str) -> None:
    raw = read(index("negative.json")[case]["file"])
    with pytest.raises(RemoteError) as refusal:
        refuse(raw, signcert(case))
    assert type(refusal.value) is REFUSED[case]


@pytest.mark.parametrize("case", sorted(NOT_REFUSED_HERE))
def test_what_others_refuse_is_whole_here(case: str) -> None:
    raw = read(index("negative.json")[case]["file"])
    envelope = decode_envelope(raw)
    if envelope.content in ROUTED:
        check_tag(envelope.message)


def test_every_bad_envelope_is_accounted_for() -> None:
    cases = index("negative.json")
    envelopes = {case for case in cases if cases[case]["file"].endswith(".bin")}
    assert envelopes == REFUSED.keys() | NOT_REFUSED_HERE
    assert {cases[case]["file"].split("/")[-1][-6:] for case in cases.keys() - envelopes} == {
        ".block"
    }
