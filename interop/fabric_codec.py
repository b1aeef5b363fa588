"""Our reading of Fabric's messages beside that of the codec which Fabric's Node SDK uses."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from interop.peers import HERE
from pubsub.pb.fabric import (
    block_pb2,
    configtx_pb2,
    configuration_pb2,
    gossip_pb2,
    msp_pb2,
    policy_pb2,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

SCRIPT = HERE / "js" / "fabric-codec.js"
SCHEMAS = (block_pb2, configtx_pb2, configuration_pb2, gossip_pb2, msp_pb2, policy_pb2)

GOSSIP, COMMON, MSP = "gossip", "common", "msp"
PACKAGES = {gossip_pb2: GOSSIP, msp_pb2: MSP}
"Fabric's package of what is in each of our files, if it is not common."
THEIR_TYPE = {
    **{f"msp.{name}": f"common.{name}" for name in ("MSPPrincipal", "MSPRole", "OrganizationUnit")},
    "msp.CombinedPrincipal": "common.CombinedPrincipal",
    **{
        f"common.{name}": f"orderer.{name}"
        for name in ("ConsensusType", "BatchSize", "BatchTimeout", "ChannelRestrictions")
    },
    **{
        f"common.{name}": f"protos.{name}"
        for name in ("AnchorPeers", "AnchorPeer", "ACLs", "APIResource")
    },
    "common.RaftConfigMetadata": "etcdraft.ConfigMetadata",
    "common.RaftConsenter": "etcdraft.Consenter",
    "common.RaftOptions": "etcdraft.Options",
    "common.BftOptions": "smartbft.Options",
}
"Where Fabric's type stands in another package or has another name."
NOT_THEIRS = {"Timestamp"}
"Ours for what Fabric takes from protobuf's own types; checked where it is used."

ENVELOPES = {
    *("MembershipRequest.self_information", "MembershipResponse.alive", "MembershipResponse.dead"),
    *("StateInfoSnapshot.elements", "DataUpdate.data"),
}
"Fields that we declare as bytes because envelopes in them are kept as they came."
COLLECTIONS = "PrivatePayload.collection_configs"
"A field that we pass on without reading it."
ONE_COLLECTION = bytes.fromhex("0a050a030a0163")
"A package with one static collection, called c."

WIDE = {FieldDescriptor.CPPTYPE_UINT64, FieldDescriptor.CPPTYPE_INT64}
DEPTH = 4


def message_types() -> dict[str, type[Message]]:
    """Every message type of our schemas, by Fabric's name for it."""
    types = {}
    for schema in SCHEMAS:
        for name, descriptor in schema.DESCRIPTOR.message_types_by_name.items():
            if name not in NOT_THEIRS:
                ours = f"{PACKAGES.get(schema, COMMON)}.{name}"
                types[THEIR_TYPE.get(ours, ours)] = GetMessageClass(descriptor)
    return types


def full_messages(kind: type[Message]) -> Iterator[Message]:
    """Messages that have every field; one for each choice where only one field may be."""
    choices = [field for one in kind.DESCRIPTOR.oneofs for field in one.fields]
    for choice in choices or [None]:
        yield filled(kind, choice, DEPTH)


def filled(kind: type[Message], choice: FieldDescriptor | None, depth: int) -> Message:
    message = kind()
    for field in kind.DESCRIPTOR.fields:
        if field.containing_oneof is not None and field is not (
            choice or field.containing_oneof.fields[0]
        ):
            continue
        if field.message_type is not None and depth == 0:
            continue
        _fill(message, field, depth)
    return message


def _fill(message: Message, field: FieldDescriptor, depth: int) -> None:
    if _is_map(field):
        value = field.message_type.fields_by_name["value"]
        entries = getattr(message, field.name)
        if value.message_type is None:
            entries["key"] = _sample(value)
        else:
            inner = filled(GetMessageClass(value.message_type), None, depth - 1)
            entries["key"].CopyFrom(inner)
    elif field.message_type is not None:
        inner = filled(GetMessageClass(field.message_type), None, depth - 1)
        if _is_repeated(field):
            getattr(message, field.name).extend([inner, inner])
        else:
            getattr(message, field.name).CopyFrom(inner)
    elif _is_repeated(field):
        getattr(message, field.name).extend([_sample(field), _sample(field)])
    else:
        setattr(message, field.name, _sample(field))


