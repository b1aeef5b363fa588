"""gossipsub v1.2: IDONTWANT.

docs/protocol.md names the rule that each test holds us to.
"""

from __future__ import annotations

from typing import Any

import pytest

from pubsub.node.peering import Peering
from pubsub.params import Params
from pubsub.pb import rpc_pb2
from pubsub.router.events import RpcReceived, SetValidation, Subscribe
from pubsub.router.protocols import GOSSIPSUB_V10, GOSSIPSUB_V11, GOSSIPSUB_V12
from pubsub.wire.framing import FrameReader
from tests.spec.scenes import OfferedProtocols, told
from tests.unit.router.dialogue import A, B, C, D, Dialogue, Them, script

LARGE = bytes(1024)


def mesh_of(*peers: Them, params: Params | None = None, protocol: str = GOSSIPSUB_V12) -> Dialogue:
    dialogue = Dialogue(params=params)
    dialogue.do(Subscribe("news"))
    for peer in peers:
        dialogue.do(peer.connects(protocol), peer.grafts("news"))
    return dialogue


# Protocol Id


def test_protocol_id_is_advertised_beside_the_older_ones() -> None:
    host = OfferedProtocols()
    nothing: Any = None
    Peering(host, Dialogue().router, nothing, nothing)
    assert host.names[:3] == ["/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0"]


# IDONTWANT Message: Basic scenario


def test_idontwant_goes_to_the_mesh_when_a_message_first_comes() -> None:
    dialogue = mesh_of(A, B, C)
    dialogue.do(D.connects(GOSSIPSUB_V12), D.subscribes("news"), D.prunes("news"))
    message = D.message(1, data=LARGE)
    assert told(dialogue.do(A.sends(message)), "IDONTWANT") == ["B", "C"]
    assert told(dialogue.do(B.sends(message)), "IDONTWANT") == []


def test_idontwant_is_not_told_to_sender_and_author() -> None:
    dialogue = mesh_of(A, B, C)
    assert told(dialogue.do(A.sends(B.message(1, data=LARGE))), "IDONTWANT") == ["C"]


def test_idontwant_waits_for_nothing_and_goes_first() -> None:
    """It is ready to be taken at once, in an RPC of its own, before messages that wait already."""
    dialogue = mesh_of(A, B)
    dialogue.router.handle(dialogue.publish(b"waiting"), dialogue.now)
    batch = dialogue.router.handle(A.sends(C.message(1, data=LARGE)), dialogue.now)
    dialogue.waiting += batch
    dialogue.router.handle(dialogue.verify(), dialogue.now)
    first, second = FrameReader(1 << 20).feed(dialogue.router.take(B.id, 1 << 20))
    assert script(rpc_pb2.RPC.FromString(first)) == ["IDONTWANT C1"]
    assert [line[:11] for line in script(rpc_pb2.RPC.FromString(second))] == [
        "MESSAGE us1",
        "MESSAGE C1 ",
    ]


def test_idontwant_comes_after_the_signature_and_before_validation() -> None:
    dialogue = mesh_of(A, B)
    dialogue.do(SetValidation("news", validated=True))
    forged = rpc_pb2.Message.FromString(C.message(1, data=LARGE))
    forged.signature = bytes(64)
    assert dialogue.do(A.sends(forged.SerializeToString())) == []
    lines = dialogue.do(A.sends(C.message(1, data=LARGE)))
    assert lines == ["B: IDONTWANT C1", "validate news: 1024 bytes"]


def test_idontwant_is_heeded_when_a_message_is_relayed() -> None:
    dialogue = mesh_of(A, B, D)
    dialogue >> B.has_no_use_for(C.id_of(1)) << []
    dialogue >> A.sends(C.message(1)) << ["D: MESSAGE C1 news: hello", "deliver news: hello"]
    assert told(dialogue.do(A.sends(C.message(2))), "MESSAGE") == ["B", "D"]


def test_idontwant_is_heeded_for_what_is_queued_already() -> None:
    dialogue = mesh_of(A, B)
    dialogue.router.handle(dialogue.publish(b"1"), dialogue.now)
    dialogue.router.handle(dialogue.publish(b"2"), dialogue.now)
    dialogue.router.handle(
        B.has_no_use_for(dialogue.router.id + (1).to_bytes(8, "big")), dialogue.now
    )
    assert dialogue.take(B.id) == ["MESSAGE us2 news: 2"]