def _sample(field: FieldDescriptor) -> Any:
    """A value that no other field of the message has, at the edge of what the type holds."""
    name = f"{field.containing_type.name}.{field.name}"
    if name in ENVELOPES:
        return filled(gossip_pb2.Envelope, None, 2).SerializeToString()
    if name == COLLECTIONS:
        return ONE_COLLECTION
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_UINT64:
            return 2**64 - field.number
        case FieldDescriptor.CPPTYPE_INT64:
            return -(2**63) + field.number
        case FieldDescriptor.CPPTYPE_UINT32:
            return 2**32 - field.number
        case FieldDescriptor.CPPTYPE_INT32:
            return -field.number
        case FieldDescriptor.CPPTYPE_BOOL:
            return True
        case FieldDescriptor.CPPTYPE_ENUM:
            return field.enum_type.values[-1].number
    text = f"{field.number} Zürich ☃"
    return text if field.type == FieldDescriptor.TYPE_STRING else text.encode("utf-16")


def ask(node: str, questions: Iterable[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """What the other codec says of each (type, bytes)."""
    lines = [
        json.dumps({"type": kind, "data": base64.b64encode(data).decode()})
        for kind, data in questions
    ]
    done = subprocess.run(
        [node, str(SCRIPT)],
        input="\n".join(lines).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


def assert_same(ours: Message, theirs: dict[str, Any]) -> None:
    """Compare field by field; nothing may be left over on either side."""
    left = {key.lower(): value for key, value in theirs.items()}
    for field in ours.DESCRIPTOR.fields:
        name = f"{ours.DESCRIPTOR.name}.{field.name}"
        key = field.name.replace("_", "") + _suffix(field)
        told, value = left.pop(key.lower(), None), getattr(ours, field.name)
        if _is_map(field):
            _assert_same_map(field, value, told, name)
        elif _is_repeated(field):
            assert len(value) == len(told), name
            for one, other in zip(value, told, strict=True):
                _assert_same_value(field, one, other, name)
        elif told is None or (field.has_presence and not ours.HasField(field.name)):
            present = ours.HasField(field.name) if field.has_presence else bool(value)
            assert (present, told) == (False, None), name
        else:
            _assert_same_value(field, value, told, name)
    assert not left, f"{ours.DESCRIPTOR.name} has {sorted(left)} as well"


def _assert_same_map(field: FieldDescriptor, ours: Any, theirs: Any, name: str) -> None:
    entry = field.message_type.fields_by_name["value"]
    told = dict(theirs)
    assert told.keys() == set(ours), name
    for key, value in ours.items():
        _assert_same_value(entry, value, told[key], f"{name}[{key}]")


def _assert_same_value(field: FieldDescriptor, ours: Any, theirs: Any, name: str) -> None:
    if name in ENVELOPES:
        assert_same(gossip_pb2.Envelope.FromString(ours), theirs)
    elif name == COLLECTIONS:
        assert ours == ONE_COLLECTION
        assert [one["staticCollectionConfig"]["name"] for one in theirs["configList"]] == ["c"]
    elif field.message_type is not None:
        assert_same(ours, theirs)
    elif field.cpp_type in WIDE:
        assert ours == int(theirs), name
    elif field.type == FieldDescriptor.TYPE_BYTES:
        assert ours == _bytes(theirs), name
    else:
        assert ours == theirs, name


def _bytes(told: Any) -> bytes:
    # As values of a map, bytes come as JavaScript's own arrays: {"0": 255, "1": ...}.
    return bytes(told.values()) if isinstance(told, dict) else base64.b64decode(told)


def _is_repeated(field: FieldDescriptor) -> bool:
    # Older protobuf has no is_repeated, newer no label.
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == 3


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _suffix(field: FieldDescriptor) -> str:
    return "map" if _is_map(field) else "list" if _is_repeated(field) else ""