def test_idontwant_entries_are_pruned_by_the_heartbeat() -> None:
    dialogue = mesh_of(A, B)
    dialogue.do(B.has_no_use_for(C.id_of(1), C.id_of(2)))
    dialogue.beats(2)
    assert told(dialogue.do(A.sends(C.message(1))), "MESSAGE") == []
    dialogue.beats(1)
    assert told(dialogue.do(A.sends(C.message(2))), "MESSAGE") == ["B"]
    assert dialogue.router._core.peers[B.id].outbox.unwanted == {}


def test_idontwant_ignoring_it_costs_nothing() -> None:
    dialogue = mesh_of(A, B)
    message = C.message(1, data=LARGE)
    assert told(dialogue.do(A.sends(message)), "IDONTWANT") == ["B"]
    dialogue.do(*[B.sends(message)] * 50)
    state = dialogue.router.snapshot()
    assert state["faults"][str(B.id)] == 0
    assert state["scores"][str(B.id)] >= 0
    assert dialogue.mesh() == ["A", "B"]


@pytest.mark.parametrize("protocol", [GOSSIPSUB_V10, GOSSIPSUB_V11])
def test_idontwant_is_not_told_to_peers_of_older_versions(protocol: str) -> None:
    dialogue = mesh_of(A, B, protocol=protocol)
    lines = dialogue.do(A.sends(C.message(1, data=LARGE)))
    assert told(lines, "IDONTWANT") == []
    assert told(lines, "MESSAGE") == ["B"]


@pytest.mark.parametrize(("size", "worth_it"), [(1023, False), (1024, True)])
def test_idontwant_is_for_large_messages(size: int, worth_it: bool) -> None:
    dialogue = mesh_of(A, B)
    lines = dialogue.do(A.sends(C.message(1, data=bytes(size))))
    assert told(lines, "IDONTWANT") == ["B"] * worth_it


def test_idontwant_is_limited_between_heartbeats() -> None:
    dialogue = mesh_of(A, B, params=Params(max_idontwant_length=3))
    dialogue.do(B.has_no_use_for(C.id_of(1)), B.has_no_use_for(*map(C.id_of, (2, 3, 4, 5))))
    messages = [C.message(number) for number in (1, 2, 3, 4, 5)]
    lines = dialogue.do(A.sends(*messages))
    assert [line for line in lines if "MESSAGE" in line] == [
        "B: MESSAGE C4 news: hello",
        "B: MESSAGE C5 news: hello",
    ]
    dialogue.beats(1)
    dialogue.do(B.has_no_use_for(C.id_of(6)))
    assert told(dialogue.do(A.sends(C.message(6))), "MESSAGE") == []


# Cancelling IWANT


def test_cancelling_iwant_takes_the_answer_out_of_the_queue() -> None:
    dialogue = mesh_of(A)
    dialogue.do(B.connects(GOSSIPSUB_V12), A.sends(C.message(1), C.message(2)))
    dialogue.router.handle(B.wants(C.id_of(1), C.id_of(2)), dialogue.now)
    dialogue.router.handle(B.has_no_use_for(C.id_of(1)), dialogue.now)
    assert dialogue.take(B.id) == ["MESSAGE C2 news: hello"]


def test_cancelling_iwant_does_not_refuse_a_later_one() -> None:
    dialogue = mesh_of(A, B)
    dialogue.do(B.has_no_use_for(C.id_of(1)), A.sends(C.message(1)))
    dialogue >> B.wants(C.id_of(1)) << "B: MESSAGE C1 news: hello"


# Protobuf Extension


def test_protobuf_extension_is_field_5_of_control() -> None:
    name = b"\xff\x00"
    encoded = b"\x1a\x06\x2a\x04\x0a\x02" + name
    dialogue = Dialogue(message_id=lambda message: name)
    dialogue.do(Subscribe("news"))
    for peer in (A, B):
        dialogue.do(peer.connects(GOSSIPSUB_V12), peer.grafts("news"))
    dialogue.do(RpcReceived(B.id, [encoded]))
    assert told(dialogue.do(A.sends(C.message(1))), "MESSAGE") == []
    again = Dialogue(message_id=lambda message: name)
    again.do(Subscribe("news"), A.connects(GOSSIPSUB_V12), A.grafts("news"))
    again.router.handle(again.publish(LARGE), again.now)
    first, second = FrameReader(1 << 20).feed(again.router.take(A.id, 1 << 20))
    assert first == encoded
    assert rpc_pb2.RPC.FromString(second).publish
